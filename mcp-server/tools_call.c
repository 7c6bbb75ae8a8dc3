/* tools/call: finds the tool and lets it run; see ask.h for tools that ask back. */
#include <string.h>
#include <time.h>

#include "ask.h"
#include "call_impl.h"
#include "method.h"
#include "rpc.h"
#include "server.h"

void method_call_tool(const struct inbound *in, struct call *call)
{
	json_t *name = json_object_get(call->params, "name");
	json_t *args = json_object_get(call->params, "arguments");
	const struct tool *tool = NULL;

	if (json_is_string(name))
		tool = tool_find(json_string_value(name), json_string_length(name));
	if (!tool) {
		call_reply_error(call, RPC_INVALID_PARAMS, NULL,
			"Unknown tool: %.100s (tools/list shows those there are)",
			json_is_string(name) ? json_string_value(name) : "'name' is missing");
		return;
	}
	in->server->tool_calls++;
	if (ask_take_answers(call))
		call_run_tool(call, tool, args);
}
