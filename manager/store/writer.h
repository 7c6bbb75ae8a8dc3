#ifndef WRITER_H
#define WRITER_H

/*
 * The thread that writes rows: in the order in which they were given, and what queued up while it
 * was waiting for the disk in one transaction. Used from the loop thread.
 */
#include <sqlite3.h>

#include "store.h"

struct err;
struct loop;
struct writer;

/* Takes over `db` when it succeeds. */
int writer_new(struct loop *loop, sqlite3 *db, struct writer **out, struct err *err);

/* Writes what is queued, and calls every `done`. NULL is allowed. */
void writer_free(struct writer *writer);

/* Waits until all that is queued was written, and calls every `done`. */
void writer_flush(struct writer *writer);

void writer_put(
	struct writer *writer, const struct sandbox_row *row, store_done *done, void *data);
void writer_remove(struct writer *writer, const char *id, store_done *done, void *data);

#endif
