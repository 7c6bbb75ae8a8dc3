#include "usr_mask.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "tree.h"

enum { DEPTH_MAX = 64 };

struct mask {
	const char *from, *to;
	char path[PATH_MAX]; /* of where the walk is, below both; begins with / or is empty */
};

/* Directories above `path` are made in the layer, as they are below. */
static int make_parents(const struct mask *mask, struct err *err)
{
	char path[PATH_MAX];

	for (const char *slash = strchr(mask->path + 1, '/'); slash;
		slash = strchr(slash + 1, '/')) {
		struct stat st;
		int len = (int)(slash - mask->path);
		snprintf(path, sizeof path, "%s%.*s", mask->from, len, mask->path);
		if (stat(path, &st) < 0)
			return err_sys(err, "look at %s", path);
		snprintf(path, sizeof path, "%s%.*s", mask->to, len, mask->path);
		if (tree_make_dir(path, st.st_mode & 07777, st.st_uid, err) < 0)
			return -1;
	}
	return 0;
}

static int hide(const struct mask *mask, struct err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s%s", mask->to, mask->path);
	if (make_parents(mask, err) < 0)
		return -1;
	if (mknod(path, S_IFCHR, makedev(0, 0)) < 0)
		return err_sys(err, "make the whiteout %s", path);
	return 0;
}

static int walk(struct mask *mask, int depth, struct err *err);

static int look_at(struct mask *mask, int parent, const char *name, int depth, struct err *err)
{
	struct stat st;
	size_t len = strlen(mask->path);
	int result = 0;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "look at %s%s", mask->path, name);
	if (S_ISLNK(st.st_mode))
		return 0;
	bool directory = S_ISDIR(st.st_mode);
	bool open_to_others =
		S_ISREG(st.st_mode) ? st.st_mode & S_IROTH : directory && (st.st_mode & 05) == 05;
	if (snprintf(mask->path + len, sizeof mask->path - len, "/%s", name) >=
		(int)(sizeof mask->path - len))
		return err_set(err, ERR_LIMIT, "%s/%s is too long", mask->path, name);
	if (strcmp(mask->path, "/local") == 0) {
		/* made by our caller's caller, empty */
	} else if (!open_to_others) {
		result = hide(mask, err);
	} else if (directory) {
		result = walk(mask, depth - 1, err);
	}
	mask->path[len] = '\0';
	return result;
}

static int walk(struct mask *mask, int depth, struct err *err)
{
	char path[PATH_MAX];
	struct dirent *entry;

	snprintf(path, sizeof path, "%s%s", mask->from, mask->path);
	AUTO_CLOSEDIR DIR *dir = depth > 0 ? opendir(path) : NULL;
	if (!dir)
		return errno == ENOENT ? 0 : err_sys(err, "look through %s", path);
	while ((entry = readdir(dir))) {
		bool leaf = entry->d_type == DT_LNK || strcmp(entry->d_name, ".") == 0 ||
			    strcmp(entry->d_name, "..") == 0;
		if (!leaf && look_at(mask, dirfd(dir), entry->d_name, depth, err) < 0)
			return -1;
	}
	return 0;
}

/* An empty /usr/local that nothing shows through. */
static int make_local(const char *to, struct err *err)
{
	static const char *const inside[] = { "", "/bin", "/etc", "/include", "/lib", "/sbin",
		"/share", "/src" };

	for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
		AUTO_FREE char *path = alloc_printf("%s/local%s", to, inside[i]);
		if (tree_make_dir(path, 0755, 0, err) < 0)
			return -1;
	}
	AUTO_FREE char *local = alloc_printf("%s/local", to);
	if (setxattr(local, "trusted.overlay.opaque", "y", 1, 0) < 0 &&
		setxattr(local, "user.overlay.opaque", "y", 1, 0) < 0)
		return err_sys(err, "hide /usr/local in %s", to);
	return 0;
}

/* A machine may have python3 alone; agents ask for python. */
static int make_python(const char *from, const char *to, struct err *err)
{
	AUTO_FREE char *python = alloc_printf("%s/bin/python", from);
	AUTO_FREE char *python3 = alloc_printf("%s/bin/python3", from);
	AUTO_FREE char *bin = alloc_printf("%s/bin", to);
	AUTO_FREE char *link = alloc_printf("%s/bin/python", to);

	if (access(python3, X_OK) < 0 || access(python, X_OK) == 0)
		return 0;
	if (tree_make_dir(bin, 0755, 0, err) < 0)
		return -1;
	return symlink("python3", link) < 0 ? err_sys(err, "make %s", link) : 0;
}

int usr_mask_make(const char *from, const char *to, struct err *err)
{
	struct mask mask = { .from = from, .to = to };

	if (tree_make_dir(to, 0755, 0, err) < 0 || make_local(to, err) < 0 ||
		make_python(from, to, err) < 0)
		return -1;
	return walk(&mask, DEPTH_MAX, err);
}
