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
#include "template.h"
#include "tree.h"
#include "worker.h"

static struct local *local_of(struct provider *self)
{
	return (struct local *)self; /* `base` is first */
}

/* ---- answers ---- */

/* What a caller is told later. */
struct reply {
	provider_done *done;
	void *data;
	bool failed; /* without a job */
	struct err err;
};

static struct reply *reply_new(provider_done *done, void *data)
{
	struct reply *reply = alloc_zero(sizeof *reply);

	reply->done = done;
	reply->data = data;
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

static void on_turn(void *data)
{
	AUTO_FREE struct reply *reply = data;

	if (reply->failed)
		reply->done(NULL, &reply->err, reply->data);
	else
		answer(NULL, false, reply->done, reply->data);
}

/* For what takes no job: `err`, or (NULL) that there is no sandbox. Never before the call is over,
 * as its caller counts on. */
static void reply_later(struct local *local, const struct err *err, provider_done *done, void *data)
{
	struct reply *reply = reply_new(done, data);

	reply->failed = err;
	if (err)
		reply->err = *err;
	loop_post(local->setup.loop, on_turn, reply);
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
	struct sandbox *sandbox = table_find(&local->table, spec->id);
	struct record record, entry;
	struct err err;

	if (record_from(spec, &local->setup.limits, &record, &err) < 0) {
		reply_later(local, &err, done, data);
		return;
	}
	if (!sandbox) {
		record_copy(&record, &entry);
		sandbox = table_add(&local->table, &entry, &err);
		if (!sandbox) {
			record_release(&entry);
			record_release(&record);
			reply_later(local, &err, done, data);
			return;
		}
	}
	job_ask(sandbox, WISH_MADE, &record, spec->token, on_job, reply_new(done, data));
}

static void ask(
	struct provider *self, const char *id, enum wish wish, provider_done *done, void *data)
{
	struct local *local = local_of(self);
	struct sandbox *sandbox = table_find(&local->table, id);
	struct err err;

	if (sandbox) {
		job_ask(sandbox, wish, NULL, NULL, on_job, reply_new(done, data));
	} else if (wish == WISH_GONE) {
		reply_later(local, NULL, done, data);
	} else {
		err_set(&err, ERR_NOT_FOUND, "there is no sandbox %s here", id);
		reply_later(local, &err, done, data);
	}
}

static void local_resume(struct provider *self, const char *id, provider_done *done, void *data)
{
	ask(self, id, WISH_RUNNING, done, data);
}

static void local_pause(
	struct provider *self, const char *id, bool cold, provider_done *done, void *data)
{
	ask(self, id, cold ? WISH_COLD : WISH_FROZEN, done, data);
}

static void local_destroy(struct provider *self, const char *id, provider_done *done, void *data)
{
	ask(self, id, WISH_GONE, done, data);
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

	return sandbox ? info_of(local, sandbox) : json_object();
}

static json_t *local_figures(struct provider *self)
{
	return info_figures(local_of(self));
}

static void local_stop(struct provider *self, void (*done)(void *data), void *data)
{
	pool_end(local_of(self), done, data);
}

static void local_free(struct provider *self)
{
	struct local *local = local_of(self);

	loop_timer_free(local->refill);
	refresh_close(local);
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
	box_find(&local->site, name, &sandbox->live);
	if (sandbox->record.network != NETWORK_NONE)
		sandbox->refresh[REFRESH_OWN] = REFRESH_DUE; /* nobody looked meanwhile */
	if (sandbox->record.pooled)
		job_ask(sandbox, WISH_GONE, NULL, NULL, NULL, NULL);
	else if (sandbox->live.init < 0)
		job_ask(sandbox, WISH_COLD, NULL, NULL, NULL, NULL);
	else if (sandbox->live.helper < 0 && sandbox->record.network != NETWORK_NONE)
		job_ask(sandbox, WISH_CONNECTED, NULL, NULL, NULL, NULL);
	else
		sandbox_watch(sandbox);
	sandbox->connected_ms = 0; /* what it served before is not known */
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

/* The first sandbox should not wait for it; where it fails, that one tells. */
static void make_host_template(void *data)
{
	const struct local *local = data;
	struct template template = { .layers_len = 0 };

	if (template_find(&local->site, "host", &template, NULL) == 0)
		template_release(&template);
}

static void on_host_template(void *data)
{
	struct local *local = data;

	local->jobs--;
	pool_refill(local);
}

/* Sandboxes keep the tools that they were started with; without any, only ours are needed. */
static void drop_old_tools(const struct local *local)
{
	const char *slash = strrchr(local->site.tools, '/');
	AUTO_FREE char *base = alloc_textn(local->site.tools, (size_t)(slash - local->site.tools));
	struct err err;

	if (local->table.count == 0 && tree_keep_only(base, slash + 1, &err) < 0)
		log_event(LOG_WARNING, "old tools not removed", "why", err.msg, NULL);
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
		.stop = local_stop,
		.free = local_free,
	};
	const struct site_options options = { setup->data_dir, setup->oci_runtime,
		setup->mcp_port };
	struct local *local = alloc_zero(sizeof *local);

	local->base = calls;
	local->setup = *setup;
	local->table.local = local;
	local->addresses_fd = -1;
	if (site_open(&options, &local->site, err) < 0) {
		free(local);
		return -1;
	}
	pool_open(local);
	if (refresh_open(local, err) < 0 || adopt_all(local, err) < 0) {
		local_free(&local->base);
		return -1;
	}
	refresh_go(local);
	drop_old_tools(local);
	if (worker_submit(setup->workers, make_host_template, on_host_template, local, NULL) == 0)
		local->jobs++;
	*out = &local->base;
	return 0;
}
