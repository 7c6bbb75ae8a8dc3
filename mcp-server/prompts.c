#include "prompts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "ask.h"
#include "call_impl.h"
#include "err.h"
#include "method.h"
#include "rpc.h"

enum { TTL_MS = 300 * 1000 };

const struct prompt *prompt_find(const json_t *name)
{
	for (size_t i = 0; json_is_string(name) && prompts[i]; i++) {
		size_t len = strlen(prompts[i]->name);
		if (len == json_string_length(name) &&
			memcmp(prompts[i]->name, json_string_value(name), len) == 0)
			return prompts[i];
	}
	return NULL;
}

const char *prompt_arg(const json_t *args, const char *name)
{
	const char *text = json_string_value(json_object_get(args, name));

	return text ? text : "";
}

void prompt_say(json_t *messages, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	va_end(args);
	json_array_append_new(messages, json_pack("{s:s, s:{s:s, s:s}}", "role", "user", "content",
						"type", "text", "text", text));
	free(text);
}

/* ---- prompts/list ---- */

static json_t *describe(const struct prompt *prompt)
{
	json_t *list = json_array();
	json_t *entry = json_pack("{s:s, s:s*, s:s*}", "name", prompt->name, "title", prompt->title,
		"description", prompt->description);

	for (const struct prompt_arg *arg = prompt->args; arg && arg->name; arg++) {
		json_array_append_new(list,
			json_pack("{s:s, s:s*, s:s*, s:b}", "name", arg->name, "title", arg->title,
				"description", arg->description, "required", arg->required));
	}
	json_object_set_new(entry, "arguments", list);
	return entry;
}

void method_list_prompts(const struct inbound *in, struct call *call)
{
	json_t *list = json_array();

	(void)in;
	if (json_string_length(json_object_get(call->params, "cursor")) > 0) {
		json_decref(list);
		call_reply_error(call, RPC_INVALID_PARAMS, NULL,
			"Unknown cursor: prompts/list has one page");
		return;
	}
	for (size_t i = 0; prompts[i]; i++)
		json_array_append_new(list, describe(prompts[i]));
	json_t *result = json_pack("{s:o}", "prompts", list);
	if (call->peer.modern) {
		json_object_set_new(result, "ttlMs", json_integer(TTL_MS));
		json_object_set_new(result, "cacheScope", json_string("public"));
	}
	call_reply(call, result);
}

/* ---- prompts/get ---- */

static const struct prompt_arg *find_arg(const struct prompt *prompt, const char *name)
{
	const struct prompt_arg *arg = prompt->args;

	while (arg && arg->name && strcmp(arg->name, name) != 0)
		arg++;
	return arg && arg->name ? arg : NULL;
}

static int check_args(const struct prompt *prompt, json_t *args, struct err *err)
{
	const char *name;
	json_t *value;

	if (args && !json_is_object(args))
		return err_set(err, ERR_INVALID, "'arguments' has to be an object of strings");
	json_object_foreach(args, name, value) {
		if (!find_arg(prompt, name))
			return err_set(err, ERR_INVALID, "The prompt %s has no argument '%.60s'",
				prompt->name, name);
		if (!json_is_string(value) ||
			strlen(json_string_value(value)) != json_string_length(value))
			return err_set(err, ERR_INVALID,
				"The argument '%s' has to be a string, without NUL", name);
	}
	for (const struct prompt_arg *arg = prompt->args; arg && arg->name; arg++) {
		if (arg->required && !*prompt_arg(args, arg->name))
			return err_set(err, ERR_INVALID, "The prompt %s needs the argument '%s'",
				prompt->name, arg->name);
	}
	return 0;
}

static void run(struct call *call)
{
	const struct prompt *prompt = prompt_find(json_object_get(call->params, "name"));
	json_t *messages = json_array();
	struct err err = { 0 };
	enum tool_status status = prompt->run(call, call->args, messages, &err);

	if (status == TOOL_DONE) {
		call_reply(call, json_pack("{s:s*, s:o}", "description", prompt->description,
					 "messages", messages));
		return;
	}
	json_decref(messages);
	if (status == TOOL_ASKING)
		ask_send(call);
	else if (status == TOOL_FAILED)
		call_reply_err(call, &err);
}

void method_get_prompt(const struct inbound *in, struct call *call)
{
	const struct prompt *prompt = prompt_find(json_object_get(call->params, "name"));
	struct err err;

	(void)in;
	if (!prompt) {
		call_reply_error(call, RPC_INVALID_PARAMS, NULL,
			"Unknown prompt: prompts/list shows those there are");
		return;
	}
	call->args = json_object_get(call->params, "arguments");
	call->again = run;
	if (check_args(prompt, call->args, &err) < 0)
		call_reply_err(call, &err);
	else if (ask_take_answers(call))
		run(call);
}
