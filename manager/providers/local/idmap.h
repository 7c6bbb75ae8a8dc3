#ifndef IDMAP_H
#define IDMAP_H

/* A user namespace that nobody is in, whose only use is its mapping: ids 0 up inside are
 * `first` up outside. For mounts that shift ids. Any thread. */
#include <stdint.h>

struct err;

int idmap_open(uint32_t first, uint32_t count, int *fd, struct err *err);

#endif
