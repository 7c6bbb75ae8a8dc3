#ifndef SLURP_H
#define SLURP_H

/* Small files, whole. Only regular ones: nothing here blocks on a pipe or wakes a device. */
#include <stddef.h>

/*
 * The content of `path`, or of what `fd` has open, with a NUL behind it; NULL where it cannot be
 * read or has more than `max` bytes. `len` may be NULL. The caller frees the text. slurp_fd()
 * leaves `fd` open.
 */
char *slurp(const char *path, size_t max, size_t *len);
char *slurp_fd(int fd, size_t max, size_t *len);

#endif
