#include "watch_scan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "cleanup.h"
#include "err.h"
#include "names.h"
#include "path.h"

void scan_release(struct scan *scan)
{
	for (size_t i = 0; i < scan->count; i++) {
		cleanup_close(&scan->list[i].fd);
		free(scan->list[i].name);
	}
	free(scan->list);
	*scan = (struct scan){ 0 };
}

/* Takes over `fd` and `name`. */
static void add(struct scan *scan, enum place_kind kind, int fd, const struct stat *st, char *name)
{
	scan->list = alloc_grow(scan->list, (scan->count + 1) * sizeof *scan->list);
	scan->list[scan->count++] = (struct scanned){
		.kind = kind,
		.fd = fd,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.is_dir = S_ISDIR(st->st_mode),
		.name = name,
	};
}

/* ---- the way to a file ---- */

/* Each directory is opened by its whole path, as the file itself will be: symlinks on the way
 * count. Directories above the roots are not to be had, and not needed. */
void scan_file(const struct path_roots *roots, const char *path, struct scan *out)
{
	size_t len = strlen(path), end = 1;

	*out = (struct scan){ 0 };
	while (end <= len) {
		struct err err = { 0 };
		struct stat st;
		AUTO_CLOSE int fd = -1;
		size_t next = end + strspn(path + end, "/");
		size_t next_len = strcspn(path + next, "/");
		bool last = next == len;
		int flags = O_PATH | (last ? 0 : O_DIRECTORY);

		if (path_open(roots, path, end, flags, 0, &fd, &err) < 0) {
			if (err.code == ERR_NOT_FOUND || err.code == ERR_INVALID)
				return;
		} else if (fstat(fd, &st) == 0) {
			size_t rest = next + next_len;
			bool holds = rest + strspn(path + rest, "/") == len;
			add(out,
				last    ? PLACE_FILE
				: holds ? PLACE_PARENT
					: PLACE_STEP,
				steal_fd(&fd), &st,
				last ? NULL : alloc_textn(path + next, next_len));
		}
		if (last)
			return;
		end = next + next_len;
	}
}

/* ---- the workspace's directories ---- */

void scan_root(const struct path_roots *roots, struct scan *out)
{
	AUTO_CLOSE int fd = fcntl(path_root_fd(roots, 0), F_DUPFD_CLOEXEC, 0);
	struct stat st;

	*out = (struct scan){ 0 };
	if (fd >= 0 && fstat(fd, &st) == 0)
		add(out, PLACE_TREE, steal_fd(&fd), &st, NULL);
}

struct pending {
	char **paths; /* below the workspace; a queue */
	size_t count, max;
};

static void push(struct pending *pending, const char *dir, const char *name)
{
	if (pending->count < pending->max)
		pending->paths[pending->count++] = alloc_printf("%s/%s", dir, name);
}

static void visit(
	const struct path_roots *roots, const char *path, struct pending *pending, struct scan *out)
{
	struct names_query query = { .max = pending->max, .type = DT_DIR };
	AUTO_NAMES struct names names = { 0 };
	struct stat st;
	int fd;

	if (path_open(roots, path, strlen(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd,
		    NULL) < 0)
		return;
	AUTO_CLOSEDIR DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return;
	}
	int kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (kept < 0 || fstat(fd, &st) < 0 || names_read(dir, &query, &names, NULL) < 0) {
		cleanup_close(&kept);
		return;
	}
	add(out, PLACE_TREE, kept, &st, NULL);
	for (size_t i = 0; i < names.count; i++)
		push(pending, path, names.list[i].text);
}

void scan_tree(const struct path_roots *roots, size_t max, struct scan *out)
{
	struct pending pending = { .paths = alloc_array(max, sizeof(char *)), .max = max };

	*out = (struct scan){ 0 };
	pending.paths[pending.count++] = alloc_text(".");
	for (size_t i = 0; i < pending.count; i++) {
		visit(roots, pending.paths[i], &pending, out);
		free(pending.paths[i]);
	}
	free(pending.paths);
}
