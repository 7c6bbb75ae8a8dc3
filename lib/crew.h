#ifndef CREW_H
#define CREW_H

/*
 * A few threads that work off one stack of tasks, for the time of one call: the caller is one
 * of them, the others start when there is enough to do and have ended when crew_run() returns.
 * The last task pushed is the next to run, so a walk goes deep before it goes wide. Everything
 * here may be called by any task.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crew;
struct crew_task;

enum { CREW_MAX = 16 };

/* Runs once, also after the crew was stopped: then it only frees what it has. `worker` is the
 * thread's number, from 0 up. */
typedef void crew_fn(struct crew *crew, struct crew_task *task, unsigned worker);

/* The head of a task; the rest is its owner's. */
struct crew_task {
	crew_fn *run;
	struct crew_task *below; /* the crew's */
};

enum crew_end { CREW_DONE, CREW_STOPPED, CREW_CANCELLED, CREW_LATE };

struct crew_options {
	unsigned threads;   /* with the caller; 0: as many as there are processors */
	size_t start_after; /* tasks pushed before the others start */
	int64_t limit_ms;   /* the longest that it runs; 0: no limit */
	bool (*cancelled)(const void *data); /* asked now and then, by any thread; may be NULL */
	const void *data;
};

struct crew *crew_new(const struct crew_options *options);
void crew_free(struct crew *crew);

/* Upper bound of the workers' numbers. */
unsigned crew_threads(const struct crew *crew);

void crew_push(struct crew *crew, struct crew_task *task);

/* Tasks that wait; a look, not a promise. */
size_t crew_waiting(const struct crew *crew);

/* Works until no task is left; says how it ended. */
enum crew_end crew_run(struct crew *crew);

/* Ends the work early. */
void crew_stop(struct crew *crew);

/* Whether it was stopped, cancelled, or has taken too long: long tasks look now and then. */
bool crew_stopped(struct crew *crew);

#endif
