#ifndef FETCH_H
#define FETCH_H

/*
 * Requests to other servers, on the loop: libcurl's multi interface behind a few nouns. No
 * redirect is followed, no proxy is used, nothing but http and https is spoken, and every answer
 * has a limit of size and time. Loop thread only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct fetch;
struct fetch_pool;
struct loop;

/* Connections are kept for later requests, by scheme, host and port of the URL. */
struct fetch_pool *fetch_pool_new(struct loop *loop);
/* What was sent ends with ERR_IO, since it may have been done, and what was not with ERR_CANCELLED;
 * `end` starts nothing new. NULL is allowed. */
void fetch_pool_free(struct fetch_pool *pool);

struct fetch_events {
	/* The answer's status and length (-1: unknown), once. */
	void (*head)(struct fetch *fetch, unsigned status, int64_t length, void *data);

	/* Some bytes of the body; false: not now, they come again after fetch_resume(). */
	bool (*piece)(struct fetch *fetch, const char *bytes, size_t len, void *data);

	/* Room for more of the request's body, where it is given piece by piece. NULL allowed. */
	void (*room)(struct fetch *fetch, void *data);

	/* It is over; `err` NULL: the answer is whole. The fetch is invalid after this. */
	void (*end)(struct fetch *fetch, const struct err *err, void *data);
};

enum { FETCH_HEADERS_MAX = 12 };

struct fetch_spec {
	const char *method; /* "GET" … */
	const char *url;
	const char *headers[FETCH_HEADERS_MAX]; /* "Name: value", up to a NULL */
	const char *body; /* copied; NULL: none, or `streamed` */
	size_t body_len;
	bool streamed;     /* the body comes by fetch_send(); its length in `body_size`, or -1 */
	int64_t body_size;
	int64_t connect_ms;  /* until the connection stands; 0: ten seconds */
	int64_t total_ms;    /* until the end; 0: no limit */
	int64_t silence_ms;  /* without a byte in either direction; 0: no limit */
	/* Makes the connection's socket, connected or connecting; NULL: an ordinary one. */
	int (*dial)(int *fd, struct err *err, void *data);
	void *dial_data; /* has to live until the end */
};

/* Never fails at once: what cannot be sent ends with an error, in a later turn of the loop. */
struct fetch *fetch_start(struct fetch_pool *pool, const struct fetch_spec *spec,
	const struct fetch_events *events, void *data);

/* No event comes after this. */
void fetch_cancel(struct fetch *fetch);

/* Goes on after a piece was refused. */
void fetch_resume(struct fetch *fetch);

/* Queues bytes of a streamed body; `fetch_queued` tells how many still wait. */
void fetch_send(struct fetch *fetch, const void *bytes, size_t len);
void fetch_send_end(struct fetch *fetch);
size_t fetch_queued(const struct fetch *fetch);

/* A header of the answer, after `head`; NULL where there is none. Borrowed until the next call. */
const char *fetch_header(struct fetch *fetch, const char *name);

#endif
