#include "endpoint.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "batch.h"
#include "config.h"
#include "err.h"
#include "http.h"
#include "loop.h"
#include "revision.h"
#include "rpc.h"
#include "server.h"
#include "session.h"
#include "sse.h"
#include "worker.h"

/* Bodies above this are parsed on a worker: the loop must not stand still meanwhile. */
enum { PARSE_ON_LOOP_MAX = 64 * 1024 };

/* In the older eras a lost connection is no cancellation; but an answer that nobody can get
 * any more is not worth a running command either. */
enum { DEAD_GRACE_MS = 10 * 1000 };

/* One POST: the sink of its request. */
struct post {
	struct sink sink;
	struct server *server;
	struct http_request *request; /* NULL once answered in full */
	struct sse *stream;
	bool takes_stream, takes_json;
	bool gone; /* the client closed its side */
	struct call *call;
	struct loop_timer *grace;

	json_t *message; /* parsed on a worker, with `err` */
	struct err err;
};

static void post_free(struct post *post)
{
	loop_timer_free(post->grace);
	free(post);
}

/* ---- the sink ---- */

static void on_stream_closed(struct sse *sse, void *data)
{
	struct post *post = data;

	(void)sse;
	post->stream = NULL;
	post->request = NULL;
	if (post->call)
		call_cancel(post->call);
	else
		post_free(post);
}

static void open_stream(struct post *post)
{
	struct sse_hub *hub = post->server->streams;

	if (sse_hub_count(hub) >= (size_t)post->server->config->streams_max)
		post->takes_stream = false;
	else
		post->stream = sse_open(hub, post->request, on_stream_closed, post);
}

static bool post_notify(struct sink *sink, const char *json, size_t len)
{
	struct post *post = (struct post *)sink;

	if (!post->stream && post->takes_stream && post->request)
		open_stream(post);
	return post->stream && sse_send(post->stream, "message", NULL, json, len) == 0;
}

static void end_stream(struct post *post, struct buf *json)
{
	post->call = NULL;
	if (json)
		sse_send(post->stream, "message", NULL, json->data, json->len);
	sse_end(post->stream);
}

static void post_respond(struct sink *sink, unsigned status, struct buf *json)
{
	struct post *post = (struct post *)sink;

	if (!post->stream && json && !post->takes_json && status == 200 && post->takes_stream)
		open_stream(post);
	if (post->stream) {
		end_stream(post, json);
		return; /* on_stream_closed() frees it */
	}
	if (post->request)
		http_reply(post->request, status, json ? "application/json" : NULL, json);
	post_free(post);
}

/* Cancelled: the older eras want no response, HTTP wants one. */
static void post_drop(struct sink *sink)
{
	struct post *post = (struct post *)sink;

	if (post->stream) {
		end_stream(post, NULL);
		return;
	}
	post_respond(sink, 202, NULL);
}

/* The client may have left while its message was being parsed. */
static void post_begin(struct sink *sink, struct call *call)
{
	struct post *post = (struct post *)sink;

	post->call = call;
	if (post->gone && call->peer.modern)
		call_cancel(call);
}

static const struct sink_ops post_ops = { post_begin, post_notify, post_respond, post_drop };

/* ---- the client goes away ---- */

static void grace_over(void *data)
{
	struct post *post = data;

	if (post->call)
		call_cancel(post->call);
}

static void on_gone(struct http_request *request, bool dead, void *data)
{
	struct post *post = data;

	(void)request;
	post->gone = true;
	if (!post->call) {
		if (dead && post->stream)
			sse_cut(post->stream);
	} else if (post->call->peer.modern) {
		call_cancel(post->call);
	} else if (dead && !post->grace) {
		post->grace = loop_timer_new(post->server->workspace.loop, grace_over, post);
		loop_timer_set(post->grace, DEAD_GRACE_MS);
	}
}

/* ---- POST ---- */

/* RFC 9110, section 12.5.1, as far as it matters here: a type is taken unless q=0. */
static bool accepts(const char *header, const char *type)
{
	const char *found = header ? strcasestr(header, type) : NULL;

	return found && !strstr(found + strlen(type), ";q=0,");
}

static void read_accept(struct post *post)
{
	const char *accept = http_header(post->request, "Accept");
	bool any = !accept || strstr(accept, "*/*");

	/* What nearly every client sends. */
	if (accept && (strcmp(accept, "application/json, text/event-stream") == 0 ||
			      strcmp(accept, "application/json,text/event-stream") == 0)) {
		post->takes_json = post->takes_stream = true;
		return;
	}
	post->takes_json = any || accepts(accept, "application/json") ||
			   accepts(accept, "application/*");
	post->takes_stream = any || accepts(accept, "text/event-stream") ||
			     accepts(accept, "text/*");
}

static bool batches_allowed(struct post *post)
{
	const char *id = http_header(post->request, "Mcp-Session-Id");
	const char *header = http_header(post->request, "MCP-Protocol-Version");
	struct session *session = id ? session_find(post->server->sessions, id) : NULL;

	if (session)
		return revision_has_batches(session_revision(session));
	return revision_has_batches(header ? header : REVISION_ASSUMED);
}

static void handle(struct post *post, json_t *message)
{
	struct inbound in = {
		.server = post->server,
		.transport = FROM_HTTP,
		.http = post->request,
		.sink = &post->sink,
	};

	if (json_is_array(message) && batches_allowed(post)) {
		batch_handle(&in, message);
		return;
	}
	if (json_is_array(message)) {
		rpc_refuse(&in, NULL, 400, RPC_INVALID_REQUEST, NULL,
			"Batches exist in revision 2025-03-26 only: send one message at a time");
		json_decref(message);
		return;
	}
	rpc_handle(&in, message);
}

static void refuse_body(struct post *post, const struct err *err)
{
	struct inbound in = { .server = post->server, .sink = &post->sink };

	rpc_refuse(&in, NULL, 400,
		err->code == ERR_LIMIT ? RPC_INVALID_REQUEST : RPC_PARSE_ERROR, NULL, "%s",
		err->msg);
}

static void parse_on_worker(void *data)
{
	struct post *post = data;
	size_t len;
	const char *body = http_body(post->request, &len);

	post->message = rpc_parse(post->server->config, body, len, &post->err);
}

static void parsed(void *data)
{
	struct post *post = data;

	if (post->message)
		handle(post, post->message);
	else
		refuse_body(post, &post->err);
}

static void on_body(struct http_request *request, void *data)
{
	struct post *post = data;
	struct err err;
	size_t len;
	const char *body = http_body(request, &len);

	if (len > PARSE_ON_LOOP_MAX) {
		if (worker_submit(post->server->workspace.pool, parse_on_worker, parsed, post, &err) < 0)
			refuse_body(post, &err);
		return;
	}
	json_t *message = rpc_parse(post->server->config, body, len, &err);
	if (message)
		handle(post, message);
	else
		refuse_body(post, &err);
}

static void on_body_gone(struct http_request *request, void *data)
{
	(void)request;
	post_free(data);
}

void endpoint_post(struct server *server, struct http_request *request)
{
	struct post *post = alloc_zero(sizeof *post);
	*post = (struct post){ .sink.ops = &post_ops, .server = server, .request = request };
	read_accept(post);
	if (!post->takes_json && !post->takes_stream) {
		http_reply_text(request, 406, "text/plain",
			"Accept application/json, text/event-stream or both.\n");
		post_free(post);
		return;
	}
	http_set_user(request, post);
	http_on_gone(request, on_gone, post);
	http_read_body(request, (size_t)server->config->body_max, on_body, on_body_gone, post);
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
	struct session **holder = alloc_zero(sizeof(struct session *));
	struct sse *sse = sse_open(server->streams, request, on_get_closed, holder);
	session_set_stream(session, sse, holder);
}

void endpoint_delete(struct server *server, struct http_request *request)
{
	struct session *session = named_session(server, request);

	if (!session)
		return;
	session_end(session);
	http_reply(request, 204, NULL, NULL);
}
