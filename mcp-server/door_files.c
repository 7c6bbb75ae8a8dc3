/*
 * GET and PUT /files?path=…: a file's bytes, as they are, in constant memory whatever the size.
 * The disk is asked on workers only; one block of a transfer is in memory at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "config.h"
#include "door_path.h"
#include "doors.h"
#include "err.h"
#include "http.h"
#include "result.h"
#include "save.h"
#include "server.h"
#include "worker.h"

enum { BLOCK_BYTES = 256 * 1024 };

static bool submit(struct server *server, worker_fn *run, worker_fn *done, void *data,
	struct err *err)
{
	return worker_submit(server->workspace.pool, run, done, data, err) == 0;
}

static char *asked_path(struct server *server, struct http_request *request, struct err *err)
{
	size_t len = 0;
	const char *path = http_query(request, "path", &len);

	return door_path(&server->workspace, path, len, err);
}

/* ---- GET ---- */

struct download {
	struct server *server;
	struct http_request *request; /* NULL once the stream is open */
	struct http_stream *stream;   /* NULL once it was closed */
	char *path, *range;
	int fd;
	int64_t size, at, end; /* of the file; the part that is sent, `end` excluded */
	bool partial;
	bool working, gone;    /* a worker has it; the client left meanwhile */
	struct err err;
	bool failed;
	ssize_t got;
	char *block;
};

static void download_free(struct download *get)
{
	cleanup_close(&get->fd);
	free(get->path);
	free(get->range);
	free(get->block);
	free(get);
}

static void read_block(void *data)
{
	struct download *get = data;
	size_t want = get->end - get->at < BLOCK_BYTES ? (size_t)(get->end - get->at) : BLOCK_BYTES;

	do
		get->got = pread(get->fd, get->block, want, get->at);
	while (get->got < 0 && errno == EINTR);
}

static void block_read(void *data)
{
	struct download *get = data;

	get->working = false;
	if (get->gone) {
		download_free(get);
	} else if (get->got <= 0) { /* an error, or the file became shorter */
		http_stream_cut(get->stream);
	} else {
		get->at += get->got;
		http_stream_write(get->stream, get->block, (size_t)get->got);
		if (get->at == get->end)
			http_stream_end(get->stream);
	}
}

static void on_drained(struct http_stream *stream, void *data)
{
	struct download *get = data;

	if (get->working || get->at == get->end)
		return;
	get->working = submit(get->server, read_block, block_read, get, NULL);
	if (!get->working)
		http_stream_cut(stream);
}

static void on_closed(struct http_stream *stream, void *data)
{
	struct download *get = data;

	(void)stream;
	if (get->working)
		get->gone = true;
	else
		download_free(get);
}

/* RFC 9110, section 14.1.2: one range; what cannot be understood is ignored. -1: nothing of it
 * is in the file. */
static int take_range(struct download *get)
{
	const char *text = get->range;
	char *end;

	get->end = get->size;
	if (!text || strncmp(text, "bytes=", 6) != 0 || strchr(text, ','))
		return 0;
	text += 6;
	errno = 0;
	long long first = strtoll(text, &end, 10), last = INT64_MAX - 1;
	if (errno || end == text)
		return 0;
	if (*text == '-') { /* the last so many bytes */
		if (*end)
			return 0;
		first = get->size + first < 0 ? 0 : get->size + first;
	} else {
		if (*end != '-')
			return 0;
		const char *rest = end + 1;
		if (*rest)
			last = strtoll(rest, &end, 10);
		if ((*rest && (*end || *rest < '0' || *rest > '9')) || errno || last < first)
			return 0;
	}
	if (first >= get->size)
		return -1;
	get->at = first;
	get->end = last < get->size - 1 ? last + 1 : get->size;
	get->partial = true;
	return 0;
}

static void open_file(void *data)
{
	struct download *get = data;
	struct stat st;

	get->fd = open(get->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	get->failed = true;
	if (get->fd < 0 || fstat(get->fd, &st) < 0)
		err_sys(&get->err, "open %s", get->path);
	else if (S_ISDIR(st.st_mode))
		err_set(&get->err, ERR_INVALID, "%s is a directory: ask for a file", get->path);
	else if (!S_ISREG(st.st_mode))
		err_set(&get->err, ERR_INVALID, "%s is no regular file", get->path);
	else
		get->failed = false;
	get->size = get->failed ? 0 : st.st_size;
}

static void refuse_range(struct download *get)
{
	char range[64];

	snprintf(range, sizeof range, "bytes */%" PRId64, get->size);
	http_set_header(get->request, "Content-Range", range);
	http_reply_text(get->request, 416, "text/plain", "The file is shorter than that.\n");
}

static void file_opened(void *data)
{
	struct download *get = data;
	char range[96];

	if (get->failed) {
		door_refuse(get->request, &get->err);
		download_free(get);
		return;
	}
	if (take_range(get) < 0) {
		refuse_range(get);
		download_free(get);
		return;
	}
	http_set_header(get->request, "Accept-Ranges", "bytes");
	if (get->partial) {
		snprintf(range, sizeof range, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, get->at,
			get->end - 1, get->size);
		http_set_header(get->request, "Content-Range", range);
	}
	get->block = alloc_grow(NULL, BLOCK_BYTES);
	get->stream = http_reply_stream(get->request, get->partial ? 206 : 200,
		"application/octet-stream", get->end - get->at, BLOCK_BYTES, on_closed, get);
	http_stream_on_drained(get->stream, on_drained);
	get->request = NULL;
}

void door_files_get(struct server *server, struct http_request *request)
{
	struct err err;
	char *path = asked_path(server, request, &err);
	const char *range = http_header(request, "Range");

	server_touch(server);
	if (!path) {
		door_refuse(request, &err);
		return;
	}
	struct download *get = alloc_zero(sizeof *get);
	*get = (struct download){ .server = server, .request = request, .path = path, .fd = -1 };
	get->range = range ? alloc_text(range) : NULL;
	if (!submit(server, open_file, file_opened, get, &err)) {
		door_refuse(request, &err);
		download_free(get);
	}
}

/* ---- PUT ---- */

struct upload {
	struct server *server;
	struct http_request *request; /* NULL once the client is gone */
	char *path;
	struct save save;
	struct buf block; /* what came and is not written yet */
	int64_t bytes;
	bool begun, ended, created, working;
	struct err err;
	bool failed;
};

static void upload_free(struct upload *put)
{
	save_release(&put->save);
	buf_release(&put->block);
	free(put->path);
	free(put);
}

static int begin(struct upload *put)
{
	char name[NAME_MAX + 1];
	int dirfd;

	put->begun = true;
	if (door_open_parent(put->path, &dirfd, name, &put->err) < 0)
		return -1;
	return save_begin(&put->save, dirfd, name, true, &put->err);
}

static void write_block(void *data)
{
	struct upload *put = data;

	put->failed = (!put->begun && begin(put) < 0) ||
		      save_write(&put->save, put->block.data, put->block.len, &put->err) < 0 ||
		      (put->ended && save_commit(&put->save, &put->created, &put->err) < 0);
}

static void reply_written(struct upload *put)
{
	struct buf body;
	json_auto_t *reply = json_pack("{s:b, s:s, s:I, s:b}", "success", 1, "path", put->path,
		"bytes", (json_int_t)put->bytes, "created", put->created);

	buf_init(&body, 64 * 1024);
	buf_add_json(&body, reply);
	http_reply(put->request, put->created ? 201 : 200, "application/json", &body);
}

static void block_written(void *data)
{
	struct upload *put = data;
	struct http_request *request = put->request;

	put->working = false;
	put->bytes += (int64_t)put->block.len;
	buf_clear(&put->block);
	if (!request) {
		upload_free(put);
	} else if (put->failed) {
		door_refuse(request, &put->err); /* on_left() frees it where the body goes on */
		if (put->ended)
			upload_free(put);
	} else if (put->ended) {
		reply_written(put);
		upload_free(put);
	} else {
		http_resume(request);
	}
}

static void write_soon(struct upload *put)
{
	put->working = submit(put->server, write_block, block_written, put, &put->err);
	if (put->working)
		return;
	door_refuse(put->request, &put->err);
	if (put->ended)
		upload_free(put);
}

static void on_piece(struct http_request *request, const char *bytes, size_t len, void *data)
{
	struct upload *put = data;

	buf_add(&put->block, bytes, len);
	if (put->block.len < BLOCK_BYTES)
		return;
	server_touch(put->server);
	http_pause(request);
	write_soon(put);
}

static void on_end(struct http_request *request, void *data)
{
	struct upload *put = data;

	(void)request;
	put->ended = true;
	write_soon(put);
}

static void on_left(struct http_request *request, void *data)
{
	struct upload *put = data;

	(void)request;
	put->request = NULL;
	if (!put->working)
		upload_free(put);
}

void door_files_put(struct server *server, struct http_request *request)
{
	struct err err;
	char *path = asked_path(server, request, &err);

	server_touch(server);
	if (!path) {
		door_refuse(request, &err);
		return;
	}
	struct upload *put = alloc_zero(sizeof *put);
	*put = (struct upload){
		.server = server,
		.request = request,
		.path = path,
		.save = { .dirfd = -1, .fd = -1 },
	};
	buf_init(&put->block, BLOCK_BYTES + (size_t)server->config->header_max);
	http_stream_body(request, on_piece, on_end, on_left, put);
}
