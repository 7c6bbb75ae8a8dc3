/* exec: a command in a sandbox; what it prints comes as it prints it, its exit code is ours. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "api.h"
#include "buf.h"
#include "cleanup.h"
#include "command.h"
#include "err.h"
#include "json_reader.h"

enum {
	LINE_MAX_BYTES = 8 * 1024 * 1024,
	NAME_MAX_BYTES = 64,
	COMMAND_MAX_BYTES = 16 * 1024 * 1024,
};

static const struct option options[] = {
	{ "timeout", NULL, SETTING_INT(timeout, 1, 86400), "S", "end it after so many seconds" },
	{ "cwd", NULL, SETTING(OPTION_TEXT, cwd), "DIR", "where it starts (/workspace)" },
	{ "env", NULL, SETTING(OPTION_LIST, env), "N=V",
		"an environment variable; may be repeated" },
	{ "user", NULL, SETTING(OPTION_TEXT, user), "NAME", "who runs it (user)" },
	{ "background", NULL, SETTING(OPTION_FLAG, background), NULL,
		"let it run, and print its process id" },
	COMMON_OPTIONS,
};

/* ---- the events of an answer ---- */

struct events {
	struct buf line, name, data;
	bool ended, timed_out;
	int64_t exit_code;
	struct err *err;
};

static int write_all(int fd, const char *bytes, size_t len, struct err *err)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0)
			return err_sys(err, "write to standard %s",
				fd == STDOUT_FILENO ? "output" : "error");
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int take_event(struct events *events)
{
	static const struct json_limits limits = { 8, LINE_MAX_BYTES, 64 };
	const char *name = events->name.data ? events->name.data : "";

	json_auto_t *data = json_read(events->data.data, events->data.len, &limits, events->err);
	if (!data)
		return -1;
	const json_t *text = json_object_get(data, "text");
	if (strcmp(name, "stdout") == 0 || strcmp(name, "stderr") == 0)
		return write_all(name[3] == 'o' ? STDOUT_FILENO : STDERR_FILENO,
			json_string_value(text), json_string_length(text), events->err);
	if (strcmp(name, "error") == 0) {
		const char *detail = json_string_value(json_object_get(data, "detail"));
		return err_set(events->err, ERR_IO, "%s", detail ? detail : "the command is lost");
	}
	if (strcmp(name, "end") == 0) {
		events->ended = true;
		events->exit_code = json_integer_value(json_object_get(data, "exit_code"));
		events->timed_out = json_is_true(json_object_get(data, "timed_out"));
	}
	return 0;
}

/* One line of the stream (HTML standard, 9.2.6). */
static int take_line(struct events *events, const char *line)
{
	if (*line == '\0') {
		int failed = events->data.len > 0 ? take_event(events) : 0;
		buf_clear(&events->name);
		buf_clear(&events->data);
		return failed;
	}
	size_t len = strcspn(line, ":");
	const char *value = line + len + (line[len] == ':');
	value += *value == ' ';
	if (len == 5 && strncmp(line, "event", len) == 0) {
		buf_clear(&events->name);
		buf_add_text(&events->name, value);
	}
	if (len == 4 && strncmp(line, "data", len) == 0)
		buf_add_text(&events->data, value);
	if (events->name.over || events->data.over)
		return err_set(events->err, ERR_LIMIT, "an event of the answer is too long");
	return 0;
}

static bool take(const char *bytes, size_t len, void *data)
{
	struct events *events = data;

	while (len > 0) {
		const char *end = memchr(bytes, '\n', len);
		size_t part = end ? (size_t)(end - bytes) : len;

		if (buf_add(&events->line, bytes, part) < 0) {
			err_set(events->err, ERR_LIMIT, "a line of the answer is too long");
			return false;
		}
		bytes += part;
		len -= part;
		if (!end)
			return true;
		bytes++;
		len--;
		int failed = take_line(events, events->line.data ? events->line.data : "");
		buf_clear(&events->line);
		if (failed)
			return false;
	}
	return true;
}

/* ---- the request ---- */

/* 'it'\''s' */
static void quote(struct buf *out, const char *word)
{
	buf_add_char(out, '\'');
	for (; *word; word++)
		*word == '\'' ? buf_add_text(out, "'\\''") : buf_add_char(out, *word);
	buf_add_char(out, '\'');
}

/* One word is a line for the shell; several are a program and its arguments, as they stand. */
static void command_line(struct buf *line, int count, char **words)
{
	if (count == 1) {
		buf_add_text(line, words[0]);
		return;
	}
	for (int i = 0; i < count; i++) {
		if (i > 0)
			buf_add_char(line, ' ');
		quote(line, words[i]);
	}
}

static int set_env(json_t *body, const struct option_list *env, struct err *err)
{
	json_auto_t *map = json_object();

	for (size_t i = 0; i < env->count; i++) {
		size_t len = strcspn(env->items[i], "=");
		if (len == 0 || env->items[i][len] != '=')
			return err_set(err, ERR_INVALID, "--env takes NAME=VALUE, not '%.64s'",
				env->items[i]);
		AUTO_FREE char *name = alloc_textn(env->items[i], len);
		json_object_set_new(map, name, json_string(env->items[i] + len + 1));
	}
	if (env->count > 0)
		json_object_set(body, "envs", map);
	return 0;
}

static json_t *body_of(const struct settings *settings, int count, char **words, struct err *err)
{
	AUTO_BUF struct buf line = BUF_INIT(COMMAND_MAX_BYTES);

	command_line(&line, count - 1, words + 1);
	json_t *text = line.over || !line.data ? NULL : json_stringn(line.data, line.len);
	if (!text) {
		err_set(err, ERR_INVALID, "the command is empty, too long or not UTF-8");
		return NULL;
	}
	json_t *body = json_pack("{s:s, s:o}", "sandbox_id", words[0], "command", text);
	if (settings->timeout)
		json_object_set_new(body, "timeout", json_integer(settings->timeout));
	if (settings->cwd)
		json_object_set_new(body, "cwd", json_string(settings->cwd));
	if (settings->user)
		json_object_set_new(body, "user", json_string(settings->user));
	if (settings->background)
		json_object_set_new(body, "background", json_true());
	if (set_env(body, &settings->env, err) < 0) {
		json_decref(body);
		return NULL;
	}
	return body;
}

static int run_in_background(const struct settings *settings, const json_t *body, struct err *err)
{
	json_auto_t *answer = api_call(settings, "POST", "/sandboxes/run-command", body, NULL, err);

	if (!answer)
		return -1;
	printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_get(answer, "pid")));
	return 0;
}

static int end_of(const struct settings *settings, const struct events *events, struct err *err)
{
	if (!events->ended)
		return err_set(err, ERR_IO, "the manager ended before the command: try again");
	if (events->timed_out) {
		fprintf(stderr, "sandboxctl: ended after its timeout of %" PRId64 " seconds\n",
			settings->timeout);
		return EXIT_TIMED_OUT;
	}
	return (int)(events->exit_code & 0xFF);
}

static int follow(const struct settings *settings, const json_t *body, struct err *err)
{
	struct events events = {
		.line = BUF_INIT(LINE_MAX_BYTES),
		.name = BUF_INIT(NAME_MAX_BYTES),
		.data = BUF_INIT(LINE_MAX_BYTES),
		.err = err,
	};
	struct api_request request = { "POST", "/sandboxes/run-command", body,
		"Accept: text/event-stream", NULL, take, &events };

	int status = api_send(settings, &request, err);
	if (status == 0)
		status = end_of(settings, &events, err);
	buf_release(&events.line);
	buf_release(&events.name);
	buf_release(&events.data);
	return status;
}

static int run(const struct settings *settings, int count, char **words, struct err *err)
{
	char path[PATH_MAX_BYTES];

	if (api_path(path, words[0], "", err) < 0)
		return -1;
	json_auto_t *body = body_of(settings, count, words, err);
	if (!body)
		return -1;
	return settings->background ? run_in_background(settings, body, err)
				    : follow(settings, body, err);
}

const struct command command_exec = { "exec", "ID COMMAND...",
	"Runs a command in a sandbox, and ends with its exit code.\n\n"
	"One word is a line for the shell; several are a program and its arguments. Options\n"
	"stand before the command. Ctrl-C ends it. Exit code 124: its timeout was over; 125:\n"
	"sandboxctl itself failed.",
	2, -1, 2, options, EXIT_OWN, run };
