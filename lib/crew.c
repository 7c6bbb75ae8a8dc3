#include "crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "alloc.h"

struct crew {
	struct crew_options options;
	unsigned threads;
	int64_t deadline_ms;
	atomic_int end; /* enum crew_end; CREW_DONE as long as it goes on */
	atomic_size_t waiting;

	pthread_mutex_t lock; /* for all below */
	pthread_cond_t wake;
	struct crew_task *top;
	size_t pushed;
	unsigned idle, running; /* helpers that wait; threads that are in a task */
	unsigned helpers;
	bool over, refused; /* nothing is left; no more threads can be had */
	pthread_t ids[CREW_MAX];
};

struct helper {
	struct crew *crew;
	unsigned worker;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static unsigned processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) < 0)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

struct crew *crew_new(const struct crew_options *options)
{
	struct crew *crew = alloc_zero(sizeof *crew);

	crew->options = *options;
	crew->threads = options->threads ? options->threads : processors();
	if (crew->threads > CREW_MAX)
		crew->threads = CREW_MAX;
	if (crew->threads == 0)
		crew->threads = 1;
	if (options->limit_ms > 0)
		crew->deadline_ms = now_ms() + options->limit_ms;
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->wake, NULL);
	return crew;
}

void crew_free(struct crew *crew)
{
	if (!crew)
		return;
	pthread_cond_destroy(&crew->wake);
	pthread_mutex_destroy(&crew->lock);
	free(crew);
}

unsigned crew_threads(const struct crew *crew)
{
	return crew->threads;
}

size_t crew_waiting(const struct crew *crew)
{
	return atomic_load_explicit(&crew->waiting, memory_order_relaxed);
}

static void end_early(struct crew *crew, enum crew_end why)
{
	int going = CREW_DONE;

	atomic_compare_exchange_strong(&crew->end, &going, (int)why);
}

void crew_stop(struct crew *crew)
{
	end_early(crew, CREW_STOPPED);
}

bool crew_stopped(struct crew *crew)
{
	if (atomic_load_explicit(&crew->end, memory_order_relaxed) != CREW_DONE)
		return true;
	if (crew->options.cancelled && crew->options.cancelled(crew->options.data))
		end_early(crew, CREW_CANCELLED);
	else if (crew->deadline_ms && now_ms() >= crew->deadline_ms)
		end_early(crew, CREW_LATE);
	else
		return false;
	return true;
}

/* Works until nothing is left that could make more; called with the lock. */
static void work(struct crew *crew, unsigned worker)
{
	while (!crew->over) {
		struct crew_task *task = crew->top;

		if (task) {
			crew->top = task->below;
			atomic_fetch_sub_explicit(&crew->waiting, 1, memory_order_relaxed);
			crew->running++;
			pthread_mutex_unlock(&crew->lock);
			task->run(crew, task, worker);
			pthread_mutex_lock(&crew->lock);
			crew->running--;
		} else if (crew->running == 0) {
			crew->over = true;
			pthread_cond_broadcast(&crew->wake);
		} else {
			crew->idle++;
			pthread_cond_wait(&crew->wake, &crew->lock);
			crew->idle--;
		}
	}
}

static void *help(void *data)
{
	struct helper *helper = data;
	struct crew *crew = helper->crew;

	pthread_mutex_lock(&crew->lock);
	work(crew, helper->worker);
	pthread_mutex_unlock(&crew->lock);
	free(helper);
	return NULL;
}

/* Where no thread can be had, those that are there do the work. */
static void start_helpers(struct crew *crew)
{
	while (crew->helpers + 1 < crew->threads && !crew->refused) {
		struct helper *helper = alloc_zero(sizeof *helper);

		*helper = (struct helper){ crew, crew->helpers + 1 };
		if (pthread_create(&crew->ids[crew->helpers], NULL, help, helper) != 0) {
			free(helper);
			crew->refused = true;
			return;
		}
		crew->helpers++;
	}
}

void crew_push(struct crew *crew, struct crew_task *task)
{
	pthread_mutex_lock(&crew->lock);
	task->below = crew->top;
	crew->top = task;
	crew->pushed++;
	atomic_fetch_add_explicit(&crew->waiting, 1, memory_order_relaxed);
	if (crew->pushed > crew->options.start_after)
		start_helpers(crew);
	if (crew->idle > 0)
		pthread_cond_signal(&crew->wake);
	pthread_mutex_unlock(&crew->lock);
}

enum crew_end crew_run(struct crew *crew)
{
	pthread_mutex_lock(&crew->lock);
	work(crew, 0);
	pthread_mutex_unlock(&crew->lock);
	for (unsigned i = 0; i < crew->helpers; i++)
		pthread_join(crew->ids[i], NULL);
	return (enum crew_end)atomic_load(&crew->end);
}
