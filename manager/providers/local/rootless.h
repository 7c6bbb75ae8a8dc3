#ifndef ROOTLESS_H
#define ROOTLESS_H

/*
 * For an ordinary user: a user namespace in which the manager is root, over the user and one range
 * of ids from /etc/subuid and /etc/subgid. What runs in it may mount, but only what needs no
 * rights outside. Sandboxes that live keep the namespace; the next manager enters it again.
 */
#include <stdint.h>

struct err;

/* The first of 65536 ids that `file` (/etc/subuid, /etc/subgid) gives to this user; 0: none. */
uint32_t rootless_range(const char *file);

/* Enters the namespace of the sandboxes below `data_dir` that live, or makes one. Before there is
 * another thread. ERR_NOT_FOUND, ERR_DENIED: the message names what mends it. */
int rootless_enter(const char *data_dir, struct err *err);

#endif
