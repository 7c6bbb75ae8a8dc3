/* POST /sandboxes/run-command: whole, as a stream of events, or in the background. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "api.h"
#include "buf.h"
#include "cleanup.h"
#include "err.h"
#include "http.h"
#include "output.h"
#include "sandbox.h"
#include "tool_server.h"
#include "utf8.h"

enum { TEXT_MAX_BYTES = 4 * 1024 * 1024, QUEUE_MAX = 1024 * 1024, EVENT_BYTES = 32 * 1024 };

struct command {
	struct api_call *call;
	struct run *run;
	struct tool_call *background;
	struct output out[2];       /* standard output and error */
	struct http_stream *stream; /* of events; NULL where the answer is whole */
	struct buf rest[2];         /* of a stream: a character that is not whole yet */
};

static void command_free(void *data)
{
	struct command *command = data;

	for (int i = 0; i < 2; i++) {
		output_release(&command->out[i]);
		buf_release(&command->rest[i]);
	}
	free(command);
}

/* ---- whole ---- */

static json_t *json_of(const struct buf *text)
{
	return utf8_json(text->data ? text->data : "", text->len);
}

static json_t *result_json(const struct command *command, const struct run_result *result)
{
	AUTO_BUF struct buf out = BUF_INIT(TEXT_MAX_BYTES);
	AUTO_BUF struct buf err = BUF_INIT(TEXT_MAX_BYTES);
	AUTO_BUF struct buf both = BUF_INIT(TEXT_MAX_BYTES);

	output_text(&command->out[0], &out);
	output_text(&command->out[1], &err);
	buf_add(&both, out.data, out.len);
	buf_add(&both, err.data, err.len);
	return json_pack("{s:o, s:o, s:o, s:i, s:b, s:b}", "output", json_of(&both), "stdout",
		json_of(&out), "stderr", json_of(&err), "exit_code", result->exit_code, "timed_out",
		result->timed_out, "truncated",
		output_truncated(&command->out[0]) || output_truncated(&command->out[1]));
}

static void reply_result(struct command *command, const struct run_result *result)
{
	struct api_call *call = command->call;
	json_t *answer = result_json(command, result);
	char message[128];

	if (result->timed_out) {
		snprintf(message, sizeof message,
			"The command was ended after its timeout of %" PRId64 " seconds",
			call_integer(call, "timeout", 0));
		json_object_set_new(answer, "detail", json_string(message));
		json_object_set_new(answer, "error", json_string("command_timeout"));
		api_reply_status(call, 408, answer, message);
		return;
	}
	if (result->exit_code == 0)
		snprintf(message, sizeof message, "Command executed successfully");
	else
		snprintf(message, sizeof message, "Command ended with exit code %d",
			result->exit_code);
	api_reply(call, answer, message);
}

/* ---- as events ---- */

static void send_event(struct command *command, const char *name, const json_t *data)
{
	AUTO_FREE char *text = json_dumps(data, JSON_COMPACT);
	AUTO_BUF struct buf event = BUF_INIT(TEXT_MAX_BYTES);

	buf_addf(&event, "event: %s\ndata: ", name);
	buf_add_text(&event, text ? text : "{}");
	buf_add_text(&event, "\n\n");
	http_stream_write(command->stream, event.data, event.len);
}

/* Up to the last whole character; the rest goes with the next bytes. */
static void send_output(struct command *command, int which, const char *bytes, size_t len)
{
	struct buf *rest = &command->rest[which];

	buf_add(rest, bytes, len);
	size_t whole = utf8_cut_at_end(rest->data, rest->len) ? utf8_floor(rest->data, rest->len)
							      : rest->len;
	if (whole == 0)
		return;
	json_auto_t *data = json_pack("{s:o}", "text", utf8_json(rest->data, whole));
	send_event(command, which ? "stderr" : "stdout", data);
	buf_consume(rest, whole);
}

static void send_end(
	struct command *command, const struct run_result *result, const struct err *err)
{
	json_auto_t *data = result ? json_pack("{s:i, s:b}", "exit_code", result->exit_code,
					     "timed_out", result->timed_out)
				   : json_pack("{s:s}", "detail", err->msg);

	for (int i = 0; i < 2; i++) {
		if (command->rest[i].len > 0) {
			json_auto_t *text = json_pack("{s:o}", "text", json_of(&command->rest[i]));

			send_event(command, i ? "stderr" : "stdout", text);
		}
	}
	send_event(command, result ? "end" : "error", data);
	http_stream_end(command->stream);
}

static void on_stream_closed(struct http_stream *stream, void *data)
{
	struct command *command = data;

	(void)stream;
	command->stream = NULL;
	run_cancel(command->run); /* nobody listens any more */
	api_call_free(command->call);
}

static void on_stream_drained(struct http_stream *stream, void *data)
{
	struct command *command = data;

	(void)stream;
	if (command->run)
		run_resume(command->run);
}

/* ---- the run ---- */

static bool on_output(bool is_stderr, const char *bytes, size_t len, void *data)
{
	struct command *command = data;

	if (!command->stream) {
		output_add(&command->out[is_stderr], bytes, len);
		return true;
	}
	if (http_stream_queued(command->stream) > QUEUE_MAX / 4)
		return false;
	for (size_t at = 0; at < len; at += EVENT_BYTES)
		send_output(command, is_stderr, bytes + at,
			len - at < EVENT_BYTES ? len - at : EVENT_BYTES);
	return true;
}

static void on_end(const struct run_result *result, const struct err *err, void *data)
{
	struct command *command = data;

	command->run = NULL;
	if (command->stream)
		send_end(command, result, err);
	else if (result)
		reply_result(command, result);
	else
		api_fail(command->call, err);
}

/*
 * The client left: what it waits for ends. Of one that closed quietly it takes a minute until its
 * kernel says so; no client that waits for a whole answer closes its side before. A stream has a
 * comment to find out by, and what goes to the background is to outlive its client.
 */
static void on_gone(struct http_request *request, bool dead, void *data)
{
	struct command *command = data;
	static const struct err gone = { ERR_CANCELLED, 0, "the client left" };

	(void)request;
	if (!dead && (command->stream || command->background))
		return;
	if (command->stream) {
		http_stream_cut(command->stream);
		return;
	}
	run_cancel(command->run);
	tool_call_cancel(command->background);
	api_fail(command->call, &gone);
}

static void copy(json_t *to, const char *name, const struct api_call *call, const char *from)
{
	json_t *value = json_object_get(call->body, from);

	if (value)
		json_object_set(to, name, value);
}

static bool wants_events(const struct api_call *call)
{
	const char *accept = http_header(call->request, "Accept");

	return accept && strstr(accept, "text/event-stream");
}

static void run_whole(struct api_call *call, struct command *command)
{
	static const struct run_events events = { on_output, on_end };
	json_auto_t *request = json_object();

	copy(request, "command", call, "command");
	copy(request, "cwd", call, "cwd");
	copy(request, "envs", call, "envs");
	copy(request, "user", call, "user");
	copy(request, "timeout", call, "timeout");
	if (wants_events(call)) {
		http_set_header(call->request, "Cache-Control", "no-store");
		command->stream = http_reply_stream(call->request, 200, "text/event-stream", -1,
			QUEUE_MAX, on_stream_closed, command);
		http_stream_on_drained(command->stream, on_stream_drained);
		http_stream_probe_with(command->stream, ":\n\n");
	}
	command->run = run_start(call->sandbox, request, &events, command);
}

/* ---- in the background ---- */

static void on_started(json_t *result, const struct err *err, void *data)
{
	struct command *command = data;
	struct api_call *call = command->call;
	json_t *facts = json_object_get(result, "structuredContent");
	const char *text = json_string_value(
		json_object_get(json_array_get(json_object_get(result, "content"), 0), "text"));

	command->background = NULL;
	if (err) {
		api_fail(call, err);
		return;
	}
	json_t *pid = json_object_get(facts, "pid");
	api_reply(call,
		json_pack("{s:s, s:s, s:s, s:O?, s:n, s:b, s:b}", "output", text ? text : "",
			"stdout", "", "stderr", "", "pid", json_is_integer(pid) ? pid : NULL,
			"exit_code", "timed_out", 0, "truncated", 0),
		"Command started in background");
}

/* 'it'\''s' */
static void quote(struct buf *out, const char *text)
{
	buf_add_char(out, '\'');
	for (; *text; text++)
		*text == '\'' ? buf_add_text(out, "'\\''") : buf_add_char(out, *text);
	buf_add_char(out, '\'');
}

/* Names alone: values would stand in the list of processes. */
static void keep_variables(struct buf *line, json_t *envs)
{
	const char *name;
	json_t *value;
	size_t count = 0;

	json_object_foreach(envs, name, value)
		buf_addf(line, "%s%s", count++ == 0 ? "--preserve-env=" : ",", name);
	if (count > 0)
		buf_add_char(line, ' ');
}

static void run_in_background(struct api_call *call, struct command *command)
{
	json_auto_t *arguments = json_pack("{s:b}", "background", 1);
	const char *user = call_text(call, "user");
	AUTO_BUF struct buf line = BUF_INIT(64 * 1024 * 1024);

	if (user && strcmp(user, "user") != 0) {
		buf_add_text(&line, "exec sudo -n ");
		keep_variables(&line, json_object_get(call->body, "envs"));
		buf_add_text(&line, "-u ");
		quote(&line, user);
		buf_add_text(&line, " -- sh -c ");
		quote(&line, call_text(call, "command"));
		json_object_set_new(arguments, "command", json_stringn(line.data, line.len));
	} else {
		copy(arguments, "command", call, "command");
	}
	copy(arguments, "cwd", call, "cwd");
	copy(arguments, "env", call, "envs");
	command->background =
		tool_call_start(call->sandbox, "run_command", arguments, on_started, command);
}

static void start(struct api_call *call)
{
	struct command *command = alloc_zero(sizeof *command);

	command->call = call;
	for (int i = 0; i < 2; i++) {
		output_init(&command->out[i]);
		buf_init(&command->rest[i], EVENT_BYTES + 8);
	}
	call->own = command;
	call->free_own = command_free;
	http_on_gone(call->request, on_gone, command);
	if (call_flag(call, "background"))
		run_in_background(call, command);
	else
		run_whole(call, command);
}

void api_run_command(struct api_call *call)
{
	api_when_running(call, start);
}
