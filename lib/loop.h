#ifndef LOOP_H
#define LOOP_H

/*
 * The event loop: one thread owns every socket, timer and child, so code above it has no
 * locks. Only loop_post() and loop_stop() may be called from other threads.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct loop;
struct loop_io;
struct loop_timer;

typedef void loop_io_fn(unsigned events, void *data); /* events as epoll(7) has them */
typedef void loop_fn(void *data);

int loop_new(struct loop **out, struct err *err);
void loop_free(struct loop *loop);

/* Runs until loop_stop(), and can be run again; 0, or -1 where waiting itself failed. */
int loop_run(struct loop *loop, struct err *err);
void loop_stop(struct loop *loop);

/* Milliseconds of CLOCK_MONOTONIC, read once a turn. */
int64_t loop_now_ms(const struct loop *loop);

/* Watches `fd` (not owned) until loop_io_free(), which may be called from its own callback. */
int loop_io_new(struct loop *loop, int fd, unsigned events, loop_io_fn *fn, void *data,
	struct loop_io **out, struct err *err);
int loop_io_set(struct loop_io *io, unsigned events, struct err *err);
void loop_io_free(struct loop_io *io); /* NULL is allowed */

/* A timer is made idle; set arms it (again), once. Callbacks may set or free any timer. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *data);
void loop_timer_set(struct loop_timer *timer, int64_t delay_ms);
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_armed(const struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer); /* NULL is allowed */

/* Calls `fn(data)` on the loop thread, soon, in the order of posting. From any thread. */
void loop_post(struct loop *loop, loop_fn *fn, void *data);

/* Calls what was posted, now: for the end, when the loop runs no more. */
void loop_run_posts(struct loop *loop);

/* Calls `fn` at the end of each turn, before the loop waits. One per loop. */
typedef int loop_before_wait_fn(void *data); /* longest wait in ms, -1: no bound */
void loop_before_wait(struct loop *loop, loop_before_wait_fn *fn, void *data);

/* Routes a signal (blocked for the whole process by this call) to `fn` on the loop thread. */
typedef void loop_signal_fn(int signo, void *data);
int loop_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *data, struct err *err);

#endif
