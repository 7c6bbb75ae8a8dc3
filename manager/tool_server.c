#include "tool_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "cleanup.h"
#include "config.h"
#include "err.h"
#include "manager.h"
#include "provider.h"
#include "sandbox.h"

enum {
	ANSWER_MAX_BYTES = 256 * 1024,
	VALUES_MAX = 20000, /* each costs a parser many times its bytes */
	ANSWER_DEPTH_MAX = 32,
	ACTIVITY_MS = 5000,
};

static int dial(int *fd, struct err *err, void *data)
{
	struct sandbox *sandbox = data;

	return sandbox->provider->dial(sandbox->provider, sandbox->row.id,
		(uint16_t)sandbox->manager->config->mcp_port, fd, err);
}

static size_t count_headers(const struct fetch_spec *spec)
{
	size_t count = 0;

	while (count < FETCH_HEADERS_MAX && spec->headers[count])
		count++;
	return count;
}

struct fetch *tool_server_fetch(struct sandbox *sandbox, const char *path,
	struct fetch_spec *spec, const struct fetch_events *events, void *data)
{
	struct provider *provider = sandbox->provider;
	uint16_t port = (uint16_t)sandbox->manager->config->mcp_port;
	AUTO_FREE char *base = provider->dial ? alloc_printf("http://%s.sandbox", sandbox->row.id) :
						provider->url(provider, sandbox->row.id, port);
	AUTO_FREE char *url = alloc_printf("%s%s", base, path);
	char token[SANDBOX_TOKEN_LEN + 32];
	size_t count = count_headers(spec);

	snprintf(token, sizeof token, "Authorization: Bearer %s", sandbox->row.token);
	spec->url = url;
	spec->headers[count++] = token;
	if (provider->dial) {
		spec->dial = dial;
		spec->dial_data = sandbox;
		spec->headers[count++] = "Host: 127.0.0.1";
	}
	struct fetch *fetch = fetch_start(sandbox->manager->fetches, spec, events, data);
	explicit_bzero(token, sizeof token);
	return fetch;
}

/* How deep a text nests, before a parser goes there. */
static json_t *parse(const struct buf *body)
{
	size_t depth = 0, deepest = 0, values = 0;
	bool text = false;

	for (size_t i = 0; i < body->len; i++) {
		char c = body->data[i];

		if (text && c == '\\')
			i++;
		else if (c == '"')
			text = !text;
		else if (!text && c == ',')
			values++;
		else if (!text && (c == '{' || c == '['))
			deepest = ++depth > deepest ? depth : deepest;
		else if (!text && (c == '}' || c == ']') && depth > 0)
			depth--;
	}
	if (deepest > ANSWER_DEPTH_MAX || values > VALUES_MAX || body->over)
		return NULL;
	return json_loadb(body->data ? body->data : "", body->len, JSON_ALLOW_NUL, NULL);
}

int tool_server_refused(unsigned status, const struct buf *body, struct err *err)
{
	static const struct {
		unsigned status;
		enum err_code code;
	} codes[] = {
		{ 400, ERR_INVALID },
		{ 403, ERR_DENIED },
		{ 404, ERR_NOT_FOUND },
		{ 408, ERR_TIMEOUT },
		{ 409, ERR_CONFLICT },
		{ 413, ERR_INVALID },
		{ 429, ERR_LIMIT },
	};
	json_auto_t *answer = parse(body);
	const char *detail = json_string_value(json_object_get(answer, "detail"));

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		if (codes[i].status == status)
			return err_set(err, codes[i].code, "%s", detail ? detail : "refused");
	}
	return err_set(err, ERR_IO, "the sandbox's tool server answered %u: %.128s", status,
		detail ? detail : "without a reason");
}

/* ---- a small answer, whole ---- */

void small_answer_init(struct small_answer *answer)
{
	*answer = (struct small_answer){ 0 };
	buf_init(&answer->body, ANSWER_MAX_BYTES);
}

void small_answer_head(struct fetch *fetch, unsigned status, int64_t length, void *data)
{
	struct small_answer *answer = data;

	(void)fetch;
	(void)length;
	answer->status = status;
}

/* What is too much is thrown away; the answer is no answer then. */
bool small_answer_piece(struct fetch *fetch, const char *bytes, size_t len, void *data)
{
	struct small_answer *answer = data;

	(void)fetch;
	buf_add(&answer->body, bytes, len);
	return true;
}

json_t *small_answer_parse(const struct small_answer *answer)
{
	return parse(&answer->body);
}

/* ---- activity ---- */

struct question {
	struct small_answer answer; /* first: the events above get this */
	struct sandbox *sandbox;
	activity_fn *fn;
	void *data;
};

/* RFC 3339 in UTC, as the door writes it. */
static int64_t time_of(const char *text)
{
	struct tm tm = { 0 };
	int ms = 0;

	if (!text || sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &tm.tm_year, &tm.tm_mon,
			     &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms) != 7)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t)timegm(&tm) * 1000 + ms;
}

static void on_activity_end(struct fetch *fetch, const struct err *err, void *data)
{
	struct question *question = data;
	json_auto_t *answer = err || question->answer.status != 200 ?
				      NULL :
				      small_answer_parse(&question->answer);
	struct activity activity = {
		.busy = json_is_true(json_object_get(answer, "busy")),
		.editor = json_is_true(json_object_get(answer, "editor")),
		.last_ms = time_of(json_string_value(json_object_get(answer, "last_activity_at"))),
	};

	(void)fetch;
	question->fn(question->sandbox, answer ? &activity : NULL, question->data);
	buf_release(&question->answer.body);
	free(question);
}

void tool_server_activity(struct sandbox *sandbox, activity_fn *fn, void *data)
{
	static const struct fetch_events events = { small_answer_head, small_answer_piece, NULL,
		on_activity_end };
	struct question *question = alloc_zero(sizeof *question);
	struct fetch_spec spec = { .method = "GET", .connect_ms = ACTIVITY_MS,
		.total_ms = ACTIVITY_MS };

	small_answer_init(&question->answer);
	question->sandbox = sandbox;
	question->fn = fn;
	question->data = data;
	tool_server_fetch(sandbox, "/activity", &spec, &events, question);
}
