/* One tools/call of a sandbox's tool server, stateless (MCP 2026-07-28, tools/call). */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "sandbox.h"
#include "tool_server.h"

enum { TOTAL_MS = 60000 };

#define REVISION "2026-07-28"

struct tool_call {
	struct small_answer answer; /* first: the events get this */
	struct fetch *fetch;
	tool_fn *fn;
	void *data;
};

static void tool_call_free(struct tool_call *call)
{
	buf_release(&call->answer.body);
	free(call);
}

/* The text of the first block: for a tool that failed, why. */
static const char *text_of(const json_t *result)
{
	const json_t *block = json_array_get(json_object_get(result, "content"), 0);
	const char *text = json_string_value(json_object_get(block, "text"));

	return text ? text : "the tool gave no reason";
}

static void on_end(struct fetch *fetch, const struct err *err, void *data)
{
	struct tool_call *call = data;
	json_auto_t *answer = err ? NULL : small_answer_parse(&call->answer);
	json_t *result = json_object_get(answer, "result");
	const char *refusal = json_string_value(
		json_object_get(json_object_get(answer, "error"), "message"));
	struct err why = { 0 };

	(void)fetch;
	if (err)
		why = *err;
	else if (!result)
		err_set(&why, ERR_IO, "the sandbox's tool server answered %u: %.128s",
			call->answer.status, refusal ? refusal : "not as a tool server does");
	else if (json_is_true(json_object_get(result, "isError")))
		err_set(&why, ERR_INVALID, "%s", text_of(result));
	call->fn(why.code ? NULL : result, why.code ? &why : NULL, call->data);
	tool_call_free(call);
}

struct tool_call *tool_call_start(struct sandbox *sandbox, const char *tool,
	const json_t *arguments, tool_fn *fn, void *data)
{
	static const struct fetch_events events = { small_answer_head, small_answer_piece, NULL,
		on_end };
	struct tool_call *call = alloc_zero(sizeof *call);
	json_auto_t *message = json_pack("{s:s, s:i, s:s, s:{s:s, s:O, s:{s:s, s:{}}}}", "jsonrpc",
		"2.0", "id", 1, "method", "tools/call", "params", "name", tool, "arguments",
		arguments, "_meta", "io.modelcontextprotocol/protocolVersion", REVISION,
		"io.modelcontextprotocol/clientCapabilities");
	AUTO_FREE char *body = json_dumps(message, JSON_COMPACT);
	AUTO_FREE char *name = alloc_printf("Mcp-Name: %s", tool);
	struct fetch_spec spec = {
		.method = "POST",
		.headers = { "Content-Type: application/json", "Accept: application/json",
			"MCP-Protocol-Version: " REVISION, "Mcp-Method: tools/call", name },
		.body = body,
		.body_len = strlen(body),
		.total_ms = TOTAL_MS,
	};

	small_answer_init(&call->answer);
	call->fn = fn;
	call->data = data;
	call->fetch = tool_server_fetch(sandbox, "/mcp", &spec, &events, call);
	return call;
}

void tool_call_cancel(struct tool_call *call)
{
	if (!call)
		return;
	fetch_cancel(call->fetch);
	tool_call_free(call);
}
