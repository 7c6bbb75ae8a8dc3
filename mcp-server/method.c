#include "method.h"

#include <string.h>

#include "call_impl.h"
#include "log_level.h"
#include "rpc.h"
#include "session.h"

static void ping(const struct inbound *in, struct call *call)
{
	(void)in;
	call_reply(call, NULL);
}

static void set_log_level(const struct inbound *in, struct call *call)
{
	int level = log_level_find(json_object_get(call->params, "level"));

	(void)in;
	if (level == LOG_NONE) {
		call_reply_error(call, RPC_INVALID_PARAMS, NULL,
			"'level' has to be one of " LOG_LEVELS);
		return;
	}
	if (call->peer.session)
		session_set_log_level(call->peer.session, level);
	call_reply(call, NULL);
}

static const struct method methods[] = {
	{ "tools/call", METHOD_BOTH, "name", method_call_tool },
	{ "tools/list", METHOD_BOTH, NULL, method_list_tools },
	{ "initialize", METHOD_LEGACY, NULL, legacy_initialize },
	{ "server/discover", METHOD_MODERN, NULL, method_discover },
	{ "resources/list", METHOD_BOTH, NULL, method_list_resources },
	{ "resources/templates/list", METHOD_BOTH, NULL, method_list_templates },
	{ "resources/read", METHOD_BOTH, "uri", method_read_resource },
	{ "resources/subscribe", METHOD_LEGACY, NULL, method_subscribe },
	{ "resources/unsubscribe", METHOD_LEGACY, NULL, method_unsubscribe },
	{ "subscriptions/listen", METHOD_MODERN, NULL, method_listen },
	{ "prompts/list", METHOD_BOTH, NULL, method_list_prompts },
	{ "prompts/get", METHOD_BOTH, "name", method_get_prompt },
	{ "completion/complete", METHOD_BOTH, NULL, method_complete },
	{ "ping", METHOD_LEGACY, NULL, ping },
	{ "logging/setLevel", METHOD_LEGACY, NULL, set_log_level },
};

const struct method *method_find(const char *name)
{
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	}
	return NULL;
}
