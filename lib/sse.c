#include "sse.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "http.h"
#include "loop.h"

/* A line that every client passes over. */
#define COMMENT ":\n\n"

struct sse_hub {
	struct loop_timer *timer;
	int comment_ms;
	size_t queue_max, count;
	struct sse *first;
};

struct sse {
	struct sse_hub *hub;
	struct http_stream *stream;
	sse_closed_fn *closed;
	void *data;
	struct sse *next, **link;
};

static void comment(void *data)
{
	struct sse_hub *hub = data;

	for (struct sse *sse = hub->first; sse; sse = sse->next)
		http_stream_write(sse->stream, COMMENT, strlen(COMMENT));
	loop_timer_set(hub->timer, hub->comment_ms);
}

struct sse_hub *sse_hub_new(struct loop *loop, int comment_ms, size_t queue_max)
{
	struct sse_hub *hub = alloc_zero(sizeof *hub);

	hub->comment_ms = comment_ms;
	hub->queue_max = queue_max;
	hub->timer = loop_timer_new(loop, comment, hub);
	loop_timer_set(hub->timer, comment_ms);
	return hub;
}

void sse_hub_free(struct sse_hub *hub)
{
	if (!hub)
		return;
	loop_timer_free(hub->timer);
	free(hub);
}

size_t sse_hub_count(const struct sse_hub *hub)
{
	return hub->count;
}

static void on_closed(struct http_stream *stream, void *data)
{
	struct sse *sse = data;

	(void)stream;
	sse->closed(sse, sse->data);
	*sse->link = sse->next;
	if (sse->next)
		sse->next->link = sse->link;
	sse->hub->count--;
	free(sse);
}

struct sse *sse_open(struct sse_hub *hub, struct http_request *request, sse_closed_fn *closed,
	void *data)
{
	struct sse *sse = alloc_zero(sizeof *sse);

	*sse = (struct sse){ .hub = hub, .closed = closed, .data = data };
	sse->next = hub->first;
	sse->link = &hub->first;
	if (sse->next)
		sse->next->link = &sse->next;
	hub->first = sse;
	hub->count++;
	http_set_header(request, "Cache-Control", "no-cache");
	http_set_header(request, "X-Accel-Buffering", "no");
	sse->stream = http_reply_stream(request, 200, "text/event-stream", -1, hub->queue_max,
		on_closed, sse);
	http_stream_probe_with(sse->stream, COMMENT);
	return sse;
}

static int field(struct sse *sse, const char *name, const char *value, size_t len)
{
	if (http_stream_write(sse->stream, name, strlen(name)) < 0 ||
		http_stream_write(sse->stream, value, len) < 0)
		return -1;
	return http_stream_write(sse->stream, "\n", 1);
}

int sse_send(struct sse *sse, const char *event, const char *id, const char *text, size_t len)
{
	if (event && field(sse, "event: ", event, strlen(event)) < 0)
		return -1;
	if (id && field(sse, "id: ", id, strlen(id)) < 0)
		return -1;
	if (field(sse, "data: ", text, len) < 0)
		return -1;
	return http_stream_write(sse->stream, "\n", 1);
}

int sse_prime(struct sse *sse, const char *id, int retry_ms)
{
	AUTO_BUF struct buf event = BUF_INIT(256);

	buf_addf(&event, "id: %s\nretry: %d\ndata: \n\n", id, retry_ms);
	return http_stream_write(sse->stream, event.data, event.len);
}

void sse_end(struct sse *sse)
{
	http_stream_end_soon(sse->stream);
}

void sse_cut(struct sse *sse)
{
	http_stream_cut(sse->stream);
}
