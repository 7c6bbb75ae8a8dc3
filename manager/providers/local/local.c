/* The provider `local`: sandboxes on this machine. The table of calls; see local.h. */
#include "local.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cleanup.h"
#include "dial.h"
#include "log.h"
#include "loop.h"
#include "tree.h"

static struct local *local_of(struct provider *self)
{
	return (struct local *)self; /* `base` is first */
}

/* ---- answers ---- */

/* What a caller is told when a job has ended. */
struct reply {
	provider_done *done;
	void *data;
};

static struct reply *reply_new(provider_done *done, void *data)
{
	struct reply *reply = alloc_zero(sizeof *reply);

	*reply = (struct reply){ done, data };
	return reply;
}

static void answer(const struct sandbox *sandbox, bool restarted, provider_done *done, void *data)
{
	struct provider_answer answer = { .state = PROVIDER_GONE };

	if (sandbox)
		answer = (struct provider_answer){ .state = sandbox_state(sandbox),
			.provider_id = sandbox->record.id,
			.address = sandbox->address,
			.restarted = restarted };
	done(&answer, NULL, data);
}

static void on_job(struct sandbox *sandbox, bool restarted, const struct err *err, void *data)
{
	AUTO_FREE struct reply *reply = data;

	if (err)
		reply->done(NULL, err, reply->data);
	else
		answer(sandbox, restarted, reply->done, reply->data);
}

static void refuse(provider_done *done, void *data, const struct err *err)
{
	done(NULL, err, data);
}

/* The sandbox, if it is there and no job is at work on it; else the caller is told. */
static struct sandbox *find(struct provider *self, const char *id, provider_done *done, void *data)
{
	struct sandbox *sandbox = table_find(&local_of(self)->table, id);
	struct err err;

	if (sandbox && !sandbox->busy)
		return sandbox;
	if (sandbox)
		err_set(&err, ERR_CONFLICT, "sandbox %s is being changed; try again", id);
	else
		err_set(&err, ERR_NOT_FOUND, "there is no sandbox %s here", id);
	refuse(done, data, &err);
	return NULL;
}

/* ---- the calls ---- */

static bool local_reserve(
	struct provider *self, const struct provider_spec *spec, char *id, char *token)
{
	struct local *local = local_of(self);
	struct provider_spec nameless = *spec;
	struct record want;

	nameless.id = NULL;
	if (record_from(&nameless, &local->setup.limits, &want, NULL) < 0)
		return false;
	struct sandbox *found = pool_find(local, &want);
	record_release(&want);
	if (!found)
		return false;
	found->reserved = true;
	memcpy(id, found->record.id, sizeof found->record.id);
	memcpy(token, found->token, sizeof found->token);
	return true;
}

static void local_create(
	struct provider *self, const struct provider_spec *spec, provider_done *done, void *data)
{
	struct local *local = local_of(self);
	struct record record;
	struct err err;

	if (record_from(spec, &local->setup.limits, &record, &err) < 0) {
		refuse(done, data, &err);
		return;
	}
	struct sandbox *sandbox = table_find(&local->table, spec->id);
	enum job_kind kind = JOB_MAKE;
	if (sandbox) {
		record_release(&record);
		if (!find(self, spec->id, done, data))
			return;
		if (sandbox->record.pooled && sandbox->record.made)
			kind = JOB_CLAIM;
		else if (sandbox->record.made)
			kind = sandbox_state(sandbox) == PROVIDER_COLD ? JOB_START : JOB_THAW;
	} else {
		sandbox = table_add(&local->table, &record, &err);
		if (!sandbox) {
			record_release(&record);
			refuse(done, data, &err);
			return;
		}
		sandbox->local = local;
	}
	job_start(sandbox, kind, spec->token, on_job, reply_new(done, data));
}

static void local_resume(struct provider *self, const char *id, provider_done *done, void *data)
{
	struct sandbox *sandbox = find(self, id, done, data);

	if (!sandbox)
		return;
	switch (sandbox_state(sandbox)) {
	case PROVIDER_RUNNING:
		answer(sandbox, false, done, data);
		break;
	case PROVIDER_PAUSED:
		job_start(sandbox, JOB_THAW, NULL, on_job, reply_new(done, data));
		break;
	case PROVIDER_COLD:
		job_start(sandbox, JOB_START, NULL, on_job, reply_new(done, data));
		break;
	case PROVIDER_GONE:
		answer(NULL, false, done, data);
		break;
	}
}

static void local_pause(
	struct provider *self, const char *id, bool cold, provider_done *done, void *data)
{
	struct sandbox *sandbox = find(self, id, done, data);

	if (!sandbox)
		return;
	enum provider_state state = sandbox_state(sandbox);
	if (state == PROVIDER_GONE)
		answer(NULL, false, done, data);
	else if (state == PROVIDER_COLD || (state == PROVIDER_PAUSED && !cold))
		answer(sandbox, false, done, data);
	else
		job_start(
			sandbox, cold ? JOB_STOP : JOB_FREEZE, NULL, on_job, reply_new(done, data));
}

static void local_destroy(struct provider *self, const char *id, provider_done *done, void *data)
{
	if (!table_find(&local_of(self)->table, id)) {
		answer(NULL, false, done, data);
		return;
	}
	struct sandbox *sandbox = find(self, id, done, data);
	if (sandbox)
		job_start(sandbox, JOB_REMOVE, NULL, on_job, reply_new(done, data));
}

static void local_status(struct provider *self, const char *id, provider_done *done, void *data)
{
	answer(table_find(&local_of(self)->table, id), false, done, data);
}

static void local_list(
	struct provider *self, provider_each *each, provider_listed *listed, void *data)
{
	const struct table *table = &local_of(self)->table;

	for (const struct sandbox *at = table_next(table, NULL); at; at = table_next(table, at)) {
		struct provider_answer answer = { .state = sandbox_state(at),
			.provider_id = at->record.id,
			.address = at->address };
		if (!at->record.pooled)
			each(at->record.id, &answer, data);
	}
	listed(NULL, data);
}

static int local_dial(
	struct provider *self, const char *id, uint16_t port, int *fd, struct err *err)
{
	const struct sandbox *sandbox = table_find(&local_of(self)->table, id);

	if (!sandbox || sandbox->live.init < 0)
		return err_set(err, ERR_CONFLICT, "sandbox %s does not run", id);
	return dial(sandbox->live.init, port, fd, err);
}

static json_t *local_info(struct provider *self, const char *id)
{
	const struct local *local = local_of(self);
	const struct sandbox *sandbox = table_find(&local->table, id);

	if (!sandbox)
		return json_object();
	return json_pack("{s:s, s:I}", "address", sandbox->address, "memory_bytes",
		(json_int_t)cgroup_memory(&local->site.cgroups, id));
}

static json_t *local_figures(struct provider *self)
{
	const struct local *local = local_of(self);

	return json_pack("{s:I}", "sandboxes", (json_int_t)local->table.count);
}

static void local_free(struct provider *self)
{
	struct local *local = local_of(self);

	loop_timer_free(local->refill);
	table_release(&local->table);
	site_close(&local->site);
	free(local);
}

/* ---- opening ---- */

static void adopt(struct local *local, const char *name)
{
	AUTO_FREE char *dir = alloc_printf("%s/%s", local->site.boxes, name);
	struct record record;
	struct err err;

	if (record_load(dir, &record, &err) < 0) {
		/* Nothing is there before its record; a damaged one is for a person to look at. */
		if (err.code == ERR_NOT_FOUND && tree_remove(dir, &err) == 0)
			return;
		log_event(LOG_ERROR, "sandbox left alone", "dir", dir, "why", err.msg, NULL);
		return;
	}
	struct sandbox *sandbox =
		strcmp(record.id, name) == 0 ? table_add(&local->table, &record, &err) : NULL;
	if (!sandbox) {
		log_event(LOG_ERROR, "sandbox left alone", "dir", dir, NULL);
		record_release(&record);
		return;
	}
	sandbox->local = local;
	box_find(&local->site, name, &sandbox->live);
	if (sandbox->record.pooled)
		job_start(sandbox, JOB_REMOVE, NULL, NULL, NULL);
	else if (sandbox->live.init < 0)
		job_start(sandbox, JOB_STOP, NULL, NULL, NULL);
}

static int adopt_all(struct local *local, struct err *err)
{
	AUTO_CLOSEDIR DIR *dir = opendir(local->site.boxes);
	struct dirent *entry;

	if (!dir)
		return err_sys(err, "look through %s", local->site.boxes);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			adopt(local, entry->d_name);
	return 0;
}

int provider_local_open(const struct provider_setup *setup, struct provider **out, struct err *err)
{
	static const struct provider calls = {
		.name = "local",
		.reserve = local_reserve,
		.create = local_create,
		.resume = local_resume,
		.pause = local_pause,
		.destroy = local_destroy,
		.status = local_status,
		.list = local_list,
		.dial = local_dial,
		.info = local_info,
		.figures = local_figures,
		.free = local_free,
	};
	const struct site_options options = { setup->data_dir, setup->oci_runtime,
		setup->mcp_port };
	struct local *local = alloc_zero(sizeof *local);

	local->base = calls;
	local->setup = *setup;
	if (site_open(&options, &local->site, err) < 0) {
		free(local);
		return -1;
	}
	if (adopt_all(local, err) < 0) {
		local_free(&local->base);
		return -1;
	}
	*out = &local->base;
	return 0;
}
