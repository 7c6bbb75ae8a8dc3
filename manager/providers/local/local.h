#ifndef LOCAL_H
#define LOCAL_H

/*
 * The provider's inside: the table of sandboxes, and the jobs that work on them. A job runs on a
 * worker with copies of what it needs, and what it found comes into the table on the loop.
 */
#include <stdbool.h>

#include "err.h"
#include "provider.h"
#include "site.h"
#include "table.h"

struct local {
	struct provider base;
	struct provider_setup setup;
	struct site site;
	struct table table;
	size_t creating; /* jobs that somebody waits for */
	bool filling;    /* a sandbox for the pool is being made */
	struct loop_timer *refill;
};

enum job_kind { JOB_MAKE, JOB_CLAIM, JOB_START, JOB_STOP, JOB_REMOVE, JOB_FREEZE, JOB_THAW };

typedef void job_done(struct sandbox *sandbox, bool restarted, const struct err *err, void *data);

/*
 * Starts one for a sandbox that is not busy. `done` (NULL is allowed) is called on the loop;
 * with JOB_REMOVE that went well `sandbox` is NULL there, as it is with a failed JOB_MAKE.
 */
void job_start(
	struct sandbox *sandbox, enum job_kind kind, const char *token, job_done *done, void *data);

/* How it is. */
enum provider_state sandbox_state(const struct sandbox *sandbox);

/* ---- pool.c ---- */

/* Makes more prepared sandboxes, when nobody waits. */
void pool_refill(struct local *local);

/* A prepared one that is what `want` asks for, or NULL. */
struct sandbox *pool_find(struct local *local, const struct record *want);

#endif
