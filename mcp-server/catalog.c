#include "catalog.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "call_impl.h"
#include "cleanup.h"
#include "err.h"
#include "method.h"
#include "prompt.h"
#include "resource.h"
#include "result.h"
#include "revision.h"
#include "rpc.h"
#include "server.h"
#include "tool.h"
#include "version.h"

enum { LIST_MAX_BYTES = 1024 * 1024, TTL_MS = 300 * 1000 };

struct catalog {
	json_t *tools;
	json_t *capabilities;
	char *instructions;
	struct buf tools_legacy, tools_modern, discover; /* members of the results */
};

static json_t *annotations(const struct tool *tool)
{
	return json_pack("{s:s, s:b, s:b, s:b, s:b}", "title", tool->title, "readOnlyHint",
		!!(tool->flags & TOOL_READ_ONLY), "destructiveHint",
		!!(tool->flags & TOOL_DESTRUCTIVE), "idempotentHint",
		!!(tool->flags & TOOL_IDEMPOTENT), "openWorldHint",
		!!(tool->flags & TOOL_OPEN_WORLD));
}

static int add_json(json_t *object, const char *key, const char *text, const struct tool *tool,
	struct err *err)
{
	json_error_t why;
	json_t *value = text ? json_loads(text, JSON_REJECT_DUPLICATES, &why) : NULL;

	if (text && !value)
		return err_set(err, ERR_INTERNAL, "%s of tool %s: %s", key, tool->name, why.text);
	if (value)
		json_object_set_new(object, key, value);
	return 0;
}

static int describe(const struct tool *tool, json_t *list, struct err *err)
{
	json_auto_t *entry = json_pack("{s:s, s:s, s:s}", "name", tool->name, "title",
		tool->title, "description", tool->description);
	json_t *input = tool_input_schema(tool);

	if (!input)
		return err_set(err, ERR_INTERNAL, "inputSchema of tool %s does not parse",
			tool->name);
	json_object_set_new(entry, "inputSchema", input);
	if (add_json(entry, "outputSchema", tool->output_schema, tool, err) < 0 ||
		add_json(entry, "_meta", tool->meta, tool, err) < 0)
		return -1;
	json_object_set_new(entry, "annotations", annotations(tool));
	json_array_append(list, entry);
	return 0;
}

/* `"tools":[…]`, with the cache hints of 2026-07-28 (server/utilities/caching) where asked. */
static void add_list(struct buf *out, const json_t *list, bool modern)
{
	buf_init(out, LIST_MAX_BYTES);
	buf_add_text(out, "\"tools\":");
	buf_add_json(out, list);
	if (modern)
		buf_addf(out, ",\"ttlMs\":%d,\"cacheScope\":\"public\"", TTL_MS);
}

static void add_discover(struct catalog *catalog)
{
	struct buf *out = &catalog->discover;

	buf_init(out, LIST_MAX_BYTES);
	buf_add_text(out, "\"supportedVersions\":[");
	for (size_t i = REVISIONS; i-- > 1;)
		buf_addf(out, "\"%s\"%s", revisions[i], i > 1 ? "," : "");
	buf_add_text(out, "],\"capabilities\":");
	buf_add_json(out, catalog->capabilities);
	json_auto_t *instructions = json_string(catalog->instructions);
	buf_add_text(out, ",\"instructions\":");
	buf_add_json(out, instructions);
	buf_addf(out, ",\"ttlMs\":%d,\"cacheScope\":\"public\"", TTL_MS);
}

/* What there is of each, and whether it changes. */
static json_t *capabilities(void)
{
	json_t *all = json_pack("{s:{}}", "logging");

	if (tools[0] || tools_may_change)
		json_object_set_new(all, "tools",
			json_pack("{s:b}", "listChanged", tools_may_change));
	if (prompts[0] || prompts_may_change)
		json_object_set_new(all, "prompts",
			json_pack("{s:b}", "listChanged", prompts_may_change));
	if (resource_providers[0])
		json_object_set_new(all, "resources",
			json_pack("{s:b, s:b}", "subscribe", 1, "listChanged",
				resources_may_change));
	if (prompts[0] || resource_providers[0])
		json_object_set_new(all, "completions", json_object());
	return all;
}

int catalog_new(const char *workspace, struct catalog **out, struct err *err)
{
	struct catalog *catalog = alloc_zero(sizeof *catalog);

	catalog->tools = json_array();
	for (size_t i = 0; tools[i]; i++) {
		if (describe(tools[i], catalog->tools, err) < 0) {
			catalog_free(catalog);
			return -1;
		}
	}
	catalog->capabilities = capabilities();
	catalog->instructions = alloc_printf(
		"A sandboxed Linux computer. Files live in %s: relative paths start there. "
		"read_file, write_file and list_directory work on files, search_files finds names "
		"by glob, search_text finds content by regular expression, run_command runs a "
		"shell command. Prefer the search tools to find or grep. Run servers and anything "
		"longer than a minute with background: true; the answer says where the output is.",
		workspace);
	add_list(&catalog->tools_legacy, catalog->tools, false);
	add_list(&catalog->tools_modern, catalog->tools, true);
	add_discover(catalog);
	*out = catalog;
	return 0;
}

void catalog_free(struct catalog *catalog)
{
	if (!catalog)
		return;
	json_decref(catalog->tools);
	json_decref(catalog->capabilities);
	free(catalog->instructions);
	buf_release(&catalog->tools_legacy);
	buf_release(&catalog->tools_modern);
	buf_release(&catalog->discover);
	free(catalog);
}

const json_t *catalog_tools(const struct catalog *catalog)
{
	return catalog->tools;
}

json_t *catalog_initialize(const struct catalog *catalog, const char *revision)
{
	return json_pack("{s:s, s:O, s:o, s:s}", "protocolVersion", revision, "capabilities",
		catalog->capabilities, "serverInfo", json_loads(SERVER_INFO, 0, NULL),
		"instructions", catalog->instructions);
}

void method_discover(const struct inbound *in, struct call *call)
{
	const struct catalog *catalog = in->server->catalog;

	call_reply_members(call, catalog->discover.data, catalog->discover.len);
}

/* The cursor of a list that has one page is either absent or not ours. */
void method_list_tools(const struct inbound *in, struct call *call)
{
	const struct catalog *catalog = in->server->catalog;
	const struct buf *list =
		call->peer.modern ? &catalog->tools_modern : &catalog->tools_legacy;

	if (json_string_length(json_object_get(call->params, "cursor")) > 0)
		call_reply_error(call, RPC_INVALID_PARAMS, NULL,
			"Unknown cursor: tools/list has one page");
	else
		call_reply_members(call, list->data, list->len);
}
