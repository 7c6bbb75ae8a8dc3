/*
 * 2026-07-28: stateless. Each request says in _meta which revision it speaks and what its client
 * can do; over HTTP, headers repeat the revision, the method and the name, and have to agree
 * (basic/transports/streamable-http, "Server Validation").
 */
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "base64.h"
#include "http.h"
#include "log_level.h"
#include "method.h"
#include "revision.h"
#include "rpc.h"
#include "session.h"
#include "tool.h"

#define META "io.modelcontextprotocol/"

/* How values that are no plain ASCII stand in headers. */
#define PREFIX "=?base64?"
#define SUFFIX "?="

enum { HEADER_VALUE_MAX = 16 * 1024 };

static bool mismatch(const struct inbound *in, const json_t *id, const char *header,
	const char *why)
{
	rpc_refuse(in, id, 400, RPC_HEADER_MISMATCH, NULL, "Header mismatch: %s %s", header, why);
	return false;
}

/* Visible ASCII, space and tab only (RFC 9110, section 5.5, as MCP narrows it). */
static bool is_plain_value(const char *value)
{
	for (; *value; value++) {
		if ((*value < 0x20 && *value != '\t') || *value == 0x7F || *value & 0x80)
			return false;
	}
	return true;
}

/* Whether a value is `=?base64?…?=`. */
static bool is_encoded(const char *value, size_t len)
{
	size_t pre = strlen(PREFIX), post = strlen(SUFFIX);

	return len >= pre + post && memcmp(value, PREFIX, pre) == 0 &&
	       memcmp(value + len - post, SUFFIX, post) == 0;
}

/* Whether a header's text stands for the body's value; integers are compared as numbers. */
static bool same_value(const char *text, size_t len, const json_t *value)
{
	char *end;

	if (json_is_string(value))
		return len == json_string_length(value) &&
		       memcmp(text, json_string_value(value), len) == 0;
	if (json_is_boolean(value)) {
		const char *word = json_is_true(value) ? "true" : "false";
		return len == strlen(word) && memcmp(text, word, len) == 0;
	}
	double number = strtod(text, &end);
	return json_is_number(value) && len > 0 && end == text + len &&
	       number == json_number_value(value);
}

static bool same_encoded(const char *value, size_t len, const json_t *expected)
{
	AUTO_BUF struct buf text = BUF_INIT(HEADER_VALUE_MAX);
	size_t pre = strlen(PREFIX), around = pre + strlen(SUFFIX);

	return base64_decode(&text, value + pre, len - around) == 0 &&
	       same_value(text.data ? text.data : "", text.len, expected);
}

static bool check_header(const struct inbound *in, const json_t *id, const char *header,
	const json_t *value)
{
	const char *given = http_header(in->http, header);

	if (!given)
		return mismatch(in, id, header, "is missing");
	if (http_header_count(in->http, header) != 1)
		return mismatch(in, id, header, "is given more than once");
	if (!is_plain_value(given))
		return mismatch(in, id, header, "holds invalid characters");
	size_t len = strlen(given);
	bool same = is_encoded(given, len) ? same_encoded(given, len, value)
					   : same_value(given, len, value);
	return same || mismatch(in, id, header, "differs from the body");
}

/* Parameters whose schema says `x-mcp-header: NAME` are repeated in Mcp-Param-NAME. */
static bool check_param_headers(const struct inbound *in, const json_t *id, const json_t *params)
{
	const json_t *name = json_object_get(params, "name");
	const struct tool *tool = json_is_string(name) ?
		tool_find(json_string_value(name), json_string_length(name)) : NULL;
	const json_t *args = json_object_get(params, "arguments");
	const char *property;
	json_t *schema;

	if (!tool || !tool->input_schema)
		return true;
	json_auto_t *input = tool_input_schema(tool);
	json_object_foreach(json_object_get(input, "properties"), property, schema) {
		const char *suffix = json_string_value(json_object_get(schema, "x-mcp-header"));
		const json_t *value = json_object_get(args, property);
		char header[128];
		if (!suffix)
			continue;
		snprintf(header, sizeof header, "Mcp-Param-%s", suffix);
		if (!value || json_is_null(value)) {
			if (http_header(in->http, header))
				return mismatch(in, id, header, "has no value in the body");
		} else if (!check_header(in, id, header, value)) {
			return false;
		}
	}
	return true;
}

static bool check_headers(const struct inbound *in, const json_t *message, const json_t *revision)
{
	const json_t *id = json_object_get(message, "id");
	const json_t *params = json_object_get(message, "params");
	const json_t *method = json_object_get(message, "method");
	const struct method *known = method_find(json_string_value(method));

	if (!check_header(in, id, "MCP-Protocol-Version", revision))
		return false;
	if (!id) /* the revision defines no headers for notifications */
		return true;
	if (!check_header(in, id, "Mcp-Method", method))
		return false;
	if (known && known->named_by) {
		const json_t *name = json_object_get(params, known->named_by);
		if (json_is_string(name) && !check_header(in, id, "Mcp-Name", name))
			return false;
	}
	return !known || strcmp(known->name, "tools/call") != 0 ||
	       check_param_headers(in, id, params);
}

static bool unsupported(const struct inbound *in, const json_t *id, const json_t *revision)
{
	rpc_refuse(in, id, 400, RPC_UNSUPPORTED_VERSION,
		json_pack("{s:[s,s,s,s], s:O}", "supported", revisions[4], revisions[3],
			revisions[2], revisions[1], "requested", revision),
		"Unsupported protocol version");
	return false;
}

bool modern_peer(const struct inbound *in, const json_t *message, struct peer *peer)
{
	const json_t *id = json_object_get(message, "id");
	const json_t *meta = json_object_get(json_object_get(message, "params"), "_meta");
	const json_t *revision = json_object_get(meta, META "protocolVersion");
	const json_t *caps = json_object_get(meta, META "clientCapabilities");
	const json_t *level = json_object_get(meta, META "logLevel");

	if (!id && !revision) { /* a notification that only its header calls modern */
		*peer = (struct peer){ .revision = REVISION_MODERN, .modern = true,
			.log_level = LOG_NONE };
		return true;
	}
	if (!json_is_string(revision)) {
		rpc_refuse(in, id, 400, RPC_INVALID_PARAMS, NULL,
			"params._meta needs the string \"" META "protocolVersion\"");
		return false;
	}
	if (in->http && !check_headers(in, message, revision))
		return false;
	if (strcmp(json_string_value(revision), REVISION_MODERN) != 0)
		return unsupported(in, id, revision);
	if (id && !json_is_object(caps)) {
		rpc_refuse(in, id, 400, RPC_INVALID_PARAMS, NULL,
			"params._meta needs the object \"" META "clientCapabilities\"");
		return false;
	}
	if (level && log_level_find(level) == LOG_NONE) {
		rpc_refuse(in, id, 400, RPC_INVALID_PARAMS, NULL,
			"\"" META "logLevel\" has to be one of " LOG_LEVELS);
		return false;
	}
	*peer = (struct peer){
		.revision = REVISION_MODERN,
		.modern = true,
		.session = in->transport == FROM_STDIO ? in->session : NULL,
		.caps = ask_caps(caps),
		.log_level = log_level_find(level),
	};
	return true;
}
