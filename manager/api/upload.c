/*
 * POST /sandboxes/upload-file: a form whose fields come first and whose file is passed on as it
 * comes, never whole in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "api.h"
#include "buf.h"
#include "cleanup.h"
#include "err.h"
#include "http.h"
#include "http_form.h"
#include "manager.h"
#include "sandbox.h"
#include "tool_server.h"

enum {
	FIELD_MAX_BYTES = 8192,
	REFUSAL_MAX_BYTES = 64 * 1024,
	QUEUE_HIGH_BYTES = 512 * 1024, /* above it the client waits */
	QUEUE_LOW_BYTES = 128 * 1024,
	SILENCE_MS = 120000,
};

enum { FIELD_ID, FIELD_PATH, FIELDS };

struct upload {
	struct small_answer answer; /* first: the fetch's events get this */
	struct api_call *call;      /* NULL once it was answered */
	struct http_form *form;
	struct buf fields[FIELDS];
	struct fetch *fetch;
	int64_t bytes;
	bool waiting;     /* the sandbox is being resumed, or the body is held up */
	bool body_ended;  /* no more of it comes */
	bool has_file;
};

/* Both the request's body and the call have to be over. */
static void let_go(struct upload *upload)
{
	if (upload->call || !upload->body_ended)
		return;
	http_form_free(upload->form);
	for (int i = 0; i < FIELDS; i++)
		buf_release(&upload->fields[i]);
	buf_release(&upload->answer.body);
	free(upload);
}

/* The call was answered; what still comes of the body is thrown away. */
static void answered(struct upload *upload)
{
	if (upload->fetch)
		fetch_cancel(steal_ptr(&upload->fetch));
	upload->call = NULL;
}

#define REFUSE(upload, ...)                                  \
	do {                                                 \
		struct api_call *refused = (upload)->call;   \
		answered(upload);                            \
		api_refuse(refused, __VA_ARGS__);            \
	} while (0)

static void fail(struct upload *upload, const struct err *err)
{
	struct api_call *call = upload->call;

	answered(upload);
	api_fail(call, err);
}

/* ---- towards the sandbox ---- */

static void on_room(struct fetch *fetch, void *data)
{
	struct upload *upload = data;

	if (!upload->waiting || !upload->call || fetch_queued(fetch) > QUEUE_LOW_BYTES)
		return;
	upload->waiting = false;
	http_resume(upload->call->request);
}

static void on_stored(struct fetch *fetch, const struct err *err, void *data)
{
	struct upload *upload = data;
	struct api_call *call = upload->call;
	struct err why;

	(void)fetch;
	upload->fetch = NULL;
	if (!call)
		return;
	if (upload->waiting)
		http_resume(call->request);
	if (err || (upload->answer.status != 200 && upload->answer.status != 201)) {
		if (!err)
			tool_server_refused(upload->answer.status, &upload->answer.body, &why);
		fail(upload, err ? err : &why);
	} else {
		upload->call = NULL;
		api_reply(call, json_pack("{s:I}", "bytes", (json_int_t)upload->bytes),
			"File uploaded successfully");
	}
	let_go(upload);
}

static void open_file(struct upload *upload)
{
	static const struct fetch_events events = { small_answer_head, small_answer_piece, on_room,
		on_stored };
	AUTO_FREE char *path = door_files_path(call_text(upload->call, "path"));
	struct fetch_spec spec = {
		.method = "PUT",
		.headers = { "Content-Type: application/octet-stream" },
		.streamed = true,
		.body_size = -1,
		.silence_ms = SILENCE_MS,
	};

	upload->fetch = tool_server_fetch(upload->call->sandbox, path, &spec, &events, upload);
}

/* ---- the form ---- */

static bool take_fields(struct upload *upload)
{
	struct api_call *call = upload->call;
	AUTO_BUF struct buf problems = BUF_INIT(1000);
	json_auto_t *body = json_object();

	for (int i = 0; i < FIELDS; i++) {
		const struct buf *field = &upload->fields[i];

		if (field->len > 0)
			json_object_set_new(body, i == FIELD_ID ? "sandbox_id" : "path",
				json_stringn(field->data, field->len));
	}
	if (fields_check(call->route->takes, body, &call->body, &problems) < 0) {
		REFUSE(upload, 422, "invalid_fields", "%s; it has to come before 'file'",
			problems.data);
		return false;
	}
	struct sandbox *sandbox = manager_sandbox(call->manager, call_text(call, "sandbox_id"));
	if (!sandbox) {
		REFUSE(upload, 404, "not_found", "There is no sandbox of that id");
		return false;
	}
	if (!api_may(call, sandbox)) {
		REFUSE(upload, 403, "forbidden", "That sandbox belongs to another user");
		return false;
	}
	if (sandbox->row.state != SANDBOX_RUNNING) {
		REFUSE(upload, 409, "conflict",
			"The sandbox does not run: resume it with POST /sandboxes/connect");
		return false;
	}
	call->sandbox = sandbox;
	sandbox_hold(sandbox);
	return true;
}

static int take_file(struct upload *upload, const char *bytes, size_t len)
{
	if (!upload->has_file) {
		upload->has_file = true;
		if (!take_fields(upload))
			return -1;
		open_file(upload);
	}
	if (!upload->fetch)
		return -1;
	fetch_send(upload->fetch, bytes, len);
	upload->bytes += (int64_t)len;
	return 0;
}

static int on_part(const char *name, const char *bytes, size_t len, uint64_t offset, void *data)
{
	struct upload *upload = data;
	int field = strcmp(name, "sandbox_id") == 0 ? FIELD_ID : FIELD_PATH;

	(void)offset;
	if (!upload->call)
		return -1;
	if (strcmp(name, "file") == 0)
		return take_file(upload, bytes, len);
	if (strcmp(name, "sandbox_id") != 0 && strcmp(name, "path") != 0 &&
		strcmp(name, "file_path") != 0)
		return 0;
	return buf_add(&upload->fields[field], bytes, len);
}

/* ---- the request ---- */

static void on_piece(struct http_request *request, const char *bytes, size_t len, void *data)
{
	struct upload *upload = data;

	if (!upload->call)
		return;
	if (http_form_feed(upload->form, bytes, len) < 0) {
		if (upload->call)
			REFUSE(upload, 400, "malformed", "The form cannot be read");
		return;
	}
	if (upload->fetch && fetch_queued(upload->fetch) > QUEUE_HIGH_BYTES) {
		upload->waiting = true;
		http_pause(request);
	}
}

static void on_body(struct http_request *request, void *data)
{
	struct upload *upload = data;

	(void)request;
	upload->body_ended = true;
	if (upload->call && !upload->has_file)
		REFUSE(upload, 422, "invalid_fields", "'file' is required");
	else if (upload->fetch)
		fetch_send_end(upload->fetch);
	let_go(upload);
}

static void on_body_gone(struct http_request *request, void *data)
{
	struct upload *upload = data;
	struct api_call *call = upload->call;

	(void)request;
	upload->body_ended = true;
	answered(upload);
	if (call)
		api_call_free(call); /* nobody is there to be answered */
	let_go(upload);
}

void api_upload_file(struct api_call *call)
{
	struct upload *upload = alloc_zero(sizeof *upload);

	upload->call = call;
	upload->form = http_form_new(call->request, on_part, upload);
	for (int i = 0; i < FIELDS; i++)
		buf_init(&upload->fields[i], FIELD_MAX_BYTES);
	buf_init(&upload->answer.body, REFUSAL_MAX_BYTES);
	if (!upload->form) {
		upload->call = NULL;
		upload->body_ended = true;
		let_go(upload);
		api_refuse(call, 400, "malformed", "The form has no boundary");
		return;
	}
	http_stream_body(call->request, on_piece, on_body, on_body_gone, upload);
}
