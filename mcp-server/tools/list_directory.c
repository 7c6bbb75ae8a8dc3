#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "alloc.h"
#include "buf.h"
#include "call.h"
#include "cleanup.h"
#include "err.h"
#include "path.h"
#include "tool.h"
#include "utf8.h"
#include "workspace.h"

enum { DEFAULT_LIMIT = 1000, MAX_LIMIT = 10000, MAX_DEPTH = 16 };

enum {
	LOOK_EVERY = 1024, /* entries between two looks for a cancellation */
	ENTRY_BYTES = 128, /* of an entry in the result, beside its names */
};

struct entry {
	unsigned char type; /* DT_… */
	char name[];        /* as it is shown: "dir/" */
};

/* The first `keep` entries of a directory in their order; those behind are let go. */
struct entries {
	struct entry **list;
	size_t count, room, keep;
	const char *bound; /* what does not come before it is let go; NULL at first */
};

struct listing {
	struct call *call;
	size_t limit, room; /* entries; bytes of the result, roughly */
	json_t *entries;
	size_t count, unreadable;
	bool truncated;
	struct buf path; /* of the directory at work, with a slash; empty for the first */
};

/* ---- One directory ---- */

static int by_name(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void sort_and_cut(struct entries *entries)
{
	qsort(entries->list, entries->count, sizeof *entries->list, by_name);
	for (; entries->count > entries->keep; entries->count--)
		free(entries->list[entries->count - 1]);
	if (entries->count == entries->keep)
		entries->bound = entries->list[entries->keep - 1]->name;
}

/* Sorts at twice the number to keep, so the memory is bounded and sorting stays cheap. */
static void add_entry(struct entries *entries, const char *name, unsigned char type)
{
	char shown[NAME_MAX + 2];
	size_t len = strlen(name);

	len = len < NAME_MAX ? len : NAME_MAX;
	memcpy(shown, name, len);
	if (type == DT_DIR)
		shown[len++] = '/';
	shown[len++] = '\0';
	if (entries->bound && strcmp(shown, entries->bound) > 0)
		return;

	struct entry *entry = alloc_grow(NULL, sizeof *entry + len);
	entry->type = type;
	memcpy(entry->name, shown, len);
	if (entries->count == entries->room) {
		entries->room = entries->room ? 2 * entries->room : 64;
		entries->list = alloc_grow(entries->list, entries->room * sizeof *entries->list);
	}
	entries->list[entries->count++] = entry;
	if (entries->count == 2 * entries->keep)
		sort_and_cut(entries);
}

static void entries_release(struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		free(entries->list[i]);
	free(entries->list);
}

#define AUTO_ENTRIES __attribute__((cleanup(entries_release)))

static unsigned char type_of(int dirfd, const struct dirent *dirent)
{
	struct stat st;

	if (dirent->d_type != DT_UNKNOWN)
		return dirent->d_type;
	if (fstatat(dirfd, dirent->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return DT_UNKNOWN;
	return (unsigned char)IFTODT(st.st_mode);
}

static int read_entries(struct listing *listing, DIR *dir, struct entries *entries, struct err *err)
{
	size_t seen = 0;

	for (;;) {
		if (seen++ % LOOK_EVERY == 0 && call_cancelled(listing->call))
			return err_set(err, ERR_CANCELLED, "cancelled");
		errno = 0;
		const struct dirent *dirent = readdir(dir);
		if (!dirent)
			break;
		if (strcmp(dirent->d_name, ".") != 0 && strcmp(dirent->d_name, "..") != 0)
			add_entry(entries, dirent->d_name, type_of(dirfd(dir), dirent));
	}
	if (errno)
		return err_sys(err, "list %s", listing->path.len ? listing->path.data : ".");
	if (entries->count > 0)
		sort_and_cut(entries);
	return 0;
}

/* ---- What is shown ---- */

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "pipe";
	case S_IFSOCK:
		return "socket";
	default:
		return "device";
	}
}

static json_t *time_json(const struct timespec *when)
{
	char text[40];
	struct tm parts;

	if (!gmtime_r(&when->tv_sec, &parts))
		return json_null();
	return json_stringn(text, strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts));
}

static json_t *target_json(int dirfd, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof target);

	return n < 0 ? json_null() : utf8_json(target, (size_t)n);
}

/* In the text a name is one line, whatever is in it. */
static void add_line(struct listing *listing, const char *name)
{
	AUTO_BUF struct buf line = BUF_INIT(PATH_MAX * MAX_DEPTH);

	buf_add_text(&line, listing->count ? "\n" : "");
	buf_add(&line, listing->path.data, listing->path.len);
	buf_add_text(&line, name);
	for (size_t i = listing->count ? 1 : 0; i < line.len; i++) {
		if ((unsigned char)line.data[i] < 0x20 || line.data[i] == 0x7F)
			line.data[i] = '?';
	}
	call_text_add(listing->call, line.data, line.len);
}

/* Without the slash, which would make the kernel follow a link that took the name. */
static void real_name(const struct entry *entry, char name[NAME_MAX + 1])
{
	snprintf(name, NAME_MAX + 1, "%.*s", (int)(strlen(entry->name) - (entry->type == DT_DIR)),
		entry->name);
}

static void show_entry(struct listing *listing, int dirfd, const struct entry *entry)
{
	size_t dir_len = listing->path.len;
	struct stat st = { .st_mode = DTTOIF(entry->type) };
	char name[NAME_MAX + 1];

	real_name(entry, name);
	bool known = fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	add_line(listing, entry->name);
	listing->count++;
	buf_add_text(&listing->path, name);
	json_array_append_new(listing->entries,
		json_pack("{s:o, s:s, s:o, s:o, s:o}", "name",
			utf8_json(listing->path.data, listing->path.len), "type",
			type_name(st.st_mode), "size",
			known && S_ISREG(st.st_mode) ? json_integer(st.st_size) : json_null(),
			"mtime", known ? time_json(&st.st_mtim) : json_null(), "target",
			S_ISLNK(st.st_mode) ? target_json(dirfd, name) : json_null()));
	buf_truncate(&listing->path, dir_len);
}

/* ---- The walk ---- */

static int list(struct listing *listing, int fd, int depth, struct err *err);

/* Lists a directory within the one at work, which may have become something else meanwhile. */
static int list_within(
	struct listing *listing, int dirfd, const struct entry *entry, int depth, struct err *err)
{
	size_t dir_len = listing->path.len;
	char name[NAME_MAX + 1];

	real_name(entry, name);
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		listing->unreadable += errno != ENOENT;
		return 0;
	}
	buf_add_text(&listing->path, entry->name);
	int rc = list(listing, fd, depth, err);
	buf_truncate(&listing->path, dir_len);
	return rc;
}

/* Takes `fd` over. Depth first, so the whole is in the order of the paths. */
static int list(struct listing *listing, int fd, int depth, struct err *err)
{
	AUTO_CLOSEDIR DIR *dir = fdopendir(fd);
	AUTO_ENTRIES struct entries entries = { .keep = listing->limit - listing->count + 1 };

	if (!dir) {
		cleanup_close(&fd);
		return err_sys(err, "list directory");
	}
	if (read_entries(listing, dir, &entries, err) < 0)
		return -1;
	for (size_t i = 0; i < entries.count && !listing->truncated; i++) {
		const struct entry *entry = entries.list[i];
		size_t cost = 2 * (listing->path.len + strlen(entry->name)) + ENTRY_BYTES;
		if (listing->count == listing->limit || listing->room < cost) {
			listing->truncated = true;
			break;
		}
		listing->room -= cost;
		show_entry(listing, fd, entry);
		if (entry->type == DT_DIR && depth > 1 &&
			list_within(listing, fd, entry, depth - 1, err) < 0)
			return -1;
	}
	return 0;
}

static void add_notes(struct listing *listing)
{
	AUTO_BUF struct buf note = BUF_INIT(512);

	if (listing->unreadable)
		buf_addf(&note, "\n[%zu of these directories could not be read]",
			listing->unreadable);
	if (listing->truncated)
		buf_addf(&note,
			"\n[The first %zu entries are shown, there are more: list a directory in it, or "
			"call list_directory with a larger limit (up to %d)]",
			listing->count, MAX_LIMIT);
	if (note.len)
		call_text_add(listing->call, note.data, note.len);
}

static int open_directory(
	struct call *call, const char *path, size_t len, int *out, struct err *err)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (path_open(call_workspace(call)->roots, path, len, O_RDONLY, 0, &fd, err) < 0)
		return -1;
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_set(err, ERR_INVALID, "%s is a file: read_file reads it",
			path_shown((char[PATH_SHOWN]){ 0 }, path, len));
	*out = steal_fd(&fd);
	return 0;
}

static enum tool_status run(struct call *call, json_t *args, struct err *err)
{
	struct listing listing = {
		.call = call,
		.limit = (size_t)arg_integer(args, "limit", DEFAULT_LIMIT),
		.room = call_workspace(call)->result_max / 2,
		.entries = json_array(),
		.path = BUF_INIT(MAX_DEPTH * (NAME_MAX + 1)),
	};
	json_auto_t *entries = listing.entries;
	size_t len = 1;
	const char *path = arg_given(args, "path") ? arg_string(args, "path", &len) : ".";
	int fd = -1;

	if (open_directory(call, path, len, &fd, err) < 0)
		return TOOL_FAILED;
	call_text_begin(call);
	int rc = list(&listing, fd, (int)arg_integer(args, "depth", 1), err);
	buf_release(&listing.path);
	if (rc < 0)
		return TOOL_FAILED;
	add_notes(&listing);
	call_text_end(call);
	call_structured(call, json_pack("{s:s%, s:O, s:b}", "path", path, len, "entries", entries,
				      "truncated", listing.truncated));
	return TOOL_DONE;
}

static const struct param params[] = {
	{ "path", PARAM_STRING,
		.description = "The directory: relative to the workspace, or absolute.",
		.fallback = "\".\"" },
	{ "depth", PARAM_INTEGER,
		.description =
			"How many levels to list: 1 is the directory itself, 2 also what is in "
			"its subdirectories, and so on.",
		.fallback = "1", .min = 1, .max = MAX_DEPTH },
	{ "limit", PARAM_INTEGER, .description = "How many entries to return at most.",
		.fallback = "1000", .min = 1, .max = MAX_LIMIT },
	{ 0 },
};

const struct tool tool_list_directory = {
	.name = "list_directory",
	.title = "List directory",
	.description =
		"Lists a directory, hidden files included: one name a line, sorted, directories end "
		"in a slash. With a depth above 1 the names are paths relative to the directory. "
		"Symbolic links are not followed. To find files by name, search_files is faster.",
	.params = params,
	.output_schema =
		"{\"type\": \"object\", \"properties\": {"
		"\"path\": {\"type\": \"string\", \"description\": \"The path as it was given.\"},"
		"\"entries\": {\"type\": \"array\", \"items\": {\"type\": \"object\", \"properties\": {"
		"\"name\": {\"type\": \"string\", \"description\": \"Relative to path.\"},"
		"\"type\": {\"type\": \"string\", \"enum\": [\"file\", \"directory\", \"symlink\", "
		"\"pipe\", \"socket\", \"device\"]},"
		"\"size\": {\"type\": [\"integer\", \"null\"], \"description\": \"Bytes; files "
		"only.\"},"
		"\"mtime\": {\"type\": [\"string\", \"null\"], \"description\": \"Last change, UTC, ISO "
		"8601.\"},"
		"\"target\": {\"type\": [\"string\", \"null\"], \"description\": \"Where a symlink "
		"leads.\"}},"
		"\"required\": [\"name\", \"type\", \"size\", \"mtime\", \"target\"], "
		"\"additionalProperties\": false}},"
		"\"truncated\": {\"type\": \"boolean\", \"description\": \"Whether there is more than "
		"is listed.\"}},"
		"\"required\": [\"path\", \"entries\", \"truncated\"], \"additionalProperties\": "
		"false}",
	.flags = TOOL_READ_ONLY | TOOL_IDEMPOTENT,
	.run = run,
};
