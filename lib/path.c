#include "path_place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "err.h"

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* Linux 5.12 */
#endif

enum {
	TRIES_MAX = 128, /* while others rename on the way, openat2 answers EAGAIN */
	LINKS_MAX = 40,  /* as the kernel has it */
};

#define NOT_SERVED "%s is a pipe, a socket or a device: only files and directories can be opened"

/* ---- What the kernel is asked ---- */

static int with_fixed_flags(int flags)
{
	return flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY | O_NONBLOCK);
}

static int open_beneath(int dirfd, const char *rest, int flags, mode_t mode)
{
	int fd, tries = 0;

	do
		fd = path_openat2(dirfd, rest, with_fixed_flags(flags), mode, 0);
	while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < TRIES_MAX);
	return fd;
}

/* ---- What a client is told ---- */

static int explain_not_directory(
	struct err *err, const struct path_place *place, int flags, const char *what)
{
	struct stat st;
	AUTO_CLOSE int fd =
		flags & O_DIRECTORY ? open_beneath(place->root->fd, place->rest, O_PATH, 0) : -1;

	if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_set(err, ERR_INVALID, "%s is a %s, not a directory", what,
			S_ISREG(st.st_mode) ? "file" : "special file");
	return err_set(err, ERR_NOT_FOUND,
		"%s does not exist: one of the names before its last is no directory", what);
}

/* Turns errno into a sentence. With O_DIRECTORY in `flags` it may look once more. */
static int explain(
	struct err *err, const struct path_place *place, const char *path, size_t len, int flags)
{
	char text[PATH_SHOWN];
	int sysno = errno;
	const char *what = path_shown(text, path, len), *root = place->root->name;

	switch (sysno) {
	case ENOENT:
		return err_set(err, ERR_NOT_FOUND,
			"%s does not exist%s%s: list the directory to see what is there", what,
			path[0] == '/' ? "" : " in ", path[0] == '/' ? "" : root);
	case ENOTDIR:
		return explain_not_directory(err, place, flags, what);
	case EXDEV:
		return err_set(err, ERR_DENIED,
			"%s leads out of %s, by \"..\" or a symlink (one with an absolute target "
			"does, wherever it points): name the file itself",
			what, root);
	case ELOOP:
		return err_set(err, ERR_DENIED,
			"%s goes through symlinks that may not be followed, or too many of them",
			what);
	case EACCES:
	case EPERM:
		return err_set(err, ERR_DENIED,
			"no permission for %s: see its owner and mode, and those of its directories",
			what);
	case EROFS:
		return err_set(err, ERR_DENIED, "%s is on a read-only file system", what);
	case EISDIR:
		return err_set(err, ERR_INVALID, "%s is a directory: name a file in it", what);
	case EEXIST:
		return err_set(err, ERR_CONFLICT, "%s exists already", what);
	case ENAMETOOLONG:
		return err_set(err, ERR_INVALID,
			"%s is too long: a name has at most %d bytes, a path %d", what, NAME_MAX,
			PATH_MAX_BYTES - 1);
	case ENXIO:
		return err_set(err, ERR_INVALID, NOT_SERVED, what);
	case EAGAIN:
		return err_set(err, ERR_CONFLICT,
			"%s cannot be opened while directories on its way are renamed: try again",
			what);
	default:
		errno = sysno;
		return err_sys(err, "open %s", what);
	}
}

/* ---- Opening ---- */

static int check_type(
	int fd, int flags, struct stat *st, const char *path, size_t len, struct err *err)
{
	char text[PATH_SHOWN];

	if (fstat(fd, st) < 0)
		return err_sys(err, "fstat %s", path_shown(text, path, len));
	if (flags & O_PATH || S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))
		return 0;
	return err_set(err, ERR_INVALID, NOT_SERVED, path_shown(text, path, len));
}

int path_open(const struct path_roots *roots, const char *path, size_t len, int flags, mode_t mode,
	int *fd, struct err *err)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
	struct path_place place;
	struct stat st;

	if (path_locate(roots, path, len, writes, &place, err) < 0)
		return -1;
	AUTO_CLOSE int opened = open_beneath(place.root->fd, place.rest, flags, mode);
	if (opened < 0)
		return explain(err, &place, path, len, flags);
	if (check_type(opened, flags, &st, path, len, err) < 0)
		return -1;
	*fd = steal_fd(&opened);
	return 0;
}

int path_open_cached(const struct path_roots *roots, const char *path, size_t len, int flags,
	int *fd, struct stat *st, struct err *err)
{
	struct path_place place;

	if (path_locate(roots, path, len, false, &place, err) < 0)
		return -1;
	AUTO_CLOSE int opened = path_openat2(
		place.root->fd, place.rest, with_fixed_flags(flags), 0, RESOLVE_CACHED);
	/* EINVAL: a kernel before 5.12. */
	if (opened < 0 && (errno == EAGAIN || errno == EINTR || errno == EINVAL))
		return 1;
	if (opened < 0)
		return explain(err, &place, path, len, 0);
	if (check_type(opened, flags, st, path, len, err) < 0)
		return -1;
	*fd = steal_fd(&opened);
	return 0;
}

/* ---- Parents ---- */

/*
 * Opens directory `dir`, making what is missing of it; each step asks from the root, so that
 * none leaves it. `dir` is as before afterwards.
 */
static int make_directories(int root, char *dir)
{
	AUTO_CLOSE int above = -1;

	for (char *name = dir, *end; *name; name = end + strspn(end, "/")) {
		end = name + strcspn(name, "/");
		char kept = *end;
		bool made = false;

		*end = '\0';
		int fd = open_beneath(root, dir, O_PATH | O_DIRECTORY, 0);
		if (fd < 0 && errno == ENOENT) {
			made = mkdirat(above < 0 ? root : above, name, 0777) == 0;
			if (made || errno == EEXIST)
				fd = open_beneath(root, dir, O_PATH | O_DIRECTORY, 0);
		}
		*end = kept;
		if (fd < 0) {
			if (errno == ENOENT && !made)
				errno = ENOTDIR; /* a link to nowhere bears the name */
			return -1;
		}
		cleanup_close(&above);
		above = fd;
	}
	return steal_fd(&above);
}

/* Cuts a place into the directory and the last name; `dir` has PATH_MAX_BYTES. */
static int split(const struct path_place *place, const char *path, size_t len, char *dir,
	char *name, struct err *err)
{
	char text[PATH_SHOWN];
	const char *slash = strrchr(place->rest, '/');
	const char *last = slash ? slash + 1 : place->rest;
	size_t dir_len = (size_t)(last - place->rest), name_len = strlen(last);

	if (name_len == 0 || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
		return err_set(err, ERR_INVALID, "%s is the name of a directory: name a file in it",
			path_shown(text, path, len));
	if (name_len > NAME_MAX) {
		errno = ENAMETOOLONG;
		return explain(err, place, path, len, 0);
	}
	memcpy(dir, dir_len ? place->rest : ".", dir_len ? dir_len : 1);
	dir[dir_len ? dir_len : 1] = '\0';
	memcpy(name, last, name_len + 1);
	return 0;
}

static int open_parent(const struct path_place *place, const char *path, size_t len, bool make,
	int *dirfd, char *dir, char *name, struct err *err)
{
	if (split(place, path, len, dir, name, err) < 0)
		return -1;
	int fd = open_beneath(place->root->fd, dir, O_PATH | O_DIRECTORY, 0);
	if (fd < 0 && errno == ENOENT && make)
		fd = make_directories(place->root->fd, dir);
	if (fd < 0)
		return explain(err, place, path, len, 0);
	*dirfd = fd;
	return 0;
}

int path_open_parent(const struct path_roots *roots, const char *path, size_t len,
	bool make_parents, int *dirfd, char *name, struct err *err)
{
	struct path_place place;
	char dir[PATH_MAX_BYTES], last[NAME_MAX + 1];

	if (path_locate(roots, path, len, true, &place, err) < 0 ||
		open_parent(&place, path, len, make_parents, dirfd, dir, last, err) < 0)
		return -1;
	memcpy(name, last, strlen(last) + 1);
	return 0;
}

/* Puts in the link's target for the last name. Like the kernel's, it starts in the directory. */
static int follow(struct path_place *place, const char *dir, const char *target, size_t len)
{
	size_t dir_len = strlen(dir);

	if (len == 0 || target[0] == '/') {
		errno = EXDEV;
		return -1;
	}
	if (dir_len + 1 + len >= sizeof place->rest) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(place->rest, dir, dir_len);
	place->rest[dir_len] = '/';
	memcpy(place->rest + dir_len + 1, target, len);
	place->rest[dir_len + 1 + len] = '\0';
	return 0;
}

int path_open_target(const struct path_roots *roots, const char *path, size_t len,
	bool make_parents, int *dirfd, char *name, struct err *err)
{
	struct path_place place;
	char dir[PATH_MAX_BYTES], last[NAME_MAX + 1], target[PATH_MAX_BYTES];

	if (path_locate(roots, path, len, true, &place, err) < 0)
		return -1;
	for (int links = 0; links <= LINKS_MAX; links++) {
		AUTO_CLOSE int fd = -1;
		if (open_parent(&place, path, len, make_parents, &fd, dir, last, err) < 0)
			return -1;

		ssize_t n = readlinkat(fd, last, target, sizeof target);
		if (n < 0 && (errno == EINVAL || errno == ENOENT)) {
			*dirfd = steal_fd(&fd);
			memcpy(name, last, strlen(last) + 1);
			return 0;
		}
		if (n < 0 || follow(&place, dir, target, (size_t)n) < 0)
			return explain(err, &place, path, len, 0);
	}
	errno = ELOOP;
	return explain(err, &place, path, len, 0);
}
