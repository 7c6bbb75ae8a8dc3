#include "path_place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"

int path_openat2(int dirfd, const char *rest, int flags, mode_t mode, uint64_t resolve)
{
	bool makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
	struct open_how how = {
		.flags = (uint64_t)flags,
		.mode = makes ? mode : 0, /* elsewhere it has to be 0 */
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve,
	};

	return (int)syscall(SYS_openat2, dirfd, rest, &how, sizeof how);
}

struct path_roots *path_roots_new(void)
{
	return alloc_zero(sizeof(struct path_roots));
}

void path_roots_free(struct path_roots *roots)
{
	if (!roots)
		return;
	for (size_t i = 0; i < roots->count; i++) {
		close(roots->list[i].fd);
		free(roots->list[i].name);
		free(roots->list[i].real);
	}
	free(roots->list);
	free(roots);
}

/* The name to show: as given where that is absolute and plain, else the real one. */
static char *name_as_given(const char *dir, const char *real)
{
	char *name = alloc_zero(strlen(dir) + 2);
	size_t len = 0;

	for (const char *at = dir; *at;) {
		size_t n = strcspn(at, "/");
		if (at == dir ? n > 0 : n == 2 && memcmp(at, "..", 2) == 0) {
			free(name);
			return alloc_text(real);
		}
		if (n > 0 && !(n == 1 && *at == '.')) {
			name[len++] = '/';
			memcpy(name + len, at, n);
			len += n;
		}
		at += n + (at[n] == '/');
	}
	if (len == 0)
		name[0] = '/';
	return name;
}

static int check_kernel(int dirfd, struct err *err)
{
	AUTO_CLOSE int fd = path_openat2(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);

	if (fd >= 0)
		return 0;
	if (errno == ENOSYS || errno == EPERM)
		return err_set(err, ERR_INTERNAL,
			"openat2 is %s: files cannot be confined to their directories without it",
			errno == ENOSYS ? "missing (Linux 5.6 has it)"
					: "forbidden here (allow it in the seccomp profile)");
	return err_sys(err, "openat2");
}

int path_roots_add(struct path_roots *roots, const char *dir, unsigned flags, struct err *err)
{
	AUTO_FREE char *real = realpath(dir, NULL);
	AUTO_CLOSE int fd = real ? open(real, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0)
		return err_sys(err, "directory %s", dir);
	if (check_kernel(fd, err) < 0)
		return -1;
	char *name = name_as_given(dir, real);
	roots->list = alloc_grow(roots->list, (roots->count + 1) * sizeof *roots->list);
	roots->list[roots->count++] = (struct path_root){
		.fd = steal_fd(&fd),
		.flags = flags,
		.name = name,
		.real = steal_ptr(&real),
	};
	return 0;
}

size_t path_roots_count(const struct path_roots *roots)
{
	return roots->count;
}

const char *path_root_name(const struct path_roots *roots, size_t i)
{
	return roots->list[i].name;
}

int path_root_fd(const struct path_roots *roots, size_t i)
{
	return roots->list[i].fd;
}

/* ---- From a path to a place ---- */

/* What follows the slashes ("/", "//", "/./" are one) at the start of `path`. */
static const char *past_slashes(const char *path)
{
	for (;;) {
		if (path[0] == '/')
			path++;
		else if (path[0] == '.' && path[1] == '/')
			path += 2;
		else
			return path;
	}
}

/* What is left of an absolute path beneath directory `name`, or NULL where it is not there. */
static const char *beneath(const char *path, const char *name)
{
	for (;;) {
		path = past_slashes(path);
		name += strspn(name, "/");
		if (!*name)
			return path;
		size_t n = strcspn(name, "/");
		if (strncmp(path, name, n) != 0 || (path[n] && path[n] != '/'))
			return NULL;
		path += n;
		name += n;
	}
}

/* The longest root above an absolute path, and what is left of it. */
static const struct path_root *find_root(
	const struct path_roots *roots, const char *path, const char **rest)
{
	const struct path_root *found = NULL;

	for (size_t i = 0; i < roots->count; i++) {
		const struct path_root *root = &roots->list[i];
		const char *names[] = { root->name, root->real };
		for (size_t k = 0; k < 2; k++) {
			const char *left = beneath(path, names[k]);
			/* The less is left, the longer is the root. */
			if (left && (!found || left > *rest)) {
				found = root;
				*rest = left;
			}
		}
	}
	return found;
}

static int explain_outside(
	struct err *err, const struct path_roots *roots, const char *path, size_t len)
{
	char text[PATH_SHOWN], names[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < roots->count && used < sizeof names; i++) {
		const char *between = i == 0 ? "" : i + 1 == roots->count ? " and " : ", ";
		used += (size_t)snprintf(
			names + used, sizeof names - used, "%s%s", between, roots->list[i].name);
	}
	return err_set(err, ERR_DENIED, "%s is outside of what can be reached: only %s",
		path_shown(text, path, len), names);
}

int path_locate(const struct path_roots *roots, const char *path, size_t len, bool writes,
	struct path_place *out, struct err *err)
{
	char text[PATH_SHOWN];

	if (len == 0)
		return err_set(
			err, ERR_INVALID, "the path is empty: \".\" is %s", roots->list[0].name);
	if (memchr(path, '\0', len))
		return err_set(err, ERR_INVALID, "the path has a NUL byte in it: leave it out");
	if (len >= PATH_MAX_BYTES) {
		return err_set(err, ERR_INVALID, "%s is too long: a path has at most %d bytes",
			path_shown(text, path, len), PATH_MAX_BYTES - 1);
	}
	memcpy(out->rest, path, len);
	out->rest[len] = '\0';
	out->root = &roots->list[0];
	if (path[0] == '/') {
		const char *rest = NULL;
		out->root = find_root(roots, out->rest, &rest);
		if (!out->root)
			return explain_outside(err, roots, path, len);
		memmove(out->rest, rest, strlen(rest) + 1);
		if (!out->rest[0])
			memcpy(out->rest, ".", 2);
	}
	if (writes && out->root->flags & PATH_ROOT_READ_ONLY)
		return err_set(err, ERR_DENIED, "%s cannot be changed: %s is only for reading",
			path_shown(text, path, len), out->root->name);
	return 0;
}

const char *path_shown(char out[PATH_SHOWN], const char *path, size_t len)
{
	const size_t max = PATH_SHOWN - sizeof "…";

	if (len <= max) {
		snprintf(out, PATH_SHOWN, "%.*s", (int)len, path);
		return out;
	}
	size_t from = len - max;
	while (from < len && ((unsigned char)path[from] & 0xC0) == 0x80)
		from++;
	snprintf(out, PATH_SHOWN, "…%.*s", (int)(len - from), path + from);
	return out;
}
