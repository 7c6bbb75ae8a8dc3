#include "save.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "utf8.h"

enum { TRIES_MAX = 16, COPY_BYTES = 128 * 1024 };

#define ACL "system.posix_acl_access"

/* Two that write into the same file would mix. */
static pthread_mutex_t in_place = PTHREAD_MUTEX_INITIALIZER;

static int explain(struct err *err, const char *name)
{
	switch (errno) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return err_set(err, ERR_LIMIT,
			"no room on the disk to write %s (%s): delete something first", name,
			strerrordesc_np(errno));
	case EACCES:
	case EPERM:
		return err_set(err, ERR_DENIED,
			"no permission to write %s: see its owner and mode, and its directory's",
			name);
	case EROFS:
		return err_set(err, ERR_DENIED, "%s is on a read-only file system", name);
	case ETXTBSY:
		return err_set(err, ERR_CONFLICT, "%s is a program that is running", name);
	case EISDIR:
		return err_set(err, ERR_INVALID, "%s is a directory: name a file in it", name);
	case EEXIST:
		return err_set(err, ERR_CONFLICT,
			"%s exists already: write over it, or choose another name", name);
	case ELOOP:
		return err_set(err, ERR_CONFLICT,
			"%s has become a symlink while it was written: try again", name);
	case ENXIO:
		return err_set(err, ERR_INVALID,
			"%s is a pipe, a socket or a device: only files can be written", name);
	default:
		return err_sys(err, "write %s", name);
	}
}

/* ---- The draft ---- */

static void make_temp_name(struct save *save)
{
	uint64_t random = 0;
	size_t len = strlen(save->name);

	if (getrandom(&random, sizeof random, 0) < 0)
		abort();
	if (len > NAME_MAX - sizeof "..0123456789abcdef.tmp")
		len = utf8_floor(save->name, NAME_MAX - sizeof "..0123456789abcdef.tmp");
	snprintf(save->temp, sizeof save->temp, ".%.*s.%016" PRIx64 ".tmp", (int)len, save->name,
		random);
}

static int open_named_draft(struct save *save, mode_t mode)
{
	int fd, tries = 0;

	do {
		make_temp_name(save);
		fd = openat(save->dirfd, save->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	} while (fd < 0 && errno == EEXIST && ++tries < TRIES_MAX);
	if (fd < 0)
		save->temp[0] = '\0';
	return fd;
}

static int open_draft(struct save *save)
{
	/* What replaces a private file is never less private. */
	mode_t mode = save->was_there ? 0600 : 0666;
	int fd = openat(save->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);

	if (fd < 0 && errno != EACCES && errno != EPERM)
		fd = open_named_draft(save, mode);
	if (fd < 0 && save->was_there && (errno == EACCES || errno == EPERM)) {
		fd = open(P_tmpdir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
		save->elsewhere = fd >= 0;
	}
	return fd;
}

/* Whether `st` can be written as a file; else errno says what it is. */
static bool is_file(const struct stat *st)
{
	errno = S_ISDIR(st->st_mode) ? EISDIR : S_ISLNK(st->st_mode) ? ELOOP : ENXIO;
	return S_ISREG(st->st_mode);
}

int save_begin(struct save *save, int dirfd, const char *name, bool replace, struct err *err)
{
	struct stat st;

	*save = (struct save){ .dirfd = dirfd, .fd = -1, .replace = replace };
	snprintf(save->name, sizeof save->name, "%s", name);
	save->was_there = fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!save->was_there && errno != ENOENT)
		return explain(err, save->name);
	if (save->was_there && !replace) {
		errno = EEXIST;
		return explain(err, save->name);
	}
	if (save->was_there && !is_file(&st))
		return explain(err, save->name);
	if (save->was_there)
		save->mode = st.st_mode & 07777;
	save->fd = open_draft(save);
	return save->fd < 0 ? explain(err, save->name) : 0;
}

/* `done` is set even after a failure. */
static int write_all(int fd, const char *bytes, size_t len, size_t *done)
{
	for (*done = 0; *done < len;) {
		ssize_t n = write(fd, bytes + *done, len - *done);
		if (n < 0 && errno != EINTR)
			return -1;
		*done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int save_write(struct save *save, const void *bytes, size_t len, struct err *err)
{
	size_t done;

	return write_all(save->fd, bytes, len, &done) < 0 ? explain(err, save->name) : 0;
}

void save_release(struct save *save)
{
	if (save->temp[0])
		unlinkat(save->dirfd, save->temp, 0);
	save->temp[0] = '\0';
	cleanup_close(&save->fd);
	cleanup_close(&save->dirfd);
	save->fd = save->dirfd = -1;
}

/* ---- Into its place ---- */

/* Gives a draft without a name one; the name must not exist. */
static int link_draft(struct save *save, const char *name)
{
	char self[64];

	if (linkat(save->fd, "", save->dirfd, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT && errno != EPERM && errno != EINVAL)
		return -1;
	snprintf(self, sizeof self, "/proc/self/fd/%d", save->fd);
	return linkat(AT_FDCWD, self, save->dirfd, name, AT_SYMLINK_FOLLOW);
}

static int publish_new(struct save *save)
{
	if (!save->temp[0])
		return link_draft(save, save->name);
	if (renameat2(save->dirfd, save->temp, save->dirfd, save->name, RENAME_NOREPLACE) == 0) {
		save->temp[0] = '\0';
		return 0;
	}
	if (errno != EINVAL)
		return -1;
	/* A file system without that flag: the draft's name goes with save_release(). */
	return linkat(save->dirfd, save->temp, save->dirfd, save->name, 0);
}

static int publish_over(struct save *save)
{
	for (int tries = 0; !save->temp[0] && tries < TRIES_MAX; tries++) {
		make_temp_name(save);
		if (link_draft(save, save->temp) == 0)
			break;
		save->temp[0] = '\0';
		if (errno != EEXIST)
			return -1;
	}
	if (renameat(save->dirfd, save->temp, save->dirfd, save->name) < 0)
		return -1;
	save->temp[0] = '\0';
	return 0;
}

/* These vouch for the old content; the kernel drops them on a write, too. */
static bool is_about_content(const char *attribute)
{
	return strcmp(attribute, "security.capability") == 0 ||
	       strcmp(attribute, "security.ima") == 0 || strcmp(attribute, "security.evm") == 0;
}

static int copy_attribute(int from, int to, const char *name)
{
	static const size_t max = 65536; /* XATTR_SIZE_MAX */
	AUTO_FREE char *value = alloc_zero(2 * max);
	ssize_t len = fgetxattr(from, name, value, max);

	if (len < 0)
		return -1;
	if (fgetxattr(to, name, value + max, max) == len &&
		memcmp(value, value + max, (size_t)len) == 0)
		return 0;
	return fsetxattr(to, name, value, (size_t)len, 0);
}

static int copy_attributes(int from, int to)
{
	ssize_t len = flistxattr(from, NULL, 0);
	AUTO_FREE char *names = alloc_zero(len > 0 ? (size_t)len : 1);

	/* A default ACL of the directory is not for a file that was there without one. */
	if (fremovexattr(to, ACL) < 0 && errno != ENODATA && errno != EOPNOTSUPP)
		return -1;
	if (len <= 0)
		return len < 0 && errno != EOPNOTSUPP ? -1 : 0;
	len = flistxattr(from, names, (size_t)len);
	if (len < 0)
		return -1;
	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		if (!is_about_content(name) && copy_attribute(from, to, name) < 0)
			return -1;
	}
	return 0;
}

/* Makes the draft look like the old file; false where something cannot be given to it. */
static bool take_over(struct save *save, int old, const struct stat *st)
{
	struct stat draft;

	if (save->elsewhere || st->st_nlink > 1 || fstat(save->fd, &draft) < 0)
		return false;
	if ((draft.st_uid != st->st_uid || draft.st_gid != st->st_gid) &&
		fchown(save->fd, st->st_uid, st->st_gid) < 0)
		return false;
	return copy_attributes(old, save->fd) == 0 && fchmod(save->fd, st->st_mode & 07777) == 0;
}

/* ---- In place ---- */

static int reserve(int fd, off_t at, off_t len)
{
	if (len == 0 || fallocate(fd, FALLOC_FL_KEEP_SIZE, at, len) == 0)
		return 0;
	return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -1;
}

static int copy_draft(struct save *save, int to, bool *touched)
{
	AUTO_FREE char *bytes = alloc_grow(NULL, COPY_BYTES);
	off_t len = lseek(save->fd, 0, SEEK_END), at = 0;

	/* Room first: a full disk leaves the old content as it is. */
	if (reserve(to, 0, len) < 0)
		return -1;
	*touched = true;
	while (at < len) {
		ssize_t n = pread(save->fd, bytes, COPY_BYTES, at);
		for (ssize_t done = 0; done < n;) {
			ssize_t put = pwrite(to, bytes + done, (size_t)(n - done), at + done);
			if (put < 0)
				return -1;
			done += put;
		}
		if (n <= 0)
			return -1;
		at += n;
	}
	return ftruncate(to, len) < 0 || fsync(to) < 0 ? -1 : 0;
}

static int write_in_place(struct save *save, int old, struct err *err)
{
	bool touched = false;

	if ((fcntl(old, F_GETFL) & O_ACCMODE) == O_RDONLY) {
		errno = ETXTBSY;
		return explain(err, save->name);
	}
	pthread_mutex_lock(&in_place);
	int rc = copy_draft(save, old, &touched);
	int sysno = errno;
	pthread_mutex_unlock(&in_place);
	if (rc == 0)
		return 0;
	errno = sysno;
	explain(err, save->name);
	return touched ? err_wrap(err, "%s is incomplete now", save->name) : -1;
}

/* ---- Commit ---- */

/* The old file for writing; one that is running can be replaced, but not written. */
static int open_old(const struct save *save, struct stat *st)
{
	static const int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	if (fstatat(save->dirfd, save->name, st, AT_SYMLINK_NOFOLLOW) < 0 || !is_file(st))
		return -1;
	AUTO_CLOSE int fd = openat(save->dirfd, save->name, O_WRONLY | flags);
	if (fd < 0 && errno == ETXTBSY)
		fd = openat(save->dirfd, save->name, O_RDONLY | flags);
	if (fd < 0 || fstat(fd, st) < 0 || !is_file(st))
		return -1;
	return steal_fd(&fd);
}

static int commit_over(struct save *save, int old, const struct stat *st, struct err *err)
{
	if (take_over(save, old, st)) {
		if (fsync(save->fd) < 0)
			return explain(err, save->name);
		if (publish_over(save) == 0)
			return 0;
		if (errno != EBUSY && errno != EPERM && errno != EACCES && errno != EXDEV)
			return explain(err, save->name);
	}
	return write_in_place(save, old, err);
}

static int commit_new(struct save *save)
{
	if (save->elsewhere) {
		errno = EACCES;
		return -1;
	}
	if (save->was_there && fchmod(save->fd, save->mode) < 0)
		return -1;
	return fsync(save->fd) < 0 ? -1 : publish_new(save);
}

static void sync_directory(int dirfd)
{
	AUTO_CLOSE int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Best effort: a directory may be writable but not readable. */
	if (fd >= 0)
		fsync(fd);
}

int save_commit(struct save *save, bool *created, struct err *err)
{
	/* Others may make and remove the file meanwhile; each round sees one state of it. */
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		struct stat st;
		AUTO_CLOSE int old = save->replace ? open_old(save, &st) : -1;

		if (old < 0 && save->replace && errno != ENOENT)
			return explain(err, save->name);
		if (old >= 0 && commit_over(save, old, &st, err) < 0)
			return -1;
		if (old < 0 && commit_new(save) < 0) {
			if (save->replace && errno == EEXIST)
				continue;
			return explain(err, save->name);
		}
		sync_directory(save->dirfd);
		*created = old < 0;
		return 0;
	}
	return err_set(
		err, ERR_CONFLICT, "%s is made and removed by others: try again", save->name);
}

/* ---- Append ---- */

static int open_to_append(int dirfd, const char *name, struct stat *st, bool *created)
{
	static const int flags =
		O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	AUTO_CLOSE int fd = -1;

	for (int tries = 0; fd < 0 && tries < TRIES_MAX; tries++) {
		fd = openat(dirfd, name, flags | O_CREAT | O_EXCL, 0666);
		*created = fd >= 0;
		if (fd < 0 && errno == EEXIST)
			fd = openat(dirfd, name, flags);
		if (fd < 0 && errno != ENOENT)
			return -1;
	}
	if (fd < 0 || fstat(fd, st) < 0 || !is_file(st))
		return -1;
	return steal_fd(&fd);
}

/* All of it or nothing, as far as nobody else writes there. */
static int append_whole(int fd, const char *bytes, size_t len)
{
	struct stat before, after;
	size_t done;

	if (fstat(fd, &before) < 0 || reserve(fd, before.st_size, (off_t)len) < 0)
		return -1;
	if (write_all(fd, bytes, len, &done) == 0)
		return fsync(fd);
	int sysno = errno;
	if (fstat(fd, &after) == 0 && after.st_size == before.st_size + (off_t)done)
		(void)!ftruncate(fd, before.st_size);
	errno = sysno;
	return -1;
}

int save_append(
	int dirfd, const char *name, const void *bytes, size_t len, bool *created, struct err *err)
{
	struct stat st;
	bool is_new = false;
	AUTO_CLOSE int fd = open_to_append(dirfd, name, &st, &is_new);

	if (fd < 0)
		return explain(err, name);
	pthread_mutex_lock(&in_place);
	int rc = append_whole(fd, bytes, len);
	int sysno = errno;
	pthread_mutex_unlock(&in_place);
	if (rc < 0) {
		if (is_new)
			unlinkat(dirfd, name, 0);
		errno = sysno;
		return explain(err, name);
	}
	if (is_new)
		sync_directory(dirfd);
	*created = is_new;
	return 0;
}
