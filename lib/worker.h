#ifndef WORKER_H
#define WORKER_H

/*
 * A pool of threads for work that may block (file system, search). A job runs on one of them;
 * its `done` runs on the loop thread afterwards, so nobody needs a lock. Threads start when
 * there is work and stay; the queue is bounded. Used from the loop thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct loop;
struct worker_pool;

typedef void worker_fn(void *data);

struct worker_pool *worker_pool_new(struct loop *loop, size_t threads_max, size_t queue_max);

/* Waits for running jobs and drops those still queued; each job's `done` was called then. No more
 * are taken. */
void worker_pool_stop(struct worker_pool *pool);

/* The same, but waits for running jobs until CLOCK_MONOTONIC reads `deadline_ms` only. False: some
 * still run. Neither their data nor the pool can be freed then, and all that is left is to end the
 * process. */
bool worker_pool_stop_by(struct worker_pool *pool, int64_t deadline_ms);

/* Stops it first. NULL is allowed. */
void worker_pool_free(struct worker_pool *pool);

/* ERR_LIMIT where the queue is full, ERR_CANCELLED where the pool was stopped: then neither
 * function is called. */
int worker_submit(struct worker_pool *pool, worker_fn *run, worker_fn *done, void *data,
	struct err *err);

/* Jobs that wait for a thread. From the loop thread. */
size_t worker_queued(struct worker_pool *pool);

#endif
