#ifndef GATE_IMPL_H
#define GATE_IMPL_H

/*
 * What the gate's files share: gate.c (sandboxes, their ports, what they tell), conn.c (one
 * connection into a sandbox) and domain.c (requests by Host). A sandbox's events are told from
 * timers, never from within a call, so that their receiver may call anything.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "gate.h"
#include "splice.h"

struct domain;
struct domain_request;
struct gate_conn;
struct loop_io;
struct loop_timer;

enum {
	PORTS_MAX = 256, /* of a sandbox */
	SANDBOX_CONNS_MAX = 2048,
	ACCEPTS_PER_TURN = 16,
	DIALS_PER_TURN = 32, /* of those that waited for one sandbox */
	DIAL_MS = 5 * 1000,
	WAKE_MS = 10 * 1000,
	ACTIVE_MS = 1000,
};

typedef void gate_accept_fn(int fd, void *data); /* takes `fd` */

struct gate_listener {
	struct gate *gate;
	int fd;
	bool resting; /* out of descriptors */
	struct loop_io *io;
	gate_accept_fn *accept;
	void *data;
	struct gate_listener *next, **link;
};

struct gate_port {
	uint16_t port, outside;
	struct gate_sandbox *sandbox;
	struct gate_listener *listener;
	struct gate_port *next;
};

struct gate_sandbox {
	struct gate *gate;
	char *id;
	struct in_addr address;
	struct gate_port *ports;
	size_t port_count, conn_count;
	struct gate_conn *conns;
	bool paused;
	int64_t active_ms, wake_ms; /* when it was told last */
	struct loop_timer *active, *wake, *dial;
	struct gate_sandbox *next, **link;
};

struct gate {
	struct loop *loop;
	const struct gate_events *events;
	void *data;
	struct splicer *splicer;
	struct gate_listener *listeners;
	struct loop_timer *rest;
	struct gate_sandbox *sandboxes;
	struct domain *domain;
	size_t conns_max;
	struct gate_stats stats;
};

/* Listens on an address; `port` 0 takes a free one. */
int gate_listen(struct gate *gate, const struct sockaddr *address, socklen_t size,
	gate_accept_fn *accept, void *data, struct gate_listener **out, struct err *err);
void gate_listener_free(struct gate_listener *listener);

struct gate_sandbox *gate_find(const struct gate *gate, const char *id, size_t len);
void gate_tell_active(struct gate_sandbox *sandbox);
void gate_tell_wake(struct gate_sandbox *sandbox);

/* Closes a socket with a reset. */
void gate_reset(int fd);

/* A connection for a sandbox's port; takes the client's socket, and the request (NULL: none,
 * bytes alone), which is told what becomes of it. */
void gate_conn_new(
	struct gate_sandbox *sandbox, uint16_t port, int client, struct domain_request *request);
void gate_conn_free(struct gate_conn *conn); /* cuts it */
bool gate_conn_has_server(const struct gate_conn *conn);
struct gate_conn *gate_conn_next(const struct gate_conn *conn);
void gate_conn_hold(struct gate_conn *conn, bool held);
bool gate_conn_waits(const struct gate_conn *conn); /* to be dialled */
void gate_conn_dial(struct gate_conn *conn);        /* it may be gone after this */

#endif
