#ifndef DISK_H
#define DISK_H

/*
 * The disk of a sandbox: a sparse ext4 image of bounded size and number of files, and the loop
 * device that it is mounted by, which goes away with the mount. Blocking; any thread.
 */
#include <stdint.h>

struct err;
struct site;

/* Makes `path`, an empty disk, as a copy of one that was formatted before. Without rights of root
 * it is a directory, without a bound. */
int disk_make(const struct site *site, const char *path, int64_t disk_mb, struct err *err);

/*
 * Attaches it; `device` is the name of the loop device, which detaches when the last of `fd`
 * and its mounts are gone. Waits while an earlier device of the same file is still there: two
 * would destroy the file system.
 */
int disk_attach(const char *path, int *fd, char device[32], struct err *err);

/* Waits until no device has it. */
int disk_await_free(const char *path, struct err *err);

#endif
