#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"

enum { EVENTS_PER_TURN = 64, SIGNALS_MAX = 64, WAIT_MAX_MS = 60 * 1000 };

struct loop_io {
	struct loop *loop;
	int fd;
	bool freed; /* by a callback of this turn: memory goes when the turn ends */
	loop_io_fn *fn;
	void *data;
	struct loop_io *next_freed;
};

struct loop_timer {
	struct loop *loop;
	int64_t when_ms;
	size_t place; /* in the heap, from 1; 0: not armed */
	loop_fn *fn;
	void *data;
};

struct post {
	loop_fn *fn;
	void *data;
	struct post *next;
};

struct signal_route {
	loop_signal_fn *fn;
	void *data;
};

struct loop {
	int epoll_fd, wake_fd, signal_fd;
	struct loop_io *wake_io, *signal_io, *freed;
	int64_t now_ms;
	atomic_bool stopping;

	struct loop_timer **heap; /* a binary heap, earliest at [1] */
	size_t timers, heap_cap;

	pthread_mutex_t lock; /* guards the list of posts */
	struct post *first_post, **last_post;

	loop_before_wait_fn *before_wait;
	void *before_wait_data;

	sigset_t signals;
	struct signal_route routes[SIGNALS_MAX + 1];
};

static int64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- timers ---- */

static void heap_put(struct loop *loop, size_t place, struct loop_timer *timer)
{
	loop->heap[place] = timer;
	timer->place = place;
}

static void heap_up(struct loop *loop, size_t place, struct loop_timer *timer)
{
	while (place > 1 && loop->heap[place / 2]->when_ms > timer->when_ms) {
		heap_put(loop, place, loop->heap[place / 2]);
		place /= 2;
	}
	heap_put(loop, place, timer);
}

static void heap_down(struct loop *loop, size_t place, struct loop_timer *timer)
{
	for (;;) {
		size_t child = place * 2;
		if (child > loop->timers)
			break;
		if (child < loop->timers &&
			loop->heap[child + 1]->when_ms < loop->heap[child]->when_ms)
			child++;
		if (loop->heap[child]->when_ms >= timer->when_ms)
			break;
		heap_put(loop, place, loop->heap[child]);
		place = child;
	}
	heap_put(loop, place, timer);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *data)
{
	struct loop_timer *timer = alloc_zero(sizeof *timer);

	*timer = (struct loop_timer){ .loop = loop, .fn = fn, .data = data };
	return timer;
}

void loop_timer_stop(struct loop_timer *timer)
{
	struct loop *loop = timer->loop;
	size_t place = timer->place;

	if (place == 0)
		return;
	timer->place = 0;
	struct loop_timer *last = loop->heap[loop->timers--];
	if (last == timer)
		return;
	if (place > 1 && loop->heap[place / 2]->when_ms > last->when_ms)
		heap_up(loop, place, last);
	else
		heap_down(loop, place, last);
}

void loop_timer_set(struct loop_timer *timer, int64_t delay_ms)
{
	struct loop *loop = timer->loop;

	loop_timer_stop(timer);
	timer->when_ms = loop->now_ms + (delay_ms > 0 ? delay_ms : 0);
	if (loop->timers + 2 > loop->heap_cap) {
		loop->heap_cap = loop->heap_cap ? loop->heap_cap * 2 : 16;
		loop->heap = alloc_grow(loop->heap, loop->heap_cap * sizeof(struct loop_timer *));
	}
	heap_up(loop, ++loop->timers, timer);
}

bool loop_timer_armed(const struct loop_timer *timer)
{
	return timer->place > 0;
}

void loop_timer_free(struct loop_timer *timer)
{
	if (!timer)
		return;
	loop_timer_stop(timer);
	free(timer);
}

/* One that sets itself anew, due at once, has its turn again in the next: others come between. */
static void run_due_timers(struct loop *loop)
{
	size_t most = loop->timers;

	while (most-- > 0 && loop->timers > 0 && loop->heap[1]->when_ms <= loop->now_ms) {
		struct loop_timer *timer = loop->heap[1];
		loop_timer_stop(timer);
		timer->fn(timer->data);
	}
}

/* ---- descriptors ---- */

static int epoll_change(struct loop_io *io, int op, unsigned events, struct err *err)
{
	struct epoll_event event = { .events = events, .data.ptr = io };

	if (epoll_ctl(io->loop->epoll_fd, op, io->fd, &event) < 0)
		return err_sys(err, "watch descriptor %d", io->fd);
	return 0;
}

int loop_io_new(struct loop *loop, int fd, unsigned events, loop_io_fn *fn, void *data,
	struct loop_io **out, struct err *err)
{
	AUTO_FREE struct loop_io *io = alloc_zero(sizeof *io);

	*io = (struct loop_io){ .loop = loop, .fd = fd, .fn = fn, .data = data };
	if (epoll_change(io, EPOLL_CTL_ADD, events, err) < 0)
		return -1;
	*out = steal_ptr(&io);
	return 0;
}

int loop_io_set(struct loop_io *io, unsigned events, struct err *err)
{
	return epoll_change(io, EPOLL_CTL_MOD, events, err);
}

void loop_io_free(struct loop_io *io)
{
	if (!io)
		return;
	epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
	io->freed = true;
	io->next_freed = io->loop->freed;
	io->loop->freed = io;
}

static void drop_freed(struct loop *loop)
{
	while (loop->freed) {
		struct loop_io *io = loop->freed;
		loop->freed = io->next_freed;
		free(io);
	}
}

/* ---- posts and signals ---- */

void loop_run_posts(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	struct post *post = loop->first_post;
	loop->first_post = NULL;
	loop->last_post = &loop->first_post;
	pthread_mutex_unlock(&loop->lock);
	while (post) {
		struct post *next = post->next;
		post->fn(post->data);
		free(post);
		post = next;
	}
}

static void on_wake(unsigned events, void *data)
{
	struct loop *loop = data;
	uint64_t count;

	(void)events;
	if (read(loop->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		return;
	loop_run_posts(loop);
}

static void wake(struct loop *loop)
{
	uint64_t one = 1;
	ssize_t n = write(loop->wake_fd, &one, sizeof one);

	(void)n; /* fails only where the counter is full: the loop wakes anyway */
}

void loop_post(struct loop *loop, loop_fn *fn, void *data)
{
	struct post *post = alloc_zero(sizeof *post);

	*post = (struct post){ .fn = fn, .data = data };
	pthread_mutex_lock(&loop->lock);
	bool first = !loop->first_post;
	*loop->last_post = post;
	loop->last_post = &post->next;
	pthread_mutex_unlock(&loop->lock);
	if (first)
		wake(loop);
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stopping, true);
	wake(loop);
}

static void on_signal(unsigned events, void *data)
{
	struct loop *loop = data;
	struct signalfd_siginfo info;

	(void)events;
	while (read(loop->signal_fd, &info, sizeof info) == sizeof info) {
		struct signal_route *route = &loop->routes[info.ssi_signo];
		if (route->fn)
			route->fn((int)info.ssi_signo, route->data);
	}
}

int loop_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *data, struct err *err)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, signo);
	sigaddset(&loop->signals, signo);
	pthread_sigmask(SIG_BLOCK, &one, NULL);
	int fd = signalfd(loop->signal_fd, &loop->signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "watch signal %d", signo);
	loop->routes[signo] = (struct signal_route){ .fn = fn, .data = data };
	if (loop->signal_io)
		return 0;
	loop->signal_fd = fd;
	return loop_io_new(loop, fd, EPOLLIN, on_signal, loop, &loop->signal_io, err);
}

/* ---- the loop ---- */

int loop_new(struct loop **out, struct err *err)
{
	struct loop *loop = alloc_zero(sizeof *loop);

	loop->signal_fd = -1;
	loop->last_post = &loop->first_post;
	loop->now_ms = monotonic_ms();
	sigemptyset(&loop->signals);
	pthread_mutex_init(&loop->lock, NULL);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->epoll_fd < 0 || loop->wake_fd < 0) {
		err_sys(err, "make an event loop");
		loop_free(loop);
		return -1;
	}
	if (loop_io_new(loop, loop->wake_fd, EPOLLIN, on_wake, loop, &loop->wake_io, err) < 0) {
		loop_free(loop);
		return -1;
	}
	*out = loop;
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	loop_io_free(loop->wake_io);
	loop_io_free(loop->signal_io);
	drop_freed(loop);
	while (loop->first_post) {
		struct post *post = loop->first_post;
		loop->first_post = post->next;
		free(post);
	}
	cleanup_close(&loop->epoll_fd);
	cleanup_close(&loop->wake_fd);
	cleanup_close(&loop->signal_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop->heap);
	free(loop);
}

int64_t loop_now_ms(const struct loop *loop)
{
	return loop->now_ms;
}

void loop_before_wait(struct loop *loop, loop_before_wait_fn *fn, void *data)
{
	loop->before_wait = fn;
	loop->before_wait_data = data;
}

/* How long the loop may sleep: until the first timer, or as before_wait says. */
static int wait_ms(struct loop *loop)
{
	int64_t wait = WAIT_MAX_MS;
	int bound = loop->before_wait ? loop->before_wait(loop->before_wait_data) : -1;

	if (bound >= 0 && bound < wait)
		wait = bound;
	if (loop->timers > 0 && loop->heap[1]->when_ms - loop->now_ms < wait)
		wait = loop->heap[1]->when_ms - loop->now_ms;
	return wait > 0 ? (int)wait : 0;
}

int loop_run(struct loop *loop, struct err *err)
{
	struct epoll_event events[EVENTS_PER_TURN];

	while (!atomic_load(&loop->stopping)) {
		int n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, wait_ms(loop));
		if (n < 0 && errno != EINTR)
			return err_sys(err, "wait for events");
		loop->now_ms = monotonic_ms();
		for (int i = 0; i < n; i++) {
			struct loop_io *io = events[i].data.ptr;
			if (!io->freed)
				io->fn(events[i].events, io->data);
		}
		run_due_timers(loop);
		drop_freed(loop);
	}
	atomic_store(&loop->stopping, false);
	return 0;
}
