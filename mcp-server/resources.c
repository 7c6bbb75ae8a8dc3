#include "resources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base64.h"
#include "buf.h"
#include "call_impl.h"
#include "cleanup.h"
#include "err.h"
#include "method.h"
#include "rpc.h"

enum { CURSOR_MAX_BYTES = 8 * 1024, TEMPLATES_TTL_MS = 300 * 1000 };

const struct resource_provider *resource_provider_find(const char *uri, size_t len)
{
	for (size_t i = 0; resource_providers[i]; i++) {
		const char *prefix = resource_providers[i]->prefix;
		if (len >= strlen(prefix) && strncasecmp(uri, prefix, strlen(prefix)) == 0)
			return resource_providers[i];
	}
	return NULL;
}

/* Cache hints of 2026-07-28 (server/utilities/caching). What is in the workspace changes at any
 * time and is not for everybody. */
static void add_hints(const struct call *call, json_t *result, int ttl_ms, const char *scope)
{
	if (!call->peer.modern)
		return;
	json_object_set_new(result, "ttlMs", json_integer(ttl_ms));
	json_object_set_new(result, "cacheScope", json_string(scope));
}

static int code_of(const struct call *call, const struct err *err)
{
	if (err->code == ERR_NOT_FOUND && !call->peer.modern)
		return RPC_RESOURCE_NOT_FOUND;
	if (err->code == ERR_IO || err->code == ERR_INTERNAL)
		return RPC_INTERNAL_ERROR;
	return RPC_INVALID_PARAMS;
}

void resource_refuse(struct call *call, const struct err *err)
{
	json_t *uri = json_object_get(call->params, "uri");

	call_reply_error(call, code_of(call, err), json_pack("{s:O}", "uri", uri),
		err->code == ERR_NOT_FOUND ? "Resource not found: %s" : "%s", err->msg);
}

/* ---- resources/list ---- */

/* A cursor is the number of a provider and what that one goes on from. */
static json_t *make_cursor(size_t provider, const char *after)
{
	AUTO_BUF struct buf raw = BUF_INIT(CURSOR_MAX_BYTES);
	AUTO_BUF struct buf text = BUF_INIT(2 * CURSOR_MAX_BYTES);

	buf_addf(&raw, "%zu:", provider);
	buf_add_text(&raw, after);
	base64url_add(&text, raw.data, raw.len);
	return json_stringn(text.data, text.len);
}

static int read_cursor(const json_t *cursor, size_t *provider, struct buf *after, struct err *err)
{
	AUTO_BUF struct buf raw = BUF_INIT(CURSOR_MAX_BYTES);
	size_t number = 0;
	char *rest;

	*provider = 0;
	if (json_string_length(cursor) == 0)
		return 0;
	bool ours = base64url_decode(&raw, json_string_value(cursor), json_string_length(cursor)) ==
			    0 &&
		    raw.len > 2 && !memchr(raw.data, '\0', raw.len) && raw.data[0] >= '0' &&
		    raw.data[0] <= '9';
	if (ours) {
		number = strtoul(raw.data, &rest, 10);
		for (size_t i = 0; ours && i <= number; i++)
			ours = resource_providers[i];
	}
	if (!ours || *rest != ':' || !resource_providers[number]->list)
		return err_set(err, ERR_INVALID,
			"Unknown cursor: send one that resources/list gave, or none to start anew");
	*provider = number;
	return buf_add_text(after, rest + 1);
}

static json_t *list_work(struct call *call, struct err *err)
{
	AUTO_BUF struct buf after = BUF_INIT(CURSOR_MAX_BYTES);
	json_auto_t *list = json_array();
	size_t i;

	if (read_cursor(json_object_get(call->params, "cursor"), &i, &after, err) < 0)
		return NULL;
	for (; resource_providers[i]; i++) {
		AUTO_FREE char *next = NULL;
		if (resource_providers[i]->list &&
			resource_providers[i]->list(
				call, after.data ? after.data : "", list, &next, err) < 0)
			return NULL;
		buf_clear(&after);
		if (next)
			return json_pack("{s:O, s:o}", "resources", list, "nextCursor",
				make_cursor(i, next));
	}
	return json_pack("{s:O}", "resources", list);
}

static json_t *list_resources(struct call *call, struct err *err)
{
	json_t *result = list_work(call, err);

	if (result)
		add_hints(call, result, 0, "private");
	return result;
}

static bool cursor_is_text(struct call *call)
{
	const json_t *cursor = json_object_get(call->params, "cursor");

	if (!cursor || json_is_null(cursor) || json_is_string(cursor))
		return true;
	call_reply_error(call, RPC_INVALID_PARAMS, NULL, "'cursor' has to be a string");
	return false;
}

void method_list_resources(const struct inbound *in, struct call *call)
{
	(void)in;
	if (cursor_is_text(call))
		call_on_worker(call, list_resources, NULL);
}

/* ---- resources/templates/list ---- */

static json_t *describe_template(const struct resource_template *template)
{
	return json_pack("{s:s, s:s, s:s*, s:s*, s:s*}", "uriTemplate", template->uri, "name",
		template->name, "title", template->title, "description", template->description,
		"mimeType", template->mime);
}

void method_list_templates(const struct inbound *in, struct call *call)
{
	json_t *list;

	(void)in;
	if (!cursor_is_text(call))
		return;
	if (json_string_length(json_object_get(call->params, "cursor")) > 0) {
		call_reply_error(call, RPC_INVALID_PARAMS, NULL,
			"Unknown cursor: resources/templates/list has one page");
		return;
	}
	json_t *result = json_pack("{s:o}", "resourceTemplates", list = json_array());
	for (size_t i = 0; resource_providers[i]; i++) {
		const struct resource_template *template = resource_providers[i]->templates;
		for (; template && template->uri; template ++)
			json_array_append_new(list, describe_template(template));
	}
	add_hints(call, result, TEMPLATES_TTL_MS, "public");
	call_reply(call, result);
}

/* ---- resources/read ---- */

static json_t *read_resource(struct call *call, struct err *err)
{
	const json_t *uri = json_object_get(call->params, "uri");
	const char *text = json_string_value(uri);
	size_t len = json_string_length(uri);
	const struct resource_provider *provider = resource_provider_find(text, len);
	json_auto_t *contents = json_array();

	if (!provider) {
		err_set(err, ERR_NOT_FOUND, "no resource here has a URI like that");
		return NULL;
	}
	if (provider->read(call, text, len, contents, err) < 0)
		return NULL;
	json_t *result = json_pack("{s:O}", "contents", contents);
	add_hints(call, result, 0, "private");
	return result;
}

void method_read_resource(const struct inbound *in, struct call *call)
{
	const json_t *uri = json_object_get(call->params, "uri");

	(void)in;
	if (!json_is_string(uri))
		call_reply_error(call, RPC_INVALID_PARAMS, NULL, "'uri' has to be a string");
	else if (json_string_length(uri) > RESOURCE_URI_MAX)
		call_reply_error(call, RPC_INVALID_PARAMS, NULL, "'uri' is longer than %d bytes",
			RESOURCE_URI_MAX);
	else
		call_on_worker(call, read_resource, resource_refuse);
}
