#include "loop.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "alloc.h"
#include "err.h"
#include "test.h"
#include "worker.h"

static char order[64];
static struct loop *loop;

static void note(void *data)
{
	const char *what = data;
	size_t len = strlen(order);

	snprintf(order + len, sizeof order - len, "%s", what);
}

static void stop(void *data)
{
	(void)data;
	loop_stop(loop);
}

static void start(void)
{
	order[0] = '\0';
	CHECK_INT(loop_new(&loop, NULL), 0);
}

static void run(void)
{
	CHECK_INT(loop_run(loop, NULL), 0);
	loop_free(loop);
}

static char one[] = "1", two[] = "2", three[] = "3";

static void fires_timers_in_order_of_time(void)
{
	start();
	struct loop_timer *timers[] = { loop_timer_new(loop, note, three),
		loop_timer_new(loop, note, one), loop_timer_new(loop, note, two),
		loop_timer_new(loop, stop, NULL), loop_timer_new(loop, note, one) };
	loop_timer_set(timers[0], 6);
	loop_timer_set(timers[1], 2);
	loop_timer_set(timers[2], 4);
	loop_timer_set(timers[3], 8);
	loop_timer_set(timers[4], 1);
	loop_timer_stop(timers[4]);
	CHECK(loop_timer_armed(timers[0]));
	CHECK(!loop_timer_armed(timers[4]));
	CHECK_INT(loop_run(loop, NULL), 0);
	for (size_t i = 0; i < 5; i++)
		loop_timer_free(timers[i]);
	loop_free(loop);
	CHECK_TEXT(order, "123");
}

static void set_again(void *data)
{
	struct loop_timer **timer = data;

	loop_timer_set(*timer, 0);
}

static void lets_others_between_a_timer_that_sets_itself(void)
{
	struct loop_timer *timer;

	start();
	timer = loop_timer_new(loop, set_again, &timer);
	loop_timer_set(timer, 0);
	loop_post(loop, stop, NULL);
	CHECK_INT(loop_run(loop, NULL), 0);
	loop_timer_free(timer);
	loop_free(loop);
}

static void keeps_the_heap_in_order_when_timers_are_stopped(void)
{
	struct loop_timer *timers[50];

	start();
	for (int i = 0; i < 50; i++) {
		timers[i] = loop_timer_new(loop, i == 20 ? stop : note, one);
		loop_timer_set(timers[i], (i * 37) % 50 + 1);
	}
	for (int i = 0; i < 50; i++) {
		if (i != 20 && i != 3)
			loop_timer_stop(timers[i]);
	}
	CHECK_INT(loop_run(loop, NULL), 0);
	for (int i = 0; i < 50; i++)
		loop_timer_free(timers[i]);
	loop_free(loop);
	CHECK_TEXT(order, "1"); /* number 3 at 12 ms, then number 20 at 41 ms */
}

static void runs_posts_in_order(void)
{
	start();
	loop_post(loop, note, one);
	loop_post(loop, note, two);
	loop_post(loop, note, three);
	loop_post(loop, stop, NULL);
	run();
	CHECK_TEXT(order, "123");
}

static void *post_from_thread(void *data)
{
	loop_post(loop, note, data);
	loop_post(loop, stop, NULL);
	return NULL;
}

static void takes_posts_from_other_threads(void)
{
	pthread_t thread;

	start();
	pthread_create(&thread, NULL, post_from_thread, two);
	CHECK_INT(loop_run(loop, NULL), 0);
	pthread_join(thread, NULL);
	loop_free(loop);
	CHECK_TEXT(order, "2");
}

static void on_pipe(unsigned events, void *data)
{
	struct loop_io **io = data;

	CHECK(events & EPOLLIN);
	note(one);
	loop_io_free(*io); /* from its own callback */
	loop_stop(loop);
}

static void watches_descriptors_until_they_are_freed(void)
{
	int fds[2];
	struct loop_io *io;

	start();
	CHECK_INT(pipe(fds), 0);
	CHECK_INT(loop_io_new(loop, fds[0], EPOLLIN, on_pipe, &io, &io, NULL), 0);
	CHECK_INT(write(fds[1], "x", 1), 1);
	run();
	close(fds[0]);
	close(fds[1]);
	CHECK_TEXT(order, "1");
}

static void on_usr1(int signo, void *data)
{
	(void)data;
	CHECK_INT(signo, SIGUSR1);
	note(two);
	loop_stop(loop);
}

static void on_usr2(int signo, void *data)
{
	(void)signo, (void)data;
}

static void routes_signals(void)
{
	start();
	CHECK_INT(loop_signal(loop, SIGUSR1, on_usr1, NULL, NULL), 0);
	CHECK_INT(loop_signal(loop, SIGUSR2, on_usr2, NULL, NULL), 0);
	raise(SIGUSR1);
	run();
	CHECK_TEXT(order, "2");
}

static int ran;

static void job_run(void *data)
{
	(void)data;
	__atomic_add_fetch(&ran, 1, __ATOMIC_SEQ_CST);
}

static void job_done(void *data)
{
	int *left = data;

	if (--*left == 0)
		loop_stop(loop);
}

static void runs_jobs_on_threads_and_ends_them_on_the_loop(void)
{
	int left = 100;

	start();
	ran = 0;
	struct worker_pool *pool = worker_pool_new(loop, 4, 1000);
	for (int i = 0; i < 100; i++)
		CHECK_INT(worker_submit(pool, job_run, job_done, &left, NULL), 0);
	CHECK_INT(loop_run(loop, NULL), 0);
	worker_pool_free(pool);
	loop_free(loop);
	CHECK_INT(left, 0);
	CHECK_INT(ran, 100);
}

static void refuses_jobs_past_its_queue(void)
{
	struct err err = { 0 };
	int left = 1;

	start();
	struct worker_pool *pool = worker_pool_new(loop, 1, 0);
	CHECK_INT(worker_submit(pool, job_run, job_done, &left, &err), -1);
	CHECK_INT(err.code, ERR_LIMIT);
	worker_pool_free(pool);
	loop_free(loop);
}

static void job_counted(void *data)
{
	++*(int *)data;
}

static void ends_every_job_when_the_pool_stops(void)
{
	struct err err = { 0 };
	int done = 0;

	start();
	ran = 0;
	struct worker_pool *pool = worker_pool_new(loop, 1, 1000);
	for (int i = 0; i < 100; i++)
		CHECK_INT(worker_submit(pool, job_run, job_counted, &done, NULL), 0);
	worker_pool_stop(pool);
	CHECK_INT(done, 100);
	CHECK_INT(worker_submit(pool, job_run, job_counted, &done, &err), -1);
	CHECK_INT(err.code, ERR_CANCELLED);
	worker_pool_free(pool);
	loop_free(loop);
	CHECK_INT(done, 100);
}

TESTS(CASE(fires_timers_in_order_of_time), CASE(lets_others_between_a_timer_that_sets_itself),
	CASE(keeps_the_heap_in_order_when_timers_are_stopped),
	CASE(runs_posts_in_order), CASE(takes_posts_from_other_threads),
	CASE(watches_descriptors_until_they_are_freed), CASE(routes_signals),
	CASE(runs_jobs_on_threads_and_ends_them_on_the_loop), CASE(refuses_jobs_past_its_queue),
	CASE(ends_every_job_when_the_pool_stops))
