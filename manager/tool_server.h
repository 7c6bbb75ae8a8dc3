#ifndef TOOL_SERVER_H
#define TOOL_SERVER_H

/*
 * Asks a sandbox's own tool server, through its plain doors (docs/doors.md): commands, files,
 * activity. A sandbox is an enemy: answers have limits of size and time, nothing is sent there but
 * its own token, and what it says concerns nobody else. Loop thread only.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "fetch.h"

struct err;
struct sandbox;

struct activity {
	bool busy, editor;
	int64_t last_ms;
};

/* `activity` NULL: it did not answer. */
typedef void activity_fn(struct sandbox *sandbox, const struct activity *activity, void *data);
void tool_server_activity(struct sandbox *sandbox, activity_fn *fn, void *data);

/*
 * A request to one of the doors, with the right address and token; what else is in `spec` is the
 * caller's. `path` begins with "/". The sandbox has to be held until the end.
 */
struct fetch *tool_server_fetch(struct sandbox *sandbox, const char *path,
	struct fetch_spec *spec, const struct fetch_events *events, void *data);

/* Makes an error of what a door answered to a request that it refused. */
int tool_server_refused(unsigned status, const struct buf *body, struct err *err);

/* An answer that is small and whole; as events of a fetch whose data begins with one. */
struct small_answer {
	unsigned status;
	struct buf body;
};

void small_answer_init(struct small_answer *answer);
void small_answer_head(struct fetch *fetch, unsigned status, int64_t length, void *data);
bool small_answer_piece(struct fetch *fetch, const char *bytes, size_t len, void *data);

/* NULL where it is no JSON, too large or nests too deep. */
json_t *small_answer_parse(const struct small_answer *answer);

/* ---- commands ---- */

struct run_result {
	int exit_code; /* 128 + signal where one ended it, as a shell says it */
	bool timed_out;
};

struct run_events {
	/* What it printed; false: not now, it comes again after run_resume(). */
	bool (*output)(bool is_stderr, const char *bytes, size_t len, void *data);

	/* The end; `err` NULL where it ended by itself. The run is invalid after this. */
	void (*end)(const struct run_result *result, const struct err *err, void *data);
};

struct run;

/* Runs a command; `request` is the body of POST /exec. The sandbox has to be held until the end. */
struct run *run_start(struct sandbox *sandbox, const json_t *request,
	const struct run_events *events, void *data);
void run_resume(struct run *run);

/* Ends it; no event comes after this. */
void run_cancel(struct run *run);

/* ---- a tool of the tool server ---- */

/* The tool's result (borrowed), or NULL and an error. */
typedef void tool_fn(json_t *result, const struct err *err, void *data);

/* Calls a tool by MCP; the arguments are borrowed. The sandbox has to be held until the end. */
struct tool_call *tool_call_start(struct sandbox *sandbox, const char *tool,
	const json_t *arguments, tool_fn *fn, void *data);
void tool_call_cancel(struct tool_call *call);

#endif
