#ifndef SPLICE_H
#define SPLICE_H

/*
 * Bytes both ways between two connected stream sockets, a client and a server, until both have
 * ended. An end is passed on as a half-close, a failure as a reset. While nothing waits for a
 * slow reader no buffer is held; what waits is bounded, the rest stays with its sender. Loop
 * thread only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;
struct loop;
struct splice;
struct splicer;

enum splice_way { SPLICE_UP, SPLICE_DOWN }; /* to the server, to the client */

/* Each may be NULL but `closed`. None may free the splice. */
struct splice_events {
	/* Bytes came from one side, for the other. */
	void (*passed)(enum splice_way way, size_t n, void *data);

	/* It is held, and new bytes of the client's wait. */
	void (*knocked)(void *data);

	/* One side has ended, and the other was told. */
	void (*ended)(enum splice_way way, void *data);

	/* Over: its sockets are closed, and it is freed when this returns. */
	void (*closed)(void *data);
};

/* What splices of one loop share: their buffer. It must outlive them. */
struct splicer *splicer_new(struct loop *loop);
void splicer_free(struct splicer *splicer);

/* Takes both (non-blocking) sockets, where it succeeds. Nothing is called before the loop runs. */
int splice_new(struct splicer *splicer, int client, int server, const struct splice_events *events,
	void *data, struct splice **out, struct err *err);

/*
 * Held: the client's bytes are left unread, and that the server ended or failed is kept from the
 * client until it is held no more.
 */
void splice_hold(struct splice *splice, bool held);

/* Resets both sides, or lets both be closed in order. Calls `closed`; not from a callback. */
void splice_cut(struct splice *splice);
void splice_close(struct splice *splice);

/*
 * Sees what goes one way before it passes: returns how many of the bytes at the front go on as
 * they are (it has taken, or dropped, the others), or -1 to cut. `len` is 0 where the side has
 * ended or failed: what is queued then is sent, and the end passed on in order.
 */
typedef ssize_t splice_filter_fn(const char *bytes, size_t len, void *data);
void splice_filter(struct splice *splice, enum splice_way way, splice_filter_fn *fn, void *data);

/* From a filter: takes no more from this side, as if it had ended now. */
void splice_end(struct splice *splice, enum splice_way way);

/* Queues bytes for one way, before those to come. -1 where they are more than 128 KiB in all. */
int splice_put(struct splice *splice, enum splice_way way, const void *bytes, size_t len);

#endif
