/*
 * POST /exec: runs a command and streams what it prints, in frames as Docker's attach has them:
 * one byte for the stream (1 standard output, 2 standard error), three zero bytes, the length as
 * 32 bits big-endian, the bytes. The last frame has stream 3 and tells the end as JSON.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account.h"
#include "alloc.h"
#include "cleanup.h"
#include "commands.h"
#include "config.h"
#include "door_path.h"
#include "doors.h"
#include "err.h"
#include "http.h"
#include "json_body.h"
#include "path.h"
#include "result.h"
#include "server.h"
#include "tool.h"
#include "worker.h"

enum { FRAME_MAX = 32 * 1024, QUEUE_MAX = 256 * 1024, TIMEOUT_MAX_S = 7 * 86400, ENVS_MAX = 1000 };
enum { FRAME_END = 3, EXPORTS_MAX = 120 * 1000 };

struct execution {
	struct server *server;
	struct http_request *request; /* NULL once the stream is open */
	struct http_stream *stream;   /* NULL once it was closed */
	struct command *command;
	bool preparing, gone; /* it is not known yet what to start; the client left */

	json_t *body;
	const char *text, *cwd, *user; /* of the body, or NULL */

	/* What a worker finds out. */
	int cwd_fd;
	struct account *account;
	bool failed;
	struct err err;
};

static void execution_free(struct execution *run)
{
	command_free(run->command);
	json_decref(run->body);
	cleanup_close(&run->cwd_fd);
	account_free(run->account);
	free(run);
}

static void send_frame(struct execution *run, int stream, const char *bytes, size_t len)
{
	unsigned char head[8] = { (unsigned char)stream, 0, 0, 0, (unsigned char)(len >> 24),
		(unsigned char)(len >> 16), (unsigned char)(len >> 8), (unsigned char)len };

	http_stream_write(run->stream, head, sizeof head);
	http_stream_write(run->stream, bytes, len);
}

/* ---- the stream ---- */

static void on_closed(struct http_stream *stream, void *data)
{
	struct execution *run = data;

	(void)stream;
	run->stream = NULL;
	execution_free(run); /* a command that still runs is ended: nobody listens */
}

static void on_drained(struct http_stream *stream, void *data)
{
	struct execution *run = data;

	(void)stream;
	if (run->command)
		command_resume(run->command);
}

static void open_stream(struct execution *run)
{
	if (run->stream)
		return;
	run->stream = http_reply_stream(run->request, 200,
		"application/vnd.docker.multiplexed-stream", -1, QUEUE_MAX, on_closed, run);
	http_stream_on_drained(run->stream, on_drained);
	run->request = NULL;
}

/* ---- the command ---- */

static void on_started(struct command *command, void *data)
{
	(void)command;
	open_stream(data);
}

static size_t on_output(struct command *command, enum command_stream stream, const char *bytes,
	size_t len, void *data)
{
	struct execution *run = data;

	(void)command;
	open_stream(run);
	if (http_stream_queued(run->stream) > QUEUE_MAX - FRAME_MAX - 1024)
		return 0;
	if (len > FRAME_MAX)
		len = FRAME_MAX;
	send_frame(run, stream == COMMAND_STDOUT ? 1 : 2, bytes, len);
	return len;
}

static void send_end(struct execution *run, const struct command_result *result)
{
	AUTO_BUF struct buf text = BUF_INIT(1024);
	json_auto_t *end = json_pack("{s:i, s:o, s:b, s:I, s:I}", "exit_code", result->exit_code,
		"signal", result->signo ? json_string(command_signal_name(result->signo)) :
					  json_null(),
		"timed_out", result->timed_out, "duration_ms", (json_int_t)result->duration_ms,
		"max_rss_bytes", (json_int_t)result->max_rss_bytes);

	buf_add_json(&text, end);
	send_frame(run, FRAME_END, text.data, text.len);
	http_stream_end(run->stream);
}

static void on_ended(struct command *command, const struct command_result *result,
	const struct err *err, void *data)
{
	struct execution *run = data;

	(void)command;
	if (!result && run->request) {
		door_refuse(run->request, err);
		execution_free(run);
		return;
	}
	open_stream(run);
	if (result)
		send_end(run, result);
	else
		http_stream_cut(run->stream);
}

/* ---- the request ---- */

/*
 * Another user's command: where this process is root, it becomes that user. Else sudo knows who
 * may become whom. It drops most of the environment, its command line is there for all to
 * see, and the loader drops what concerns itself before sudo sees it: so the variables go as
 * one, whose content the other user's shell exports.
 */
#define EXPORTS "SANDBOX_EXPORTS"

/* 'it'\''s' */
static void quote(struct buf *out, const char *text)
{
	buf_add_char(out, '\'');
	for (; *text; text++)
		*text == '\'' ? buf_add_text(out, "'\\''") : buf_add_char(out, *text);
	buf_add_char(out, '\'');
}

static void add_sudo(struct buf *out, const struct execution *run, bool with_exports)
{
	buf_addf(out, "exec sudo -n %s-u ", with_exports ? "--preserve-env=" EXPORTS " " : "");
	quote(out, run->account->name);
	buf_add_text(out, " -- /bin/sh -c ");
	if (with_exports)
		buf_add_text(out,
			"'eval \"$" EXPORTS "\"; unset " EXPORTS "; exec /bin/sh -c \"$1\"' sh ");
	quote(out, run->text);
}

static bool is_shell_name(const char *name)
{
	return *name &&
	       strspn(name, "_0123456789abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(name) &&
	       !(*name >= '0' && *name <= '9');
}

/* Replaces the variables by the one that says them all to a shell. */
static int make_exports(json_t *envs, char **list, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT(EXPORTS_MAX);
	const char *name;
	json_t *value;

	buf_add_text(&text, EXPORTS "=");
	json_object_foreach(envs, name, value) {
		if (!is_shell_name(name))
			return err_set(err, ERR_INVALID,
				"'%.64s' in 'envs' is no name that a shell can hand to another "
				"user",
				name);
		buf_addf(&text, "export %s=", name);
		quote(&text, json_string_value(value));
		buf_add_char(&text, '\n');
	}
	if (text.over)
		return err_set(err, ERR_LIMIT,
			"'envs' for another user may have %d bytes altogether", EXPORTS_MAX);
	for (size_t i = 0; list[i]; i++) {
		free(list[i]);
		list[i] = NULL;
	}
	list[0] = buf_steal(&text, NULL);
	return 0;
}

static int read_envs(json_t *body, char ***out, struct err *err)
{
	json_t *envs = json_object_get(body, "envs"), *value;
	const char *name;
	size_t count = 0;

	if (json_object_size(envs) > ENVS_MAX)
		return err_set(err, ERR_LIMIT, "'envs' may hold %d variables", ENVS_MAX);
	char **list = alloc_array(json_object_size(envs) + 1, sizeof(char *));
	json_object_foreach(envs, name, value) {
		if (*name && !strchr(name, '='))
			continue;
		free(list);
		return err_set(err, ERR_INVALID, "'%.64s' in 'envs' is no variable's name", name);
	}
	json_object_foreach(envs, name, value)
		list[count++] = alloc_printf("%s=%s", name, json_string_value(value));
	*out = list;
	return 0;
}

static void free_envs(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

static const struct param params[] = {
	{ .name = "command", .type = PARAM_STRING, .required = true },
	{ .name = "cwd", .type = PARAM_STRING },
	{ .name = "envs", .type = PARAM_STRING_MAP },
	{ .name = "user", .type = PARAM_STRING },
	{ .name = "stdin", .type = PARAM_STRING },
	{ .name = "timeout", .type = PARAM_INTEGER, .min = 1, .max = TIMEOUT_MAX_S },
	{ 0 },
};

/* The body is checked as a tool's arguments are. */
static const struct tool shape = { .name = "exec", .params = params };

static const struct command_events events = {
	.started = on_started,
	.output = on_output,
	.ended = on_ended,
};

static int read_request(struct execution *run, struct err *err)
{
	const char *workspace = path_root_name(run->server->workspace.roots, 0);

	if (tool_check_args(&shape, run->body, err) < 0 ||
		arg_text(run->body, "command", NULL, &run->text, err) < 0 ||
		arg_text(run->body, "cwd", workspace, &run->cwd, err) < 0)
		return -1;
	return arg_text(run->body, "user", NULL, &run->user, err);
}

/* Directories and users may be somewhere in a network. */
static void look_up(void *data)
{
	struct execution *run = data;

	run->cwd_fd = door_open_directory(&run->server->workspace, run->cwd, &run->err);
	run->failed = run->cwd_fd < 0 ||
		      (run->user && account_find(run->user, &run->account, &run->err) < 0);
}

static int start_with(struct execution *run, char **envs, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT((size_t)run->server->config->body_max * 4);
	json_t *vars = json_object_get(run->body, "envs");
	bool other = run->account && run->account->uid != geteuid();
	bool by_sudo = other && geteuid() != 0;

	if (by_sudo && envs[0] && make_exports(vars, envs, err) < 0)
		return -1;
	if (by_sudo)
		add_sudo(&text, run, envs[0] != NULL);
	struct command_spec spec = {
		.command = by_sudo ? text.data : run->text,
		.cwd_fd = run->cwd_fd,
		.cwd = run->cwd,
		.env = (const char *const *)envs,
		.user = other && !by_sudo ? run->account : NULL,
		.timeout_ms = arg_integer(run->body, "timeout", 0) * 1000,
		.streamed = true,
	};
	spec.input = arg_string(run->body, "stdin", &spec.input_len);
	return command_start(
		run->server->workspace.commands, &spec, &events, run, &run->command, err);
}

static int start(struct execution *run, struct err *err)
{
	char **envs = NULL;
	int failed = read_envs(run->body, &envs, err);

	if (!failed)
		failed = start_with(run, envs, err);
	free_envs(envs);
	return failed;
}

static void refuse(struct execution *run, const struct err *err)
{
	door_refuse(run->request, err);
	execution_free(run);
}

/* Nobody would hear of it: there is no stream yet that would tell. */
static void leave(struct execution *run)
{
	http_reply(run->request, 503, NULL, NULL);
	execution_free(run);
}

static void looked_up(void *data)
{
	struct execution *run = data;

	run->preparing = false;
	if (run->gone)
		leave(run);
	else if (run->failed || start(run, &run->err) < 0)
		refuse(run, &run->err);
}

static void on_body(struct http_request *request, json_t *body, const struct err *why, void *data)
{
	struct execution *run = data;
	struct worker_pool *pool = run->server->workspace.pool;
	struct err err = *why;

	(void)request;
	server_touch(run->server);
	run->body = body;
	run->failed = true; /* until it was looked up */
	err_set(&run->err, ERR_CANCELLED, "The server is stopping");
	if (run->gone)
		leave(run);
	else if (!body || read_request(run, &err) < 0 ||
		 worker_submit(pool, look_up, looked_up, run, &err) < 0)
		refuse(run, &err);
}

static void on_body_gone(struct http_request *request, void *data)
{
	(void)request;
	execution_free(data);
}

static void on_gone(struct http_request *request, bool dead, void *data)
{
	struct execution *run = data;

	(void)request;
	run->gone |= dead;
	if (!dead || run->preparing)
		return;
	if (run->stream)
		http_stream_cut(run->stream);
	else
		leave(run);
}

void door_exec(struct server *server, struct http_request *request)
{
	struct execution *run = alloc_zero(sizeof *run);

	*run = (struct execution){
		.server = server,
		.request = request,
		.preparing = true,
		.cwd_fd = -1,
	};
	http_on_gone(request, on_gone, run);
	json_body_read(server, request, on_body, on_body_gone, run);
}
