/*
 * Runs search tools on a directory, for the comparison with ripgrep: one request a line on
 * standard input ({"name", "arguments"}), one answer a line on standard output: the tool's
 * result and how long its run took, "ms".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "call_impl.h"
#include "cleanup.h"
#include "err.h"
#include "path.h"
#include "tool.h"
#include "workspace.h"

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static json_t *answer(const struct workspace *workspace, json_t *request)
{
	const struct peer peer = { .revision = "2025-11-25", .log_level = LOG_NONE };
	const char *name = json_string_value(json_object_get(request, "name"));
	const struct tool *tool = tool_find(name, strlen(name));
	json_t *args = json_object_get(request, "arguments");
	struct call *call = call_new(workspace, json_pack("{s:i}", "id", 1), &peer, NULL);
	enum tool_status status = TOOL_FAILED;
	struct err err = { 0 };
	double start = now_ms();

	call->on_worker = true;
	if (tool && tool_check_args(tool, args, &err) == 0)
		status = tool->run(call, args, &err);
	double took = now_ms() - start;
	call->on_worker = false;
	call_finish(call, status, &err);
	json_auto_t *reply =
		json_loadb(call->result.out.data, call->result.out.len, JSON_ALLOW_NUL, NULL);
	call_free(call);
	json_t *result = json_incref(json_object_get(reply, "result"));
	json_object_set_new(result, "ms", json_real(took));
	return result;
}

int main(int argc, char **argv)
{
	struct workspace workspace = { .result_max = 256 << 20 };
	AUTO_FREE char *line = NULL;
	size_t cap = 0;
	struct err err;

	workspace.roots = path_roots_new();
	if (argc != 2 || path_roots_add(workspace.roots, argv[1], 0, &err) < 0) {
		fprintf(stderr, "usage: %s DIRECTORY: %s\n", argv[0], argc == 2 ? err.msg : "");
		return 2;
	}
	while (getline(&line, &cap, stdin) > 0) {
		json_auto_t *request = json_loads(line, 0, NULL);
		json_auto_t *result = answer(&workspace, request);
		json_dumpf(result, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
	}
	path_roots_free(workspace.roots);
	return 0;
}
