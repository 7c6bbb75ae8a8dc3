#ifndef WORKER_H
#define WORKER_H

/*
 * A pool of threads for work that may block (file system, search). A job runs on one of them;
 * its `done` runs on the loop thread afterwards, so nobody needs a lock. Threads start when
 * there is work and stay; the queue is bounded. Used from the loop thread.
 */
#include <stddef.h>

struct err;
struct loop;
struct worker_pool;

typedef void worker_fn(void *data);

struct worker_pool *worker_pool_new(struct loop *loop, size_t threads_max, size_t queue_max);

/* Waits for running jobs; those still queued are dropped after their `done` was called. */
void worker_pool_free(struct worker_pool *pool);

/* ERR_LIMIT where the queue is full: then neither function is called. */
int worker_submit(struct worker_pool *pool, worker_fn *run, worker_fn *done, void *data,
	struct err *err);

/* Jobs that wait for a thread. From the loop thread. */
size_t worker_queued(struct worker_pool *pool);

#endif
