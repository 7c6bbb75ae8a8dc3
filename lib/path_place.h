#ifndef PATH_PLACE_H
#define PATH_PLACE_H

/* Between path.c and path_roots.c only: where a client's path lies. See path.h. */
#include <stdint.h>

#include "path.h"

struct path_root {
	int fd;
	unsigned flags;
	char *name, *real; /* as given and as the kernel has it; absolute, no "." or "//" */
};

struct path_roots {
	struct path_root *list;
	size_t count;
};

/* A root, and the rest of the path, never empty, for openat2(2). */
struct path_place {
	const struct path_root *root;
	char rest[PATH_MAX_BYTES];
};

/* ERR_INVALID, or ERR_DENIED where no root is above it or `writes` is not allowed there. */
int path_locate(const struct path_roots *roots, const char *path, size_t len, bool writes,
	struct path_place *out, struct err *err);

/* openat2(2) beneath a directory, with RESOLVE_* flags more: a descriptor, or -1 and errno. */
int path_openat2(int dirfd, const char *rest, int flags, mode_t mode, uint64_t resolve);

#endif
