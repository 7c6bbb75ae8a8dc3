/* run_command: a command line in a shell of its own, run by the keeper. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "call.h"
#include "cleanup.h"
#include "command_output.h"
#include "commands.h"
#include "err.h"
#include "loop.h"
#include "path.h"
#include "tool.h"
#include "utf8.h"
#include "worker.h"
#include "workspace.h"

enum {
	DEFAULT_TIMEOUT_S = 60,
	TIMEOUT_MAX_S = 24 * 60 * 60,
	PROGRESS_MS = 1000,
	PROGRESS_LINE = 200,
};

/* A call of the tool until it is finished. */
struct run {
	struct call *call;
	json_t *args; /* borrowed from the call */
	struct command *command;
	struct command_spec spec;
	char **env;
	int cwd_fd; /* -1: the workspace's own */
	char *cwd;
	struct loop_timer *progress;
	int64_t began_ms;
	int failed; /* opening the directory: `err` says why */
	struct err err;
};

static void free_env(char **env)
{
	for (char **var = env; var && *var; var++)
		free(*var);
	free(env);
}

static void run_free(struct run *run)
{
	command_free(run->command);
	loop_timer_free(run->progress);
	cleanup_close(&run->cwd_fd);
	free(run->cwd);
	free_env(run->env);
	free(run);
}

/* ---- the result ---- */

static json_t *or_null(bool applies, json_t *value)
{
	if (applies)
		return value;
	json_decref(value);
	return json_null();
}

static json_t *stream_json(const struct buf *text)
{
	return text->len > 0 ? utf8_json(text->data, text->len) : json_string("");
}

static void add_structured(const struct run *run, const struct command_result *result,
	const struct command_output_texts *texts)
{
	const struct command *command = run->command;
	bool ended = !result->running;
	const char *signal = result->signo ? command_signal_name(result->signo) : NULL;
	json_t *value = json_object();

	json_object_set_new(value, "stdout", stream_json(&texts->streams[0]));
	json_object_set_new(value, "stderr", stream_json(&texts->streams[1]));
	json_object_set_new(value, "exit_code", or_null(ended, json_integer(result->exit_code)));
	json_object_set_new(value, "signal", signal ? json_string(signal) : json_null());
	json_object_set_new(value, "timed_out", json_boolean(result->timed_out));
	json_object_set_new(value, "duration_ms", json_integer(result->duration_ms));
	json_object_set_new(value, "max_rss_bytes",
		or_null(ended, json_integer((json_int_t)result->max_rss_bytes)));
	json_object_set_new(value, "truncated", json_boolean(texts->truncated));
	json_object_set_new(value, "id", json_string(command_id(command)));
	json_object_set_new(value, "pid", json_integer(command_pid(command)));
	json_object_set_new(value, "log",
		utf8_json(command_log_dir(command), strlen(command_log_dir(command))));
	call_structured(run->call, value);
}

static void add_text(struct call *call, const char *text)
{
	call_text_add(call, text, strlen(text));
}

static void add_time_out(const struct run *run, bool running)
{
	char text[256];
	long long seconds = run->spec.timeout_ms / 1000;

	if (!running) {
		snprintf(text, sizeof text,
			"[Timed out after %lld s: the command and all its processes were ended. For "
			"longer work set timeout, background or on_timeout]\n",
			seconds);
		add_text(run->call, text);
		return;
	}
	snprintf(text, sizeof text,
		"[Still running after %lld s: it goes on in the background, id %s, pid %d. Its output "
		"and then its exit code are in stdout, stderr and status in ",
		seconds, command_id(run->command), command_pid(run->command));
	add_text(run->call, text);
	add_text(run->call, command_log_dir(run->command));
	add_text(run->call, "]\n");
}

static void add_how_it_ended(const struct run *run, const struct command_result *result)
{
	char text[64];

	if (result->timed_out)
		add_time_out(run, result->running);
	if (result->exit_code == 0 || result->running)
		return;
	snprintf(text, sizeof text, "[Exit code: %d]\n", result->exit_code);
	add_text(run->call, text);
	if (!result->signo)
		return;
	snprintf(text, sizeof text, "[Ended by %s]\n", command_signal_name(result->signo));
	add_text(run->call, text);
}

static void add_result(const struct run *run, const struct command_result *result)
{
	struct command_output_texts texts __attribute__((cleanup(command_output_release)));

	command_output_read(run->command, result->logs, &texts);
	call_text_begin(run->call);
	add_how_it_ended(run, result);
	for (int i = 0; i < 2; i++)
		if (texts.streams[i].len > 0)
			call_text_add(run->call, texts.streams[i].data, texts.streams[i].len);
	call_text_end(run->call);
	add_structured(run, result, &texts);
	if (result->timed_out && !result->running)
		call_mark_error(run->call);
}

static void add_started(const struct run *run)
{
	static const struct command_result result = { .running = true };
	struct command_output_texts none = { 0 };
	char text[64];

	call_text_begin(run->call);
	add_text(run->call, "Started background process: ");
	add_text(run->call, run->spec.command);
	snprintf(text, sizeof text, "\nid %s, pid %d, log ", command_id(run->command),
		command_pid(run->command));
	add_text(run->call, text);
	add_text(run->call, command_log_dir(run->command));
	add_text(run->call, " (stdout, stderr and status, for read_file)\n");
	call_text_end(run->call);
	add_structured(run, &result, &none);
}

/* ---- events ---- */

static void finish(struct run *run, enum tool_status status, const struct err *err)
{
	struct call *call = run->call;

	run_free(run);
	call_finish(call, status, err);
}

static void on_started(struct command *command, void *data)
{
	struct run *run = data;

	(void)command;
	if (!run->spec.background)
		return;
	add_started(run);
	finish(run, TOOL_DONE, NULL);
}

static void on_ended(struct command *command, const struct command_result *result,
	const struct err *err, void *data)
{
	struct run *run = data;

	(void)command;
	if (result)
		add_result(run, result);
	finish(run, result ? TOOL_DONE : TOOL_FAILED, err);
}

static void on_cancel(struct call *call, void *data)
{
	struct run *run = data;

	(void)call;
	if (run->command)
		command_cancel(run->command); /* on_ended() follows */
}

static void on_progress_time(void *data)
{
	struct run *run = data;
	const struct workspace *workspace = call_workspace(run->call);
	char line[PROGRESS_LINE], text[PROGRESS_LINE + 64];
	int64_t seconds = (loop_now_ms(workspace->loop) - run->began_ms) / 1000;

	if (command_output_last_line(run->command, line, sizeof line))
		snprintf(text, sizeof text, "%lld s: %s", (long long)seconds, line);
	else
		snprintf(text, sizeof text, "%lld s, no output yet", (long long)seconds);
	call_progress(run->call, (double)seconds, -1, text);
	loop_timer_set(run->progress, PROGRESS_MS);
}

/* ---- starting ---- */

static int start(struct run *run, struct err *err)
{
	static const struct command_events events = { .started = on_started, .ended = on_ended };
	const struct workspace *workspace = call_workspace(run->call);

	run->began_ms = loop_now_ms(workspace->loop);
	if (command_start(workspace->commands, &run->spec, &events, run, &run->command, err) < 0)
		return -1;
	if (call_wants_progress(run->call) && !run->spec.background) {
		run->progress = loop_timer_new(workspace->loop, on_progress_time, run);
		loop_timer_set(run->progress, PROGRESS_MS);
	}
	return 0;
}

/* On a worker: the directory may be on a disk that is slow. */
static void open_cwd(void *data)
{
	struct run *run = data;
	size_t len;
	const char *path = arg_string(run->args, "cwd", &len);
	char link[64], name[PATH_MAX_BYTES + 1];

	run->failed = path_open(call_workspace(run->call)->roots, path, len, O_PATH | O_DIRECTORY,
		0, &run->cwd_fd, &run->err);
	if (run->failed) {
		err_wrap(&run->err, "cwd");
		return;
	}
	snprintf(link, sizeof link, "/proc/self/fd/%d", run->cwd_fd);
	ssize_t n = readlink(link, name, sizeof name - 1);
	run->cwd = n > 0 ? alloc_textn(name, (size_t)n) : alloc_textn(path, len);
}

static void cwd_opened(void *data)
{
	struct run *run = data;

	run->spec.cwd_fd = run->cwd_fd;
	run->spec.cwd = run->cwd;
	if (!run->failed && call_cancelled(run->call))
		run->failed = err_set(&run->err, ERR_CANCELLED, "cancelled before it started");
	if (run->failed || start(run, &run->err) < 0) {
		struct err err = run->err;
		finish(run, TOOL_FAILED, &err);
	}
}

static int read_env(json_t *map, char ***out, struct err *err)
{
	char **env = alloc_array(json_object_size(map) + 1, sizeof *env);
	const char *name;
	json_t *value;
	size_t n = 0;

	json_object_foreach(map, name, value)
	{
		size_t len = json_string_length(value);
		if (!*name || strchr(name, '=') || memchr(json_string_value(value), '\0', len)) {
			free_env(env);
			return err_set(err, ERR_INVALID,
				"env: the variable \"%.60s\" needs a name without '=' and a value "
				"without NUL",
				name);
		}
		env[n++] = alloc_printf("%s=%s", name, json_string_value(value));
	}
	*out = env;
	return 0;
}

static int read_args(struct run *run, struct err *err)
{
	json_t *args = run->args;
	struct command_spec *spec = &run->spec;
	const struct workspace *workspace = call_workspace(run->call);
	const char *on_timeout = arg_string(args, "on_timeout", NULL);

	if (arg_text(args, "command", NULL, &spec->command, err) < 0)
		return -1;
	spec->background = arg_boolean(args, "background", false);
	spec->background_on_timeout = on_timeout && strcmp(on_timeout, "background") == 0;
	spec->timeout_ms =
		1000 * arg_integer(args, "timeout", spec->background ? 0 : DEFAULT_TIMEOUT_S);
	spec->input = arg_string(args, "stdin", &spec->input_len);
	spec->cwd_fd = path_root_fd(workspace->roots, 0);
	spec->cwd = path_root_name(workspace->roots, 0);
	if (arg_given(args, "env") && read_env(json_object_get(args, "env"), &run->env, err) < 0)
		return -1;
	spec->env = (const char *const *)run->env;
	return 0;
}

static enum tool_status run_command(struct call *call, json_t *args, struct err *err)
{
	const struct workspace *workspace = call_workspace(call);
	struct run *run;
	int failed;

	if (!workspace->commands) {
		err_set(err, ERR_INTERNAL, "this server runs no commands");
		return TOOL_FAILED;
	}
	run = alloc_zero(sizeof *run);
	*run = (struct run){ .call = call, .args = args, .cwd_fd = -1 };
	failed = read_args(run, err);
	if (!failed && arg_given(args, "cwd"))
		failed = worker_submit(workspace->pool, open_cwd, cwd_opened, run, err);
	else if (!failed)
		failed = start(run, err);
	if (failed) {
		run_free(run);
		return TOOL_FAILED;
	}
	call_on_cancel(call, on_cancel, run);
	return TOOL_PENDING;
}

static const char *const on_timeout_choices[] = { "kill", "background", NULL };

static const struct param params[] = {
	{ .name = "command",
		.type = PARAM_STRING,
		.required = true,
		.description = "The command line, run by bash (sh where there is none)" },
	{ .name = "background",
		.type = PARAM_BOOLEAN,
		.fallback = "false",
		.description = "Return at once and let it run; it also outlives this server" },
	{ .name = "timeout",
		.type = PARAM_INTEGER,
		.min = 1,
		.max = TIMEOUT_MAX_S,
		.description = "Seconds that it may take, up to 86400; 60 by default, none for a "
			       "background command" },
	{ .name = "on_timeout",
		.type = PARAM_STRING,
		.fallback = "\"kill\"",
		.choices = on_timeout_choices,
		.description =
			"When the time is over: end it with all its processes (kill), or let "
			"it go on (background)" },
	{ .name = "cwd",
		.type = PARAM_STRING,
		.description = "Directory to run in; the workspace by default" },
	{ .name = "env", .type = PARAM_STRING_MAP, .description = "Environment variables to set" },
	{ .name = "stdin",
		.type = PARAM_STRING,
		.description = "What it reads from standard input; nothing by default" },
	{ 0 },
};

static const char output_schema[] =
	"{\"type\":\"object\",\"properties\":{"
	"\"stdout\":{\"type\":\"string\",\"description\":\"Its beginning and end where it is long\"},"
	"\"stderr\":{\"type\":\"string\"},"
	"\"exit_code\":{\"type\":[\"integer\",\"null\"],"
	"\"description\":\"128 + the signal's number where a signal ended it; null while it runs\"},"
	"\"signal\":{\"type\":[\"string\",\"null\"],\"description\":\"Such as SIGKILL\"},"
	"\"timed_out\":{\"type\":\"boolean\"},"
	"\"duration_ms\":{\"type\":\"integer\"},"
	"\"max_rss_bytes\":{\"type\":[\"integer\",\"null\"],"
	"\"description\":\"Memory of its largest process\"},"
	"\"truncated\":{\"type\":\"boolean\",\"description\":\"Whether output was left out here\"},"
	"\"id\":{\"type\":\"string\"},"
	"\"pid\":{\"type\":\"integer\"},"
	"\"log\":{\"type\":\"string\",\"description\":\"Folder with stdout, stderr and status\"}},"
	"\"required\":[\"stdout\",\"stderr\",\"exit_code\",\"signal\",\"timed_out\",\"duration_ms\","
	"\"max_rss_bytes\",\"truncated\",\"id\",\"pid\",\"log\"]}";

const struct tool tool_run_command = {
	.name = "run_command",
	.title = "Run command",
	.description =
		"Runs a command line in the workspace and returns its standard output, then its "
		"standard error. A command that fails is a result like any other: its text begins "
		"with [Exit code: N]. Long output shows its beginning and end; all of it is in the "
		"log folder, for read_file. Each call is a new shell: cd, variables and functions do "
		"not last. Servers and other long work: background.",
	.params = params,
	.output_schema = output_schema,
	.flags = TOOL_DESTRUCTIVE | TOOL_OPEN_WORLD | TOOL_ON_LOOP,
	.run = run_command,
};
