#include "http_impl.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"

enum { FIRST_RESERVE = 64 * 1024 };

static const char white[] = " \t";

enum http_method http_method(const struct http_request *request)
{
	return request->method;
}

const char *http_method_name(const struct http_request *request)
{
	return request->method_name;
}

const char *http_path(const struct http_request *request)
{
	return request->path;
}

const char *http_query(const struct http_request *request, const char *name, size_t *len)
{
	const char *value = NULL;
	size_t size = 0;

	if (MHD_lookup_connection_value_n(request->mhd, MHD_GET_ARGUMENT_KIND, name, strlen(name),
		    &value, &size) != MHD_YES)
		return NULL;
	if (len)
		*len = size;
	return value ? value : "";
}

static const char *trimmed(struct http_request *request, const char *whole, size_t len)
{
	for (const struct trimmed_value *known = request->trimmed; known; known = known->next) {
		if (known->whole == whole)
			return known->text;
	}
	struct trimmed_value *value = alloc_zero(sizeof *value + len + 1);
	value->whole = whole;
	memcpy(value->text, whole, len);
	value->next = request->trimmed;
	request->trimmed = value;
	return value->text;
}

const char *http_header(struct http_request *request, const char *name)
{
	const char *value = MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);

	if (!value)
		return NULL;
	value += strspn(value, white);
	size_t len = strlen(value), kept = len;
	while (kept > 0 && strchr(white, value[kept - 1]))
		kept--;
	return kept == len ? value : trimmed(request, value, kept);
}

struct count {
	const char *name;
	size_t found;
};

static enum MHD_Result count_one(void *data, enum MHD_ValueKind kind, const char *key,
	const char *value)
{
	struct count *count = data;

	(void)kind, (void)value;
	count->found += strcasecmp(key, count->name) == 0;
	return MHD_YES;
}

size_t http_header_count(const struct http_request *request, const char *name)
{
	struct count count = { .name = name };

	MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, count_one, &count);
	return count.found;
}

const char *http_client(const struct http_request *request)
{
	return request->connection->client;
}

void http_set_user(struct http_request *request, void *user)
{
	request->user = user;
}

void *http_user(const struct http_request *request)
{
	return request->user;
}

void http_wait(struct http_request *request, http_fn *fn, http_fn *gone, void *data)
{
	request->waits = request->head_pending = true;
	request->head = fn;
	request->head_data = data;
	request->on_body_gone = gone;
	request->body_data = data;
}

void http_go_on(struct http_request *request)
{
	request->waits = false;
	http_request_wake(request); /* `gone` stays until `fn` is called: the end may come before */
}

/* ---- the body ---- */

void http_read_body(struct http_request *request, size_t max, http_fn *fn, http_fn *gone,
	void *data)
{
	const char *length = http_header(request, "Content-Length");
	char *end;

	buf_init(&request->body, max);
	request->in_memory = true;
	request->on_body = fn;
	request->on_body_gone = gone;
	request->body_data = data;
	http_request_deadline(request, http_body_seconds(request->http));
	if (!length)
		return;
	unsigned long long size = strtoull(length, &end, 10);
	if (*end || size > max)
		http_reply_too_large(request);
	else if (size > 0)
		buf_reserve(&request->body, size < FIRST_RESERVE ? size : FIRST_RESERVE);
}

char *http_body(struct http_request *request, size_t *len)
{
	static char empty[1];

	*len = request->body.len;
	return request->body.data ? request->body.data : empty;
}

char *http_take_body(struct http_request *request)
{
	size_t len;

	return buf_steal(&request->body, &len);
}

void http_stream_body(struct http_request *request, http_piece_fn *piece, http_fn *end,
	http_fn *gone, void *data)
{
	request->piece = piece;
	request->on_body = end;
	request->on_body_gone = gone;
	request->body_data = data;
}

void http_pause(struct http_request *request)
{
	request->paused = true;
}

void http_resume(struct http_request *request)
{
	if (!request->paused)
		return;
	request->paused = false;
	http_request_wake(request);
}

/* ---- sleeping until the answer is there ---- */

/* From here on the kernel asks whether the other side still exists: a client that only closed
 * its sending side answers, the kernel of one that is gone does not. */
static void probe(int fd)
{
	int on = 1, idle_s = 5, every_s = 5, count = 2;

	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

void http_request_look(struct http_request *request)
{
	const struct http_connection *connection = request->connection;

	if (!request->suspended || !connection->half_closed || request->told_dead ||
		(request->told && !connection->dead))
		return;
	bool first = !request->told;
	request->told = true;
	request->told_dead = connection->dead;
	if (first)
		probe(connection->fd);
	if (first && request->stream)
		http_stream_probe(request->stream);
	if (request->on_gone)
		request->on_gone(request, connection->dead, request->gone_data);
	else if (request->stream && connection->dead)
		http_stream_cut(request->stream);
}

void http_request_sleep(struct http_request *request)
{
	if (request->suspended)
		return;
	request->suspended = true;
	MHD_suspend_connection(request->mhd);
	http_request_look(request);
}

void http_request_wake(struct http_request *request)
{
	if (!request->suspended)
		return;
	request->suspended = false;
	MHD_resume_connection(request->mhd);
	http_run_soon(request->http);
}

void http_on_gone(struct http_request *request, http_gone_fn *fn, void *data)
{
	request->on_gone = fn;
	request->gone_data = data;
}

/* ---- the answer ---- */

/* Lines of the head must not be made by what a value holds. */
static bool clean(const char *value)
{
	for (; *value; value++) {
		if ((unsigned char)*value < 0x20 || *value == 0x7F)
			return false;
	}
	return true;
}

void http_set_header(struct http_request *request, const char *name, const char *value)
{
	if (request->header_count == REPLY_HEADERS_MAX || !clean(value))
		return;
	request->headers[request->header_count++] =
		(struct reply_header){ alloc_text(name), alloc_text(value) };
}

void http_request_answer(struct http_request *request, unsigned status,
	struct MHD_Response *response)
{
	request->answered = true;
	request->status = status;
	request->response = response;
	for (size_t i = 0; i < request->header_count; i++)
		MHD_add_response_header(response, request->headers[i].name,
			request->headers[i].value);
	if (http_draining(request->http)) /* so that the connection brings no more requests */
		MHD_add_response_header(response, "Connection", "close");
	request->paused = request->waits = false;
	http_request_wake(request);
}

void http_reply(struct http_request *request, unsigned status, const char *type, struct buf *body)
{
	size_t len = 0;
	char *bytes = body ? buf_steal(body, &len) : NULL;
	struct MHD_Response *response =
		bytes ? MHD_create_response_from_buffer_with_free_callback(len, bytes, free) :
			MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);

	if (!response)
		abort();
	if (type)
		MHD_add_response_header(response, "Content-Type", type);
	http_request_expect_left(request, len);
	http_request_answer(request, status, response);
}

void http_reply_text(struct http_request *request, unsigned status, const char *type,
	const char *text)
{
	struct buf body;

	buf_init(&body, strlen(text));
	buf_add_text(&body, text);
	http_reply(request, status, type, &body);
}

void http_reply_too_large(struct http_request *request)
{
	AUTO_BUF struct buf text = BUF_INIT(256);

	buf_addf(&text, "The body is larger than the %zu bytes allowed here.\n", request->body.max);
	request->discarding = true;
	buf_release(&request->body);
	if (http_refuse_body(request))
		return;
	http_reply(request, 413, "text/plain", &text);
}
