#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "cleanup.h"
#include "err.h"
#include "family.h"
#include "wire.h"

enum {
	STATUS_MAX = 64 * 1024,
	NAME_ROOM = WIRE_ID_LEN + 16,
	FOLDERS_MAX = 100 * 1000, /* looked at when opening */
};

static const int file_flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

struct ended {
	uint64_t number, bytes;
	int64_t when_ns; /* used while opening only */
};

struct store {
	int fd;
	uint64_t last;
	uint64_t commands_max, bytes_max;
	struct ended *ended; /* the earliest ended first */
	size_t len, cap;
	uint64_t bytes;
};

uint64_t store_mark(uint64_t number)
{
	return (UINT64_C(1) << FAMILY_MARK_BITS) - number;
}

uint64_t store_last(const struct store *store)
{
	return store->last;
}

static const char *in_folder(uint64_t number, const char *file, char name[NAME_ROOM])
{
	char id[WIRE_ID_LEN + 1];

	wire_id(number, id);
	snprintf(name, NAME_ROOM, "%s/%s", id, file);
	return name;
}

/* ---- pruning ---- */

static void remove_folder(const struct store *store, uint64_t number)
{
	static const char *const files[] = { "stdout", "stderr", "status", "status.new" };
	char name[NAME_ROOM];

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		unlinkat(store->fd, in_folder(number, files[i], name), 0);
	wire_id(number, name);
	unlinkat(store->fd, name, AT_REMOVEDIR);
}

/* The first `n` of those that ended are looked after no more. */
static void forget(struct store *store, size_t n)
{
	for (size_t i = 0; i < n; i++)
		store->bytes -= store->ended[i].bytes;
	store->len -= n;
	memmove(store->ended, store->ended + n, store->len * sizeof *store->ended);
}

/* An eighth more than the limit: while many run at once, folders are recycled, not removed. */
static void prune(struct store *store)
{
	uint64_t most = store->commands_max + store->commands_max / 8;

	while (store->len > 0 && (store->len > most || store->bytes > store->bytes_max)) {
		remove_folder(store, store->ended[0].number);
		forget(store, 1);
	}
}

static void add_ended(struct store *store, const struct ended *ended)
{
	if (store->len == store->cap) {
		store->cap = store->cap ? store->cap * 2 : 64;
		store->ended = alloc_grow(store->ended, store->cap * sizeof *store->ended);
	}
	store->ended[store->len++] = *ended;
	store->bytes += ended->bytes;
}

void store_ended(struct store *store, uint64_t number, uint64_t bytes)
{
	struct ended ended = { .number = number, .bytes = bytes };

	add_ended(store, &ended);
	prune(store);
}

void store_set_limits(struct store *store, uint64_t commands, uint64_t bytes)
{
	store->commands_max = commands;
	store->bytes_max = bytes;
	prune(store);
}

/* ---- one command ---- */

/* Empties a file of ours; asks first, since truncating takes its time even where it is none. */
static bool make_empty(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	       (st.st_size == 0 || ftruncate(fd, 0) == 0);
}

/* Opens both logs of a folder, empty. */
static int open_logs(const struct store *store, uint64_t number, int log_fds[2], struct err *err)
{
	char name[NAME_ROOM];
	AUTO_CLOSE int out = openat(store->fd, in_folder(number, "stdout", name), file_flags, 0600);
	AUTO_CLOSE int errors =
		out < 0 ? -1
			: openat(store->fd, in_folder(number, "stderr", name), file_flags, 0600);

	if (errors < 0)
		return err_sys(err, "make the log %s", name);
	if (!make_empty(out) || !make_empty(errors))
		return err_set(err, ERR_IO, "somebody has changed the log folder of %s", name);
	log_fds[0] = steal_fd(&out);
	log_fds[1] = steal_fd(&errors);
	return 0;
}

/*
 * Where a folder would be removed soon to make room for this one, it becomes this one: making
 * and removing files takes a multiple of the time that renaming does.
 */
static bool recycle(struct store *store, uint64_t number, int log_fds[2])
{
	char name[NAME_ROOM], fresh[NAME_ROOM];

	if (store->len == 0 || store->len < store->commands_max)
		return false;
	uint64_t oldest = store->ended[0].number;
	forget(store, 1);
	in_folder(oldest, "status", name);
	in_folder(oldest, "status.new", fresh);
	if (renameat(store->fd, name, store->fd, fresh) < 0 && errno != ENOENT)
		return false;
	wire_id(oldest, name);
	wire_id(number, fresh);
	if (renameat2(store->fd, name, store->fd, fresh, RENAME_NOREPLACE) < 0)
		return false;
	if (open_logs(store, number, log_fds, NULL) == 0)
		return true;
	remove_folder(store, number);
	return false;
}

static int make_folder(const struct store *store, uint64_t number, int log_fds[2], struct err *err)
{
	char name[NAME_ROOM];

	wire_id(number, name);
	if (mkdirat(store->fd, name, 0700) < 0)
		return err_sys(err, "make the log folder %s", name);
	if (open_logs(store, number, log_fds, err) == 0)
		return 0;
	remove_folder(store, number);
	return -1;
}

static bool is_full(const struct err *err)
{
	return err->sysno == ENOSPC || err->sysno == EDQUOT;
}

/* A full disk is emptied by commands: the earliest logs make room for one. */
static int make_room(struct store *store, uint64_t number, int log_fds[2], struct err *err)
{
	while (store->len > 0) {
		remove_folder(store, store->ended[0].number);
		forget(store, 1);
		if (make_folder(store, number, log_fds, err) == 0)
			return 0;
		if (!is_full(err))
			return -1;
	}
	return err_set(err, ERR_LIMIT,
		"the disk has no room (or no inode) left for the log of a command: end one that "
		"runs, or remove files");
}

int store_make(struct store *store, uint64_t number, int log_fds[2], struct err *err)
{
	if (!recycle(store, number, log_fds) && make_folder(store, number, log_fds, err) < 0 &&
		(!is_full(err) || make_room(store, number, log_fds, err) < 0))
		return -1;
	if (number > store->last)
		store->last = number;
	return 0;
}

int store_write_status(
	struct store *store, uint64_t number, const struct buf *json, struct err *err)
{
	char name[NAME_ROOM], fresh[NAME_ROOM];
	struct stat st;

	in_folder(number, "status", name);
	in_folder(number, "status.new", fresh);
	AUTO_CLOSE int fd = openat(store->fd, fresh, file_flags, 0600);
	if (fd < 0 || write(fd, json->data, json->len) != (ssize_t)json->len ||
		fstat(fd, &st) < 0 ||
		(st.st_size > (off_t)json->len && ftruncate(fd, (off_t)json->len) < 0) ||
		renameat(store->fd, fresh, store->fd, name) < 0)
		return err_sys(err, "write %s", name);
	return 0;
}

/* ---- what an earlier keeper left ---- */

/* Whether process `pid` is a keeper: then what it runs is its own affair. */
static bool keeper_lives(long pid)
{
	char path[64], have[64], own[64];

	snprintf(path, sizeof path, "/proc/%ld/comm", pid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int own_fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || own_fd < 0 || pid == getpid())
		return false;
	ssize_t n = read(fd, have, sizeof have), own_n = read(own_fd, own, sizeof own);
	return n > 0 && n == own_n && memcmp(have, own, (size_t)n) == 0;
}

static bool read_status(const struct store *store, uint64_t number, struct buf *text)
{
	char name[NAME_ROOM];
	AUTO_CLOSE int fd = openat(store->fd, in_folder(number, "status", name),
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char *room = fd < 0 ? NULL : buf_reserve(text, STATUS_MAX - 1);
	ssize_t n = room ? read(fd, room, STATUS_MAX - 1) : -1;

	if (n <= 0)
		return false;
	buf_commit(text, (size_t)n);
	return true;
}

/* The status is the keeper's own writing (job.c): these texts are in no other place of it. */
static const char running[] = "{\"state\":\"running\",", lost[] = "{\"state\":\"lost\",",
		  keeper_pid[] = "\"keeper_pid\":", foreground[] = "\"background\":false,";

static void give_up(struct store *store, uint64_t number, const char *status)
{
	AUTO_BUF struct buf text = BUF_INIT(2 * STATUS_MAX);

	buf_add_text(&text, lost);
	buf_add_text(&text, status + sizeof running - 1);
	store_write_status(store, number, &text, NULL);
}

/* False where another keeper still runs it. Whether its processes have to go: `kill`. One
 * without a status was short, and in the foreground. */
static bool settle(struct store *store, uint64_t number, bool *kill)
{
	AUTO_BUF struct buf status = BUF_INIT(STATUS_MAX);

	*kill = !read_status(store, number, &status);
	if (*kill || strncmp(status.data, running, sizeof running - 1) != 0)
		return true;
	const char *pid = strstr(status.data, keeper_pid);
	if (pid && keeper_lives(strtol(pid + sizeof keeper_pid - 1, NULL, 10)))
		return false;
	*kill = strstr(status.data, foreground) != NULL;
	give_up(store, number, status.data);
	return true;
}

static void measure(const struct store *store, struct ended *ended)
{
	static const char *const logs[] = { "stdout", "stderr" };
	char name[NAME_ROOM];
	struct stat st;

	for (size_t i = 0; i < sizeof logs / sizeof *logs; i++)
		if (fstatat(store->fd, in_folder(ended->number, logs[i], name), &st,
			    AT_SYMLINK_NOFOLLOW) == 0)
			ended->bytes += (uint64_t)st.st_blocks * 512;
	if (fstatat(store->fd, in_folder(ended->number, "status", name), &st,
		    AT_SYMLINK_NOFOLLOW) == 0)
		ended->when_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

static int compare_ended(const void *a, const void *b)
{
	const struct ended *x = a, *y = b;

	return (x->when_ns > y->when_ns) - (x->when_ns < y->when_ns);
}

static int compare_marks(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int find_folders(struct store *store, struct err *err)
{
	int fd = openat(store->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	AUTO_FREE uint64_t *marks = NULL;
	const struct dirent *entry;
	size_t strays = 0;
	bool kill;

	if (!dir)
		return err_sys(err, "read the folder of commands");
	while ((entry = readdir(dir)) && store->len < FOLDERS_MAX) {
		struct ended ended = { .number = wire_number(entry->d_name) };
		if (ended.number == 0)
			continue;
		if (ended.number > store->last)
			store->last = ended.number;
		if (!settle(store, ended.number, &kill))
			continue;
		if (kill) {
			marks = alloc_grow(marks, (strays + 1) * sizeof *marks);
			marks[strays++] = store_mark(ended.number);
		}
		measure(store, &ended);
		add_ended(store, &ended);
	}
	if (store->len > 0)
		qsort(store->ended, store->len, sizeof *store->ended, compare_ended);
	if (strays > 0) {
		qsort(marks, strays, sizeof *marks, compare_marks);
		family_kill(marks, strays);
	}
	return 0;
}

int store_open(int state_fd, struct store **out, struct err *err)
{
	if (mkdirat(state_fd, "commands", 0700) < 0 && errno != EEXIST)
		return err_sys(err, "make the folder of commands");
	int fd = openat(state_fd, "commands", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(err, "open the folder of commands");

	struct store *store = alloc_zero(sizeof *store);
	*store = (struct store){ .fd = fd, .commands_max = UINT32_MAX, .bytes_max = UINT64_MAX };
	if (find_folders(store, err) < 0) {
		store_free(store);
		return -1;
	}
	*out = store;
	return 0;
}

void store_free(struct store *store)
{
	if (!store)
		return;
	cleanup_close(&store->fd);
	free(store->ended);
	free(store);
}
