#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"

enum { DEPTH_MAX = 64, NOBODY = 65534 };

int tree_make_dir(const char *path, mode_t mode, uid_t owner, struct err *err)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_sys(err, "make %s", path);
	if ((geteuid() == 0 && lchown(path, owner, owner) < 0) || chmod(path, mode) < 0)
		return err_sys(err, "set the mode of %s", path);
	return 0;
}

int tree_write(const char *path, const char *text, mode_t mode, uid_t owner, struct err *err)
{
	AUTO_FREE char *draft = alloc_printf("%s.new", path);
	AUTO_CLOSE int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t len = strlen(text);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len || fchmod(fd, mode) < 0 ||
		(geteuid() == 0 && fchown(fd, owner, owner) < 0) || rename(draft, path) < 0)
		return err_sys(err, "write %s", path);
	return 0;
}

int tree_copy_file(const char *from, const char *to, mode_t mode, struct err *err)
{
	AUTO_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (in < 0 || out < 0)
		return err_sys(err, "copy %s", from);
	for (;;) {
		char chunk[64 * 1024];
		ssize_t n = read(in, chunk, sizeof chunk);
		if (n == 0)
			break;
		if (n < 0 || write(out, chunk, (size_t)n) != n)
			return err_sys(err, "copy %s", from);
	}
	return fchmod(out, mode) < 0 ? err_sys(err, "copy %s", from) : 0;
}

static int copy_link(const char *from, const char *to, struct err *err)
{
	char target[PATH_MAX];
	ssize_t n = readlink(from, target, sizeof target - 1);

	if (n < 0)
		return err_sys(err, "copy %s", from);
	target[n] = '\0';
	if (symlink(target, to) < 0 && errno != EEXIST)
		return err_sys(err, "make %s", to);
	return 0;
}

static int copy_public(const char *from, const char *to, int depth, struct err *err)
{
	struct stat st;

	if (lstat(from, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "copy %s", from);
	if (S_ISLNK(st.st_mode))
		return copy_link(from, to, err);
	if (S_ISREG(st.st_mode) && (st.st_mode & S_IROTH))
		return tree_copy_file(from, to, st.st_mode & 0755, err);
	if (!S_ISDIR(st.st_mode) || (st.st_mode & 0005) != 0005 || depth == 0)
		return 0;
	if (tree_make_dir(to, 0755, 0, err) < 0)
		return -1;
	AUTO_CLOSEDIR DIR *dir = opendir(from);
	struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		AUTO_FREE char *one = alloc_printf("%s/%s", from, entry->d_name);
		AUTO_FREE char *other = alloc_printf("%s/%s", to, entry->d_name);
		if (copy_public(one, other, depth - 1, err) < 0)
			return -1;
	}
	return 0;
}

int tree_copy_public(const char *from, const char *to, struct err *err)
{
	return copy_public(from, to, DEPTH_MAX, err);
}

struct removal {
	int top; /* of the tree */
	unsigned moved;
};

/* What lies too deep is moved to the top, and removed from there in another round. */
static int move_up(struct removal *removal, int parent, const char *name)
{
	char fresh[32];

	do
		snprintf(fresh, sizeof fresh, ".moved-%u", removal->moved++);
	while (renameat2(parent, name, removal->top, fresh, RENAME_NOREPLACE) < 0 &&
		errno == EEXIST);
	return faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : -1;
}

static int remove_at(struct removal *removal, int parent, const char *name, int depth)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	if (depth == 0)
		return move_up(removal, parent, name);
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	if (!dir) {
		cleanup_close(&fd);
		return -1;
	}
	if (depth == DEPTH_MAX)
		removal->top = fd;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
			remove_at(removal, fd, entry->d_name, depth - 1) < 0)
			return -1;
	return unlinkat(parent, name, AT_REMOVEDIR);
}

int tree_remove(const char *path, struct err *err)
{
	struct removal removal = { .top = -1 };
	unsigned before;

	do {
		before = removal.moved;
		if (remove_at(&removal, AT_FDCWD, path, DEPTH_MAX) == 0)
			return 0;
	} while (errno == ENOTEMPTY && removal.moved > before);
	return err_sys(err, "remove %s", path);
}

int tree_keep_only(const char *path, const char *name, struct err *err)
{
	AUTO_CLOSEDIR DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		AUTO_FREE char *one = alloc_printf("%s/%s", path, entry->d_name);
		if (strcmp(entry->d_name, name) != 0 && strcmp(entry->d_name, ".") != 0 &&
			strcmp(entry->d_name, "..") != 0 && tree_remove(one, err) < 0)
			return -1;
	}
	return dir ? 0 : err_sys(err, "look through %s", path);
}

static int shift_at(int parent, const char *name, uint32_t by, int depth)
{
	struct stat st;
	AUTO_CLOSE int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	uid_t uid = (st.st_uid == NOBODY ? 0 : st.st_uid) + by;
	gid_t gid = (st.st_gid == NOBODY ? 0 : st.st_gid) + by;
	if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		return -1;
	if (!S_ISDIR(st.st_mode) || depth == 0)
		return 0;
	int inside = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *dir = inside >= 0 ? fdopendir(inside) : NULL;
	struct dirent *entry;
	if (!dir) {
		cleanup_close(&inside);
		return -1;
	}
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
			shift_at(inside, entry->d_name, by, depth - 1) < 0)
			return -1;
	return 0;
}

int tree_shift(const char *path, uint32_t by, struct err *err)
{
	return shift_at(AT_FDCWD, path, by, DEPTH_MAX) < 0 ? err_sys(err, "hand over %s", path) : 0;
}
