#ifndef DOOR_PATH_H
#define DOOR_PATH_H

/*
 * Paths of the plain doors: as a shell in the workspace would understand them ("~" included),
 * with the rights of the server's user and no other bounds. May block.
 */
#include <limits.h>
#include <stddef.h>

struct err;
struct workspace;

/* The absolute name of `path`; the caller frees it. ERR_INVALID where empty or with a NUL. */
char *door_path(const struct workspace *workspace, const char *path, size_t len, struct err *err);

/* Opens a directory (O_PATH) to start a command in; -1. */
int door_open_directory(const struct workspace *workspace, const char *path, struct err *err);

/*
 * Opens the directory that `path` is in, parents made, and copies its last component into `name`
 * (NAME_MAX + 1 bytes); a link that is there is followed.
 */
int door_open_parent(const char *path, int *dirfd, char *name, struct err *err);

#endif
