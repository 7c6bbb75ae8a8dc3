#ifndef GATE_H
#define GATE_H

/*
 * The way into local sandboxes. Each has a loopback address of its own, where the gate listens on
 * the true ports and passes bytes both ways, without looking at them, to the same port inside.
 * With a domain, one more listener takes {port}-{id}.{domain} by Host. Loop thread only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct gate;
struct gate_sandbox;
struct loop;

struct gate_events {
	/* A connected or connecting, non-blocking stream socket into the sandbox. Like `known`, it
	 * must not call the gate; the others may call anything. */
	int (*dial)(const char *id, uint16_t port, int *fd, struct err *err, void *data);

	/* A client sent bytes: the sandbox is in use. At most once a second for one sandbox. */
	void (*active)(const char *id, void *data);

	/* The first new byte arrived for one that is paused (at most once in ten seconds). The
	 * owner resumes it or not, and tells by gate_set_paused(). */
	void (*wake)(const char *id, void *data);

	/* Whether a domain's request may reach this sandbox's port; for a domain alone. */
	bool (*known)(const char *id, uint16_t port, void *data);
};

struct gate *gate_new(struct loop *loop, const struct gate_events *events, void *data);
void gate_free(struct gate *gate); /* cuts every connection */

/* Listens for HTTP at an address, for {port}-{id}.{domain}; `port` 0 takes a free one, and `out`
 * gets it. */
int gate_serve_domain(struct gate *gate, const char *host, uint16_t port, const char *name,
	uint16_t *out, struct err *err);

/* Opens the way to a sandbox at `address` ("127.83.0.7"); no port is open yet. */
int gate_add(struct gate *gate, const char *id, const char *address, struct gate_sandbox **out,
	struct err *err);
void gate_remove(struct gate_sandbox *sandbox); /* cuts its connections */

/* Opens a port, where it is not open yet. `out` gets the port on the address, which is another
 * one where a wildcard listener of the host holds it. */
int gate_open_port(struct gate_sandbox *sandbox, uint16_t port, uint16_t *out, struct err *err);

/* Paused: connections are kept, their bytes are left unread, new ones wait. What the sandbox had
 * sent still goes to its clients; that it ended a connection is told them after the pause. */
void gate_set_paused(struct gate_sandbox *sandbox, bool paused);

/* Cuts the connections that reach into it: its processes were started anew. Ports stay, and so
 * do connections that wait. */
void gate_cut(struct gate_sandbox *sandbox);

struct gate_stats {
	uint64_t connections, bytes_in, bytes_out;
	size_t open;
};
struct gate_stats gate_stats(const struct gate *gate);

#endif
