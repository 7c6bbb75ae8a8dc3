#ifndef SSE_H
#define SSE_H

/*
 * Server-sent events (HTML standard, section 9.2) as the answer to a request. Each open stream
 * gets a comment now and then, so that nothing on the way takes it for dead. Loop thread only.
 */
#include <stddef.h>

struct http_request;
struct loop;
struct sse;
struct sse_hub;

/* All streams of a server; a comment every `comment_ms` to each. */
struct sse_hub *sse_hub_new(struct loop *loop, int comment_ms, size_t queue_max);
void sse_hub_free(struct sse_hub *hub); /* after the last stream */
size_t sse_hub_count(const struct sse_hub *hub);

/* Answers with a stream. `closed` is called exactly once, when it is over for whatever reason. */
typedef void sse_closed_fn(struct sse *sse, void *data);
struct sse *sse_open(struct sse_hub *hub, struct http_request *request, sse_closed_fn *closed,
	void *data);

/* Sends one event; `event` and `id` may be NULL, `text` holds no line break. -1 where the
 * stream was cut because its reader is too slow. */
int sse_send(struct sse *sse, const char *event, const char *id, const char *text, size_t len);

/* Tells the client to come back after `retry_ms` where it loses the stream, and to name `id`
 * then (the Last-Event-ID header). */
int sse_prime(struct sse *sse, const char *id, int retry_ms);

/* Ends the stream once everything was sent; nothing may be sent afterwards. */
void sse_end(struct sse *sse);

/* Breaks the connection. */
void sse_cut(struct sse *sse);

#endif
