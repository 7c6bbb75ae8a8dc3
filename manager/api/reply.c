/* Answers, flat or in an envelope, and the table from errors to statuses. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "buf.h"
#include "err.h"
#include "http.h"
#include "sandbox.h"

enum { REPLY_MAX_BYTES = 256 * 1024 * 1024 };

static void send_text(struct http_request *request, unsigned status, char *text)
{
	struct buf body;

	buf_init(&body, REPLY_MAX_BYTES);
	buf_add_text(&body, text ? text : "{}");
	free(text);
	http_set_header(request, "Cache-Control", "no-store");
	http_set_header(request, "X-Content-Type-Options", "nosniff");
	http_reply(request, status, "application/json", &body);
}

static void send_json(struct http_request *request, unsigned status, json_t *answer)
{
	send_text(request, status, json_dumps(answer, JSON_COMPACT));
}

/* The whole answer, in its envelope where it has one. */
static json_t *answer_of(
	const struct api_call *call, unsigned status, json_t *data, const char *message)
{
	json_auto_t *owned = data ? data : json_object();
	json_t *answer = json_pack("{s:b}", "success", status < 400);

	if (call->sandbox)
		json_object_set_new(answer, "sandbox_id", json_string(call->sandbox->row.id));
	json_object_update(answer, owned);
	if (message)
		json_object_set_new(answer, "message", json_string(message));
	if (!call->enveloped)
		return answer;
	return json_pack("{s:i, s:s, s:o}", "code", (int)status, "msg",
		message ? message : "success", "data", answer);
}

void api_reply_status(struct api_call *call, unsigned status, json_t *data, const char *message)
{
	json_auto_t *answer = answer_of(call, status, data, message);

	send_json(call->request, status, answer);
	api_call_free(call);
}

static void on_written(struct api_call *call, char *text)
{
	static const struct err stopping = { ERR_CANCELLED, 0, "the manager is stopping" };

	if (text) {
		send_text(call->request, 200, text);
		api_call_free(call);
	} else {
		api_fail(call, &stopping);
	}
}

void api_reply_large(struct api_call *call, json_t *data)
{
	api_write_json(call, answer_of(call, 200, data, NULL), on_written);
}

void api_reply(struct api_call *call, json_t *data, const char *message)
{
	api_reply_status(call, 200, data, message);
}

void api_refuse_request(struct http_request *request, bool enveloped, unsigned status,
	const char *code, const char *detail)
{
	json_auto_t *answer =
		enveloped ? json_pack("{s:i, s:s, s:n}", "code", (int)status, "msg", detail, "data")
			  : json_pack("{s:b, s:s, s:s}", "success", 0, "detail", detail, "error",
				    code);

	send_json(request, status, answer);
}

void api_refuse(struct api_call *call, unsigned status, const char *code, const char *fmt, ...)
{
	char detail[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof detail, fmt, args);
	va_end(args);
	api_refuse_request(call->request, call->enveloped, status, code, detail);
	api_call_free(call);
}

void api_fail(struct api_call *call, const struct err *err)
{
	static const struct {
		unsigned status;
		const char *name;
	} failures[] = {
		[ERR_INVALID] = { 422, "invalid" },
		[ERR_NOT_FOUND] = { 404, "not_found" },
		[ERR_DENIED] = { 403, "denied" },
		[ERR_CONFLICT] = { 409, "conflict" },
		[ERR_LIMIT] = { 429, "limit" },
		[ERR_TIMEOUT] = { 502, "provider_timeout" },
		[ERR_CANCELLED] = { 503, "cancelled" },
		[ERR_IO] = { 502, "provider_failed" },
		[ERR_INTERNAL] = { 500, "internal" },
	};
	enum err_code code = err->code ? err->code : ERR_INTERNAL;

	if (code == ERR_CANCELLED || code == ERR_LIMIT)
		http_set_header(call->request, "Retry-After", code == ERR_LIMIT ? "60" : "1");
	api_refuse(call, failures[code].status, failures[code].name, "%s", err->msg);
}
