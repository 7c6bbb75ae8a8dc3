#include "result.h"

#include <string.h>

#include "base64.h"
#include "utf8.h"
#include "version.h"

enum { META_MAX_BYTES = 64 * 1024 };

#define SERVER_INFO_KEY "io.modelcontextprotocol/serverInfo"

static int add_chunk(const char *bytes, size_t len, void *data)
{
	return buf_add(data, bytes, len);
}

bool buf_add_json(struct buf *out, const json_t *value)
{
	return json_dump_callback(value, add_chunk, out, JSON_COMPACT | JSON_ENCODE_ANY) == 0;
}

static void add_head(struct result *result, const json_t *id)
{
	struct buf *out = &result->out;

	buf_add_text(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	if (json_is_integer(id))
		buf_add_int(out, json_integer_value(id));
	else if (json_is_string(id))
		utf8_add_json(out, json_string_value(id), json_string_length(id));
	else
		buf_add_text(out, "null");
}

void result_init(struct result *result, const json_t *id, bool modern, size_t max)
{
	*result = (struct result){ .modern = modern };
	buf_init(&result->out, max);
	buf_init(&result->meta, META_MAX_BYTES);
	add_head(result, id);
	result->start = result->out.len;
}

void result_reset(struct result *result)
{
	result->out.over = false;
	buf_truncate(&result->out, result->start);
	buf_clear(&result->meta);
	json_decref(result->structured);
	result->structured = NULL;
	result->items = 0;
	result->is_error = false;
}

void result_release(struct result *result)
{
	buf_release(&result->out);
	buf_release(&result->meta);
	json_decref(result->structured);
	result->structured = NULL;
}

/* ---- content ---- */

static void begin_item(struct result *result)
{
	buf_add_text(&result->out, result->items++ ? "," : ",\"result\":{\"content\":[");
}

void result_text_begin(struct result *result)
{
	begin_item(result);
	buf_add_text(&result->out, "{\"type\":\"text\",\"text\":\"");
}

void result_text_add(struct result *result, const char *text, size_t len)
{
	utf8_add_json_part(&result->out, text, len);
}

void result_text_end(struct result *result)
{
	buf_add_text(&result->out, "\"}");
}

void result_blob(struct result *result, const char *type, const char *mime, const void *bytes,
	size_t len)
{
	begin_item(result);
	buf_addf(&result->out, "{\"type\":\"%s\",\"mimeType\":\"%s\",\"data\":\"", type, mime);
	base64_add(&result->out, bytes, len);
	buf_add_text(&result->out, "\"}");
}

void result_content(struct result *result, json_t *item)
{
	begin_item(result);
	buf_add_json(&result->out, item);
	json_decref(item);
}

void result_structured(struct result *result, json_t *value)
{
	json_decref(result->structured);
	result->structured = value;
}

static void add_meta_key(struct result *result, const char *key)
{
	struct buf *meta = &result->meta;

	if (meta->len > 0)
		buf_add_char(meta, ',');
	buf_add_char(meta, '"');
	buf_add_text(meta, key);
	buf_add_text(meta, "\":");
}

void result_meta(struct result *result, const char *key, json_t *value)
{
	add_meta_key(result, key);
	buf_add_json(&result->meta, value);
	json_decref(value);
}

void result_meta_text(struct result *result, const char *key, const char *json, size_t len)
{
	buf_reserve(&result->meta, strlen(key) + len + strlen(",\"\":"));
	add_meta_key(result, key);
	buf_add(&result->meta, json, len);
}

/* ---- closing ---- */

/* `"_meta":{…},"resultType":"complete"` as the era has it, and the closing braces. */
static bool close_members(struct result *result, bool first)
{
	struct buf *out = &result->out;

	bool members = result->modern || result->meta.len > 0;

	if (members)
		buf_add_text(out, first ? "\"_meta\":{" : ",\"_meta\":{");
	buf_add(out, result->meta.data, result->meta.len);
	if (result->modern) {
		if (result->meta.len > 0)
			buf_add_char(out, ',');
		buf_add_text(out, "\"" SERVER_INFO_KEY "\":" SERVER_INFO
				  "},\"resultType\":\"complete\"}}");
	} else {
		buf_add_text(out, members ? "}}}" : "}}");
	}
	return !out->over && !result->meta.over;
}

bool result_close_tool(struct result *result)
{
	struct buf *out = &result->out;

	if (result->items == 0)
		buf_add_text(out, ",\"result\":{\"content\":[");
	buf_add_char(out, ']');
	if (result->structured) {
		buf_add_text(out, ",\"structuredContent\":");
		buf_add_json(out, result->structured);
	}
	buf_add_text(out, result->is_error ? ",\"isError\":true" : ",\"isError\":false");
	return close_members(result, false);
}

bool result_close_members(struct result *result, const char *members, size_t len)
{
	buf_add_text(&result->out, ",\"result\":{");
	buf_add(&result->out, members, len);
	return close_members(result, len == 0);
}

/* A value may bring its own resultType and _meta; they go out with those of the era. */
bool result_close_value(struct result *result, json_t *value)
{
	struct buf *out = &result->out;
	json_auto_t *object = value ? value : json_object();

	if (result->modern) {
		json_t *meta = json_object_get(object, "_meta");
		json_t *info = json_loads(SERVER_INFO, 0, NULL);
		if (!meta)
			json_object_set_new(object, "_meta", json_pack("{s:o}", SERVER_INFO_KEY, info));
		else
			json_object_set_new(meta, SERVER_INFO_KEY, info);
		if (!json_object_get(object, "resultType"))
			json_object_set_new(object, "resultType", json_string("complete"));
	}
	buf_add_text(out, ",\"result\":");
	buf_add_json(out, object);
	buf_add_char(out, '}');
	return !out->over;
}

void result_error(struct result *result, int code, const char *message, json_t *data)
{
	struct buf *out = &result->out;

	result_reset(result);
	buf_addf(out, ",\"error\":{\"code\":%d,\"message\":", code);
	utf8_add_json(out, message, strlen(message));
	if (data) {
		buf_add_text(out, ",\"data\":");
		buf_add_json(out, data);
		json_decref(data);
	}
	buf_add_text(out, "}}");
}
