#ifndef HTTP_H
#define HTTP_H

/*
 * An HTTP/1.1 server on the loop: libmicrohttpd behind a few nouns. A request's head arrives
 * at `head`, which answers at once or asks for the body; the answer may come later: the
 * connection sleeps meanwhile. Everything here runs on the loop thread. Only lib/http*.c and
 * lib/sse.c see microhttpd.h.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "buf.h"

struct err;
struct http;
struct http_request;
struct http_stream;
struct loop;

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };

typedef void http_fn(struct http_request *request, void *data);

struct http_options {
	const char *host; /* an IPv4 or IPv6 address; "localhost" is 127.0.0.1 */
	uint16_t port;    /* 0: a free one */
	size_t head_max;  /* bytes of a request's line and headers; also a connection's memory */
	unsigned connections_max;
	unsigned idle_s;  /* a connection without a whole request for this long is closed */
	unsigned body_s;  /* a body that has to be in memory must be there within this */
	unsigned answer_s;    /* an answer in memory must have left within this, and the time */
	unsigned answer_rate; /* of its size at so many bytes a second (0: any time will do) */
	http_fn *head;
	http_fn *too_large; /* answers where a body is over its limit; NULL: a sentence does */
	void *data; /* for `head` */
};

/* Listens and serves from the next turn of the loop on. */
int http_new(struct loop *loop, const struct http_options *options, struct http **out,
	struct err *err);

/* The address it listens on, as HOST:PORT (an IPv6 host in brackets). Borrowed. */
const char *http_address(const struct http *http);
uint16_t http_port(const struct http *http);

/* Takes no more connections; `idle` is called once no request is being served. */
void http_drain(struct http *http, void (*idle)(void *data), void *data);

/* Answers that are there get a moment to leave; requests still being served are told that the
 * server stops, and the rest is ended by force. */
void http_free(struct http *http);

/* Figures for metrics. */
struct http_stats {
	uint64_t requests, connections;
	size_t active_requests, active_connections, active_streams;
};
struct http_stats http_stats(const struct http *http);

/* ---- A request. Valid until it was answered, then until the callback returns. ---- */

enum http_method http_method(const struct http_request *request);
const char *http_method_name(const struct http_request *request);
const char *http_path(const struct http_request *request); /* percent-decoded, without query */

/* A query parameter, percent-decoded; NULL where absent. `len` may be NULL; the text may hold a
 * NUL, which `len` tells. */
const char *http_query(const struct http_request *request, const char *name, size_t *len);

/* A header's value, or NULL. The white space around it is not part of it (RFC 9110, section
 * 5.5). */
const char *http_header(struct http_request *request, const char *name);

/* How often a header came: a doubled one is no proof of anything. */
size_t http_header_count(const struct http_request *request, const char *name);

/* The address of the other side, as text. Borrowed. */
const char *http_client(const struct http_request *request);

/*
 * In `head` only: what there is to decide has to wait. `fn` stands for `head` once http_go_on() was
 * called; `gone` is called instead where the client leaves before.
 */
void http_wait(struct http_request *request, http_fn *fn, http_fn *gone, void *data);
void http_go_on(struct http_request *request);

/* Free for the user; NULL at the start. */
void http_set_user(struct http_request *request, void *user);
void *http_user(const struct http_request *request);

/* In `head` only: collects the body, at most `max` bytes (413 else), then calls `fn`, which
 * may answer now or later; or `gone` where it never came whole. */
void http_read_body(struct http_request *request, size_t max, http_fn *fn, http_fn *gone,
	void *data);
char *http_body(struct http_request *request, size_t *len); /* borrowed, NUL-terminated */
char *http_take_body(struct http_request *request); /* the same bytes, which the caller frees */

/*
 * In `head` only: hands the body over in pieces as it comes, then calls `end`. A piece function
 * may call http_pause(); no more comes then until http_resume(). `gone` is called instead of
 * `end` where the client leaves before, or the request was answered before.
 */
typedef void http_piece_fn(struct http_request *request, const char *bytes, size_t len, void *data);
void http_stream_body(struct http_request *request, http_piece_fn *piece, http_fn *end,
	http_fn *gone, void *data);
void http_pause(struct http_request *request);
void http_resume(struct http_request *request);

/*
 * Calls `fn` once when the client closed its side while the answer is outstanding: it may have
 * only half-closed (`dead` false), and is called again (`dead` true) where the connection turns
 * out to be gone. The request still has to be answered.
 */
typedef void http_gone_fn(struct http_request *request, bool dead, void *data);
void http_on_gone(struct http_request *request, http_gone_fn *fn, void *data);

/* ---- The answer ---- */

/* A header of the answer; the texts are copied. Bytes below 0x20 are refused (left out). */
void http_set_header(struct http_request *request, const char *name, const char *value);

/* Answers with `body`, whose bytes are taken over (NULL: empty). `type` may be NULL. */
void http_reply(struct http_request *request, unsigned status, const char *type, struct buf *body);

/* Answers with a constant text. */
void http_reply_text(struct http_request *request, unsigned status, const char *type,
	const char *text);

/*
 * Answers with bytes that are not there yet. `size` is their number, or -1 for unknown (chunked).
 * Up to `queue_max` bytes wait for a slow reader; one more and the connection is cut. `closed`
 * is called exactly once, when the stream is over for whatever reason; it is invalid after that.
 */
typedef void http_closed_fn(struct http_stream *stream, void *data);
struct http_stream *http_reply_stream(struct http_request *request, unsigned status,
	const char *type, int64_t size, size_t queue_max, http_closed_fn *closed, void *data);

/* Queues bytes. -1 where the stream was cut (too slow a reader): nothing more to do but wait
 * for `closed`. */
int http_stream_write(struct http_stream *stream, const void *bytes, size_t len);

/*
 * A text (constant) that means nothing in this stream, sent once when the client closes its side:
 * one that is gone altogether answers with a reset, and is noticed then.
 */
void http_stream_probe_with(struct http_stream *stream, const char *text);

/* Bytes queued and not yet handed to the socket. */
size_t http_stream_queued(const struct http_stream *stream);

/* Calls `fn` whenever the queue has run empty: a producer goes on then. */
typedef void http_drained_fn(struct http_stream *stream, void *data);
void http_stream_on_drained(struct http_stream *stream, http_drained_fn *fn);

/* Ends it in order, once everything queued was sent. */
void http_stream_end(struct http_stream *stream);

/* The same, where all that is left of it is in the queue: that has to leave in the time of an
 * answer of this size. */
void http_stream_end_soon(struct http_stream *stream);

/* Breaks the connection, so that the client sees that something is missing. */
void http_stream_cut(struct http_stream *stream);

#endif
