#include "gate_impl.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "loop.h"

/*
 * A connection waits (its sandbox is paused), dials, or is spliced; each stage has its own watch:
 * on the client, on the server, or the splice's on both.
 */
struct gate_conn {
	struct gate_sandbox *sandbox;
	uint16_t port;
	int client, server; /* -1: none yet, or the splice's */
	struct loop_io *io;
	struct loop_timer *timer; /* of its stage */
	struct splice *splice;
	struct domain_request *request; /* NULL: bytes alone */
	struct gate_conn *next, **link;
};

/* Kernel memory for one slow reader is bounded, too: the sockets' own would grow to megabytes. */
enum { SOCKET_BUFFER = 256 * 1024 };

static void conn_drop(struct gate_conn *conn)
{
	*conn->link = conn->next;
	if (conn->next)
		conn->next->link = conn->link;
	conn->sandbox->conn_count--;
	conn->sandbox->gate->stats.open--;
	free(conn);
}

static void set_timer(struct gate_conn *conn, loop_fn *fn, int64_t delay_ms)
{
	conn->timer = loop_timer_new(conn->sandbox->gate->loop, fn, conn);
	loop_timer_set(conn->timer, delay_ms);
}

static void leave_stage(struct gate_conn *conn)
{
	loop_io_free(conn->io);
	conn->io = NULL;
	loop_timer_free(conn->timer);
	conn->timer = NULL;
}

/* Not spliced: leaves the client's socket, and the request, to the caller. */
static void conn_leave(struct gate_conn *conn)
{
	leave_stage(conn);
	if (conn->server >= 0)
		gate_reset(conn->server);
	conn_drop(conn);
}

void gate_conn_free(struct gate_conn *conn)
{
	struct domain_request *request = conn->request;

	if (conn->splice) {
		splice_cut(conn->splice);
		return;
	}
	gate_reset(conn->client);
	conn_leave(conn);
	if (request)
		domain_request_free(request);
}

/* It comes to nothing; a request's client is told in words. */
static void conn_refuse(struct gate_conn *conn, unsigned status)
{
	struct domain_request *request = conn->request;
	int client = conn->client;

	conn_leave(conn);
	if (request)
		domain_request_refuse(request, client, status);
	else
		gate_reset(client);
}

/* ---- spliced ---- */

static void on_passed(enum splice_way way, size_t n, void *data)
{
	struct gate_sandbox *sandbox = ((struct gate_conn *)data)->sandbox;
	struct gate_stats *stats = &sandbox->gate->stats;

	if (way == SPLICE_DOWN) {
		stats->bytes_out += n;
		return;
	}
	stats->bytes_in += n;
	gate_tell_active(sandbox);
}

static void on_knock(void *data)
{
	gate_tell_wake(((struct gate_conn *)data)->sandbox);
}

static void on_farewell_over(void *data)
{
	splice_close(((struct gate_conn *)data)->splice);
}

/* An answer is the last thing on its connection. */
static void on_ended(enum splice_way way, void *data)
{
	struct gate_conn *conn = data;

	if (way == SPLICE_DOWN && conn->request)
		set_timer(conn, on_farewell_over, FAREWELL_MS);
}

static void on_closed(void *data)
{
	struct gate_conn *conn = data;

	leave_stage(conn);
	if (conn->request)
		domain_request_free(conn->request);
	conn_drop(conn);
}

static void start_splice(struct gate_conn *conn)
{
	static const struct splice_events events = {
		.passed = on_passed,
		.knocked = on_knock,
		.ended = on_ended,
		.closed = on_closed,
	};
	const int size = SOCKET_BUFFER, yes = 1;

	leave_stage(conn);
	setsockopt(conn->server, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	setsockopt(conn->server, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	setsockopt(conn->client, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	if (splice_new(conn->sandbox->gate->splicer, conn->client, conn->server, &events, conn,
		    &conn->splice, NULL) < 0) {
		gate_conn_free(conn);
		return;
	}
	conn->client = conn->server = -1;
	splice_hold(conn->splice, conn->sandbox->paused);
	if (!conn->request)
		return;
	gate_tell_active(conn->sandbox);
	if (domain_request_pass(conn->request, conn->splice) < 0)
		splice_cut(conn->splice);
}

/* ---- dialling ---- */

static void on_dialled(unsigned events, void *data)
{
	struct gate_conn *conn = data;
	int failure = 0;
	socklen_t size = sizeof failure;

	(void)events;
	getsockopt(conn->server, SOL_SOCKET, SO_ERROR, &failure, &size);
	if (failure)
		conn_refuse(conn, 502);
	else
		start_splice(conn);
}

static void on_dial_timeout(void *data)
{
	struct gate_conn *conn = data;

	if (conn->sandbox->paused)
		loop_timer_set(conn->timer, DIAL_MS); /* it cannot accept */
	else
		conn_refuse(conn, 502);
}

void gate_conn_dial(struct gate_conn *conn)
{
	struct gate *gate = conn->sandbox->gate;

	leave_stage(conn);
	if (gate->events->dial(conn->sandbox->id, conn->port, &conn->server, NULL, gate->data) <
			0 ||
		loop_io_new(gate->loop, conn->server, EPOLLOUT, on_dialled, conn, &conn->io, NULL) <
			0) {
		gate_conn_free(conn);
		return;
	}
	conn->timer = loop_timer_new(gate->loop, on_dial_timeout, conn);
	loop_timer_set(conn->timer, DIAL_MS);
}

/* ---- waiting ---- */

static void on_client(unsigned events, void *data)
{
	struct gate_conn *conn = data;
	char byte;
	ssize_t n = recv(conn->client, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	bool gone = events & (EPOLLERR | EPOLLHUP) || (n < 0 && errno != EAGAIN && errno != EINTR);

	if (n > 0)
		gate_tell_wake(conn->sandbox);
	else if (gone || (n == 0 && !conn->request))
		gate_conn_free(conn); /* it left, and had nothing to say */
}

static void on_never_resumed(void *data)
{
	conn_refuse(data, 503);
}

static void wait_for_sandbox(struct gate_conn *conn)
{
	if (conn->request) {
		gate_tell_wake(conn->sandbox);
		set_timer(conn, on_never_resumed, RESUME_MS);
	}
	if (loop_io_new(conn->sandbox->gate->loop, conn->client, EPOLLIN | EPOLLRDHUP | EPOLLET,
		    on_client, conn, &conn->io, NULL) < 0)
		gate_conn_free(conn);
}

bool gate_conn_waits(const struct gate_conn *conn)
{
	return !conn->splice && conn->server < 0;
}

/* ---- all ---- */

struct gate_conn *gate_conn_next(const struct gate_conn *conn)
{
	return conn->next;
}

void gate_conn_hold(struct gate_conn *conn, bool held)
{
	if (conn->splice)
		splice_hold(conn->splice, held);
}

void gate_conn_new(
	struct gate_sandbox *sandbox, uint16_t port, int client, struct domain_request *request)
{
	struct gate *gate = sandbox->gate;

	if (sandbox->conn_count >= SANDBOX_CONNS_MAX || gate->stats.open >= gate->conns_max) {
		if (request)
			domain_request_refuse(request, client, 503);
		else
			gate_reset(client);
		return;
	}
	struct gate_conn *conn = alloc_zero(sizeof *conn);
	*conn = (struct gate_conn){ .sandbox = sandbox,
		.port = port,
		.client = client,
		.request = request,
		.server = -1,
		.next = sandbox->conns,
		.link = &sandbox->conns };
	if (conn->next)
		conn->next->link = &conn->next;
	sandbox->conns = conn;
	sandbox->conn_count++;
	gate->stats.open++;
	gate->stats.connections++;
	if (sandbox->paused)
		wait_for_sandbox(conn);
	else
		gate_conn_dial(conn);
}
