#ifndef RESULT_H
#define RESULT_H

/*
 * The response to one request, written straight into the bytes that leave: a tool's text is
 * escaped once, into its final place, and never copied again. One thread at a time.
 */
#include <jansson.h>
#include <stdbool.h>

#include "buf.h"

struct result {
	struct buf out;     /* {"jsonrpc":"2.0","id":…,"result":{… */
	size_t start;       /* where the members of "result" begin */
	size_t items;       /* content items so far; the list is open while > 0 */
	bool modern;        /* 2026-07-28: resultType and serverInfo are members of results */
	bool is_error;
	json_t *structured; /* structuredContent, or NULL */
	struct buf meta;    /* members of _meta, without the braces */
};

/* Begins the response to the request `id`; `max` bounds the message's bytes. */
void result_init(struct result *result, const json_t *id, bool modern, size_t max);
void result_release(struct result *result);

/* Forgets everything since result_init(). */
void result_reset(struct result *result);

/* Content of a tool's result, as call.h has it. */
void result_text_begin(struct result *result);
void result_text_add(struct result *result, const char *text, size_t len);
void result_text_end(struct result *result);
void result_blob(struct result *result, const char *type, const char *mime, const void *bytes,
	size_t len);
void result_content(struct result *result, json_t *item);
void result_structured(struct result *result, json_t *value);
void result_meta(struct result *result, const char *key, json_t *value);
void result_meta_text(struct result *result, const char *key, const char *json, size_t len);

/* Closes a tool's result: result->out is the whole message then. False where it is too large. */
bool result_close_tool(struct result *result);

/* The whole message for a method's result; takes ownership of `value` (an object, or NULL for
 * an empty one). False where it is too large. */
bool result_close_value(struct result *result, json_t *value);

/* The same from the members of an object, as JSON text without the braces, ready-made. */
bool result_close_members(struct result *result, const char *members, size_t len);

/* An error message instead; takes ownership of `data` (may be NULL). JSON-RPC 2.0 section 5.1. */
void result_error(struct result *result, int code, const char *message, json_t *data);

/* Appends JSON; false where it does not fit. */
bool buf_add_json(struct buf *out, const json_t *value);

#endif
