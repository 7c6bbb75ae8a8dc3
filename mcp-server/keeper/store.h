#ifndef STORE_H
#define STORE_H

/*
 * The folders of commands on disk, <state>/commands/<id>/{stdout,stderr,status}. Those of
 * ended commands are kept up to a number and a size, the earliest ended go first; those of
 * running commands stay. Keeper only.
 */
#include <stdint.h>

struct buf;
struct err;
struct store;

/* Opens (or makes) `commands` below the directory `state_fd`. Commands that a dead keeper left
 * as running are set down as lost, and those in the foreground are killed. */
int store_open(int state_fd, struct store **out, struct err *err);
void store_free(struct store *store);

/* The largest number of all commands on disk. */
uint64_t store_last(const struct store *store);

/* How many ended commands are kept, and how many bytes in all. */
void store_set_limits(struct store *store, uint64_t commands, uint64_t bytes);

/* Makes the folder of a new command and its two logs, open for writing. On a full disk those of
 * ended commands go, as many as it takes; ERR_LIMIT: there are none left. */
int store_make(struct store *store, uint64_t number, int log_fds[2], struct err *err);

/* Replaces the status, in one step for whoever reads it. */
int store_write_status(struct store *store, uint64_t number, const struct buf *json,
	struct err *err);

/* The command has ended, its logs take `bytes`: its folder may go when there are too many. */
void store_ended(struct store *store, uint64_t number, uint64_t bytes);

/* The family that a command's processes belong to. Later commands have smaller marks, since a
 * mark can only be lowered: a keeper may run within a command of another one. */
uint64_t store_mark(uint64_t number);

#endif
