#include "call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "ask.h"
#include "call_impl.h"
#include "cleanup.h"
#include "err.h"
#include "log_level.h"
#include "loop.h"
#include "server.h"
#include "session.h"
#include "worker.h"
#include "workspace.h"

enum { PROGRESS_EVERY_MS = 20 };

struct call *call_new(const struct workspace *workspace, json_t *message, const struct peer *peer,
	struct sink *sink)
{
	struct call *call = alloc_zero(sizeof *call);

	call->workspace = workspace;
	call->message = message;
	call->id = json_object_get(message, "id");
	call->method = json_string_value(json_object_get(message, "method"));
	call->params = json_object_get(message, "params");
	call->progress_token =
		json_object_get(json_object_get(call->params, "_meta"), "progressToken");
	call->peer = *peer;
	call->sink = sink;
	call->status = 200;
	call->last_progress = -1;
	result_init(&call->result, call->id, peer->modern, workspace->result_max);
	if (peer->session)
		session_add_call(peer->session, call);
	return call;
}

void call_free(struct call *call)
{
	if (!call)
		return;
	if (call->peer.session)
		session_remove_call(call->peer.session, call);
	if (call->link_served) {
		*call->link_served = call->next_served;
		if (call->next_served)
			call->next_served->link_served = call->link_served;
	}
	result_release(&call->result);
	json_decref(call->message);
	ask_free(call->ask);
	json_decref(call->value);
	free(call->tool_err);
	free(call);
}

void call_expect_loop(const struct call *call)
{
	if (call->on_worker)
		abort();
}

void call_serve(struct call *call, struct server *server)
{
	call->server = server;
	server->calls++;
	call->next_served = server->served;
	call->link_served = &server->served;
	if (call->next_served)
		call->next_served->link_served = &call->next_served;
	server->served = call;
}

/* ---- the response ---- */

unsigned rpc_status(int code, bool modern)
{
	switch (code) {
	case RPC_PARSE_ERROR:
	case RPC_INVALID_REQUEST:
	case RPC_HEADER_MISMATCH:
	case RPC_MISSING_CAPABILITY:
	case RPC_UNSUPPORTED_VERSION:
		return 400;
	case RPC_SESSION_NOT_FOUND:
		return 404;
	case RPC_METHOD_NOT_FOUND:
		return modern ? 404 : 200;
	default:
		return 200;
	}
}

static void respond(struct call *call, bool fits)
{
	call_expect_loop(call);
	if (!fits) {
		call->status = 200;
		result_error(&call->result, RPC_INTERNAL_ERROR,
			"The result is larger than this server sends: ask for less at a time", NULL);
	}
	if (call->sink && atomic_load(&call->cancelled))
		call->sink->ops->drop(call->sink);
	else if (call->sink)
		call->sink->ops->respond(call->sink, call->status, &call->result.out);
	else
		return; /* a unit test reads the result and frees the call */
	if (call->server && !call->waiting)
		call->server->calls--;
	call_free(call);
}

void call_reply(struct call *call, json_t *value)
{
	respond(call, result_close_value(&call->result, value));
}

void call_reply_members(struct call *call, const char *members, size_t len)
{
	respond(call, result_close_members(&call->result, members, len));
}

void call_reply_error(struct call *call, int code, json_t *data, const char *fmt, ...)
{
	char message[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof message, fmt, args);
	va_end(args);
	call->status = rpc_status(code, call->peer.modern);
	result_error(&call->result, code, message, data);
	respond(call, !call->result.out.over);
}

void call_reply_err(struct call *call, const struct err *err)
{
	bool theirs = err->code == ERR_INVALID || err->code == ERR_NOT_FOUND ||
		      err->code == ERR_DENIED || err->code == ERR_CONFLICT;

	call_reply_error(call, theirs ? RPC_INVALID_PARAMS : RPC_INTERNAL_ERROR, NULL, "%s",
		err->msg);
}

/* ---- on a worker and back ---- */

static int hand_over(struct call *call, worker_fn *run, worker_fn *done, struct err *err)
{
	if (!call->tool_err)
		call->tool_err = alloc_zero(sizeof *call->tool_err);
	call->on_worker = true;
	int failed = worker_submit(call->workspace->pool, run, done, call, err);
	if (failed)
		call->on_worker = false;
	return failed;
}

/* ---- running a tool ---- */

static void finish_tool(struct call *call, enum tool_status status, const struct err *err)
{
	if (status == TOOL_FAILED) {
		result_reset(&call->result);
		result_text_begin(&call->result);
		result_text_add(&call->result, err->msg, strlen(err->msg));
		result_text_end(&call->result);
		call->result.is_error = true;
	}
	respond(call, result_close_tool(&call->result));
}

void call_finish(struct call *call, enum tool_status status, const struct err *err)
{
	finish_tool(call, status, err);
}

static void send_to_worker(struct call *call);

static void after_run(struct call *call, enum tool_status status, const struct err *err)
{
	if (status == TOOL_AGAIN)
		send_to_worker(call);
	else if (status == TOOL_ASKING)
		ask_send(call);
	else if (status != TOOL_PENDING)
		finish_tool(call, status, err);
}

static void run_on_worker(void *data)
{
	struct call *call = data;

	if (!call_cancelled(call))
		call->tool_status = call->tool->run(call, call->args, call->tool_err);
}

static void worker_done(void *data)
{
	struct call *call = data;

	call->on_worker = false;
	after_run(call, call->tool_status, call->tool_err);
}

static void send_to_worker(struct call *call)
{
	struct err err = { 0 };

	result_reset(&call->result);
	call->tool_status = TOOL_DONE;
	if (hand_over(call, run_on_worker, worker_done, &err) < 0)
		finish_tool(call, TOOL_FAILED, &err);
}

static void run_tool_again(struct call *call)
{
	call_run_tool(call, call->tool, call->args);
}

void call_run_tool(struct call *call, const struct tool *tool, json_t *args)
{
	struct err err = { 0 };

	call->tool = tool;
	call->args = args;
	call->again = run_tool_again;
	if (tool_check_args(tool, args, &err) < 0) {
		finish_tool(call, TOOL_FAILED, &err);
		return;
	}
	if (!(tool->flags & (TOOL_ON_LOOP | TOOL_TRY_ON_LOOP))) {
		send_to_worker(call);
		return;
	}
	enum tool_status status = tool->run(call, args, &err);
	after_run(call, status, &err);
}

/* ---- other work that may block ---- */

static void work_on_worker(void *data)
{
	struct call *call = data;

	if (!call_cancelled(call))
		call->value = call->work(call, call->tool_err);
}

static void work_done(void *data)
{
	struct call *call = data;

	call->on_worker = false;
	if (call->value || call_cancelled(call))
		call_reply(call, steal_ptr(&call->value));
	else
		call->failed(call, call->tool_err);
}

void call_on_worker(struct call *call, call_work_fn *work, call_failed_fn *failed)
{
	struct err err;

	call->work = work;
	call->failed = failed ? failed : call_reply_err;
	if (hand_over(call, work_on_worker, work_done, &err) < 0)
		call_reply_err(call, &err);
}

void call_wait(struct call *call)
{
	if (call->server && !call->waiting)
		call->server->calls--;
	call->waiting = true;
}

void call_cancel(struct call *call)
{
	if (atomic_exchange(&call->cancelled, true))
		return;
	if (call->on_cancel)
		call->on_cancel(call, call->on_cancel_data);
}

void calls_cancel(struct server *server, const struct sink *outer)
{
	struct call *next;

	for (struct call *call = server->served; call; call = next) {
		next = call->next_served;
		if (!outer || (call->sink && call->sink->outer == outer))
			call_cancel(call);
	}
}

/* ---- what tools use ---- */

const struct workspace *call_workspace(const struct call *call)
{
	return call->workspace;
}

void call_text(struct call *call, const char *text, size_t len)
{
	result_text_begin(&call->result);
	result_text_add(&call->result, text, len);
	result_text_end(&call->result);
}

void call_text_begin(struct call *call)
{
	result_text_begin(&call->result);
}

void call_text_add(struct call *call, const char *text, size_t len)
{
	result_text_add(&call->result, text, len);
}

void call_text_end(struct call *call)
{
	result_text_end(&call->result);
}

void call_blob(struct call *call, const char *type, const char *mime, const void *bytes,
	size_t len)
{
	result_blob(&call->result, type, mime, bytes, len);
}

void call_content(struct call *call, json_t *item)
{
	result_content(&call->result, item);
}

void call_structured(struct call *call, json_t *value)
{
	result_structured(&call->result, value);
}

void call_meta(struct call *call, const char *key, json_t *value)
{
	result_meta(&call->result, key, value);
}

void call_meta_text(struct call *call, const char *key, const char *json, size_t len)
{
	result_meta_text(&call->result, key, json, len);
}

void call_mark_error(struct call *call)
{
	call->result.is_error = true;
}

bool call_may_block(const struct call *call)
{
	return call->on_worker;
}

bool call_cancelled(const struct call *call)
{
	return atomic_load_explicit(&call->cancelled, memory_order_relaxed);
}

void call_on_cancel(struct call *call, call_cancel_fn *fn, void *data)
{
	call_expect_loop(call);
	call->on_cancel = fn;
	call->on_cancel_data = data;
}

/* ---- notifications ---- */

/* A notification that a worker may have made. */
struct message {
	struct call *call;
	struct buf json;
};

static struct message *make_message(struct call *call, const char *method, json_t *params)
{
	struct message *message = alloc_zero(sizeof *message);
	struct buf *out = &message->json;

	message->call = call;
	buf_init(out, call->workspace->result_max);
	buf_addf(out, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":", method);
	buf_add_json(out, params);
	buf_add_char(out, '}');
	json_decref(params);
	return message;
}

static bool send_now(struct message *message)
{
	struct call *call = message->call;
	bool sent = call->sink && !message->json.over && !call_cancelled(call) &&
		    call->sink->ops->notify(call->sink, message->json.data, message->json.len);

	buf_release(&message->json);
	free(message);
	return sent;
}

static void send_later(void *data)
{
	send_now(data);
}

bool call_notify(struct call *call, const char *method, json_t *params)
{
	call_expect_loop(call);
	return send_now(make_message(call, method, params));
}

/* The same from the thread that has the call. A worker's messages are posted before its `done`,
 * so the call outlives every one of them. */
static void notify_from_owner(struct call *call, const char *method, json_t *params)
{
	struct message *message = make_message(call, method, params);

	if (call->on_worker)
		loop_post(call->workspace->loop, send_later, message);
	else
		send_now(message);
}

void call_log(struct call *call, enum call_log_level level, const char *logger, json_t *data)
{
	if ((int)level < call->peer.log_level) {
		json_decref(data);
		return;
	}
	notify_from_owner(call, "notifications/message",
		json_pack("{s:s, s:s, s:o}", "level", log_level_name((int)level), "logger", logger,
			"data", data));
}

void call_detach(struct call *call)
{
	call_expect_loop(call);
	if (call->sink && call->sink->ops->detach)
		call->sink->ops->detach(call->sink);
}

bool call_wants_progress(const struct call *call)
{
	return json_is_string(call->progress_token) || json_is_integer(call->progress_token);
}

/* Not the loop's clock: that stands still while the loop waits for this worker. */
static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void call_progress(struct call *call, double done, double total, const char *message)
{
	int64_t now = now_ms();

	if (!call_wants_progress(call) || done <= call->last_progress ||
		(call->last_progress >= 0 && now - call->last_progress_ms < PROGRESS_EVERY_MS))
		return;
	call->last_progress = done;
	call->last_progress_ms = now;

	json_t *params = json_pack("{s:O, s:f}", "progressToken", call->progress_token, "progress",
		done);
	if (total >= 0)
		json_object_set_new(params, "total", json_real(total));
	if (message)
		json_object_set_new(params, "message", json_string(message));
	notify_from_owner(call, "notifications/progress", params);
}
