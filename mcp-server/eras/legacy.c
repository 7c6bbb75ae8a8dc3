/*
 * 2025-03-26 to 2025-11-25 over Streamable HTTP, 2024-11-05 over HTTP+SSE, and any of them over
 * standard input and output: a handshake, and a session that the server names.
 */
#include <string.h>

#include "ask.h"
#include "catalog.h"
#include "err.h"
#include "http.h"
#include "listeners.h"
#include "method.h"
#include "revision.h"
#include "rpc.h"
#include "server.h"
#include "session.h"

/* A client whose handshake we have not seen speaks the revision of its header, or the one that
 * had no such header. */
static bool stateless_peer(const struct inbound *in, const json_t *message, struct peer *peer)
{
	const char *header = http_header(in->http, "MCP-Protocol-Version");
	const char *revision = header ? revision_find(header) : REVISION_ASSUMED;

	if (!revision) {
		rpc_refuse(in, json_object_get(message, "id"), 400, RPC_UNSUPPORTED_VERSION,
			json_pack("{s:[s,s,s,s], s:s}", "supported", revisions[4], revisions[3],
				revisions[2], revisions[1], "requested", header),
			"Unsupported protocol version %.40s: this server speaks " REVISION_MODERN
			" down to 2024-11-05",
			header);
		return false;
	}
	peer->revision = revision;
	return true;
}

static bool http_peer(const struct inbound *in, const json_t *message, struct peer *peer)
{
	const json_t *method = json_object_get(message, "method");
	const char *id = http_header(in->http, "Mcp-Session-Id");

	if (json_is_string(method) && strcmp(json_string_value(method), "initialize") == 0) {
		peer->revision = REVISION_LATEST_LEGACY;
		return true;
	}
	if (!stateless_peer(in, message, peer))
		return false;
	if (!id)
		return true;
	peer->session = session_find(in->server->sessions, id);
	if (!peer->session) {
		rpc_refuse(in, json_object_get(message, "id"), 404, RPC_SESSION_NOT_FOUND, NULL,
			"Session not found: it has ended or expired; send initialize again");
		return false;
	}
	return true;
}

bool legacy_peer(const struct inbound *in, const json_t *message, struct peer *peer)
{
	if (in->transport == FROM_HTTP) {
		if (!http_peer(in, message, peer))
			return false;
	} else {
		peer->session = in->session;
		peer->revision = REVISION_ASSUMED;
	}
	if (peer->session) {
		if (session_revision(peer->session))
			peer->revision = session_revision(peer->session);
		peer->caps = session_caps(peer->session);
		peer->log_level = session_log_level(peer->session);
	}
	return true;
}

/* Lifecycle, "Version Negotiation": the same revision where it is spoken, else our latest of
 * these eras; never an error. */
static const char *negotiate(const json_t *params)
{
	const char *asked = json_string_value(json_object_get(params, "protocolVersion"));
	const char *found = revision_find(asked);

	return found && strcmp(found, REVISION_MODERN) != 0 ? found : REVISION_LATEST_LEGACY;
}

void legacy_initialize(const struct inbound *in, struct call *call)
{
	const char *revision = negotiate(call->params);
	unsigned caps = ask_caps(json_object_get(call->params, "capabilities"));
	struct err err;

	if (in->in_batch) {
		call_reply_error(call, RPC_INVALID_REQUEST, NULL,
			"initialize may not be part of a batch: send it alone");
		return;
	}
	if (in->session) {
		session_agree(in->session, revision, caps);
		listeners_add_session(in->server, in->session);
	} else {
		struct session *session;
		if (session_open(in->server->sessions, revision, caps, &session, &err) < 0) {
			call_reply_error(call, RPC_INTERNAL_ERROR, NULL, "%s", err.msg);
			return;
		}
		http_set_header(in->http, "Mcp-Session-Id", session_id(session));
	}
	call_reply(call, catalog_initialize(in->server->catalog, revision));
}
