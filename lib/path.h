#ifndef PATH_H
#define PATH_H

/*
 * Names of files given by a client, and the roots that they cannot leave. Every open goes
 * through a root's directory descriptor and openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS):
 * the kernel decides, no string is trusted, nothing falls back. A relative path starts in the
 * first root (the workspace); an absolute one picks the longest root that is a prefix of it at
 * component boundaries. Roots are fixed after set-up; then any thread may use them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;
struct path_roots;

enum { PATH_MAX_BYTES = 4096 };

enum path_root_flags {
	PATH_ROOT_READ_ONLY = 1 << 0, /* no call may create, change or delete there */
};

struct path_roots *path_roots_new(void);
void path_roots_free(struct path_roots *roots);

/* Opens directory `dir` as one more root; a symlink is followed once, here. */
int path_roots_add(struct path_roots *roots, const char *dir, unsigned flags, struct err *err);

size_t path_roots_count(const struct path_roots *roots);

/* The absolute name of root `i`, as messages show it; 0 is the workspace. Borrowed. */
const char *path_root_name(const struct path_roots *roots, size_t i);

/* The root's directory descriptor (O_PATH). Borrowed. */
int path_root_fd(const struct path_roots *roots, size_t i);

/*
 * Opens `path` (its length given: a NUL inside is refused) with open(2) `flags`, O_CLOEXEC
 * added. ERR_NOT_FOUND, ERR_DENIED (outside every root, or a link that leaves one), ERR_INVALID
 * (empty, NUL, too long), each with a sentence that says what to do.
 */
int path_open(const struct path_roots *roots, const char *path, size_t len, int flags, mode_t mode,
	int *fd, struct err *err);

/*
 * As path_open() for reading, without ever blocking: 0, -1, or 1 where the answer is not in
 * the kernel's cache and has to be asked for on a worker (RESOLVE_CACHED).
 */
int path_open_cached(const struct path_roots *roots, const char *path, size_t len, int flags,
	int *fd, struct err *err);

/*
 * Opens the directory that holds `path` (O_PATH) and copies the last component into `name`
 * (NAME_MAX + 1 bytes). With `make_parents`, missing directories are made (mode 0777 & ~umask).
 * Refuses a path that ends in "/", "." or "..", and read-only roots.
 */
int path_open_parent(const struct path_roots *roots, const char *path, size_t len,
	bool make_parents, int *dirfd, char *name, struct err *err);

#endif
