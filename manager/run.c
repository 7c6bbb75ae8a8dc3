/* Commands in a sandbox: the frames of POST /exec (docs/doors.md), as they come. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "cleanup.h"
#include "config.h"
#include "err.h"
#include "loop.h"
#include "manager.h"
#include "sandbox.h"
#include "tool_server.h"

enum {
	HEAD_BYTES = 8,
	FRAME_STDOUT = 1,
	FRAME_STDERR = 2,
	FRAME_END = 3,
	END_MAX_BYTES = 4096,
	REFUSAL_MAX_BYTES = 64 * 1024,
	HEAD_MS = 30000,  /* the command's start */
	SPARE_MS = 10000, /* its end is the tool server's to bring about; this is for one that does not */
};

struct run {
	struct sandbox *sandbox;
	struct fetch *fetch;
	struct loop_timer *silence; /* until the answer begins */
	struct run_events events;
	void *data;
	unsigned status;
	unsigned char head[HEAD_BYTES];
	size_t head_len, frame_left;
	size_t taken; /* of a piece that comes again, what was used before */
	struct buf end; /* the last frame, or why it was refused */
	bool ended;
};

static void run_free(struct run *run)
{
	loop_timer_free(run->silence);
	buf_release(&run->end);
	free(run);
}

static void on_head(struct fetch *fetch, unsigned status, int64_t length, void *data)
{
	struct run *run = data;

	(void)fetch;
	(void)length;
	run->status = status;
	loop_timer_stop(run->silence);
}

/* Takes what it can of the frame's bytes; 0: not now. */
static size_t take_frame(struct run *run, const char *bytes, size_t len)
{
	int kind = run->head[0];

	if (len > run->frame_left)
		len = run->frame_left;
	if (kind == FRAME_END) {
		if (run->end.len + len <= END_MAX_BYTES)
			buf_add(&run->end, bytes, len);
		run->ended = len == run->frame_left;
	} else if (kind == FRAME_STDOUT || kind == FRAME_STDERR) {
		if (!run->events.output(kind == FRAME_STDERR, bytes, len, run->data))
			return 0;
	}
	run->frame_left -= len;
	if (run->frame_left == 0)
		run->head_len = 0;
	return len;
}

static size_t take_head(struct run *run, const char *bytes, size_t len)
{
	if (len > HEAD_BYTES - run->head_len)
		len = HEAD_BYTES - run->head_len;
	memcpy(run->head + run->head_len, bytes, len);
	run->head_len += len;
	if (run->head_len == HEAD_BYTES) {
		run->frame_left = (size_t)run->head[4] << 24 | (size_t)run->head[5] << 16 |
				  (size_t)run->head[6] << 8 | run->head[7];
		if (run->frame_left == 0)
			run->head_len = 0;
	}
	return len;
}

static bool on_piece(struct fetch *fetch, const char *bytes, size_t len, void *data)
{
	struct run *run = data;

	(void)fetch;
	if (run->status != 200) {
		buf_add(&run->end, bytes, len);
		return true;
	}
	if (run->taken > len) { /* a piece that comes again may come in parts */
		run->taken -= len;
		return true;
	}
	while (run->taken < len && !run->ended) {
		const char *at = bytes + run->taken;
		size_t left = len - run->taken, used;

		if (run->head_len < HEAD_BYTES)
			used = take_head(run, at, left);
		else if ((used = take_frame(run, at, left)) == 0)
			return false;
		run->taken += used;
	}
	run->taken = 0;
	return true;
}

/* The shell's way to say it, so that one number tells all. */
static int exit_code_of(const json_t *end)
{
	const char *name = json_string_value(json_object_get(end, "signal"));
	const json_t *code = json_object_get(end, "exit_code");

	if (json_is_integer(code) && !name)
		return (int)json_integer_value(code);
	for (int signo = 1; name && signo < NSIG; signo++) {
		const char *known = sigabbrev_np(signo);

		if (known && (strcmp(name, known) == 0 ||
				     (strncmp(name, "SIG", 3) == 0 && strcmp(name + 3, known) == 0)))
			return 128 + signo;
	}
	return 255;
}

static void on_end(struct fetch *fetch, const struct err *err, void *data)
{
	struct run *run = data;
	struct err why;

	(void)fetch;
	if (!err && run->status != 200)
		tool_server_refused(run->status, &run->end, &why);
	else if (err)
		why = *err;
	else
		err_set(&why, ERR_IO, "the sandbox's tool server stopped in the middle: try again");
	json_auto_t *end = run->ended && run->status == 200 ?
				   json_loadb(run->end.data, run->end.len, 0, NULL) :
				   NULL;
	struct run_result result = {
		.exit_code = exit_code_of(end),
		.timed_out = json_is_true(json_object_get(end, "timed_out")),
	};
	run->events.end(end ? &result : NULL, end ? NULL : &why, run->data);
	run_free(run);
}

static void on_silence(void *data)
{
	struct run *run = data;
	struct err err;

	err_set(&err, ERR_TIMEOUT, "the sandbox's tool server does not answer: try again, or pause "
				   "and resume the sandbox");
	fetch_cancel(run->fetch);
	run->events.end(NULL, &err, run->data);
	run_free(run);
}

struct run *run_start(struct sandbox *sandbox, const json_t *request,
	const struct run_events *events, void *data)
{
	static const struct fetch_events fetch_events = { on_head, on_piece, NULL, on_end };
	struct run *run = alloc_zero(sizeof *run);
	AUTO_FREE char *body = json_dumps(request, JSON_COMPACT);
	int64_t timeout_s = json_integer_value(json_object_get(request, "timeout"));
	int64_t longest = sandbox->manager->config->max_timeout;
	struct fetch_spec spec = {
		.method = "POST",
		.headers = { "Content-Type: application/json" },
		.body = body,
		.body_len = strlen(body),
		.total_ms = (timeout_s ? timeout_s : longest) * 1000 + SPARE_MS,
	};

	run->sandbox = sandbox;
	run->silence = loop_timer_new(sandbox->manager->loop, on_silence, run);
	loop_timer_set(run->silence, HEAD_MS);
	run->events = *events;
	run->data = data;
	buf_init(&run->end, REFUSAL_MAX_BYTES);
	run->fetch = tool_server_fetch(sandbox, "/exec", &spec, &fetch_events, run);
	return run;
}

void run_resume(struct run *run)
{
	fetch_resume(run->fetch);
}

void run_cancel(struct run *run)
{
	if (!run)
		return;
	fetch_cancel(run->fetch);
	run_free(run);
}
