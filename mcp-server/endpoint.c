#include "endpoint.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "batch.h"
#include "config.h"
#include "err.h"
#include "http.h"
#include "json_body.h"
#include "listeners.h"
#include "post.h"
#include "revision.h"
#include "rpc.h"
#include "server.h"
#include "session.h"
#include "sse.h"

/* A message on its way in. */
struct reading {
	struct server *server;
	struct post *post;
};

/* ---- POST ---- */

/* RFC 9110, section 12.5.1, as far as it matters here: a type is taken unless q=0. */
static bool accepts(const char *header, const char *type)
{
	const char *found = header ? strcasestr(header, type) : NULL;

	if (!found)
		return false;
	const char *rest = found + strlen(type);
	const char *weight = strcasestr(rest, "q="), *end = rest + strcspn(rest, ",");
	if (!weight || weight > end)
		return true;
	size_t zeroes = strspn(weight + 2, "0.");
	return zeroes == 0 || strspn(weight + 2 + zeroes, "123456789") > 0;
}

static void read_accept(const char *accept, bool *json, bool *stream)
{
	bool any = !accept || strstr(accept, "*/*");

	/* What nearly every client sends. */
	if (accept && (strcmp(accept, "application/json, text/event-stream") == 0 ||
			      strcmp(accept, "application/json,text/event-stream") == 0)) {
		*json = *stream = true;
		return;
	}
	*json = any || accepts(accept, "application/json") || accepts(accept, "application/*");
	*stream = any || accepts(accept, "text/event-stream") || accepts(accept, "text/*");
}

static bool batches_allowed(struct server *server, struct http_request *request)
{
	const char *id = http_header(request, "Mcp-Session-Id");
	const char *header = http_header(request, "MCP-Protocol-Version");
	struct session *session = id ? session_find(server->sessions, id) : NULL;

	if (session)
		return revision_has_batches(session_revision(session));
	return revision_has_batches(header ? header : REVISION_ASSUMED);
}

/* Hands the message over, or a refusal where there is none. */
static void on_body(
	struct http_request *request, json_t *message, const struct err *err, void *data)
{
	struct reading *reading = data;
	struct inbound in = {
		.server = reading->server,
		.transport = FROM_HTTP,
		.http = request,
		.sink = post_sink(reading->post),
	};

	free(reading);
	if (!message) {
		rpc_refuse(&in, NULL, 400,
			err->code == ERR_LIMIT ? RPC_INVALID_REQUEST : RPC_PARSE_ERROR, NULL, "%s",
			err->msg);
	} else if (!json_is_array(message)) {
		rpc_handle(&in, message);
	} else if (batches_allowed(in.server, in.http)) {
		batch_handle(&in, message);
	} else {
		rpc_refuse(&in, NULL, 400, RPC_INVALID_REQUEST, NULL,
			"Batches exist in revision 2025-03-26 only: send one message at a time");
		json_decref(message);
	}
}

static void on_body_gone(struct http_request *request, void *data)
{
	struct reading *reading = data;

	(void)request;
	post_free(reading->post);
	free(reading);
}

void endpoint_post(struct server *server, struct http_request *request)
{
	bool json, stream;

	read_accept(http_header(request, "Accept"), &json, &stream);
	if (!json && !stream) {
		http_reply_text(request, 406, "text/plain",
			"Accept application/json, text/event-stream or both.\n");
		return;
	}
	struct reading *reading = alloc_zero(sizeof *reading);
	reading->server = server;
	reading->post = post_new(server, request, json, stream);
	json_body_read(server, request, on_body, on_body_gone, reading);
}

/* ---- GET: the stream for messages that belong to no request ---- */

static void on_get_closed(struct sse *sse, void *data)
{
	struct session **holder = data;

	(void)sse;
	if (*holder)
		session_drop_stream(*holder);
	free(holder);
}

static void no_stream(struct http_request *request, const char *why)
{
	http_set_header(request, "Allow", "POST, DELETE");
	http_reply_text(request, 405, "text/plain", why);
}

/* The session that the request names; NULL where it was answered instead. */
static struct session *named_session(struct server *server, struct http_request *request)
{
	const char *id = http_header(request, "Mcp-Session-Id");
	struct session *session = id ? session_find(server->sessions, id) : NULL;

	if (!id)
		no_stream(request, "Send Mcp-Session-Id, or POST: there is no stream without a "
				   "session.\n");
	else if (!session)
		http_reply_text(request, 404, "application/json",
			"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32001,\"message\":"
			"\"Session not found: it has ended or expired; send initialize again\"}}");
	return session;
}

void endpoint_get(struct server *server, struct http_request *request)
{
	const char *accept = http_header(request, "Accept");

	if (!accept || !strcasestr(accept, "text/event-stream")) {
		no_stream(request, "This is an MCP endpoint: POST messages to it.\n");
		return;
	}
	struct session *session = named_session(server, request);
	if (!session)
		return;
	if (sse_hub_count(server->streams) >= (size_t)server->config->streams_max) {
		http_set_header(request, "Retry-After", "5");
		http_reply_text(request, 503, "text/plain", "Too many streams are open.\n");
		return;
	}
	const char *lost = http_header(request, "Last-Event-ID");
	if (lost) {
		if (!post_resume(server, request, session_id(session), lost))
			no_stream(request, "Nothing more will come of this stream.\n");
		return;
	}
	struct session **holder = alloc_zero(sizeof(struct session *));
	struct sse *sse = sse_open(server->streams, request, on_get_closed, holder);
	session_set_stream(session, sse, holder);
	listeners_add_session(server, session);
}

void endpoint_delete(struct server *server, struct http_request *request)
{
	struct session *session = named_session(server, request);

	if (!session)
		return;
	session_end(session);
	http_reply(request, 204, NULL, NULL);
}
