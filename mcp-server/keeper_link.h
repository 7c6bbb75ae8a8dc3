#ifndef KEEPER_LINK_H
#define KEEPER_LINK_H

/*
 * The server's connection to its keeper: finds the one that an earlier server left, or starts
 * one. When the keeper is lost, `lost` is called, and link_ready() starts another when there is
 * something to do for it. Loop thread only.
 */
#include <stddef.h>
#include <stdint.h>

#include "keeper/wire.h"

struct err;
struct keeper_link;
struct loop;

struct keeper_link_options {
	const char *keeper_path; /* NULL: sandbox-keeper beside the server's own binary */
	struct wire_hello hello; /* `version` is filled in */
	wire_fn *message;        /* any message but WIRE_WELCOME */
	void (*lost)(const struct err *why, void *data);
	void *data;
};

/* Connects. `state_fd` (a directory) is borrowed for as long as the link is there. */
int keeper_link_open(struct loop *loop, int state_fd, const struct keeper_link_options *options,
	struct keeper_link **out, struct err *err);

/* Closes the connection: the keeper kills the foreground commands. With `wait`, waits for a
 * moment until a keeper that this process started has left. */
void keeper_link_free(struct keeper_link *link, bool wait);

/* Makes sure that there is a connection. */
int keeper_link_ready(struct keeper_link *link, struct err *err);

int keeper_link_send(struct keeper_link *link, enum wire_type type, uint64_t number,
	const struct buf *body, const int *fds, size_t fds_len, struct err *err);

#endif
