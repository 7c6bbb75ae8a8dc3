#include "http_impl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "alloc.h"

enum { BLOCK = 64 * 1024 };

struct http_stream {
	struct http *http;
	struct http_request *request; /* NULL once it was completed */
	struct buf queue;
	size_t sent; /* bytes of the queue that are with the socket */
	bool ended, cut;
	http_closed_fn *closed;
	http_drained_fn *drained;
	void *data;
	const char *probe;
};

/* Keeps memory of the queue only while there is something in it. */
static void forget_sent(struct http_stream *stream)
{
	if (stream->sent < stream->queue.len)
		return;
	buf_release(&stream->queue);
	stream->sent = 0;
}

static ssize_t take(struct http_stream *stream, char *out, size_t max)
{
	size_t n = stream->queue.len - stream->sent;

	if (n > max)
		n = max;
	memcpy(out, stream->queue.data + stream->sent, n);
	stream->sent += n;
	forget_sent(stream);
	return (ssize_t)n;
}

/* Called by libmicrohttpd when the socket has room. */
static ssize_t read_stream(void *data, uint64_t position, char *out, size_t max)
{
	struct http_stream *stream = data;

	(void)position;
	if (stream->queue.len == 0 && !stream->ended && !stream->cut && stream->drained)
		stream->drained(stream, stream->data);
	if (stream->cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (stream->queue.len > 0)
		return take(stream, out, max);
	if (stream->ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	http_request_sleep(stream->request);
	return 0;
}

static void free_stream(void *data)
{
	struct http_stream *stream = data;

	http_count_stream(stream->http, -1);
	stream->closed(stream, stream->data);
	buf_release(&stream->queue);
	free(stream);
}

struct http_stream *http_reply_stream(struct http_request *request, unsigned status,
	const char *type, int64_t size, size_t queue_max, http_closed_fn *closed, void *data)
{
	struct http_stream *stream = alloc_zero(sizeof *stream);
	struct MHD_Response *response = MHD_create_response_from_callback(
		size < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)size, size < 0 ? 1 : BLOCK, read_stream,
		stream, free_stream);

	if (!response)
		abort();
	stream->http = request->http;
	stream->request = request;
	stream->closed = closed;
	stream->data = data;
	buf_init(&stream->queue, queue_max);
	request->stream = stream;
	http_count_stream(request->http, 1);
	MHD_add_response_header(response, "Content-Type", type);
	http_request_answer(request, status, response);
	return stream;
}

static void wake(struct http_stream *stream)
{
	if (stream->request)
		http_request_wake(stream->request);
}

int http_stream_write(struct http_stream *stream, const void *bytes, size_t len)
{
	if (stream->cut || stream->ended)
		return -1;
	if (stream->sent > 0 && len > stream->queue.max - stream->queue.len) {
		buf_consume(&stream->queue, stream->sent);
		stream->sent = 0;
	}
	if (buf_add(&stream->queue, bytes, len) < 0) {
		http_stream_cut(stream);
		return -1;
	}
	wake(stream);
	return 0;
}

void http_stream_probe_with(struct http_stream *stream, const char *text)
{
	stream->probe = text;
}

void http_stream_probe(struct http_stream *stream)
{
	if (stream->probe)
		http_stream_write(stream, stream->probe, strlen(stream->probe));
}

size_t http_stream_queued(const struct http_stream *stream)
{
	return stream->queue.len - stream->sent;
}

void http_stream_on_drained(struct http_stream *stream, http_drained_fn *fn)
{
	stream->drained = fn;
}

void http_stream_end(struct http_stream *stream)
{
	stream->ended = true;
	wake(stream);
}

void http_stream_end_soon(struct http_stream *stream)
{
	if (stream->request)
		http_request_expect_left(stream->request, http_stream_queued(stream));
	http_stream_end(stream);
}

bool http_stream_ended(const struct http_stream *stream)
{
	return stream->ended;
}

/* The reader is not called while the socket is full: only shutdown(2) gets through then. */
void http_stream_cut(struct http_stream *stream)
{
	stream->cut = true;
	if (stream->request)
		shutdown(stream->request->connection->fd, SHUT_RDWR);
	wake(stream);
}

void http_stream_forget_request(struct http_stream *stream)
{
	stream->request = NULL;
}
