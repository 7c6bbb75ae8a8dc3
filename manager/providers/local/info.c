/* What people are told of a sandbox and of the engine. */
#include <string.h>

#include "cgroup.h"
#include "local.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Limits that this machine cannot set: said, rather than pretended. */
static json_t *limits_not_set(const struct site *site)
{
	const struct cgroups *cgroups = &site->cgroups;
	const struct {
		const char *name;
		bool set;
	} limits[] = {
		{ "memory", cgroups->memory },
		{ "swap", cgroups->swap },
		{ "cpus", cgroups->cpu },
		{ "pids", cgroups->pids },
		{ "devices", cgroups->devices },
		{ "disk", !site->rootless },
	};
	json_t *array = json_array();

	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		if (!limits[i].set)
			json_array_append_new(array, json_string(limits[i].name));
	return array;
}

static json_t *isolation(const struct local *local, const struct sandbox *sandbox)
{
	static const char *const networks[] = { "internet", "none", "allow" };

	return json_pack("{s:s, s:s, s:I, s:i, s:b, s:s, s:o}", "kind", "namespaces", "runtime",
		base_name(local->site.runtime), "first_id",
		(json_int_t)site_first_id(&local->site, sandbox->record.slot), "ids", ID_RANGE,
		"ids_shared", local->site.rootless, "network", networks[sandbox->record.network],
		"limits_not_set", limits_not_set(&local->site));
}

json_t *info_of(const struct local *local, const struct sandbox *sandbox)
{
	const struct record *record = &sandbox->record;
	int64_t memory = cgroup_memory(&local->site.cgroups, record->id);
	json_t *info = json_pack("{s:s, s:s, s:{s:I, s:I, s:I, s:f}, s:o}", "address",
		sandbox->address, "template", record->template, "limits", "memory_mb",
		(json_int_t)record->limits.memory_mb, "disk_mb", (json_int_t)record->limits.disk_mb,
		"pids", (json_int_t)record->limits.pids, "cpus",
		(double)record->limits.cpu_millis / 1000, "isolation", isolation(local, sandbox));

	if (memory >= 0)
		json_object_set_new(info, "memory_bytes", json_integer(memory));
	return info;
}

json_t *info_figures(const struct local *local)
{
	struct pool_figures pool;

	pool_count(local, &pool);
	return json_pack("{s:s, s:I, s:I, s:I, s:I}", "runtime", base_name(local->site.runtime),
		"sandboxes", (json_int_t)local->table.count, "jobs", (json_int_t)local->jobs,
		"pool_ready", (json_int_t)pool.ready, "pool_memory_bytes",
		(json_int_t)pool.memory_bytes);
}
