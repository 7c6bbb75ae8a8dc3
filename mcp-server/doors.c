#include "doors.h"

#include <time.h>

#include "commands.h"
#include "err.h"
#include "http.h"
#include "result.h"
#include "server.h"
#include "sse.h"

enum { REPLY_MAX_BYTES = 64 * 1024 };

static const struct {
	unsigned status;
	const char *name;
} refusals[] = {
	[ERR_INVALID] = { 400, "invalid" },
	[ERR_NOT_FOUND] = { 404, "not_found" },
	[ERR_DENIED] = { 403, "denied" },
	[ERR_CONFLICT] = { 409, "conflict" },
	[ERR_LIMIT] = { 429, "limit" },
	[ERR_TIMEOUT] = { 408, "timeout" },
	[ERR_CANCELLED] = { 499, "cancelled" },
	[ERR_IO] = { 500, "io" },
	[ERR_INTERNAL] = { 500, "internal" },
};

void door_refuse(struct http_request *request, const struct err *err)
{
	struct buf body;
	json_auto_t *reply = json_pack("{s:b, s:s, s:s}", "success", 0, "detail", err->msg, "error",
		refusals[err->code].name);

	buf_init(&body, REPLY_MAX_BYTES);
	buf_add_json(&body, reply);
	http_reply(request, refusals[err->code].status, "application/json", &body);
}

/* RFC 3339, in UTC, with milliseconds. */
static json_t *timestamp(int64_t ms)
{
	char text[40], whole[24];
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof text, "%s.%03dZ", whole, (int)(ms % 1000));
	return json_string(text);
}

void door_activity(struct server *server, struct http_request *request)
{
	size_t commands = commands_running(server->workspace.commands);
	size_t streams = sse_hub_count(server->streams);
	struct buf body;
	json_auto_t *reply = json_pack("{s:b, s:o, s:i, s:i, s:b}", "busy",
		server->calls > 0 || commands > 0, "last_activity_at",
		timestamp(server->last_activity_ms), "commands", (int)commands, "streams",
		(int)streams, "editor", 0);

	buf_init(&body, REPLY_MAX_BYTES);
	buf_add_json(&body, reply);
	http_reply(request, 200, "application/json", &body);
}
