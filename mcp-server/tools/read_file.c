#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "alloc.h"
#include "buf.h"
#include "call.h"
#include "charset.h"
#include "cleanup.h"
#include "err.h"
#include "lines.h"
#include "mime.h"
#include "path.h"
#include "tool.h"
#include "utf8.h"
#include "workspace.h"

enum {
	DEFAULT_LINES = 2000,
	MAX_LINES = 10000000,
	DEFAULT_BYTES = 256 * 1024,
	MAX_BYTES = 8 * 1024 * 1024,   /* where `limit` is given */
	ON_LOOP_BYTES = 1024 * 1024,   /* as much as the loop reads from the cache at once */
	BLOCK_BYTES = 256 * 1024,      /* while looking for a line */
	META_BYTES = 32 * 1024,        /* a path may be all escapes */
	META_USUAL_BYTES = 500,        /* so many are nearly always enough */
	IMAGE_BYTES = 15 * 256 * 1024, /* 5 MiB as base64: what model APIs take */
};

#define EXACT_INTEGER_MAX 9007199254740991 /* of a JSON number that went through a double */

/* What is asked for. */
struct request {
	const char *path;
	size_t path_len;
	int64_t line;        /* the first one, from 1 */
	int64_t byte;        /* bytes of it to leave out */
	size_t lines, bytes; /* at most */
};

/* Its path for a message. */
#define SHOWN(request) path_shown((char[PATH_SHOWN]){ 0 }, (request)->path, (request)->path_len)

/* A file, and the part of it that is in memory. */
struct file {
	struct call *call;
	const struct request *request;
	int fd;     /* -1: all that is needed is in memory */
	char *room; /* for load(): room_len bytes */
	size_t room_len;
	int64_t size;
	enum charset charset;
	size_t bom;

	const char *bytes;
	size_t len;
	int64_t at; /* their place in the file */
	bool last;  /* the file ends behind them */

	int64_t line_start; /* of the first line asked for */
};

/* ---- Bytes ---- */

/* Has the bytes from `at` on in memory, up to `len`; `at` never goes back. */
static int load(struct file *file, int64_t at, size_t len, struct err *err)
{
	size_t n = 0;

	if (file->fd < 0) {
		file->bytes += at - file->at;
		file->len -= (size_t)(at - file->at);
		file->at = at;
		return 0;
	}
	len = len < file->room_len ? len : file->room_len;
	file->last = false;
	while (n < len && !file->last) {
		ssize_t got = pread(file->fd, file->room + n, len - n, at + (off_t)n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, "read %s", SHOWN(file->request));
		n += (size_t)got;
		/* Files of /proc have no size: they end where nothing comes any more. */
		file->last = got == 0 || (file->size > 0 && at + (int64_t)n >= file->size);
	}
	file->bytes = file->room;
	file->len = n;
	file->at = at;
	return 0;
}

static size_t span(const struct file *file, size_t len, int64_t want, size_t *found)
{
	if (charset_unit(file->charset) == 1)
		return lines_span(file->bytes, len, (size_t)want, found);
	return lines_span16(
		file->bytes, len, file->charset == CHARSET_UTF16BE, (size_t)want, found);
}

/* Whether the first `len` > 0 bytes end in a newline. */
static bool ends_line(const struct file *file, size_t len)
{
	size_t unit = charset_unit(file->charset), found = 0;

	if (len >= unit) {
		struct file tail = { .charset = file->charset, .bytes = file->bytes + len - unit };
		span(&tail, unit, 1, &found);
	}
	return found == 1;
}

struct skipped {
	int64_t newlines;
	bool partial; /* bytes behind the last of them were passed, too */
};

/* Goes from `*at` past `want` newlines, not further than `end`. */
static int skip_lines(struct file *file, int64_t *at, int64_t end, int64_t want,
	struct skipped *skipped, struct err *err)
{
	*skipped = (struct skipped){ 0 };
	while (skipped->newlines < want && *at < end) {
		if (call_cancelled(file->call))
			return err_set(err, ERR_CANCELLED, "cancelled");
		if (load(file, *at, BLOCK_BYTES, err) < 0)
			return -1;
		size_t len = end - *at < (int64_t)file->len ? (size_t)(end - *at) : file->len;
		size_t newlines, n = span(file, len, want - skipped->newlines, &newlines);
		if (n > 0)
			skipped->partial = !ends_line(file, n);
		skipped->newlines += (int64_t)newlines;
		*at += (int64_t)n;
		if (file->last && n == file->len)
			break;
	}
	return 0;
}

/* ---- What is no text ---- */

static bool is_shown_image(const char *type)
{
	static const char *const types[] = { "image/png", "image/jpeg", "image/gif", "image/webp" };

	for (size_t i = 0; type && i < sizeof types / sizeof *types; i++) {
		if (strcmp(type, types[i]) == 0)
			return true;
	}
	return false;
}

/* What the _meta of the result says; 0 stands for what does not apply. */
struct facts {
	int64_t start_line, end_line, next_offset, next_byte;
	const char *encoding;
};

static void add_number(struct buf *out, const char *name, int64_t number)
{
	buf_add_text(out, name);
	if (number > 0)
		buf_add_int(out, number);
	else
		buf_add_text(out, "null");
}

/* Written as text: this is the hottest path of the server. */
static void add_meta(struct file *file, const struct facts *facts)
{
	AUTO_BUF struct buf out = BUF_INIT(META_BYTES);
	const struct request *request = file->request;

	buf_reserve(&out, META_USUAL_BYTES);
	buf_add_text(&out, "{\"path\":");
	utf8_add_json(&out, request->path, request->path_len);
	add_number(&out, ",\"start_line\":", facts->start_line);
	add_number(&out, ",\"end_line\":", facts->end_line);
	add_number(&out, ",\"next_offset\":", facts->next_offset);
	add_number(&out, ",\"next_byte\":", facts->next_byte);
	buf_add_text(&out, ",\"size\":");
	buf_add_int(&out, file->size);
	buf_add_text(&out, ",\"encoding\":");
	if (facts->encoding)
		utf8_add_json(&out, facts->encoding, strlen(facts->encoding));
	else
		buf_add_text(&out, "null");
	buf_add_char(&out, '}');
	call_meta_text(file->call, "sandbox/read", out.data, out.len);
}

static enum tool_status send_image(struct file *file, const char *type, struct err *err)
{
	size_t max = call_workspace(file->call)->result_max / 2;

	if (max > IMAGE_BYTES)
		max = IMAGE_BYTES;
	if (file->size > (int64_t)max) {
		return err_set(err, ERR_LIMIT,
			"%s is an image (%s) of %" PRId64 " bytes; up to %zu can be shown: make a "
			"smaller copy with run_command and read that",
			SHOWN(file->request), type, file->size, max);
	}
	if (file->fd < 0 && !file->last)
		return TOOL_AGAIN;
	if (file->fd >= 0) {
		file->room_len = (size_t)file->size + 1;
		file->room = alloc_grow(file->room, file->room_len);
		if (load(file, 0, file->room_len, err) < 0)
			return TOOL_FAILED;
	}
	call_blob(file->call, "image", type, file->bytes, file->len);
	add_meta(file, &(struct facts){ 0 });
	return TOOL_DONE;
}

static enum tool_status send_binary(struct file *file, struct err *err)
{
	const struct request *request = file->request;
	const char *type = mime_by_content(file->bytes, file->len);

	if (is_shown_image(type))
		return send_image(file, type, err);
	if (!type)
		type = mime_by_name(request->path, request->path_len);
	return err_set(err, ERR_INVALID,
		"%s is no text: %s, %" PRId64
		" bytes. Look into it with run_command (file, strings, "
		"xxd, or a program for its type)",
		SHOWN(request), type ? type : "application/octet-stream", file->size);
}

/* ---- Text ---- */

/* What the result's text says and `_meta` has. */
struct page {
	size_t len;
	int64_t end_line;
	bool more;         /* the file goes on */
	bool cut_line;     /* it goes on within the line that the page began in … */
	int64_t next_byte; /* … with this one */
};

/* Cuts the page out of what is loaded: whole lines, or a part of one that is too long. */
static struct page cut_page(const struct file *file)
{
	const struct request *request = file->request;
	size_t len = file->len < request->bytes ? file->len : request->bytes;
	bool last = file->last && len == file->len;
	struct page page = { 0 };
	size_t found;

	page.len = span(file, len, (int64_t)request->lines, &found);
	if (found < request->lines && !last) {
		page.cut_line = found == 0;
		page.len = found > 0 ? span(file, len, (int64_t)found, &found)
				     : charset_floor(file->charset, file->bytes, len);
	}
	page.more = !last || page.len < len;
	page.end_line = request->line + (int64_t)found - 1;
	if (page.len > 0 && !ends_line(file, page.len))
		page.end_line++;
	page.next_byte = file->at + (int64_t)page.len - file->line_start + 1;
	return page;
}

static void add_note(const struct file *file, const struct page *page)
{
	const struct request *request = file->request;
	AUTO_BUF struct buf note = BUF_INIT(256);

	if (!page->more)
		return;
	if (page->cut_line)
		buf_addf(&note,
			"\n[Line %" PRId64 " goes on: call read_file with offset=%" PRId64
			" and byte=%" PRId64 " for more]",
			request->line, request->line, page->next_byte);
	else
		buf_addf(&note,
			"[Lines %" PRId64 "-%" PRId64
			" are shown, the file goes on: call read_file "
			"with offset=%" PRId64 " for more]",
			request->line, page->end_line, page->end_line + 1);
	call_text_add(file->call, note.data, note.len);
}

static void add_text(struct file *file, size_t len)
{
	AUTO_BUF struct buf text = BUF_INIT(3 * len);

	if (file->charset == CHARSET_UTF8 && utf8_valid_prefix(file->bytes, len) < len)
		file->charset = charset_detect_part(file->bytes, len);
	if (file->charset == CHARSET_UTF8) {
		call_text_add(file->call, file->bytes, len);
		return;
	}
	charset_decode(file->charset, file->bytes, len, &text);
	call_text_add(file->call, text.data, text.len);
}

static void send_page(struct file *file)
{
	const struct request *request = file->request;
	struct page page = cut_page(file);
	bool empty = page.len == 0;

	call_text_begin(file->call);
	add_text(file, page.len);
	add_note(file, &page);
	call_text_end(file->call);
	add_meta(file, &(struct facts){
			       .start_line = empty ? 0 : request->line,
			       .end_line = empty ? 0 : page.end_line,
			       .next_offset = page.more ? page.end_line + !page.cut_line : 0,
			       .next_byte = page.cut_line ? page.next_byte : 0,
			       .encoding = charset_name(file->charset),
		       });
}

static int past_the_end(const struct file *file, const struct skipped *skipped, struct err *err)
{
	int64_t lines = skipped->newlines + skipped->partial;

	return err_set(err, ERR_INVALID,
		"%s has %" PRId64 " line%s: offset %" PRId64 " is past its end",
		SHOWN(file->request), lines, lines == 1 ? "" : "s", file->request->line);
}

/* Goes on to byte `request->byte` of the line at `*at`. */
static int find_byte(struct file *file, int64_t *at, struct err *err)
{
	const struct request *request = file->request;
	int64_t byte = request->byte - request->byte % (int64_t)charset_unit(file->charset);
	struct skipped skipped;

	if (skip_lines(file, at, file->line_start + byte, 1, &skipped, err) < 0 ||
		load(file, *at, request->bytes, err) < 0)
		return -1;
	if (skipped.newlines == 0 && *at == file->line_start + byte && file->len > 0)
		return 0;
	return err_set(err, ERR_INVALID,
		"line %" PRId64 " of %s has no byte %" PRId64 ": leave out 'byte' to read it",
		request->line, SHOWN(request), request->byte + 1);
}

/* Loads from the first byte that was asked for. */
static int find_start(struct file *file, struct err *err)
{
	const struct request *request = file->request;
	struct skipped skipped;
	int64_t at = (int64_t)file->bom;

	if (skip_lines(file, &at, INT64_MAX, request->line - 1, &skipped, err) < 0 ||
		load(file, at, request->bytes, err) < 0)
		return -1;
	if (file->len == 0 && request->line > 1)
		return past_the_end(file, &skipped, err);
	file->line_start = at;
	return request->byte > 0 ? find_byte(file, &at, err) : 0;
}

static enum tool_status send_text(struct file *file, struct err *err)
{
	if (find_start(file, err) < 0)
		return TOOL_FAILED;
	send_page(file);
	return TOOL_DONE;
}

/* ---- From the cache, or on a worker ---- */

static enum tool_status send_file(struct file *file, bool whole, struct err *err)
{
	size_t head = file->len < CHARSET_HEAD_BYTES ? file->len : CHARSET_HEAD_BYTES;

	file->charset = charset_detect(file->bytes, head, whole && head == file->len, &file->bom);
	return file->charset == CHARSET_BINARY ? send_binary(file, err) : send_text(file, err);
}

static int refuse_directory(const struct request *request, struct err *err)
{
	return err_set(err, ERR_INVALID, "%s is a directory: list_directory shows what is in it",
		SHOWN(request));
}

/* One open, one read, nothing that waits: what is not in the cache is left to a worker. */
static enum tool_status read_on_loop(
	struct call *call, const struct request *request, struct err *err)
{
	static char bytes[ON_LOOP_BYTES + 1]; /* only the loop is here */
	AUTO_CLOSE int fd = -1;
	struct stat st;
	int cached = path_open_cached(call_workspace(call)->roots, request->path, request->path_len,
		O_RDONLY, &fd, &st, err);

	if (cached != 0)
		return cached < 0 ? TOOL_FAILED : TOOL_AGAIN;
	if (S_ISDIR(st.st_mode))
		return refuse_directory(request, err);
	int64_t want = st.st_size;
	if (request->line == 1 && request->byte == 0 && want > (int64_t)request->bytes)
		want = (int64_t)request->bytes;
	if (want > ON_LOOP_BYTES)
		return TOOL_AGAIN;
	/* One byte more tells where the file ends. */
	struct iovec room = { bytes, (size_t)want + 1 };
	ssize_t n = preadv2(fd, &room, 1, 0, RWF_NOWAIT);
	if (n < want)
		return TOOL_AGAIN;
	struct file file = { .call = call,
		.request = request,
		.fd = -1,
		.size = st.st_size,
		.bytes = bytes,
		.len = (size_t)n,
		.last = n == want };
	return send_file(&file, file.last, err);
}

static enum tool_status read_on_worker(
	struct call *call, const struct request *request, struct err *err)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (path_open(call_workspace(call)->roots, request->path, request->path_len, O_RDONLY, 0,
		    &fd, err) < 0)
		return TOOL_FAILED;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat %s", SHOWN(request));
	if (S_ISDIR(st.st_mode))
		return refuse_directory(request, err);
	if (st.st_size > BLOCK_BYTES)
		posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);

	struct file file = { .call = call,
		.request = request,
		.fd = fd,
		.size = st.st_size,
		.room_len = request->bytes > BLOCK_BYTES ? request->bytes : BLOCK_BYTES };
	if (file.size > 0 && file.size < (int64_t)file.room_len)
		file.room_len = (size_t)file.size;
	file.room = alloc_grow(NULL, file.room_len);
	enum tool_status status = TOOL_FAILED;
	if (load(&file, 0, CHARSET_HEAD_BYTES, err) == 0)
		status = send_file(&file, file.last, err);
	free(file.room);
	return status;
}

static enum tool_status run(struct call *call, json_t *args, struct err *err)
{
	struct request request = {
		.line = arg_integer(args, "offset", 1),
		.byte = arg_integer(args, "byte", 1) - 1,
		.lines = (size_t)arg_integer(args, "limit", DEFAULT_LINES),
		.bytes = arg_given(args, "limit") ? MAX_BYTES : DEFAULT_BYTES,
	};

	request.path = arg_string(args, "path", &request.path_len);
	if (request.bytes > call_workspace(call)->result_max / 2)
		request.bytes = call_workspace(call)->result_max / 2;
	return call_may_block(call) ? read_on_worker(call, &request, err)
				    : read_on_loop(call, &request, err);
}

static const struct param params[] = {
	{ "path", PARAM_STRING, .required = true,
		.description = "The file: relative to the workspace, or absolute." },
	{ "offset", PARAM_INTEGER, .description = "First line to return, counted from 1.",
		.fallback = "1", .min = 1, .max = EXACT_INTEGER_MAX },
	{ "limit", PARAM_INTEGER,
		.description = "How many lines to return (2000 unless given). If given, up to 8 MB "
			       "are returned instead of 256 KB.",
		.min = 1, .max = MAX_LINES },
	{ "byte", PARAM_INTEGER,
		.description = "Only to go on within a line that is too long for one result: which "
			       "byte of line 'offset' to begin with, counted from 1.",
		.min = 1, .max = EXACT_INTEGER_MAX },
	{ 0 },
};

const struct tool tool_read_file = {
	.name = "read_file",
	.title = "Read file",
	.description =
		"Reads a text file, or shows an image (PNG, JPEG, GIF, WebP). Returns up to 2,000 "
		"lines or 256 KB, beginning with line 'offset'. Where the file goes on, the text "
		"ends with a sentence in square brackets that names the next offset. UTF-16, "
		"Latin-1 and Windows-1252 are converted to UTF-8; other binary files are refused "
		"with their type and size.",
	.params = params,
	.meta = "{\"anthropic/maxResultSizeChars\": 500000}",
	.flags = TOOL_READ_ONLY | TOOL_IDEMPOTENT | TOOL_TRY_ON_LOOP,
	.run = run,
};
