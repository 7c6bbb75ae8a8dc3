#include "toolkit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "call_impl.h"
#include "err.h"
#include "loop.h"
#include "path.h"

enum { RESULT_MAX = 64 * 1024 * 1024 };

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

void toolkit_open(struct toolkit *kit)
{
	struct err err;

	*kit = (struct toolkit){ .dir = "/tmp/toolkit.XXXXXX" };
	if (!mkdtemp(kit->dir))
		fail("mkdtemp");
	kit->workspace.result_max = RESULT_MAX;
	kit->workspace.commands_max = 100;
	kit->workspace.roots = path_roots_new();
	if (path_roots_add(kit->workspace.roots, kit->dir, 0, &err) < 0 ||
		loop_new(&kit->workspace.loop, &err) < 0)
		fail(err.msg);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void toolkit_close(struct toolkit *kit)
{
	path_roots_free(kit->workspace.roots);
	loop_free(kit->workspace.loop);
	if (nftw(kit->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0)
		fail(kit->dir);
}

void toolkit_file(struct toolkit *kit, const char *path, const char *content, size_t len)
{
	char name[4096];

	snprintf(name, sizeof name, "%s/%s", kit->dir, path);
	for (char *p = strchr(name + strlen(kit->dir) + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(name, 0777);
		*p = '/';
	}
	FILE *file = fopen(name, "we");
	if (!file || fwrite(content, 1, len, file) != len || fclose(file) != 0)
		fail(name);
}

json_t *toolkit_call(struct toolkit *kit, const struct tool *tool, const char *args)
{
	struct peer peer = { .revision = "2025-11-25", .log_level = LOG_NONE };
	json_error_t json_err;
	json_t *message = json_pack("{s:s, s:i, s:s}", "jsonrpc", "2.0", "id", 1, "method",
		"tools/call");
	struct call *call = call_new(&kit->workspace, message, &peer, NULL);
	struct err err = { 0 };
	json_auto_t *object = json_loads(args, JSON_ALLOW_NUL, &json_err);

	if (!object)
		fail(json_err.text);
	enum tool_status status = TOOL_FAILED;
	if (tool_check_args(tool, object, &err) == 0) {
		call->on_worker = !(tool->flags & TOOL_TRY_ON_LOOP);
		status = tool->run(call, object, &err);
		if (status == TOOL_AGAIN) {
			result_reset(&call->result);
			call->on_worker = true;
			status = tool->run(call, object, &err);
		}
	}
	call->on_worker = false;
	call_finish(call, status, &err);
	json_auto_t *reply = json_loadb(call->result.out.data, call->result.out.len,
		JSON_ALLOW_NUL, &json_err);
	call_free(call);
	if (!reply)
		fail(json_err.text);
	return json_incref(json_object_get(reply, "result"));
}

const char *toolkit_text(const json_t *result)
{
	json_t *item = json_array_get(json_object_get(result, "content"), 0);

	return json_string_value(json_object_get(item, "text"));
}
