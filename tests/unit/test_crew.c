#include "crew.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "alloc.h"

#include "test.h"

struct job {
	struct crew_task task;
	int depth;
};

static atomic_int runs, freed;
static atomic_uint workers;

/* Makes two more of itself, down to depth 0. */
static void split(struct crew *crew, struct crew_task *task, unsigned worker)
{
	struct job *job = (struct job *)task;

	atomic_fetch_or(&workers, 1U << worker);
	atomic_fetch_add(&runs, 1);
	for (int i = 0; i < 2 && job->depth > 0 && !crew_stopped(crew); i++) {
		struct job *next = alloc_zero(sizeof *next);
		*next = (struct job){ { split, NULL }, job->depth - 1 };
		crew_push(crew, &next->task);
	}
	free(job);
	atomic_fetch_add(&freed, 1);
}

static void start(struct crew *crew, int depth, crew_fn *run)
{
	struct job *job = alloc_zero(sizeof *job);

	runs = freed = 0;
	workers = 0;
	*job = (struct job){ { run, NULL }, depth };
	crew_push(crew, &job->task);
}

static void runs_every_task_once(void)
{
	for (unsigned threads = 1; threads <= 4; threads++) {
		struct crew *crew = crew_new(&(struct crew_options){ .threads = threads });

		CHECK_INT(crew_threads(crew), threads);
		start(crew, 12, split);
		CHECK_INT(crew_run(crew), CREW_DONE);
		CHECK_INT(runs, (1 << 13) - 1);
		CHECK(workers < 1U << threads);
		crew_free(crew);
	}
}

static void few_tasks_need_no_threads(void)
{
	struct crew *crew = crew_new(&(struct crew_options){ .threads = 4, .start_after = 100 });

	start(crew, 4, split);
	CHECK_INT(crew_run(crew), CREW_DONE);
	CHECK_INT(runs, 31);
	CHECK_INT(workers, 1);
	crew_free(crew);
}

static void nothing_to_do_is_done(void)
{
	struct crew *crew = crew_new(&(struct crew_options){ 0 });

	CHECK_INT(crew_run(crew), CREW_DONE);
	crew_free(crew);
}

static void stopped_early_it_still_runs_what_waits(void)
{
	/* No other thread starts: one would take the task before it is stopped. */
	struct crew *crew = crew_new(&(struct crew_options){ .threads = 2, .start_after = 100 });

	start(crew, 6, split);
	crew_stop(crew);
	CHECK(crew_stopped(crew));
	CHECK_INT(crew_run(crew), CREW_STOPPED);
	CHECK_INT(runs, 1);
	CHECK_INT(freed, 1);
	crew_free(crew);
}

static void stop_in_the_middle(struct crew *crew, struct crew_task *task, unsigned worker)
{
	((struct job *)task)->task.run = split;
	split(crew, task, worker);
	crew_stop(crew);
}

static void a_task_can_stop_the_others(void)
{
	struct crew *crew = crew_new(&(struct crew_options){ .threads = 2 });

	start(crew, 30, stop_in_the_middle);
	CHECK_INT(crew_run(crew), CREW_STOPPED);
	CHECK_INT(runs, freed);
	crew_free(crew);
}

static bool yes(const void *data)
{
	return *(const bool *)data;
}

static void asks_whether_it_was_cancelled(void)
{
	bool cancelled = false;
	struct crew *crew =
		crew_new(&(struct crew_options){ .cancelled = yes, .data = &cancelled });

	CHECK(!crew_stopped(crew));
	cancelled = true;
	CHECK(crew_stopped(crew));
	start(crew, 20, split);
	CHECK_INT(crew_run(crew), CREW_CANCELLED);
	CHECK_INT(runs, 1);
	crew_free(crew);
}

static void forever(struct crew *crew, struct crew_task *task, unsigned worker)
{
	(void)worker;
	if (crew_stopped(crew))
		free(task);
	else
		crew_push(crew, task);
}

static void ends_at_its_limit(void)
{
	struct crew *crew = crew_new(&(struct crew_options){ .threads = 2, .limit_ms = 30 });

	start(crew, 0, forever);
	CHECK_INT(crew_run(crew), CREW_LATE);
	crew_free(crew);
}

TESTS(CASE(runs_every_task_once), CASE(few_tasks_need_no_threads), CASE(nothing_to_do_is_done),
	CASE(stopped_early_it_still_runs_what_waits), CASE(a_task_can_stop_the_others),
	CASE(asks_whether_it_was_cancelled), CASE(ends_at_its_limit))
