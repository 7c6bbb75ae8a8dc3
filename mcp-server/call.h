#ifndef CALL_H
#define CALL_H

/*
 * One request being served, as a tool sees it: where results go, whether it was cancelled,
 * how to report progress. The protocol around it (era, transport, stream) is not visible here.
 * A call belongs to one thread at a time: the worker while tool->run is there, else the loop.
 * Functions below are for that thread.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "tool.h"

struct buf;
struct call;
struct workspace;

/* What the tools work on; the same for all calls, constant after start. */
const struct workspace *call_workspace(const struct call *call);

/* ---- The result. Text that is not UTF-8 gets U+FFFD for each bad byte. ---- */

/* One text item. */
void call_text(struct call *call, const char *text, size_t len);

/* One text item of several parts: begin, add (as often as needed), end. */
void call_text_begin(struct call *call);
void call_text_add(struct call *call, const char *text, size_t len);
void call_text_end(struct call *call);

/* An image or audio item ("image", "audio"): the bytes go out as base64. */
void call_blob(struct call *call, const char *type, const char *mime, const void *bytes,
	size_t len);

/* Any other content item; takes ownership. */
void call_content(struct call *call, json_t *item);

/* structuredContent; takes ownership. */
void call_structured(struct call *call, json_t *value);

/* A member of the result's _meta; takes ownership. */
void call_meta(struct call *call, const char *key, json_t *value);

/* The same as JSON text, for hot paths. */
void call_meta_text(struct call *call, const char *key, const char *json, size_t len);

/* Marks the result as an error although there is content ([Exit code: 1] is none: see
 * run_command). TOOL_FAILED does this by itself, with err->msg as the text. */
void call_mark_error(struct call *call);

/* ---- While it runs. ---- */

/* False on the first try of a TOOL_TRY_ON_LOOP tool: return TOOL_AGAIN rather than block. */
bool call_may_block(const struct call *call);

/* Whether nobody waits for the answer any more; long work looks now and then. Any thread. */
bool call_cancelled(const struct call *call);

/* Whether progress would be sent at all. */
bool call_wants_progress(const struct call *call);

/* Reports progress (rising); total < 0: unknown; message may be NULL. A call that
 * did not ask for it, or that just got one, sends nothing. */
void call_progress(struct call *call, double done, double total, const char *message);

enum call_log_level { CALL_DEBUG, CALL_INFO, CALL_NOTICE, CALL_WARNING, CALL_ERROR };

/* Sends a log message to the client, where it asked for those of this level; `logger` names the
 * part of the server. Takes ownership of `data`. No secrets: models read it. */
void call_log(struct call *call, enum call_log_level level, const char *logger, json_t *data);

/* ---- TOOL_ON_LOOP only, on the loop thread. ---- */

typedef void call_cancel_fn(struct call *call, void *data);

/* Calls `fn` when the call is cancelled; the tool still has to end with call_finish(). */
void call_on_cancel(struct call *call, call_cancel_fn *fn, void *data);

/* Ends a call whose run returned TOOL_PENDING; `err` counts where status is TOOL_FAILED.
 * The call may be gone afterwards. */
void call_finish(struct call *call, enum tool_status status, const struct err *err);

#endif
