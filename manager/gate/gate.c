#include "gate_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "loop.h"

enum { BACKLOG = 4096, REST_MS = 100, CONNS_MAX = 32 * 1024, LONG_AGO_MS = -1000 * 1000 };

void gate_reset(int fd)
{
	const struct linger reset = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(fd);
}

/* ---- listeners ---- */

static void on_accept(unsigned events, void *data)
{
	struct gate_listener *listener = data;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			listener->accept(fd, listener->data);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			listener->resting = true;
			loop_io_set(listener->io, 0, NULL);
			loop_timer_set(listener->gate->rest, REST_MS);
		}
		return;
	}
}

static void on_rested(void *data)
{
	struct gate *gate = data;

	for (struct gate_listener *l = gate->listeners; l; l = l->next) {
		if (l->resting)
			loop_io_set(l->io, EPOLLIN, NULL);
		l->resting = false;
	}
}

/* What is set here is inherited by the sockets that it accepts. A client that vanished is found
 * out by keep-alive probes; most never send one. */
static int set_options(int fd, struct err *err)
{
	static const struct {
		int level, name, value;
	} options[] = { { SOL_SOCKET, SO_REUSEADDR, 1 }, { IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, 60 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 20 }, { IPPROTO_TCP, TCP_KEEPCNT, 6 } };

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			    sizeof options[i].value) < 0)
			return err_sys(err, "prepare a listening socket");
	}
	return 0;
}

int gate_listen(struct gate *gate, const struct sockaddr *address, socklen_t size,
	gate_accept_fn *accept, void *data, struct gate_listener **out, struct err *err)
{
	AUTO_CLOSE int fd =
		socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(err, "make a listening socket");
	if (set_options(fd, err) < 0)
		return -1;
	if (bind(fd, address, size) < 0 || listen(fd, BACKLOG) < 0)
		return err_sys(err, "listen");
	AUTO_FREE struct gate_listener *listener = alloc_zero(sizeof *listener);
	*listener = (struct gate_listener){ .gate = gate,
		.fd = fd,
		.accept = accept,
		.data = data,
		.next = gate->listeners,
		.link = &gate->listeners };
	if (loop_io_new(gate->loop, fd, EPOLLIN, on_accept, listener, &listener->io, err) < 0)
		return -1;
	if (listener->next)
		listener->next->link = &listener->next;
	gate->listeners = listener;
	steal_fd(&fd);
	*out = steal_ptr(&listener);
	return 0;
}

void gate_listener_free(struct gate_listener *listener)
{
	if (!listener)
		return;
	*listener->link = listener->next;
	if (listener->next)
		listener->next->link = listener->link;
	loop_io_free(listener->io);
	close(listener->fd);
	free(listener);
}

/* ---- the gate ---- */

/* Two descriptors a connection; a part of those allowed is for the rest of the process. */
static size_t conns_allowed(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur / 8 * 3 > CONNS_MAX)
		return CONNS_MAX;
	return (size_t)files.rlim_cur / 8 * 3;
}

struct gate *gate_new(struct loop *loop, const struct gate_events *events, void *data)
{
	struct gate *gate = alloc_zero(sizeof *gate);

	*gate = (struct gate){ .loop = loop,
		.events = events,
		.data = data,
		.conns_max = conns_allowed(),
		.splicer = splicer_new(loop) };
	gate->rest = loop_timer_new(loop, on_rested, gate);
	return gate;
}

void gate_free(struct gate *gate)
{
	if (!gate)
		return;
	while (gate->sandboxes)
		gate_remove(gate->sandboxes);
	domain_free(gate->domain);
	splicer_free(gate->splicer);
	loop_timer_free(gate->rest);
	free(gate);
}

struct gate_stats gate_stats(const struct gate *gate)
{
	return gate->stats;
}

/* ---- what a sandbox's owner is told ---- */

static void on_active(void *data)
{
	struct gate_sandbox *sandbox = data;
	struct gate *gate = sandbox->gate;

	gate->events->active(sandbox->id, gate->data);
}

void gate_tell_active(struct gate_sandbox *sandbox)
{
	int64_t now = loop_now_ms(sandbox->gate->loop);

	if (now - sandbox->active_ms < ACTIVE_MS)
		return;
	sandbox->active_ms = now;
	loop_timer_set(sandbox->active, 0);
}

static void on_wake(void *data)
{
	struct gate_sandbox *sandbox = data;
	struct gate *gate = sandbox->gate;

	sandbox->wake_ms = loop_now_ms(gate->loop);
	gate->events->wake(sandbox->id, gate->data);
}

void gate_tell_wake(struct gate_sandbox *sandbox)
{
	if (!loop_timer_armed(sandbox->wake))
		loop_timer_set(sandbox->wake,
			sandbox->wake_ms + WAKE_MS - loop_now_ms(sandbox->gate->loop));
}

/* ---- sandboxes ---- */

struct gate_sandbox *gate_find(const struct gate *gate, const char *id, size_t len)
{
	for (struct gate_sandbox *sandbox = gate->sandboxes; sandbox; sandbox = sandbox->next) {
		if (strlen(sandbox->id) == len && memcmp(sandbox->id, id, len) == 0)
			return sandbox;
	}
	return NULL;
}

/* Some of the connections that waited; the others in the next turn. */
static void on_dial(void *data)
{
	struct gate_sandbox *sandbox = data;
	struct gate_conn *conn = sandbox->conns;
	int dialled = 0;

	while (conn && dialled < DIALS_PER_TURN) {
		struct gate_conn *next = gate_conn_next(conn);
		if (gate_conn_waits(conn)) {
			gate_conn_dial(conn);
			dialled++;
		}
		conn = next;
	}
	if (conn)
		loop_timer_set(sandbox->dial, 0);
}

int gate_add(struct gate *gate, const char *id, const char *address, struct gate_sandbox **out,
	struct err *err)
{
	struct in_addr in;

	if (inet_pton(AF_INET, address, &in) != 1 || ntohl(in.s_addr) >> 24 != IN_LOOPBACKNET)
		return err_set(err, ERR_INVALID, "%s is not a loopback address", address);
	struct gate_sandbox *sandbox = alloc_zero(sizeof *sandbox);
	*sandbox = (struct gate_sandbox){ .gate = gate,
		.id = alloc_text(id),
		.address = in,
		.active_ms = LONG_AGO_MS,
		.wake_ms = LONG_AGO_MS,
		.next = gate->sandboxes,
		.link = &gate->sandboxes };
	sandbox->active = loop_timer_new(gate->loop, on_active, sandbox);
	sandbox->wake = loop_timer_new(gate->loop, on_wake, sandbox);
	sandbox->dial = loop_timer_new(gate->loop, on_dial, sandbox);
	if (sandbox->next)
		sandbox->next->link = &sandbox->next;
	gate->sandboxes = sandbox;
	*out = sandbox;
	return 0;
}

void gate_remove(struct gate_sandbox *sandbox)
{
	if (!sandbox)
		return;
	while (sandbox->conns)
		gate_conn_free(sandbox->conns);
	while (sandbox->ports) {
		struct gate_port *port = sandbox->ports;
		sandbox->ports = port->next;
		gate_listener_free(port->listener);
		free(port);
	}
	*sandbox->link = sandbox->next;
	if (sandbox->next)
		sandbox->next->link = sandbox->link;
	loop_timer_free(sandbox->active);
	loop_timer_free(sandbox->wake);
	loop_timer_free(sandbox->dial);
	free(sandbox->id);
	free(sandbox);
}

void gate_set_paused(struct gate_sandbox *sandbox, bool paused)
{
	struct gate_conn *next;

	if (sandbox->paused == paused)
		return;
	sandbox->paused = paused;
	loop_timer_stop(sandbox->wake);
	loop_timer_stop(sandbox->dial);
	for (struct gate_conn *conn = sandbox->conns; conn; conn = next) {
		next = gate_conn_next(conn);
		gate_conn_hold(conn, paused);
	}
	if (!paused)
		loop_timer_set(sandbox->dial, 0);
}

void gate_cut(struct gate_sandbox *sandbox)
{
	struct gate_conn *next;

	for (struct gate_conn *conn = sandbox->conns; conn; conn = next) {
		next = gate_conn_next(conn);
		if (!gate_conn_waits(conn))
			gate_conn_free(conn);
	}
}

/* ---- ports ---- */

static void on_port(int fd, void *data)
{
	struct gate_port *port = data;

	gate_conn_new(port->sandbox, port->port, fd, NULL);
}

/*
 * The true port, or where that one is taken or not allowed to us, the first of some others that
 * is free: always the same ones, so that addresses outlive a restart.
 */
static int listen_for(struct gate_sandbox *sandbox, struct gate_port *port, struct err *err)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = sandbox->address };
	const unsigned low = 10000, span = 50000;

	for (unsigned i = 0; i < 5; i++) {
		struct err failure = { 0 };
		port->outside =
			(uint16_t)(i == 0 ? port->port : low + (port->port + i * low) % span);
		address.sin_port = htons(port->outside);
		if (gate_listen(sandbox->gate, (struct sockaddr *)&address, sizeof address, on_port,
			    port, &port->listener, &failure) == 0)
			return 0;
		if (failure.sysno != EADDRINUSE && failure.sysno != EACCES) {
			if (err)
				*err = failure;
			break;
		}
		err_set(err, ERR_CONFLICT, "something else listens there");
	}
	return err_wrap(err, "open port %u of sandbox %s", port->port, sandbox->id);
}

int gate_open_port(struct gate_sandbox *sandbox, uint16_t port, uint16_t *out, struct err *err)
{
	for (struct gate_port *p = sandbox->ports; p; p = p->next) {
		if (p->port == port) {
			*out = p->outside;
			return 0;
		}
	}
	if (port == 0)
		return err_set(err, ERR_INVALID, "0 is not a port");
	if (sandbox->port_count >= PORTS_MAX)
		return err_set(err, ERR_LIMIT, "a sandbox has at most %d open ports", PORTS_MAX);
	AUTO_FREE struct gate_port *added = alloc_zero(sizeof *added);
	*added = (struct gate_port){ .port = port, .sandbox = sandbox, .next = sandbox->ports };
	if (listen_for(sandbox, added, err) < 0)
		return -1;
	*out = added->outside;
	sandbox->port_count++;
	sandbox->ports = steal_ptr(&added);
	return 0;
}
