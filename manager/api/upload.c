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
#include "tool_server.h"

enum {
	FIELD_MAX_BYTES = 8192,
	REFUSAL_MAX_BYTES = 64 * 1024,
	QUEUE_HIGH_BYTES = 512 * 1024, /* above it the client waits */
	QUEUE_LOW_BYTES = 128 * 1024,
	EARLY_MAX_BYTES = 1024 * 1024,
	SILENCE_MS = 120000,
};

enum { FIELD_ID, FIELD_PATH, FIELDS };

static const char *const field_names[FIELDS] = { "sandbox_id", "path" };

struct upload {
	struct small_answer answer; /* first: the fetch's events get this */
	struct api_call *call;      /* NULL once it was answered */
	struct http_form *form;
	struct buf fields[FIELDS];
	struct fetch *fetch; /* NULL: not yet, or not any more */
	struct buf early;    /* of the file, while the sandbox is being resumed */
	int64_t bytes;
	bool paused;     /* the client is held up */
	bool body_ended; /* no more of it comes */
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
	buf_release(&upload->early);
	buf_release(&upload->answer.body);
	free(upload);
}

/* The call was answered; what still comes of the body is thrown away. */
static void on_answered(void *data)
{
	struct upload *upload = data;

	fetch_cancel(steal_ptr(&upload->fetch));
	upload->call = NULL;
	let_go(upload);
}

/* ---- towards the sandbox ---- */

static void go_on(struct upload *upload)
{
	if (!upload->paused)
		return;
	upload->paused = false;
	http_resume(upload->call->request);
}

static void on_room(struct fetch *fetch, void *data)
{
	struct upload *upload = data;

	if (fetch_queued(fetch) <= QUEUE_LOW_BYTES)
		go_on(upload);
}

static void on_stored(struct fetch *fetch, const struct err *err, void *data)
{
	struct upload *upload = data;
	struct api_call *call = upload->call;
	unsigned status = upload->answer.status;
	struct err why;

	(void)fetch;
	upload->fetch = NULL;
	if (err) {
		api_fail(call, err);
	} else if (status != 200 && status != 201) {
		tool_server_refused(status, &upload->answer.body, &why);
		api_fail(call, &why);
	} else if (!upload->body_ended) {
		err_set(&why, ERR_IO, "the sandbox's tool server did not read the whole file");
		api_fail(call, &why);
	} else {
		api_reply(call, json_pack("{s:I}", "bytes", (json_int_t)upload->bytes),
			"File uploaded successfully");
	}
}

static void open_file(struct api_call *call)
{
	static const struct fetch_events events = { small_answer_head, small_answer_piece, on_room,
		on_stored };
	struct upload *upload = call->own;
	AUTO_FREE char *path = door_files_path(call_text(call, "path"));
	struct fetch_spec spec = {
		.method = "PUT",
		.headers = { "Content-Type: application/octet-stream" },
		.streamed = true,
		.body_size = -1,
		.silence_ms = SILENCE_MS,
	};

	upload->fetch = tool_server_fetch(call->sandbox, path, &spec, &events, upload);
	fetch_send(upload->fetch, upload->early.data, upload->early.len);
	buf_release(&upload->early);
	go_on(upload);
}

/* ---- the form ---- */

/* Each as its bytes are; what is no text is refused as such. */
static json_t *given_fields(const struct upload *upload)
{
	json_t *body = json_object();

	for (int i = 0; i < FIELDS; i++) {
		const struct buf *field = &upload->fields[i];
		json_t *text;

		if (field->len == 0)
			continue;
		text = json_stringn(field->data, field->len);
		json_object_set_new(body, field_names[i], text ? text : json_true());
	}
	return body;
}

/* False: the call was refused. */
static bool take_fields(struct upload *upload)
{
	struct api_call *call = upload->call;
	AUTO_BUF struct buf problems = BUF_INIT(1000);
	json_auto_t *body = given_fields(upload);

	if (fields_check(call->route->takes, body, &call->body, &problems) == 0)
		return api_find_sandbox(call);
	api_refuse(call, 422, "invalid_fields", "%s; fields have to come before 'file'",
		problems.data);
	return false;
}

static int take_file(struct upload *upload, const char *bytes, size_t len, uint64_t offset)
{
	if (upload->has_file && offset == 0 && upload->bytes > 0) {
		api_refuse(upload->call, 422, "invalid_fields", "'file' came twice: send one");
		return -1;
	}
	if (!upload->has_file) {
		upload->has_file = true;
		if (!take_fields(upload))
			return -1;
		api_when_running(upload->call, open_file);
	}
	if (!upload->call)
		return -1;
	upload->bytes += (int64_t)len;
	if (!upload->fetch)
		return buf_add(&upload->early, bytes, len);
	fetch_send(upload->fetch, bytes, len);
	return 0;
}

static int on_part(const char *name, const char *bytes, size_t len, uint64_t offset, void *data)
{
	struct upload *upload = data;

	if (!upload->call)
		return -1;
	if (strcmp(name, "file") == 0)
		return take_file(upload, bytes, len, offset);
	for (int i = 0; i < FIELDS; i++) {
		if (strcmp(name, field_names[i]) != 0 &&
			(i != FIELD_PATH || strcmp(name, "file_path") != 0))
			continue;
		if (buf_add(&upload->fields[i], bytes, len) == 0)
			return 0;
		api_refuse(upload->call, 422, "invalid_fields", "'%s' is too long", field_names[i]);
		return -1;
	}
	return 0;
}

/* ---- the request ---- */

static void on_piece(struct http_request *request, const char *bytes, size_t len, void *data)
{
	struct upload *upload = data;

	if (!upload->call)
		return;
	if (http_form_feed(upload->form, bytes, len) < 0) {
		if (upload->call)
			api_refuse(upload->call, 400, "malformed", "The form cannot be read");
		return;
	}
	if (upload->has_file &&
		(!upload->fetch || fetch_queued(upload->fetch) > QUEUE_HIGH_BYTES)) {
		upload->paused = true;
		http_pause(request);
	}
}

static void on_body(struct http_request *request, void *data)
{
	struct upload *upload = data;

	(void)request;
	upload->body_ended = true;
	if (!upload->call)
		let_go(upload);
	else if (!upload->has_file)
		api_refuse(upload->call, 422, "invalid_fields", "'file' is required");
	else if (http_form_end(upload->form) < 0)
		api_refuse(upload->call, 400, "malformed",
			"The form ends in the middle: its last boundary is missing");
	else
		fetch_send_end(upload->fetch);
}

static void on_body_gone(struct http_request *request, void *data)
{
	struct upload *upload = data;

	(void)request;
	upload->body_ended = true;
	if (upload->call)
		api_call_free(upload->call); /* nobody is there to be answered */
	else
		let_go(upload);
}

void api_upload_file(struct api_call *call)
{
	struct upload *upload = alloc_zero(sizeof *upload);

	upload->call = call;
	upload->form = http_form_new(call->request, on_part, upload);
	for (int i = 0; i < FIELDS; i++)
		buf_init(&upload->fields[i], FIELD_MAX_BYTES);
	buf_init(&upload->early, EARLY_MAX_BYTES);
	buf_init(&upload->answer.body, REFUSAL_MAX_BYTES);
	call->own = upload;
	call->free_own = on_answered;
	if (upload->form) {
		http_stream_body(call->request, on_piece, on_body, on_body_gone, upload);
		return;
	}
	upload->body_ended = true;
	api_refuse(call, 400, "malformed", "The form has no boundary");
}
