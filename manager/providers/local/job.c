#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "alloc.h"
#include "cgroup.h"
#include "local.h"
#include "loop.h"
#include "worker.h"

struct job {
	struct sandbox *sandbox;
	enum job_kind kind;
	job_done *done;
	void *data;

	const struct site *site;
	struct record record; /* a copy */
	struct live live;     /* taken from the sandbox, or for it */
	char token[SANDBOX_TOKEN_LEN + 1];
	bool failed;
	struct err err;
};

/* ---- on a worker ---- */

static int work(struct job *job)
{
	const struct site *site = job->site;
	const char *id = job->record.id;

	switch (job->kind) {
	case JOB_MAKE:
		return box_make(site, &job->record, job->token, &job->live, &job->err);
	case JOB_CLAIM:
		return box_claim(site, &job->record, &job->err);
	case JOB_START:
		return box_start(site, &job->record, &job->live, &job->err);
	case JOB_STOP:
		return box_stop(site, id, &job->live, &job->err);
	case JOB_REMOVE:
		return box_remove(site, id, &job->live, &job->err);
	case JOB_FREEZE:
		return cgroup_freeze(&site->cgroups, id, true, &job->err);
	case JOB_THAW:
		return cgroup_freeze(&site->cgroups, id, false, &job->err);
	}
	return 0;
}

static void run(void *data)
{
	struct job *job = data;

	job->failed = work(job) < 0;
}

/* ---- on the loop ---- */

static bool takes_live(enum job_kind kind)
{
	return kind == JOB_STOP || kind == JOB_REMOVE || kind == JOB_START;
}

/* Its first process has ended by itself: what served it goes, too. */
static void on_end(unsigned events, void *data)
{
	struct sandbox *sandbox = data;

	(void)events;
	loop_io_free(sandbox->watch);
	sandbox->watch = NULL;
	if (!sandbox->busy)
		job_start(sandbox, JOB_STOP, NULL, NULL, NULL);
}

static void watch(struct sandbox *sandbox)
{
	if (!sandbox->watch && sandbox->live.init >= 0)
		loop_io_new(sandbox->local->setup.loop, sandbox->live.init, EPOLLIN, on_end,
			sandbox, &sandbox->watch, NULL);
}

static void settle(struct job *job)
{
	struct sandbox *sandbox = job->sandbox;
	bool making = job->kind == JOB_MAKE;

	sandbox->busy = false;
	if (making || takes_live(job->kind)) {
		live_release(&sandbox->live);
		sandbox->live = job->live;
		job->live = (struct live)LIVE_NONE;
	}
	if (!job->failed) {
		sandbox->record.made |= making;
		sandbox->record.pooled &= job->kind != JOB_CLAIM;
	}
	watch(sandbox);
}

static void finish(void *data)
{
	struct job *job = data;
	struct sandbox *sandbox = job->sandbox;
	struct local *local = sandbox->local;
	bool gone = job->kind == JOB_REMOVE ? !job->failed : job->kind == JOB_MAKE && job->failed;

	if (!job->record.pooled)
		local->creating--;
	settle(job);
	if (gone) {
		table_drop(&local->table, sandbox);
		sandbox = NULL;
	}
	if (job->done)
		job->done(
			sandbox, job->kind == JOB_START, job->failed ? &job->err : NULL, job->data);
	live_release(&job->live);
	record_release(&job->record);
	free(job);
	pool_refill(local);
}

static void refuse(void *data)
{
	finish(data);
}

void job_start(
	struct sandbox *sandbox, enum job_kind kind, const char *token, job_done *done, void *data)
{
	struct local *local = sandbox->local;
	struct job *job = alloc_zero(sizeof *job);

	*job = (struct job){ .sandbox = sandbox,
		.kind = kind,
		.done = done,
		.data = data,
		.site = &local->site,
		.live = LIVE_NONE };
	record_copy(&sandbox->record, &job->record);
	if (token)
		snprintf(job->token, sizeof job->token, "%s", token);
	if (takes_live(kind)) {
		loop_io_free(sandbox->watch);
		sandbox->watch = NULL;
		job->live = sandbox->live;
		sandbox->live = (struct live)LIVE_NONE;
	}
	sandbox->busy = true;
	if (!job->record.pooled)
		local->creating++;
	if (worker_submit(local->setup.workers, run, finish, job, &job->err) < 0) {
		job->failed = true;
		loop_post(local->setup.loop, refuse, job);
	}
}

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
