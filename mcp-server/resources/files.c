/*
 * The files of the workspace. All that can be reached can be read and subscribed to; listed are
 * the regular files of the workspace that are not hidden, in the order of a depth-first walk by
 * the bytes of their names. A page goes on behind a path, so that changes meanwhile neither
 * repeat nor lose other files.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base64.h"
#include "buf.h"
#include "call.h"
#include "cleanup.h"
#include "completion.h"
#include "err.h"
#include "file_uri.h"
#include "mime.h"
#include "names.h"
#include "path.h"
#include "resource.h"
#include "slurp.h"
#include "utf8.h"
#include "workspace.h"

enum {
	PAGE = 200,                 /* files */
	CHUNK = 256,                /* names of one directory in memory */
	DEPTH_MAX = 64,             /* of directories */
	LOOKED_AT_MAX = 200 * 1000, /* names a page looks at before it ends early */
	READ_MAX = 8 * 1024 * 1024, /* of one file */
	DIRECTORY_MAX = 1000,       /* names that reading a directory shows */
};

/* ---- list ---- */

struct page {
	struct call *call;
	json_t *list;
	size_t files, looked_at, unreadable;
	struct buf path; /* where the walk is, from the workspace, "" or with a slash at its end */
	struct buf done; /* the last path that is done with; the next page begins behind it */
	bool progress;   /* something was done with */
};

static json_t *timestamp(time_t when)
{
	char text[32];
	struct tm tm;

	if (!gmtime_r(&when, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return json_null();
	return json_string(text);
}

static void add_file(struct page *page, const char *name, const struct stat *st)
{
	const char *root = path_root_name(call_workspace(page->call)->roots, 0);
	AUTO_BUF struct buf path = BUF_INIT(2 * PATH_MAX_BYTES);
	AUTO_BUF struct buf uri = BUF_INIT(8 * PATH_MAX_BYTES);

	buf_add(&path, page->path.data, page->path.len);
	buf_add_text(&path, name);
	file_uri_add(&uri, root, strcmp(root, "/") == 0 ? 0 : strlen(root));
	buf_add_char(&uri, '/');
	file_uri_add_part(&uri, path.data, path.len);
	json_t *entry = json_pack("{s:o, s:o, s:s*, s:I, s:{s:o}}", "uri",
		json_stringn(uri.data, uri.len), "name", utf8_json(path.data, path.len), "mimeType",
		mime_by_name(name, strlen(name)), "size", (json_int_t)st->st_size, "annotations",
		"lastModified", timestamp(st->st_mtime));
	json_array_append_new(page->list, entry);
	page->files++;
}

/* The path of the walk and `name` are done with. */
static void done_with(struct page *page, const char *name)
{
	buf_clear(&page->done);
	buf_add(&page->done, page->path.data, page->path.len);
	buf_add_text(&page->done, name);
	page->progress = true;
}

static bool over_budget(const struct page *page)
{
	return page->progress && (page->looked_at >= LOOKED_AT_MAX || call_cancelled(page->call));
}

static bool walk(struct page *page, const char *after, size_t depth);

/* Walks the directory `name` in the one where the walk is. False: the page ends here. */
static bool enter(struct page *page, const char *name, const char *after, size_t depth)
{
	size_t before = page->path.len;
	bool go_on = true;

	if (depth >= DEPTH_MAX || buf_add_text(&page->path, name) < 0 ||
		buf_add_char(&page->path, '/') < 0) {
		page->path.over = false;
		page->unreadable++;
	} else {
		go_on = walk(page, after, depth + 1);
	}
	buf_truncate(&page->path, before);
	if (go_on)
		done_with(page, name);
	return go_on;
}

/* Symlinks are left out: where they lead to is listed itself, if it is in the workspace. */
static bool take(struct page *page, DIR *dir, const struct name *name, size_t depth)
{
	struct stat st;

	if (name->type == DT_DIR)
		return enter(page, name->text, "", depth);
	if (name->type == DT_REG &&
		fstatat(dirfd(dir), name->text, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISREG(st.st_mode)) {
		if (page->files == PAGE)
			return false;
		add_file(page, name->text, &st);
	}
	done_with(page, name->text);
	return true;
}

static DIR *open_here(struct page *page)
{
	const struct path_roots *roots = call_workspace(page->call)->roots;
	const char *path = page->path.len ? page->path.data : ".";
	size_t len = page->path.len ? page->path.len - 1 : 1;
	int fd;

	if (path_open(roots, path, len, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd, NULL) < 0)
		return NULL;
	DIR *dir = fdopendir(fd);
	if (!dir)
		close(fd);
	return dir;
}

/* What follows `last` in the directory where the walk is. */
static bool walk_names(struct page *page, DIR *dir, char last[NAME_MAX + 1], size_t depth)
{
	size_t count;

	do {
		AUTO_NAMES struct names names = { 0 };
		struct names_query query = { .after = last, .max = CHUNK };
		if (names_read(dir, &query, &names, NULL) < 0) {
			page->unreadable++;
			return true;
		}
		page->looked_at += names.read;
		count = names.count;
		for (size_t i = 0; i < count; i++) {
			if (over_budget(page) || !take(page, dir, &names.list[i], depth))
				return false;
		}
		if (count > 0)
			snprintf(last, NAME_MAX + 1, "%s", names.list[count - 1].text);
	} while (count == CHUNK);
	return true;
}

/* Walks the directory where the walk is, from behind `after` on, a path below it or "". */
static bool walk(struct page *page, const char *after, size_t depth)
{
	char last[NAME_MAX + 1] = "";
	size_t len = strcspn(after, "/");
	AUTO_CLOSEDIR DIR *dir = open_here(page);

	if (!dir) {
		page->unreadable++;
		return true;
	}
	if (len <= NAME_MAX)
		snprintf(last, sizeof last, "%.*s", (int)len, after);
	if (after[len] && !enter(page, last, after + len + 1, depth))
		return false;
	return walk_names(page, dir, last, depth);
}

/* A path below the workspace as a walk makes them. */
static bool is_position(const char *path)
{
	size_t len = strlen(path);

	return len < PATH_MAX_BYTES && path[0] != '/' && (len == 0 || path[len - 1] != '/') &&
	       !strstr(path, "//");
}

static int list_files(
	struct call *call, const char *after, json_t *list, char **next, struct err *err)
{
	struct page page = { .call = call, .list = list };

	if (!is_position(after))
		return err_set(err, ERR_INVALID,
			"Unknown cursor: send one that resources/list gave, or none to start anew");
	buf_init(&page.path, PATH_MAX_BYTES);
	buf_init(&page.done, PATH_MAX_BYTES + NAME_MAX);
	if (!walk(&page, after, 0))
		*next = buf_steal(&page.done, &(size_t){ 0 });
	else if (page.unreadable > 0)
		call_log(call, CALL_NOTICE, "resources",
			json_pack("{s:s, s:I}", "message", "Some directories could not be listed",
				"directories", (json_int_t)page.unreadable));
	buf_release(&page.path);
	buf_release(&page.done);
	return 0;
}

/* ---- read ---- */

static int path_of(const char *uri, size_t len, struct buf *path, struct err *err)
{
	return file_uri_path(uri, len, path, err);
}

static void add_text(json_t *contents, json_t *uri, const char *mime, const char *text, size_t len)
{
	json_array_append_new(contents, json_pack("{s:o, s:s, s:o}", "uri", uri, "mimeType", mime,
						"text", utf8_json(text, len)));
}

static int read_directory(int fd, json_t *uri, json_t *contents, struct err *err)
{
	struct names_query query = { .hidden = true, .max = DIRECTORY_MAX };
	AUTO_BUF struct buf text = BUF_INIT(DIRECTORY_MAX * (NAME_MAX + 2) + 100);
	AUTO_NAMES struct names names = { 0 };
	AUTO_CLOSEDIR DIR *dir = fdopendir(fd);

	if (!dir || names_read(dir, &query, &names, err) < 0) {
		json_decref(uri);
		return -1;
	}
	for (size_t i = 0; i < names.count; i++)
		buf_addf(&text, "%s%s\n", names.list[i].text,
			names.list[i].type == DT_DIR ? "/" : "");
	if (names.matching > names.count)
		buf_addf(&text, "[%zu more: use the tool list_directory]\n",
			names.matching - names.count);
	add_text(contents, uri, "inode/directory", text.data ? text.data : "", text.len);
	return 0;
}

static bool is_text(const char *bytes, size_t len)
{
	return !memchr(bytes, '\0', len) && utf8_valid_prefix(bytes, len) == len;
}

static void add_bytes(json_t *contents, json_t *uri, const char *path, size_t path_len,
	const char *bytes, size_t len)
{
	const char *mime = mime_by_content(bytes, len < MIME_HEAD_BYTES ? len : MIME_HEAD_BYTES);
	AUTO_BUF struct buf blob = BUF_INIT(2 * READ_MAX);

	if (!mime)
		mime = mime_by_name(path, path_len);
	if (is_text(bytes, len)) {
		add_text(contents, uri, mime ? mime : "text/plain", bytes, len);
		return;
	}
	base64_add(&blob, bytes, len);
	json_array_append_new(contents, json_pack("{s:o, s:s, s:o}", "uri", uri, "mimeType",
						mime ? mime : "application/octet-stream", "blob",
						json_stringn_nocheck(blob.data, blob.len)));
}

static int read_file(
	struct call *call, const char *uri, size_t len, json_t *contents, struct err *err)
{
	AUTO_BUF struct buf path = BUF_INIT(PATH_MAX_BYTES - 1);
	AUTO_CLOSE int fd = -1;
	struct stat st;
	size_t size;

	if (path_of(uri, len, &path, err) < 0 || path_open(call_workspace(call)->roots, path.data,
							 path.len, O_RDONLY, 0, &fd, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "look at the file");
	if (S_ISDIR(st.st_mode))
		return read_directory(steal_fd(&fd), json_stringn(uri, len), contents, err);
	AUTO_FREE char *bytes = st.st_size > READ_MAX ? NULL : slurp_fd(fd, READ_MAX, &size);
	if (!bytes && st.st_size > READ_MAX)
		return err_set(err, ERR_LIMIT,
			"the file has %lld bytes, a resource at most %d: read parts of it with the "
			"tool read_file, or GET /files?path=",
			(long long)st.st_size, READ_MAX);
	if (!bytes)
		return err_set(err, ERR_IO,
			"the file cannot be read: it may have grown past %d bytes", READ_MAX);
	add_bytes(contents, json_stringn(uri, len), path.data, path.len, bytes, size);
	return 0;
}

/* ---- the template ---- */

/* Its variable is an absolute path without the slash at its start. */
static int complete_path(struct call *call, const struct resource_template *of,
	const char *variable, const char *typed, struct completion *out, struct err *err)
{
	AUTO_BUF struct buf path = BUF_INIT(PATH_MAX_BYTES - 1);
	struct completion found = { .values = json_array() };
	json_t *value;
	size_t i;

	(void)of, (void)variable, (void)err;
	if (buf_add_char(&path, '/') == 0 && buf_add_text(&path, typed) == 0)
		completion_add_paths(&found, call_workspace(call)->roots, path.data);
	json_array_foreach(found.values, i, value)
		completion_add(out, json_string_value(value) + 1, json_string_length(value) - 1);
	out->total += found.total - json_array_size(found.values);
	json_decref(found.values);
	return 0;
}

static const struct resource_template templates[] = {
	{
		.uri = "file:///{+path}",
		.name = "file",
		.title = "File or directory",
		.description =
			"Any file that can be reached, by its absolute path without the slash "
			"at its start. A directory gives the names in it.",
	},
	{ 0 },
};

const struct resource_provider resources_files = {
	.prefix = "file:",
	.templates = templates,
	.lists_workspace = true,
	.list = list_files,
	.read = read_file,
	.complete = complete_path,
	.file = path_of,
};
