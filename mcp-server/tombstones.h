#ifndef TOMBSTONES_H
#define TOMBSTONES_H

/*
 * The sessions that a client ended (DELETE), kept in a file of bounded size so that they stay
 * ended after a restart: a ring of seals, the oldest overwritten. Losing one does no harm but
 * that an ended session would be served again. Loop thread only.
 */
#include <stdbool.h>

struct tombstones;

/* Reads the file in the directory `state_fd`; works without one where it cannot be read. */
struct tombstones *tombstones_open(int state_fd);
void tombstones_close(struct tombstones *tombstones);

/* A seal: the 16 bytes that nobody else can make. */
void tombstones_add(struct tombstones *tombstones, const unsigned char seal[16]);
bool tombstones_has(const struct tombstones *tombstones, const unsigned char seal[16]);

#endif
