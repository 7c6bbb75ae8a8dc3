#include "sandboxes.h"

#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "alloc.h"
#include "api.h"
#include "buf.h"
#include "cleanup.h"
#include "command.h"
#include "err.h"

static void add_query(struct buf *path, const char *name, const char *value)
{
	if (!value)
		return;
	char *escaped = curl_easy_escape(NULL, value, 0);
	buf_addf(path, "&%s=%s", name, escaped ? escaped : "");
	curl_free(escaped);
}

json_t *sandboxes_list(const struct settings *settings, struct err *err)
{
	json_t *all = json_array();
	AUTO_FREE char *cursor = NULL;

	do {
		AUTO_BUF struct buf path = BUF_INIT(64 * 1024);

		buf_add_text(&path, "/sandboxes?limit=1000");
		add_query(&path, "status", settings->status);
		add_query(&path, "user_id", settings->user_id);
		add_query(&path, "cursor", cursor);
		json_auto_t *page =
			path.over ? NULL : api_call(settings, "GET", path.data, NULL, NULL, err);
		if (!page) {
			json_decref(all);
			return NULL;
		}
		json_array_extend(all, json_object_get(page, "sandboxes"));
		const char *next = json_string_value(json_object_get(page, "next_cursor"));
		free(cursor);
		cursor = next ? alloc_text(next) : NULL;
	} while (cursor);
	return all;
}

static int call_one(const struct settings *settings, const char *id, const struct each_call *call,
	struct err *err)
{
	char own[PATH_MAX_BYTES];

	if (api_path(own, id, call->leaf ? call->leaf : "", err) < 0)
		return -1;
	json_auto_t *body =
		call->leaf ? json_incref(call->body) : json_pack("{s:s}", "sandbox_id", id);
	json_auto_t *answer = api_call(
		settings, call->method, call->leaf ? own : call->path, body, NULL, err);
	return answer ? 0 : -1;
}

int sandboxes_each(
	const struct settings *settings, int count, char **ids, const struct each_call *call)
{
	int status = 0;
	struct err err;

	for (int i = 0; i < count; i++) {
		if (call_one(settings, ids[i], call, &err) == 0) {
			puts(ids[i]);
			continue;
		}
		fprintf(stderr, "sandboxctl: %.64s: %s\n", ids[i], err.msg);
		status = 1;
	}
	return status;
}

int sandboxes_all(const struct settings *settings, const struct each_call *call, struct err *err)
{
	json_auto_t *rows = sandboxes_list(settings, err);
	size_t i;
	json_t *row;

	if (!rows)
		return -1;
	AUTO_FREE char **ids = alloc_array(json_array_size(rows) + 1, sizeof *ids);
	json_array_foreach(rows, i, row) {
		const char *id = json_string_value(json_object_get(row, "sandbox_id"));

		ids[i] = (char *)(uintptr_t)(id ? id : "");
	}
	return sandboxes_each(settings, (int)json_array_size(rows), ids, call);
}

int sandboxes_named(const struct settings *settings, int count, char **ids,
	const struct each_call *call, struct err *err)
{
	if (settings->all && count == 0)
		return sandboxes_all(settings, call, err);
	if (settings->all || count == 0)
		return err_set(err, ERR_INVALID, "give ids, or --all alone");
	return sandboxes_each(settings, count, ids, call);
}
