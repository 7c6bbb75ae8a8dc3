#ifndef GATE_IMPL_H
#define GATE_IMPL_H

/*
 * What the gate's files share: gate.c (sandboxes, their ports, what they tell), conn.c (one
 * connection into a sandbox), domain.c (requests by Host) and exchange.c (one of them). A sandbox's
 * events are told from timers, never from within a call, so that their receiver may call anything.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "gate.h"
#include "http_head.h"
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
	FAREWELL_MS = 2 * 1000, /* for a client to take an answer */
	RESUME_MS = 60 * 1000,  /* for a request that waits */
	HEAD_MAX = 32 * 1024,   /* of a request, and of its answer */
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
void gate_conn_hold(struct gate_conn *conn, bool held);
void gate_conn_dial(struct gate_conn *conn);        /* it may be gone after this */
bool gate_conn_waits(const struct gate_conn *conn); /* to be dialled */
struct gate_conn *gate_conn_next(const struct gate_conn *conn);

/* The listener's requests, until they are routed. */
void domain_free(struct domain *domain);

/* What becomes of a request that was routed: it passes; or its client (taken) gets a page, which
 * frees it. */
int domain_request_pass(struct domain_request *request, struct splice *splice);
void domain_request_refuse(struct domain_request *request, int client, unsigned status);
void domain_request_free(struct domain_request *request);

/* exchange.c: a request and its answer, as they pass. */
struct exchange {
	struct http_body body; /* of the request */
	bool wants_upgrade, refused;
	unsigned interim;  /* answers of 1xx so far */
	struct buf answer; /* its head, until that is whole */
	struct splice *splice;
};

void exchange_init(struct exchange *exchange, const struct http_head *head);

/* The head as it goes on: for one request alone, with nothing in it that the client may not say. */
int exchange_add_request(
	struct buf *out, const struct http_head *head, const char *peer, bool peer_trusted);

/* Filters of a splice, for either way; `data` is the exchange. Where the server gives no right
 * answer the client gets a page. */
splice_filter_fn exchange_request, exchange_answer;

/* A whole answer of the gate's own, in a sentence. */
int exchange_add_page(struct buf *out, unsigned status);

#endif
