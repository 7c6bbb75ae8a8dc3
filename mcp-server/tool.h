#ifndef TOOL_H
#define TOOL_H

/*
 * A tool: one file in tools/, one descriptor, one line in tools.def. From the descriptor come
 * tools/list, the check of arguments, docs/tools.md and the test matrix. A tool knows this
 * header, call.h, workspace.h and lib/; never HTTP or JSON-RPC.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;
struct err;

enum param_type { PARAM_STRING, PARAM_INTEGER, PARAM_BOOLEAN, PARAM_STRING_MAP };

struct param {
	const char *name;
	enum param_type type;
	bool required;
	const char *description;
	const char *fallback;       /* the default as JSON text, for the schema; NULL: none */
	const char *const *choices; /* strings only: NULL-terminated, NULL: any */
	int64_t min, max;           /* integers only; both 0: any */
};

enum tool_flags {
	TOOL_READ_ONLY = 1 << 0,   /* annotations of MCP: readOnlyHint … */
	TOOL_DESTRUCTIVE = 1 << 1,
	TOOL_IDEMPOTENT = 1 << 2,
	TOOL_OPEN_WORLD = 1 << 3,
	TOOL_ON_LOOP = 1 << 4,     /* runs on the loop thread and never blocks */
	TOOL_TRY_ON_LOOP = 1 << 5, /* first on the loop with call_may_block() false */
};

enum tool_status {
	TOOL_FAILED = -1, /* `err` says why; becomes a result with isError */
	TOOL_DONE = 0,
	TOOL_AGAIN = 1,   /* would block: run it again on a worker (TOOL_TRY_ON_LOOP only) */
	TOOL_PENDING = 2, /* call_finish() comes later, on the loop thread (TOOL_ON_LOOP only) */
	TOOL_ASKING = 3,  /* run it again when the client has answered (ask.h; TOOL_ON_LOOP only) */
};

struct tool {
	const char *name, *title, *description;
	const struct param *params; /* up to one without a name */
	const char *input_schema;   /* NULL: generated from `params`; JSON text otherwise */
	const char *output_schema;  /* JSON text, or NULL: no structured result */
	const char *meta;           /* JSON text of the descriptor's _meta, or NULL */
	unsigned flags;

	/*
	 * Does the work and adds content to the call (call.h). `args` has been checked against
	 * `params`. On TOOL_AGAIN and TOOL_FAILED, content added so far is dropped.
	 */
	enum tool_status (*run)(struct call *call, json_t *args, struct err *err);
};

/* All tools, in the order of tools.def; NULL at the end. */
extern const struct tool *const tools[];

/* Whether the list can change while the server runs: whoever changes it says so by
 * listeners_tools_changed(). */
extern const bool tools_may_change;

/* NULL where there is none of that name. */
const struct tool *tool_find(const char *name, size_t len);

/*
 * Checks `args` (an object, or NULL for none) against the parameters: unknown names, missing or
 * wrongly typed values, numbers out of range. The message names the argument and says what is
 * expected. A null counts as absent.
 */
int tool_check_args(const struct tool *tool, json_t *args, struct err *err);

/* The input schema as JSON (new reference). */
json_t *tool_input_schema(const struct tool *tool);

/* Checked arguments. Absent or null: NULL, the fallback, or false. Strings are borrowed. */
const char *arg_string(json_t *args, const char *name, size_t *len);
int64_t arg_integer(json_t *args, const char *name, int64_t fallback);
bool arg_boolean(json_t *args, const char *name, bool fallback);
bool arg_given(json_t *args, const char *name);

/* A string used as a C string: refuses a NUL inside (ERR_INVALID). `fallback` where absent. */
int arg_text(json_t *args, const char *name, const char *fallback, const char **out,
	struct err *err);

#endif
