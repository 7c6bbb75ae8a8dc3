#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "allow.h"
#include "cleanup.h"
#include "err.h"
#include "site.h"
#include "slurp.h"

enum { RECORD_VERSION = 1, RECORD_BYTES_MAX = 4 * 1024 * 1024 };

static const char *const network_names[] = { "internet", "none", "allow" };
static const char id_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789";

/* ---- from a request ---- */

static bool is_template_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= TEMPLATE_NAME_MAX && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789._-") == len;
}

/* The tool server reads these itself; what a request may not set, its commands may. */
static int check_envs(const json_t *envs, struct err *err)
{
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)envs, name, value) {
		if (!*name || strchr(name, '=') || !json_is_string(value) ||
			strlen(json_string_value(value)) != json_string_length(value))
			return err_set(err, ERR_INVALID,
				"envs: '%s' is no name of a variable with a text", name);
		if (strncmp(name, "SANDBOX_MCP_", 12) == 0)
			return err_set(err, ERR_INVALID,
				"envs: names that begin with SANDBOX_MCP_ are the tool server's "
				"own; take another than %s",
				name);
	}
	return 0;
}

static int64_t either(int64_t given, int64_t otherwise)
{
	return given > 0 ? given : otherwise;
}

int record_from(const struct provider_spec *spec, const struct sandbox_limits *defaults,
	struct record *out, struct err *err)
{
	const char *template = spec->template_id ? spec->template_id : "host";
	struct record record = { .network = spec->network };

	if (spec->id && (strlen(spec->id) != SANDBOX_ID_LEN ||
				strspn(spec->id, id_bytes) != SANDBOX_ID_LEN))
		return err_set(err, ERR_INVALID, "'%s' is no id of a sandbox", spec->id);
	if (!is_template_name(template))
		return err_set(err, ERR_INVALID, "'%s' is no name of a template", template);
	if (spec->envs && check_envs(spec->envs, err) < 0)
		return -1;
	if (spec->network == NETWORK_ALLOW && allow_check(spec->allow, err) < 0)
		return -1;
	snprintf(record.id, sizeof record.id, "%s", spec->id ? spec->id : "");
	snprintf(record.template, sizeof record.template, "%s", template);
	record.limits = (struct sandbox_limits){
		.memory_mb = either(spec->limits.memory_mb, defaults->memory_mb),
		.disk_mb = either(spec->limits.disk_mb, defaults->disk_mb),
		.pids = either(spec->limits.pids, defaults->pids),
		.cpu_millis = either(spec->limits.cpu_millis, defaults->cpu_millis),
	};
	if (spec->network == NETWORK_ALLOW)
		record.allow = json_deep_copy(spec->allow);
	if (spec->envs && json_object_size(spec->envs) > 0)
		record.envs = json_deep_copy(spec->envs);
	*out = record;
	return 0;
}

/* ---- on disk ---- */

static int find_network(const char *name)
{
	for (size_t i = 0; i < sizeof network_names / sizeof *network_names; i++)
		if (strcmp(name, network_names[i]) == 0)
			return (int)i;
	return -1;
}

int record_load(const char *dir, struct record *out, struct err *err)
{
	struct record record = { .slot = 0 };
	json_error_t why;
	size_t len;
	const char *id, *template, *network;
	json_t *allow = NULL, *envs = NULL;
	int version, slot, made, pooled;
	json_int_t memory, disk, pids, cpu;

	AUTO_FREE char *path = alloc_printf("%s/spec.json", dir);
	AUTO_FREE char *text = slurp(path, RECORD_BYTES_MAX, &len);
	if (!text)
		return err_set(err, ERR_NOT_FOUND, "there is no %s", path);
	json_auto_t *root = json_loadb(text, len, 0, &why);
	if (!root || json_unpack(root,
			     "{s:i, s:s, s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:b, s?o, s?o}",
			     "version", &version, "id", &id, "slot", &slot, "template", &template,
			     "network", &network, "memory_mb", &memory, "disk_mb", &disk, "pids",
			     &pids, "cpu_millis", &cpu, "made", &made, "pooled", &pooled, "allow",
			     &allow, "envs", &envs) < 0)
		return err_set(err, ERR_IO, "%s cannot be read", path);
	if (version != RECORD_VERSION || strlen(id) != SANDBOX_ID_LEN || slot < 1 ||
		slot > SLOT_MAX || !is_template_name(template) || find_network(network) < 0)
		return err_set(err, ERR_IO, "%s is of another version, or damaged", path);
	snprintf(record.id, sizeof record.id, "%s", id);
	snprintf(record.template, sizeof record.template, "%s", template);
	record.slot = (unsigned)slot;
	record.limits = (struct sandbox_limits){ memory, disk, pids, cpu };
	record.network = (enum network)find_network(network);
	record.allow = json_incref(allow);
	record.envs = json_incref(envs);
	record.made = made;
	record.pooled = pooled;
	*out = record;
	return 0;
}

static json_t *to_json(const struct record *record)
{
	return json_pack("{s:i, s:s, s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:O*, s:O*}",
		"version", RECORD_VERSION, "id", record->id, "slot", (int)record->slot, "template",
		record->template, "network", network_names[record->network], "memory_mb",
		(json_int_t)record->limits.memory_mb, "disk_mb", (json_int_t)record->limits.disk_mb,
		"pids", (json_int_t)record->limits.pids, "cpu_millis",
		(json_int_t)record->limits.cpu_millis, "made", record->made, "pooled",
		record->pooled, "allow", record->allow, "envs", record->envs);
}

static int write_whole(int fd, const char *text, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, text + done, len - done);
		if (n < 0 && errno != EINTR)
			return -1;
		done += n > 0 ? (size_t)n : 0;
	}
	return fdatasync(fd);
}

int record_save(const struct record *record, const char *dir, struct err *err)
{
	json_auto_t *root = to_json(record);
	AUTO_FREE char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	AUTO_CLOSE int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int fd =
		openat(dir_fd, "spec.json.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (!text)
		return err_set(err, ERR_INTERNAL, "sandbox %s cannot be written down", record->id);
	if (fd < 0 || write_whole(fd, text, strlen(text)) < 0 ||
		renameat(dir_fd, "spec.json.new", dir_fd, "spec.json") < 0 || fsync(dir_fd) < 0)
		return err_sys(err, "write %s/spec.json", dir);
	return 0;
}

/* ---- in memory ---- */

void record_copy(const struct record *from, struct record *to)
{
	*to = *from;
	to->allow = from->allow ? json_deep_copy(from->allow) : NULL;
	to->envs = from->envs ? json_deep_copy(from->envs) : NULL;
}

void record_release(struct record *record)
{
	json_decref(steal_ptr(&record->allow));
	json_decref(steal_ptr(&record->envs));
}

bool record_fits(const struct record *have, const struct record *want)
{
	return strcmp(have->template, want->template) == 0 && have->network == want->network &&
	       have->limits.memory_mb == want->limits.memory_mb &&
	       have->limits.disk_mb == want->limits.disk_mb &&
	       have->limits.pids == want->limits.pids &&
	       have->limits.cpu_millis == want->limits.cpu_millis && !have->allow && !have->envs &&
	       !want->allow && !want->envs;
}
