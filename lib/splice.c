#include "splice.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "alloc.h"
#include "buf.h"
#include "cleanup.h"
#include "err.h"
#include "loop.h"

/*
 * Events are edge-triggered: a side that waits for the other is not reported again and again, and
 * the common case, a message that is received and sent whole, costs these two calls alone.
 *
 * More than MESSAGE bytes are left where they are until they could be sent (they are peeked at,
 * and dropped once gone), so that a slow reader makes no more than MESSAGE of them wait here.
 */
enum { MESSAGE = 16 * 1024, BULK = 128 * 1024, STEPS_PER_TURN = 4, WAITING_MAX = 128 * 1024 };

struct side {
	struct splice *splice;
	int fd;
	bool full, watches_room; /* takes no more bytes; watched for taking them */
	struct loop_io *io;
};

struct way {
	struct buf waiting; /* for the receiver; memory only while there are some */
	size_t sent;        /* of those */
	splice_filter_fn *filter;
	void *filter_data;
	bool ended, told; /* by its sender; to its receiver */
	bool slow;        /* its receiver took less than there was */
};

struct splice {
	struct splicer *splicer;
	struct side sides[2]; /* by the way that they send */
	struct way ways[2];
	bool held, failed; /* failed: the server, while held */
	bool broken;       /* ends with a reset, once what was received is passed on */
	const struct splice_events *events;
	void *data;
};

struct splicer {
	struct loop *loop;
	char bytes[BULK];
};

struct splicer *splicer_new(struct loop *loop)
{
	struct splicer *splicer = alloc_zero(sizeof *splicer);

	splicer->loop = loop;
	return splicer;
}

void splicer_free(struct splicer *splicer)
{
	free(splicer);
}

static struct side *sender(struct splice *splice, enum splice_way way)
{
	return &splice->sides[way];
}

static struct side *receiver(struct splice *splice, enum splice_way way)
{
	return &splice->sides[!way];
}

/* ---- the end ---- */

static void release(struct splice *splice)
{
	for (int i = 0; i < 2; i++) {
		loop_io_free(splice->sides[i].io);
		cleanup_close(&splice->sides[i].fd);
		buf_release(&splice->ways[i].waiting);
	}
	splice->events->closed(splice->data);
	free(splice);
}

void splice_close(struct splice *splice)
{
	release(splice);
}

void splice_cut(struct splice *splice)
{
	const struct linger reset = { .l_onoff = 1 };

	for (int i = 0; i < 2; i++)
		setsockopt(splice->sides[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	release(splice);
}

/* What a step of the work came to. */
enum step { GO_ON, WAIT, OVER }; /* OVER: the splice is gone */

static enum step pump(struct splice *splice, enum splice_way way, bool ending);

static enum step cut(struct splice *splice)
{
	splice_cut(splice);
	return OVER;
}

static ssize_t drop(const char *bytes, size_t len, void *data)
{
	(void)bytes, (void)len, (void)data;
	return 0;
}

/* Nothing can be sent one way any more; what the receiver had said before still counts. */
static enum step receiver_failed(struct splice *splice, enum splice_way way)
{
	struct way *w = &splice->ways[way];

	if (splice->held && way == SPLICE_UP) {
		splice->failed = true;
		return WAIT;
	}
	buf_release(&w->waiting);
	w->sent = 0;
	if (w->filter && way == SPLICE_UP) {
		w->filter = drop; /* the server answered early, it may be: its answer decides */
		return pump(splice, SPLICE_DOWN, true);
	}
	if (splice->broken)
		return cut(splice);
	splice->broken = w->ended = w->told = true;
	return pump(splice, !way, true);
}

/* ---- one way ---- */

static bool watch(struct side *side, bool room)
{
	side->watches_room = room;
	return loop_io_set(side->io, EPOLLIN | EPOLLRDHUP | EPOLLET | (room ? EPOLLOUT : 0U),
		       NULL) == 0;
}

/* Sends what it can; less than `len` where the receiver is full, -1 where it failed. */
static ssize_t send_some(struct side *to, const char *bytes, size_t len)
{
	ssize_t n = send(to->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static enum step wait_for_room(struct side *to)
{
	to->full = true;
	return to->watches_room || watch(to, true) ? WAIT : cut(to->splice);
}

/* Sends what waits. */
static enum step flush(struct splice *splice, enum splice_way way)
{
	struct way *w = &splice->ways[way];
	struct side *to = receiver(splice, way);

	while (w->sent < w->waiting.len) {
		ssize_t n = send_some(to, w->waiting.data + w->sent, w->waiting.len - w->sent);
		if (n < 0)
			return receiver_failed(splice, way);
		if (n == 0)
			return wait_for_room(to);
		w->sent += (size_t)n;
	}
	buf_release(&w->waiting);
	w->sent = 0;
	return GO_ON;
}

/* The sender has ended and the receiver has everything: it is told. */
static enum step end(struct splice *splice, enum splice_way way)
{
	struct way *w = &splice->ways[way];

	if (w->told)
		return WAIT;
	w->told = true;
	if (splice->broken)
		return cut(splice);
	shutdown(receiver(splice, way)->fd, SHUT_WR);
	if (splice->events->ended)
		splice->events->ended(way, splice->data);
	if (!splice->ways[!way].told)
		return WAIT;
	release(splice);
	return OVER;
}

static enum step sender_ended(struct splice *splice, enum splice_way way)
{
	struct way *w = &splice->ways[way];

	if (splice->held && way == SPLICE_DOWN)
		return WAIT;
	w->ended = true;
	if (w->filter && w->filter(NULL, 0, w->filter_data) < 0)
		return cut(splice);
	return GO_ON;
}

/*
 * Where the client's bytes are counted, the server's failure is an end: it may have answered early
 * and have closed upon bytes that it never read, which resets the connection behind its answer.
 */
static enum step sender_failed(struct splice *splice, enum splice_way way)
{
	struct way *up = &splice->ways[SPLICE_UP];

	if (way == SPLICE_DOWN && splice->held) {
		splice->failed = true;
		return WAIT;
	}
	if (way == SPLICE_UP || !up->filter)
		return cut(splice);
	up->filter = drop;
	return splice->ways[way].ended ? WAIT : sender_ended(splice, way);
}

/* Bytes that have been received: sends them, keeps what the receiver does not take. */
static enum step pass(struct splice *splice, enum splice_way way, const char *bytes, size_t len)
{
	struct way *w = &splice->ways[way];
	ssize_t passing = (ssize_t)len, n = 0;

	if (splice->events->passed)
		splice->events->passed(way, len, splice->data);
	if (w->filter)
		passing = w->filter(bytes, len, w->filter_data);
	if (passing < 0)
		return cut(splice);
	if (w->waiting.len == 0 && passing > 0)
		n = send_some(receiver(splice, way), bytes, (size_t)passing);
	if (n < 0)
		return receiver_failed(splice, way);
	if (n == passing)
		return GO_ON;
	w->slow = true;
	if (buf_add(&w->waiting, bytes + n, (size_t)(passing - n)) < 0)
		return cut(splice);
	return GO_ON;
}

/* Many bytes: only those are taken from the sender that the receiver took. */
static enum step pass_bulk(struct splice *splice, enum splice_way way, char *bytes, size_t len)
{
	struct side *from = sender(splice, way), *to = receiver(splice, way);
	ssize_t n = send_some(to, bytes, len);

	if (n < 0)
		return receiver_failed(splice, way);
	if (n > 0 && recv(from->fd, bytes, (size_t)n, MSG_TRUNC | MSG_DONTWAIT) != n)
		return cut(splice);
	if (n > 0 && splice->events->passed)
		splice->events->passed(way, (size_t)n, splice->data);
	splice->ways[way].slow = (size_t)n < len;
	return (size_t)n < len ? wait_for_room(to) : GO_ON;
}

/* While it is held: whether the client has sent something. */
static enum step look(struct splice *splice)
{
	char byte;
	ssize_t n = recv(splice->sides[SPLICE_UP].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n > 0 && splice->events->knocked)
		splice->events->knocked(splice->data);
	return n >= 0 || errno == EAGAIN || errno == EINTR ? WAIT : cut(splice);
}

/*
 * Receives and sends once. `more`: there may be more than a message, so it peeks; and tells the
 * next step so, since less than was asked for was all there is.
 */
static enum step move(struct splice *splice, enum splice_way way, bool *more)
{
	bool bulk = *more && !splice->ways[way].filter;
	size_t size = bulk ? BULK : MESSAGE;
	char *bytes = splice->splicer->bytes;
	ssize_t n =
		recv(sender(splice, way)->fd, bytes, size, MSG_DONTWAIT | (bulk ? MSG_PEEK : 0));

	if (n == 0)
		return sender_ended(splice, way);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? WAIT : sender_failed(splice, way);
	*more = (size_t)n == size;
	if (bulk)
		return pass_bulk(splice, way, bytes, (size_t)n);
	return pass(splice, way, bytes, (size_t)n);
}

/* Moves what there is. `ending`: a short read may not have been the last. */
static enum step pump(struct splice *splice, enum splice_way way, bool ending)
{
	struct way *w = &splice->ways[way];
	struct side *from = sender(splice, way);
	bool more = w->slow;

	for (int steps = 0; steps < STEPS_PER_TURN; steps++) {
		enum step step = w->waiting.len > 0 ? flush(splice, way) : GO_ON;
		if (step == GO_ON && w->ended)
			step = end(splice, way);
		if (step == GO_ON && splice->held && way == SPLICE_UP)
			step = look(splice);
		if (step == GO_ON)
			step = move(splice, way, &more);
		if (step != GO_ON)
			return step;
		if (!more && !ending && w->waiting.len == 0 && !w->ended)
			return WAIT;
	}
	/* Others have their turn; watching anew reports what is still there. */
	return watch(from, from->watches_room) ? WAIT : cut(splice);
}

/* The receiver takes bytes again: those that wait, and those left with their sender. */
static enum step room(struct side *to)
{
	struct splice *splice = to->splice;

	to->full = false;
	if (pump(splice, to == &splice->sides[SPLICE_UP] ? SPLICE_DOWN : SPLICE_UP, true) == OVER)
		return OVER;
	return to->full || watch(to, false) ? GO_ON : cut(splice);
}

static void on_side(unsigned events, void *data)
{
	struct side *side = data;
	struct splice *splice = side->splice;
	enum splice_way way = side == &splice->sides[SPLICE_UP] ? SPLICE_UP : SPLICE_DOWN;
	const unsigned ends = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

	if (events & EPOLLOUT && side->watches_room && room(side) == OVER)
		return;
	if (events & EPOLLERR && splice->ways[way].ended)
		sender_failed(splice, way);
	else if (events & (EPOLLIN | ends))
		pump(splice, way, (events & ends) != 0);
}

/* ---- the rest ---- */

static int watch_side(struct splice *splice, enum splice_way way, int fd, struct err *err)
{
	struct side *side = &splice->sides[way];

	side->splice = splice;
	side->fd = fd;
	buf_init(&splice->ways[way].waiting, WAITING_MAX);
	return loop_io_new(splice->splicer->loop, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, on_side, side,
		&side->io, err);
}

int splice_new(struct splicer *splicer, int client, int server, const struct splice_events *events,
	void *data, struct splice **out, struct err *err)
{
	AUTO_FREE struct splice *splice = alloc_zero(sizeof *splice);

	splice->splicer = splicer;
	splice->events = events;
	splice->data = data;
	if (watch_side(splice, SPLICE_UP, client, err) < 0)
		return -1;
	if (watch_side(splice, SPLICE_DOWN, server, err) < 0) {
		loop_io_free(splice->sides[SPLICE_UP].io);
		return -1;
	}
	*out = steal_ptr(&splice);
	return 0;
}

void splice_hold(struct splice *splice, bool held)
{
	bool released = splice->held && !held;

	splice->held = held;
	if (!released)
		return;
	if (splice->failed && sender_failed(splice, SPLICE_DOWN) == OVER)
		return;
	for (int i = 0; i < 2; i++) {
		if (!watch(&splice->sides[i], splice->sides[i].watches_room)) {
			splice_cut(splice);
			return;
		}
	}
}

void splice_filter(struct splice *splice, enum splice_way way, splice_filter_fn *fn, void *data)
{
	splice->ways[way].filter = fn;
	splice->ways[way].filter_data = data;
}

void splice_end(struct splice *splice, enum splice_way way)
{
	splice->ways[way].ended = true;
}

int splice_put(struct splice *splice, enum splice_way way, const void *bytes, size_t len)
{
	struct side *to = receiver(splice, way);

	if (buf_add(&splice->ways[way].waiting, bytes, len) < 0)
		return -1;
	return to->watches_room || watch(to, true) ? 0 : -1;
}
