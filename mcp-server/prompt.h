#ifndef PROMPT_H
#define PROMPT_H

/*
 * A prompt: one file in prompts/, one descriptor, one line in prompts.def. From the descriptor
 * come prompts/list, the check of arguments and their completion. A prompt knows this header,
 * call.h and lib/; never HTTP or JSON-RPC.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "tool.h"

struct call;
struct err;

struct prompt_arg {
	const char *name, *title, *description;
	bool required;
	bool is_path;               /* completed as a path in the workspace */
	const char *const *choices; /* offered, not demanded: NULL-terminated, or NULL */
};

struct prompt {
	const char *name, *title, *description;
	const struct prompt_arg *args; /* up to one without a name; NULL: none */

	/*
	 * Appends PromptMessage objects to `messages`. `args` is an object of strings, checked
	 * against the descriptor. TOOL_DONE, TOOL_FAILED, or TOOL_ASKING (ask.h). Runs on the loop
	 * and never blocks.
	 */
	enum tool_status (*run)(struct call *call, json_t *args, json_t *messages,
		struct err *err);
};

/* All prompts, in the order of prompts.def; NULL at the end. */
extern const struct prompt *const prompts[];

/* Whether the list can change while the server runs: whoever changes it says so by
 * listeners_prompts_changed(). */
extern const bool prompts_may_change;

/* An argument's text, "" where it was not given. Borrowed. */
const char *prompt_arg(const json_t *args, const char *name);

/* Appends a text message of the user. */
void prompt_say(json_t *messages, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
