/* Calls about files, all through the tool server's door /files. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "api.h"
#include "buf.h"
#include "cleanup.h"
#include "err.h"
#include "http.h"
#include "sandbox.h"
#include "tool_server.h"

enum {
	READ_MAX_BYTES = 16 * 1024 * 1024,
	REFUSAL_MAX_BYTES = 64 * 1024,
	QUEUE_MAX = 1024 * 1024,
	SILENCE_MS = 120000,
};

char *door_files_path(const char *path)
{
	static const char hex[] = "0123456789ABCDEF";
	struct buf out;

	buf_init(&out, 64 * 1024);
	buf_add_text(&out, "/files?path=");
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (c == '/' || c == '.' || c == '-' || c == '_' || (c >= '0' && c <= '9') ||
			(c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) {
			buf_add_char(&out, (char)c);
		} else {
			buf_add_char(&out, '%');
			buf_add_char(&out, hex[c >> 4]);
			buf_add_char(&out, hex[c & 15]);
		}
	}
	return buf_steal(&out, NULL);
}

/* A request to the door, and the call that it is for. */
struct transfer {
	struct small_answer answer; /* first: its events get this */
	struct api_call *call;
	struct fetch *fetch;
	struct http_stream *stream; /* of a download */
	int64_t length;
	bool ended; /* the fetch is over, and its answer on its way */
};

static void transfer_free(void *data)
{
	struct transfer *transfer = data;

	buf_release(&transfer->answer.body);
	free(transfer);
}

static void on_gone(struct http_request *request, bool dead, void *data)
{
	static const struct err gone = { ERR_CANCELLED, 0, "the client left" };
	struct transfer *transfer = data;

	(void)request;
	if (!dead || transfer->ended)
		return;
	if (transfer->stream) {
		http_stream_cut(transfer->stream);
		return;
	}
	fetch_cancel(transfer->fetch);
	api_fail(transfer->call, &gone);
}

static struct transfer *transfer_new(struct api_call *call, size_t body_max)
{
	struct transfer *transfer = alloc_zero(sizeof *transfer);

	transfer->call = call;
	buf_init(&transfer->answer.body, body_max);
	call->own = transfer;
	call->free_own = transfer_free;
	http_on_gone(call->request, on_gone, transfer);
	return transfer;
}

/* What the door refused, or why it could not be asked; false: neither. */
static bool failed(struct transfer *transfer, const struct err *err)
{
	unsigned status = transfer->answer.status;
	struct err why;

	if (!err && (status == 200 || status == 201))
		return false;
	if (!err)
		tool_server_refused(status, &transfer->answer.body, &why);
	api_fail(transfer->call, err ? err : &why);
	return true;
}

/* ---- write-file ---- */

static void on_written(struct fetch *fetch, const struct err *err, void *data)
{
	struct transfer *transfer = data;

	(void)fetch;
	if (failed(transfer, err))
		return;
	api_reply(transfer->call, json_pack("{s:I}", "bytes", (json_int_t)transfer->length),
		"File written successfully");
}

static void write_file(struct api_call *call)
{
	static const struct fetch_events events = { small_answer_head, small_answer_piece, NULL,
		on_written };
	const json_t *content = json_object_get(call->body, "content");
	AUTO_FREE char *path = door_files_path(call_text(call, "path"));
	struct transfer *transfer = transfer_new(call, REFUSAL_MAX_BYTES);
	struct fetch_spec spec = {
		.method = "PUT",
		.headers = { "Content-Type: application/octet-stream" },
		.body = json_string_value(content),
		.body_len = json_string_length(content),
		.silence_ms = SILENCE_MS,
	};

	transfer->length = (int64_t)spec.body_len;
	transfer->fetch = tool_server_fetch(call->sandbox, path, &spec, &events, transfer);
}

void api_write_file(struct api_call *call)
{
	api_when_running(call, write_file);
}

/* ---- read-file ---- */

static bool on_read_piece(struct fetch *fetch, const char *bytes, size_t len, void *data)
{
	struct transfer *transfer = data;

	if (buf_add(&transfer->answer.body, bytes, len) == 0)
		return true;
	fetch_cancel(fetch);
	api_refuse(transfer->call, 413, "too_large",
		"The file has more than %d bytes: use download-file", READ_MAX_BYTES);
	return true;
}

static void on_read(struct fetch *fetch, const struct err *err, void *data)
{
	struct transfer *transfer = data;
	struct buf *body = &transfer->answer.body;

	(void)fetch;
	if (failed(transfer, err))
		return;
	transfer->ended = true;
	json_t *text = json_stringn(body->data ? body->data : "", body->len);
	buf_release(body);
	if (text)
		api_reply_large(transfer->call, json_pack("{s:o}", "content", text));
	else
		api_refuse(transfer->call, 415, "not_text",
			"The file is no UTF-8 text: use download-file");
}

static void read_file(struct api_call *call)
{
	static const struct fetch_events events = { small_answer_head, on_read_piece, NULL,
		on_read };
	AUTO_FREE char *path = door_files_path(call_text(call, "path"));
	struct transfer *transfer = transfer_new(call, READ_MAX_BYTES);
	struct fetch_spec spec = { .method = "GET", .silence_ms = SILENCE_MS };

	transfer->fetch = tool_server_fetch(call->sandbox, path, &spec, &events, transfer);
}

void api_read_file(struct api_call *call)
{
	api_when_running(call, read_file);
}

/* ---- download-file ---- */

/* RFC 6266: a plain name for old clients, and the true one in RFC 8187's form. */
static void set_disposition(struct http_request *request, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	AUTO_FREE char *encoded = door_files_path(name);
	AUTO_BUF struct buf value = BUF_INIT(32 * 1024);

	buf_add_text(&value, "attachment; filename=\"");
	for (const char *c = name; *c; c++)
		buf_add_char(&value, *c >= ' ' && *c <= '~' && *c != '"' && *c != '\\' ? *c : '_');
	buf_addf(&value, "\"; filename*=UTF-8''%s", strchr(encoded, '=') + 1);
	http_set_header(request, "Content-Disposition", value.data);
}

static void on_download_closed(struct http_stream *stream, void *data)
{
	struct transfer *transfer = data;

	(void)stream;
	transfer->stream = NULL;
	fetch_cancel(transfer->fetch);
	api_call_free(transfer->call);
}

static void on_download_drained(struct http_stream *stream, void *data)
{
	struct transfer *transfer = data;

	(void)stream;
	if (transfer->fetch)
		fetch_resume(transfer->fetch);
}

static void on_download_head(struct fetch *fetch, unsigned status, int64_t length, void *data)
{
	struct transfer *transfer = data;
	struct http_request *request = transfer->call->request;

	(void)fetch;
	transfer->answer.status = status;
	if (status != 200)
		return;
	set_disposition(request, call_text(transfer->call, "path"));
	http_set_header(request, "X-Content-Type-Options", "nosniff");
	transfer->stream = http_reply_stream(request, 200, "application/octet-stream", length,
		QUEUE_MAX, on_download_closed, transfer);
	http_stream_on_drained(transfer->stream, on_download_drained);
}

static bool on_download_piece(struct fetch *fetch, const char *bytes, size_t len, void *data)
{
	struct transfer *transfer = data;

	if (!transfer->stream)
		return small_answer_piece(fetch, bytes, len, data);
	if (http_stream_queued(transfer->stream) > QUEUE_MAX / 2)
		return false;
	http_stream_write(transfer->stream, bytes, len);
	return true;
}

static void on_download_end(struct fetch *fetch, const struct err *err, void *data)
{
	struct transfer *transfer = data;

	(void)fetch;
	transfer->fetch = NULL;
	if (!transfer->stream)
		failed(transfer, err);
	else if (err)
		http_stream_cut(transfer->stream);
	else
		http_stream_end(transfer->stream);
}

static void download_file(struct api_call *call)
{
	static const struct fetch_events events = { on_download_head, on_download_piece, NULL,
		on_download_end };
	AUTO_FREE char *path = door_files_path(call_text(call, "path"));
	struct transfer *transfer = transfer_new(call, REFUSAL_MAX_BYTES);
	struct fetch_spec spec = { .method = "GET", .silence_ms = SILENCE_MS };

	transfer->fetch = tool_server_fetch(call->sandbox, path, &spec, &events, transfer);
}

void api_download_file(struct api_call *call)
{
	api_when_running(call, download_file);
}
