#include "worker.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "err.h"
#include "loop.h"

enum { WORKER_NICE = 5 };

struct job {
	worker_fn *run, *done;
	void *data;
	struct job *next;
};

struct worker_pool {
	struct loop *loop;
	size_t threads_max, queue_max;

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work;
	struct job *first, **last;
	size_t queued, idle, threads;
	bool stopping;
	pthread_t ids[];
};

struct worker_pool *worker_pool_new(struct loop *loop, size_t threads_max, size_t queue_max)
{
	struct worker_pool *pool = alloc_zero(sizeof *pool + threads_max * sizeof pool->ids[0]);

	pool->loop = loop;
	pool->threads_max = threads_max;
	pool->queue_max = queue_max;
	pool->last = &pool->first;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	return pool;
}

static void finish(void *data)
{
	struct job *job = data;

	job->done(job->data);
	free(job);
}

static struct job *next_job(struct worker_pool *pool)
{
	struct job *job = pool->first;

	pool->first = job->next;
	if (!pool->first)
		pool->last = &pool->first;
	pool->queued--;
	return job;
}

/* The loop answers everybody, a worker one request: where processors are short, the loop
 * comes first. Nice values are a thread's (Linux). */
static void yield_to_the_loop(void)
{
	id_t thread = (id_t)gettid();

	setpriority(PRIO_PROCESS, thread, getpriority(PRIO_PROCESS, thread) + WORKER_NICE);
}

static void *work(void *data)
{
	struct worker_pool *pool = data;

	yield_to_the_loop();
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		pool->idle++;
		while (!pool->first && !pool->stopping)
			pthread_cond_wait(&pool->work, &pool->lock);
		pool->idle--;
		if (pool->stopping)
			break;
		struct job *job = next_job(pool);
		pthread_mutex_unlock(&pool->lock);
		job->run(job->data);
		loop_post(pool->loop, finish, job);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Called with the lock held. */
static int add_thread(struct worker_pool *pool, struct err *err)
{
	if (pool->queued < pool->idle || pool->threads == pool->threads_max)
		return 0;
	int failed = pthread_create(&pool->ids[pool->threads], NULL, work, pool);
	if (!failed)
		pool->threads++;
	else if (pool->threads == 0)
		return err_set(err, ERR_LIMIT, "no thread could be started: try again later");
	return 0;
}

int worker_submit(struct worker_pool *pool, worker_fn *run, worker_fn *done, void *data,
	struct err *err)
{
	pthread_mutex_lock(&pool->lock);
	int failed = pool->stopping ? err_set(err, ERR_CANCELLED, "The server is stopping")
				    : add_thread(pool, err);
	if (!failed && pool->queued >= pool->queue_max)
		failed = err_set(err, ERR_LIMIT,
			"%zu requests are waiting already: try again in a moment", pool->queued);
	if (!failed) {
		struct job *job = alloc_zero(sizeof *job);
		*job = (struct job){ .run = run, .done = done, .data = data };
		*pool->last = job;
		pool->last = &job->next;
		pool->queued++;
		pthread_cond_signal(&pool->work);
	}
	pthread_mutex_unlock(&pool->lock);
	return failed;
}

size_t worker_queued(struct worker_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	size_t queued = pool->queued;
	pthread_mutex_unlock(&pool->lock);
	return queued;
}

static bool join(pthread_t thread, int64_t deadline_ms)
{
	struct timespec deadline = { deadline_ms / 1000, deadline_ms % 1000 * 1000000 };

	if (deadline_ms == INT64_MAX)
		return pthread_join(thread, NULL) == 0;
	return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &deadline) == 0;
}

bool worker_pool_stop_by(struct worker_pool *pool, int64_t deadline_ms)
{
	size_t running = 0;

	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < pool->threads; i++) {
		if (!join(pool->ids[i], deadline_ms))
			pool->ids[running++] = pool->ids[i];
	}
	pool->threads = running;
	loop_run_posts(pool->loop);
	while (pool->first)
		finish(next_job(pool));
	return running == 0;
}

void worker_pool_stop(struct worker_pool *pool)
{
	worker_pool_stop_by(pool, INT64_MAX);
}

void worker_pool_free(struct worker_pool *pool)
{
	if (!pool)
		return;
	worker_pool_stop(pool);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->work);
	free(pool);
}
