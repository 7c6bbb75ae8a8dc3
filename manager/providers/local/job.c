#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "alloc.h"
#include "cgroup.h"
#include "local.h"
#include "log.h"
#include "loop.h"
#include "network.h"
#include "worker.h"

enum step { NOTHING, MAKE, CLAIM, START, CONNECT, STOP, REMOVE, FREEZE, THAW };

enum { HELPER_STEADY_MS = 1000 }; /* one that ended sooner is not started again */

struct job {
	struct sandbox *sandbox;
	enum wish wish;
	enum step step;
	bool waited_for; /* by somebody, not for the pool */
	job_done *done;
	void *data;

	const struct site *site;
	struct record record; /* of WISH_MADE; then a copy of the sandbox's */
	struct live live;     /* taken from the sandbox, or for it */
	char token[SANDBOX_TOKEN_LEN + 1];
	bool failed;
	struct err err;
};

static void launch(struct job *job);

/* ---- on a worker ---- */

static int work(struct job *job)
{
	const struct site *site = job->site;
	const char *id = job->record.id;

	switch (job->step) {
	case NOTHING:
		return 0;
	case MAKE:
		return box_make(site, &job->record, job->token, &job->live, &job->err);
	case CLAIM:
		return box_claim(site, &job->record, &job->err);
	case START:
		/* A prepared one whose processes ended before its create: it is somebody's now. */
		if (job->record.pooled && box_claim(site, &job->record, &job->err) < 0)
			return -1;
		return box_start(site, &job->record, &job->live, &job->err);
	case CONNECT:
		return box_connect(site, &job->record, &job->live.helper, &job->err);
	case STOP:
		return box_stop(site, id, &job->live, &job->err);
	case REMOVE:
		return box_remove(site, id, &job->live, &job->err);
	case FREEZE:
		return cgroup_freeze(&site->cgroups, id, true, &job->err);
	case THAW:
		return cgroup_freeze(&site->cgroups, id, false, &job->err);
	}
	return 0;
}

static void run(void *data)
{
	struct job *job = data;

	job->failed = work(job) < 0;
}

/* ---- its first process ---- */

enum provider_state sandbox_state(const struct sandbox *sandbox)
{
	struct pollfd end = { .fd = sandbox->live.init, .events = POLLIN };

	if (!sandbox->record.made)
		return PROVIDER_GONE;
	if (sandbox->live.init < 0 || poll(&end, 1, 0) > 0)
		return PROVIDER_COLD;
	return cgroup_frozen(&sandbox->local->site.cgroups, sandbox->record.id) ? PROVIDER_PAUSED
										: PROVIDER_RUNNING;
}

static void unwatch(struct sandbox *sandbox)
{
	loop_io_free(sandbox->watch);
	loop_io_free(sandbox->helper_watch);
	sandbox->watch = sandbox->helper_watch = NULL;
}

/* It has ended by itself: what served it goes, too. */
static void on_end(unsigned events, void *data)
{
	struct sandbox *sandbox = data;

	(void)events;
	unwatch(sandbox);
	if (!sandbox->job)
		job_ask(sandbox, WISH_COLD, NULL, NULL, NULL, NULL);
}

/* A sandbox whose helper cannot stay alive does without a network until it is started anew. */
static void on_helper_end(unsigned events, void *data)
{
	struct sandbox *sandbox = data;
	int64_t now = loop_now_ms(sandbox->local->setup.loop);

	(void)events;
	loop_io_free(sandbox->helper_watch);
	sandbox->helper_watch = NULL;
	network_stop(sandbox->live.helper); /* reaps it */
	sandbox->live.helper = -1;
	log_event(LOG_WARNING, "network helper ended", "sandbox", sandbox->record.id, NULL);
	if (!sandbox->job && now - sandbox->connected_ms >= HELPER_STEADY_MS)
		job_ask(sandbox, WISH_CONNECTED, NULL, NULL, NULL, NULL);
}

void sandbox_watch(struct sandbox *sandbox)
{
	struct loop *loop = sandbox->local->setup.loop;

	if (!sandbox->watch && sandbox->live.init >= 0)
		loop_io_new(
			loop, sandbox->live.init, EPOLLIN, on_end, sandbox, &sandbox->watch, NULL);
	if (!sandbox->helper_watch && sandbox->live.helper >= 0 &&
		loop_io_new(loop, sandbox->live.helper, EPOLLIN, on_helper_end, sandbox,
			&sandbox->helper_watch, NULL) == 0)
		sandbox->connected_ms = loop_now_ms(loop);
}

/* ---- what a wish takes ---- */

static enum step step_to_run(const struct sandbox *sandbox, enum provider_state state)
{
	switch (state) {
	case PROVIDER_GONE:
		return MAKE;
	case PROVIDER_COLD:
		return START;
	case PROVIDER_PAUSED:
		return THAW;
	case PROVIDER_RUNNING:
		break;
	}
	return sandbox->record.pooled ? CLAIM : NOTHING;
}

static enum step step_for(const struct sandbox *sandbox, enum wish wish)
{
	enum provider_state state = sandbox_state(sandbox);

	switch (wish) {
	case WISH_MADE:
		return step_to_run(sandbox, state);
	case WISH_RUNNING:
		return state == PROVIDER_GONE ? NOTHING : step_to_run(sandbox, state);
	case WISH_CONNECTED:
		return sandbox->live.init >= 0 && sandbox->live.helper < 0 ? CONNECT : NOTHING;
	case WISH_FROZEN:
		if (state != PROVIDER_RUNNING)
			return NOTHING;
		return sandbox->local->site.cgroups.freezer ? FREEZE : STOP;
	case WISH_COLD:
		return STOP;
	case WISH_GONE:
		return REMOVE;
	}
	return NOTHING;
}

static bool takes_live(enum step step)
{
	return step == START || step == STOP || step == REMOVE;
}

/* ---- the end of a job, on the loop ---- */

static void settle(struct job *job)
{
	struct sandbox *sandbox = job->sandbox;

	if (job->step == MAKE || takes_live(job->step)) {
		live_release(&sandbox->live);
		sandbox->live = job->live;
		job->live = (struct live)LIVE_NONE;
	}
	if (!job->failed && job->step == CONNECT) {
		sandbox->live.helper = job->live.helper;
		job->live.helper = -1;
	}
	if (!job->failed && (job->step == MAKE || job->step == CLAIM || job->step == START)) {
		sandbox->record.made = true;
		sandbox->record.pooled = job->record.pooled;
	}
	if (!job->failed && job->step == REMOVE)
		sandbox->record.made = false;
	sandbox_watch(sandbox);
}

static void tell(struct job *job, struct sandbox *sandbox)
{
	if (job->done)
		job->done(sandbox, job->step == START, job->failed ? &job->err : NULL, job->data);
}

static void job_free(struct job *job)
{
	live_release(&job->live);
	record_release(&job->record);
	free(job);
}

/* For what was to happen next to a sandbox that is gone. */
static void disappoint(struct job *job)
{
	if (job->wish != WISH_GONE) {
		job->failed = true;
		err_set(&job->err, ERR_NOT_FOUND, "there is no sandbox %s any more",
			job->sandbox->record.id);
	}
	tell(job, NULL);
	job_free(job);
}

static bool lacks_helper(const struct sandbox *sandbox)
{
	const struct local *local = sandbox->local;
	int64_t since = loop_now_ms(local->setup.loop) - sandbox->connected_ms;

	return sandbox->record.network != NETWORK_NONE && sandbox->live.helper < 0 &&
	       since >= HELPER_STEADY_MS && sandbox_state(sandbox) == PROVIDER_RUNNING;
}

static void finish(void *data)
{
	struct job *job = data;
	struct sandbox *sandbox = job->sandbox;
	struct local *local = sandbox->local;
	struct job *next = sandbox->next_job;

	sandbox->job = sandbox->next_job = NULL;
	local->jobs--;
	local->waiting -= job->waited_for;
	settle(job);
	/* Its helper ended while the job ran, which did not fail to start one. */
	bool reconnect = job->step != CONNECT && lacks_helper(sandbox);
	bool gone = job->failed ? job->step == MAKE && !box_remains(job->site, sandbox->record.id)
				: job->step == REMOVE;
	tell(job, gone ? NULL : sandbox);
	if (gone && next && next->wish != WISH_MADE) {
		disappoint(next);
		next = NULL;
	}
	if (next)
		launch(next);
	else if (gone)
		table_drop(&local->table, sandbox);
	else if (reconnect)
		job_ask(sandbox, WISH_CONNECTED, NULL, NULL, NULL, NULL);
	job_free(job);
	pool_refill(local);
	refresh_go(local);
}

/* ---- its beginning ---- */

static void prepare(struct job *job)
{
	struct sandbox *sandbox = job->sandbox;

	if (job->step == MAKE) {
		job->record.slot = sandbox->record.slot;
		record_release(&sandbox->record);
		record_copy(&job->record, &sandbox->record);
	} else {
		record_release(&job->record);
		record_copy(&sandbox->record, &job->record);
	}
	if (takes_live(job->step)) {
		unwatch(sandbox);
		job->live = sandbox->live;
		sandbox->live = (struct live)LIVE_NONE;
	}
}

static void launch(struct job *job)
{
	struct sandbox *sandbox = job->sandbox;
	struct local *local = sandbox->local;

	sandbox->job = job;
	job->step = step_for(sandbox, job->wish);
	prepare(job);
	job->waited_for = !job->record.pooled || job->step == CLAIM;
	local->jobs++;
	local->waiting += job->waited_for;
	/* Until it ran: what the end of the pool drops did not happen. */
	job->failed = job->step != NOTHING;
	err_set(&job->err, ERR_CANCELLED, "the manager is stopping");
	if (job->step != NOTHING &&
		worker_submit(local->setup.workers, run, finish, job, &job->err) == 0)
		return;
	loop_post(local->setup.loop, finish, job);
}

static void refuse(void *data)
{
	struct job *job = data;

	tell(job, NULL);
	job_free(job);
}

void job_ask(struct sandbox *sandbox, enum wish wish, struct record *record, const char *token,
	job_done *done, void *data)
{
	struct job *job = alloc_zero(sizeof *job);

	*job = (struct job){ .sandbox = sandbox,
		.wish = wish,
		.done = done,
		.data = data,
		.site = &sandbox->local->site,
		.live = LIVE_NONE };
	if (record) {
		job->record = *record;
		*record = (struct record){ .slot = 0 };
	}
	if (token)
		snprintf(job->token, sizeof job->token, "%s", token);
	if (!sandbox->job) {
		launch(job);
	} else if (!sandbox->next_job) {
		sandbox->next_job = job;
	} else {
		job->failed = true;
		err_set(&job->err, ERR_CONFLICT, "sandbox %s is being changed; try again",
			sandbox->record.id);
		loop_post(sandbox->local->setup.loop, refuse, job);
	}
}
