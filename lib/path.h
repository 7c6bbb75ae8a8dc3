#ifndef PATH_H
#define PATH_H

/*
 * Names of files given by a client, and the roots that they cannot leave. Every open goes
 * through a root's directory descriptor and openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS):
 * the kernel decides, no string is trusted, nothing falls back. A relative path starts in the
 * first root (the workspace); an absolute one picks the longest root that is a prefix of it at
 * component boundaries. Roots are fixed after set-up, at least one; then any thread may use
 * them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct err;
struct path_roots;

enum { PATH_MAX_BYTES = 4096 };

enum path_root_flags {
	/*
	 * No call may create, change or delete there. A directory that also lies in a
	 * writable root can be reached through that one: such roots must not be nested.
	 */
	PATH_ROOT_READ_ONLY = 1 << 0,
};

struct path_roots *path_roots_new(void);
void path_roots_free(struct path_roots *roots);

/*
 * Opens directory `dir` as one more root; a symlink is followed once, here, and clients may
 * use the name given as well as the real one. Fails where the kernel has no openat2.
 */
int path_roots_add(struct path_roots *roots, const char *dir, unsigned flags, struct err *err);

size_t path_roots_count(const struct path_roots *roots);

/* The absolute name of root `i`, as messages show it; 0 is the workspace. Borrowed. */
const char *path_root_name(const struct path_roots *roots, size_t i);

/* The root's directory descriptor (O_PATH). Borrowed. */
int path_root_fd(const struct path_roots *roots, size_t i);

/*
 * Opens `path` (its length given: a NUL inside is refused) with open(2) `flags`; O_CLOEXEC,
 * O_NOCTTY and O_NONBLOCK are added, so that no FIFO or device holds anybody up. Only files and
 * directories are served (with O_PATH, anything). ERR_NOT_FOUND, ERR_DENIED (outside every root,
 * a link that leaves one, or no permission), ERR_INVALID (empty, NUL, too long, a directory where
 * a file is meant), ERR_CONFLICT (O_EXCL), each with a sentence that says what to do.
 */
int path_open(const struct path_roots *roots, const char *path, size_t len, int flags, mode_t mode,
	int *fd, struct err *err);

/*
 * As path_open() for reading, without ever blocking: 0, -1, or 1 where the answer is not in
 * the kernel's cache and has to be asked for on a worker (RESOLVE_CACHED). `st` is what the
 * check of its type found.
 */
int path_open_cached(const struct path_roots *roots, const char *path, size_t len, int flags,
	int *fd, struct stat *st, struct err *err);

/*
 * Opens the directory that holds `path` (O_PATH) and copies the last component into `name`
 * (NAME_MAX + 1 bytes). With `make_parents`, missing directories are made (mode 0777 & ~umask).
 * Refuses a path that ends in "/", "." or "..", and read-only roots.
 */
int path_open_parent(const struct path_roots *roots, const char *path, size_t len,
	bool make_parents, int *dirfd, char *name, struct err *err);

/*
 * The same for what `path` stands for: where its last component is a symlink, the directory and
 * the name that it leads to, which need not exist. Absolute links are refused. Another process
 * may put a link there afterwards: use `name` only with calls that do not follow it.
 */
int path_open_target(const struct path_roots *roots, const char *path, size_t len,
	bool make_parents, int *dirfd, char *name, struct err *err);

enum { PATH_SHOWN = 104 };

/* A path as a message shows it, in `out`: of a long one the end. */
const char *path_shown(char out[PATH_SHOWN], const char *path, size_t len);

#endif
