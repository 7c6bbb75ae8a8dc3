/* The tool, on real commands, as a call of it goes: run, notifications, the response. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "call_impl.h"
#include "commands.h"
#include "err.h"
#include "loop.h"
#include "path.h"
#include "scratch.h"
#include "test.h"
#include "toolkit.h"
#include "worker.h"

extern const struct tool tool_run_command;

struct room {
	struct toolkit kit;
	struct scratch scratch;
	int state_fd;
};

static void enter(struct room *room)
{
	struct commands_options options = { .running_max = 100 };
	struct err err;

	room->scratch = scratch_enter();
	toolkit_open(&room->kit);
	MUST(room->state_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	options.state_fd = room->state_fd;
	options.state_dir = room->scratch.dir;
	MUST(commands_open(
		room->kit.workspace.loop, &options, &room->kit.workspace.commands, &err));
	room->kit.workspace.pool = worker_pool_new(room->kit.workspace.loop, 1, 10);
}

static void leave(struct room *room)
{
	worker_pool_free(room->kit.workspace.pool);
	commands_close(room->kit.workspace.commands);
	toolkit_close(&room->kit);
	close(room->state_fd);
	scratch_leave(&room->scratch);
}

/* ---- a call ---- */

struct visit {
	struct sink sink;
	struct room *room;
	struct call *call;
	json_t *args;
	json_t *result; /* of the response; NULL where there was none */
	bool over;
	int notes;
	char first_note[1024];
	bool cancel_at_note;
};

static bool on_notify(struct sink *sink, const char *json, size_t len)
{
	struct visit *visit = (struct visit *)sink;

	if (visit->notes++ == 0)
		snprintf(visit->first_note, sizeof visit->first_note, "%.*s", (int)len, json);
	if (visit->cancel_at_note)
		call_cancel(visit->call);
	return true;
}

static void on_respond(struct sink *sink, unsigned status, struct buf *json)
{
	struct visit *visit = (struct visit *)sink;
	json_auto_t *reply = json_loadb(json->data, json->len, JSON_ALLOW_NUL, NULL);

	(void)status;
	visit->result = json_incref(json_object_get(reply, "result"));
	visit->over = true;
	buf_release(json);
	loop_stop(visit->room->kit.workspace.loop);
}

static void on_drop(struct sink *sink)
{
	struct visit *visit = (struct visit *)sink;

	visit->over = true;
	loop_stop(visit->room->kit.workspace.loop);
}

static const struct sink_ops ops = { .notify = on_notify, .respond = on_respond, .drop = on_drop };

static void start(struct room *room, struct visit *visit, const char *args, bool progress)
{
	struct peer peer = { .revision = "2025-11-25", .log_level = LOG_NONE };
	json_t *message = json_pack("{s:s, s:i, s:s, s:{s:{s:s}}}", "jsonrpc", "2.0", "id", 1,
		"method", "tools/call", "params", "_meta", "progressToken", "p1");

	*visit = (struct visit){ .sink.ops = &ops, .room = room };
	visit->args = json_loads(args, JSON_ALLOW_NUL, NULL);
	visit->call = call_new(&room->kit.workspace, message, &peer, &visit->sink);
	if (!progress)
		visit->call->progress_token = NULL;
	call_run_tool(visit->call, &tool_run_command, visit->args);
}

static void finish(struct room *room, struct visit *visit)
{
	while (!visit->over)
		MUST(loop_run(room->kit.workspace.loop, NULL));
	json_decref(visit->args);
}

static json_t *run(struct room *room, const char *args)
{
	struct visit visit;

	start(room, &visit, args, false);
	finish(room, &visit);
	return visit.result;
}

static const json_t *member(const json_t *result, const char *name)
{
	return json_object_get(json_object_get(result, "structuredContent"), name);
}

static const char *text_member(const json_t *result, const char *name)
{
	return json_string_value(member(result, name));
}

static void check_run(struct room *room, const char *args, const char *text, bool error)
{
	json_auto_t *result = run(room, args);

	CHECK_TEXT(toolkit_text(result), text);
	CHECK_INT(json_is_true(json_object_get(result, "isError")), error);
}

/* ---- cases ---- */

static void gives_stdout_then_stderr(void)
{
	struct room room;

	enter(&room);
	check_run(&room, "{\"command\": \"echo e >&2; echo o\"}", "o\ne\n", false);
	check_run(&room, "{\"command\": \"true\"}", "", false);
	leave(&room);
}

static void puts_the_exit_code_before_the_output_and_is_no_error(void)
{
	struct room room;

	enter(&room);
	check_run(&room, "{\"command\": \"echo o; exit 2\"}", "[Exit code: 2]\no\n", false);
	check_run(&room, "{\"command\": \"kill -9 $$\"}", "[Exit code: 137]\n[Ended by SIGKILL]\n",
		false);
	leave(&room);
}

static void has_every_member_of_the_structured_form(void)
{
	static const char *const names[] = { "stdout", "stderr", "exit_code", "signal", "timed_out",
		"duration_ms", "max_rss_bytes", "truncated", "id", "pid", "log" };
	static const char *const lines[] = { "{\"command\": \"echo o; echo e >&2; exit 1\"}",
		"{\"command\": \"sleep 0.01\", \"background\": true}",
		"{\"command\": \"kill -9 $$\"}" };
	struct room room;

	enter(&room);
	for (size_t line = 0; line < sizeof lines / sizeof *lines; line++) {
		json_auto_t *result = run(&room, lines[line]);
		const json_t *value = json_object_get(result, "structuredContent");
		CHECK_INT(json_object_size(value), sizeof names / sizeof *names);
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			CHECK(json_object_get(value, names[i]) != NULL);
	}
	json_auto_t *result = run(&room, lines[0]);
	CHECK_TEXT(text_member(result, "stdout"), "o\n");
	CHECK_TEXT(text_member(result, "stderr"), "e\n");
	CHECK_INT(json_integer_value(member(result, "exit_code")), 1);
	CHECK(json_is_null(member(result, "signal")));
	CHECK(json_is_false(member(result, "timed_out")));
	CHECK(json_is_false(member(result, "truncated")));
	CHECK(json_integer_value(member(result, "pid")) > 1);
	CHECK(json_integer_value(member(result, "max_rss_bytes")) > 100 * 1024);
	json_auto_t *killed = run(&room, lines[2]);
	CHECK_TEXT(text_member(killed, "signal"), "SIGKILL");
	leave(&room);
}

static void ends_a_command_at_its_time_and_returns_what_there_is(void)
{
	struct room room;

	enter(&room);
	json_auto_t *result = run(&room, "{\"command\": \"echo half; sleep 100\", \"timeout\": 1}");
	CHECK(json_is_true(json_object_get(result, "isError")));
	CHECK(json_is_true(member(result, "timed_out")));
	CHECK_TEXT(text_member(result, "stdout"), "half\n");
	CHECK(strncmp(toolkit_text(result), "[Timed out after 1 s", 20) == 0);
	CHECK(strstr(toolkit_text(result), "\nhalf\n") != NULL);
	leave(&room);
}

static void lets_a_command_go_on_past_its_time_if_asked(void)
{
	struct room room;

	enter(&room);
	json_auto_t *result = run(&room, "{\"command\": \"echo half; sleep 100\", \"timeout\": 1, "
					 "\"on_timeout\": \"background\"}");
	CHECK(json_is_false(json_object_get(result, "isError")));
	CHECK(json_is_true(member(result, "timed_out")));
	CHECK(json_is_null(member(result, "exit_code")));
	CHECK(strncmp(toolkit_text(result), "[Still running after 1 s", 24) == 0);
	CHECK(strstr(toolkit_text(result), text_member(result, "log")) != NULL);
	pid_t pid = (pid_t)json_integer_value(member(result, "pid"));
	CHECK_INT(kill(-pid, SIGKILL), 0);
	while (commands_running(room.kit.workspace.commands) > 0)
		json_decref(run(&room, "{\"command\": \"true\"}"));
	leave(&room);
}

static void starts_a_background_command_at_once(void)
{
	struct room room;

	enter(&room);
	json_auto_t *result = run(&room, "{\"command\": \"exec sleep 100\", \"background\": true}");
	const char *text = toolkit_text(result),
		   *want = "Started background process: exec sleep 100\n";
	CHECK(strncmp(text, want, strlen(want)) == 0);
	CHECK(strstr(text, text_member(result, "id")) != NULL);
	CHECK(json_is_null(member(result, "exit_code")));
	pid_t pid = (pid_t)json_integer_value(member(result, "pid"));
	CHECK_INT(kill(pid, SIGKILL), 0);
	while (commands_running(room.kit.workspace.commands) > 0)
		json_decref(run(&room, "{\"command\": \"true\"}"));
	leave(&room);
}

static void takes_directory_variables_and_input(void)
{
	struct room room;
	char want[256];

	enter(&room);
	toolkit_file(&room.kit, "sub/file.txt", "x", 1);
	snprintf(want, sizeof want, "%s/sub\nfile.txt\n", room.kit.dir);
	check_run(&room, "{\"command\": \"pwd; ls\", \"cwd\": \"sub\"}", want, false);
	check_run(&room, "{\"command\": \"echo $A$B\", \"env\": {\"A\": \"1=\", \"B\": \"ü\"}}",
		"1=ü\n", false);
	check_run(&room, "{\"command\": \"cat\", \"stdin\": \"given\"}", "given", false);
	snprintf(want, sizeof want, "%s\n", room.kit.dir);
	check_run(&room, "{\"command\": \"pwd\"}", want, false);
	leave(&room);
}

static void refuses_what_cannot_be(void)
{
	static const char *const bad[] = {
		"{\"command\": \"true\", \"cwd\": \"none\"}",
		"{\"command\": \"true\", \"cwd\": \"/etc\"}",
		"{\"command\": \"true\", \"cwd\": \"file\"}",
		"{\"command\": \"a\\u0000b\"}",
		"{\"command\": \"true\", \"env\": {\"A=B\": \"1\"}}",
		"{\"command\": \"true\", \"env\": {\"\": \"1\"}}",
		"{\"command\": \"true\", \"env\": {\"A\": \"1\\u0000\"}}",
		"{\"command\": \"true\", \"timeout\": 0}",
		"{\"command\": \"true\", \"timeout\": 86401}",
		"{\"command\": \"true\", \"on_timeout\": \"ignore\"}",
		"{}",
	};
	struct room room;

	enter(&room);
	toolkit_file(&room.kit, "file", "x", 1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		json_auto_t *result = run(&room, bad[i]);
		CHECK(json_is_true(json_object_get(result, "isError")));
		CHECK(!json_object_get(result, "structuredContent"));
	}
	CHECK_INT(commands_running(room.kit.workspace.commands), 0);
	leave(&room);
}

static void replaces_what_is_not_text(void)
{
	struct room room;

	enter(&room);
	check_run(&room, "{\"command\": \"printf 'a\\\\377b\\\\033[1m'\"}",
		"a\xEF\xBF\xBD"
		"b\x1B[1m",
		false);
	leave(&room);
}

static void reports_progress_with_the_last_line(void)
{
	struct room room;
	struct visit visit;

	enter(&room);
	start(&room, &visit, "{\"command\": \"echo one; echo two; read x < <(sleep 1.5)\"}", true);
	finish(&room, &visit);
	CHECK(visit.notes >= 1);
	CHECK(strstr(visit.first_note, "notifications/progress") != NULL);
	CHECK(strstr(visit.first_note, "1 s: two") != NULL);
	CHECK(visit.result != NULL);
	json_decref(visit.result);
	leave(&room);
}

static void ends_a_command_whose_call_is_cancelled(void)
{
	struct room room;
	struct visit visit;

	enter(&room);
	start(&room, &visit, "{\"command\": \"sleep 100\"}", true);
	visit.cancel_at_note = true;
	finish(&room, &visit);
	CHECK(!visit.result);
	CHECK_INT(commands_running(room.kit.workspace.commands), 0);

	start(&room, &visit, "{\"command\": \"sleep 100\", \"cwd\": \".\"}", false);
	call_cancel(visit.call); /* before the directory is open */
	finish(&room, &visit);
	CHECK(!visit.result);
	CHECK_INT(commands_running(room.kit.workspace.commands), 0);
	leave(&room);
}

TESTS(CASE(gives_stdout_then_stderr), CASE(puts_the_exit_code_before_the_output_and_is_no_error),
	CASE(has_every_member_of_the_structured_form),
	CASE(ends_a_command_at_its_time_and_returns_what_there_is),
	CASE(lets_a_command_go_on_past_its_time_if_asked),
	CASE(starts_a_background_command_at_once), CASE(takes_directory_variables_and_input),
	CASE(refuses_what_cannot_be), CASE(replaces_what_is_not_text),
	CASE(reports_progress_with_the_last_line), CASE(ends_a_command_whose_call_is_cancelled))
