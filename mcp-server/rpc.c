#include "rpc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "config.h"
#include "err.h"
#include "http.h"
#include "json_reader.h"
#include "method.h"
#include "revision.h"
#include "server.h"
#include "session.h"

enum { REFUSAL_MAX_BYTES = 64 * 1024 };

json_t *rpc_parse(const struct config *config, const char *bytes, size_t len, struct err *err)
{
	struct json_limits limits = {
		.depth = (size_t)config->depth_max,
		.string = (size_t)config->string_max,
		.number = (size_t)config->number_max,
	};

	return json_read(bytes, len, &limits, err);
}

void rpc_refuse(const struct inbound *in, const json_t *id, unsigned status, int code,
	json_t *data, const char *fmt, ...)
{
	struct result result;
	char message[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof message, fmt, args);
	va_end(args);
	result_init(&result, id, false, REFUSAL_MAX_BYTES);
	result_error(&result, code, message, data);
	in->sink->ops->respond(in->sink, status, &result.out);
	result_release(&result);
}

static void accept_message(const struct inbound *in)
{
	in->sink->ops->respond(in->sink, 202, NULL);
}

static const json_t *meta_revision(const json_t *message)
{
	const json_t *meta = json_object_get(json_object_get(message, "params"), "_meta");

	return json_object_get(meta, "io.modelcontextprotocol/protocolVersion");
}

bool rpc_is_modern(const json_t *message)
{
	return meta_revision(message) != NULL;
}

/* Without its _meta a message still counts as modern where the header says so; `initialize`
 * never does. */
static bool header_is_modern(const struct inbound *in, const char *method)
{
	const char *header = in->http ? http_header(in->http, "MCP-Protocol-Version") : NULL;

	return header && strcmp(header, REVISION_MODERN) == 0 && strcmp(method, "initialize") != 0;
}

/* A text without NUL characters, or NULL. */
static const char *plain_text(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

/* JSON-RPC 2.0, section 4; the id as MCP has it: a string or an integer, never null. */
static bool well_formed(const struct inbound *in, const json_t *message)
{
	const json_t *id = json_object_get(message, "id");
	const json_t *params = json_object_get(message, "params");
	const char *version = json_string_value(json_object_get(message, "jsonrpc"));
	const char *what = NULL;

	if (!version || strcmp(version, "2.0") != 0)
		what = "'jsonrpc' has to be \"2.0\"";
	else if (id && !json_is_string(id) && !json_is_integer(id))
		what = "'id' has to be a string or an integer";
	else if (!plain_text(json_object_get(message, "method")))
		what = "'method' has to be a string";
	else if (params && !json_is_object(params))
		what = "'params' has to be an object";
	if (!what)
		return true;
	if (json_object_get(message, "tool") && json_object_get(message, "args"))
		what = "this is an MCP server: send {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
		       "\"tools/call\",\"params\":{\"name\":\"read_file\",\"arguments\":"
		       "{\"path\":\"a.txt\"}}}";
	rpc_refuse(in, json_is_string(id) || json_is_integer(id) ? id : NULL, 400,
		RPC_INVALID_REQUEST, NULL, "Invalid request: %s", what);
	return false;
}

/* The era's notifications that mean something to us; all others are accepted and ignored. */
static void handle_notification(const struct inbound *in, const struct peer *peer, json_t *message)
{
	const char *method = json_string_value(json_object_get(message, "method"));
	const json_t *params = json_object_get(message, "params");

	if (strcmp(method, "notifications/cancelled") == 0 && peer->session) {
		struct call *call =
			session_find_call(peer->session, json_object_get(params, "requestId"));
		if (call)
			call_cancel(call);
	}
	json_decref(message);
	accept_message(in);
}

static void handle_request(const struct inbound *in, const struct peer *peer, json_t *message)
{
	struct server *server = in->server;

	if (server->calls >= (size_t)server->config->calls_max) {
		rpc_refuse(in, json_object_get(message, "id"), 503, RPC_INTERNAL_ERROR, NULL,
			"%zu requests are being served: try again in a moment", server->calls);
		json_decref(message);
		return;
	}
	struct call *call = call_new(&server->workspace, message, peer, in->sink);
	call_serve(call, server);
	server_touch(server);
	if (in->sink->ops->begin)
		in->sink->ops->begin(in->sink, call);
	if (call_cancelled(call)) {
		call_reply(call, NULL);
		return;
	}
	const struct method *method = method_find(call->method);
	unsigned era = peer->modern ? METHOD_MODERN : METHOD_LEGACY;
	if (method && method->flags & era)
		method->run(in, call);
	else
		call_reply_error(call, RPC_METHOD_NOT_FOUND, NULL, "Method not found: %.100s",
			call->method);
}

void rpc_handle(const struct inbound *in, json_t *message)
{
	struct peer peer = { .log_level = LOG_NONE };
	const json_t *id = json_object_get(message, "id");

	if (!json_is_object(message)) {
		rpc_refuse(in, NULL, 400, RPC_INVALID_REQUEST, NULL,
			"Invalid request: a message is an object");
		json_decref(message);
		return;
	}
	bool response = !json_object_get(message, "method") &&
			(json_object_get(message, "result") || json_object_get(message, "error"));
	if (!response && !well_formed(in, message)) {
		json_decref(message);
		return;
	}
	if (in->in_batch && rpc_is_modern(message)) {
		rpc_refuse(in, id, 400, RPC_INVALID_REQUEST, NULL,
			"Invalid request: " REVISION_MODERN " has no batches");
		json_decref(message);
		return;
	}
	const char *method = json_string_value(json_object_get(message, "method"));
	bool modern = !response && (rpc_is_modern(message) || header_is_modern(in, method)) &&
		      in->transport != FROM_SSE;
	bool known = modern ? modern_peer(in, message, &peer) : legacy_peer(in, message, &peer);
	if (!known) {
		json_decref(message);
	} else if (response) {
		ask_answered(peer.session, message);
		json_decref(message);
		accept_message(in);
	} else if (!id) {
		handle_notification(in, &peer, message);
	} else {
		handle_request(in, &peer, message);
	}
}
