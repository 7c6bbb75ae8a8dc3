#include "runtime.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "cgroup.h"
#include "cleanup.h"
#include "program.h"
#include "err.h"
#include "site.h"
#include "slurp.h"
#include "stage.h"
#include "tree.h"

enum {
	CREATE_MS = 30 * 1000,
	START_MS = 20 * 1000,
	DELETE_MS = 20 * 1000,
	LOG_MAX = 256 * 1024,
	ARGS_MAX = 16,
	VERSION_MS = 5000,
	VERSION_MAX = 4096,
};

/* The message of the last error in a log with a JSON object a line; NULL: none. */
static char *last_error(const char *log)
{
	size_t len;
	AUTO_FREE char *text = slurp(log, LOG_MAX, &len);
	char *found = NULL;

	for (char *at = text; at && *at;) {
		size_t line = strcspn(at, "\n");
		json_auto_t *entry = json_loadb(at, line, 0, NULL);
		const char *level = json_string_value(json_object_get(entry, "level"));
		const char *message = json_string_value(json_object_get(entry, "msg"));
		if (message && level && strcmp(level, "error") == 0) {
			free(found);
			found = alloc_text(message);
		}
		at += line + (at[line] == '\n');
	}
	return found;
}

const char *runtime_unfit(const char *path, const struct cgroups *cgroups)
{
	AUTO_BUF struct buf version = BUF_INIT(VERSION_MAX);
	const char *argv[] = { path, "--version", NULL };
	struct program program = {
		.path = path, .argv = argv, .output = &version, .timeout_ms = VERSION_MS
	};

	if (!cgroups->hybrid)
		return NULL;
	if (program_run(&program, NULL) < 0 || strncmp(version.data, "crun ", 5) != 0)
		return NULL;
	return "crun does not work where control groups of both versions are mounted: take runc "
	       "(apt-get install runc; no --oci-runtime), or boot with "
	       "systemd.unified_cgroup_hierarchy=1";
}

struct call {
	const char *id, *dir;
	int lock;
	int64_t timeout_ms;
	struct stage *stage; /* or NULL */
};

/* `runtime --root … --log … WORDS… ID` */
static int run(
	const struct site *site, const struct call *call, const char *const *words, struct err *err)
{
	AUTO_FREE char *log = alloc_printf("%s/runtime.log", call->dir);
	const char *name = strrchr(site->runtime, '/') + 1;
	const char *argv[ARGS_MAX] = { name, "--root", site->state, "--log", log, "--log-format",
		"json" };
	size_t len = 7;

	while (*words)
		argv[len++] = *words++;
	argv[len] = call->id;
	struct program program = { .path = site->runtime,
		.argv = argv,
		.keep = { call->lock },
		.before = call->stage ? stage_set : NULL,
		.before_data = call->stage,
		.timeout_ms = call->timeout_ms };
	unlink(log);
	if (program_run(&program, err) == 0)
		return 0;
	if (call->stage && call->stage->failed)
		return err_wrap(err, "%s", call->stage->failed);
	AUTO_FREE char *why = last_error(log);
	if (why)
		err_set(err, ERR_IO, "%s %s: %s", name, argv[7], why);
	return -1;
}

int runtime_create(const struct site *site, const char *id, const char *dir, struct stage *stage,
	int lock, pid_t *pid, struct err *err)
{
	AUTO_FREE char *pid_file = alloc_printf("%s/pid", dir);
	const char *words[] = { "create", "--bundle", dir, "--pid-file", pid_file, NULL };
	const struct call call = { id, dir, lock, CREATE_MS, stage };

	unlink(pid_file);
	if (run(site, &call, words, err) < 0)
		return -1;
	AUTO_FREE char *text = slurp(pid_file, 32, NULL);
	long number = text ? strtol(text, NULL, 10) : 0;
	if (number <= 1)
		return err_set(err, ERR_IO, "%s wrote no pid to %s", site->runtime, pid_file);
	*pid = (pid_t)number;
	return 0;
}

int runtime_start(
	const struct site *site, const char *id, const char *dir, int lock, struct err *err)
{
	const char *words[] = { "start", NULL };
	const struct call call = { id, dir, lock, START_MS, NULL };

	return run(site, &call, words, err);
}

int runtime_delete(
	const struct site *site, const char *id, const char *dir, int lock, struct err *err)
{
	AUTO_FREE char *state = alloc_printf("%s/%s", site->state, id);
	const char *words[] = { "delete", "--force", NULL };
	const struct call call = { id, dir, lock, DELETE_MS, NULL };

	if (access(state, F_OK) < 0)
		return 0;
	/* It may have been killed at any point: what it cannot make sense of is removed by hand. */
	if (run(site, &call, words, err) < 0 || access(state, F_OK) == 0)
		return tree_remove(state, err);
	return 0;
}
