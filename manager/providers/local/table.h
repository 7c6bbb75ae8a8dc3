#ifndef TABLE_H
#define TABLE_H

/*
 * The sandboxes of this machine that the loop knows, by id, and their slots. A slot is taken as
 * long as its entry is there: an id range is not used again before the tree is gone. Loop thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "box.h"
#include "provider.h"
#include "record.h"
#include "site.h"

struct err;
struct job;
struct local;
struct loop_io;

/* What of a running sandbox's rules changes: see refresh.c. */
enum refresh { REFRESH_OWN, REFRESH_NAMES, REFRESH_KINDS };
enum refresh_state { REFRESH_DONE, REFRESH_DUE, REFRESH_TRIED };

struct sandbox {
	struct record record;
	struct live live;                  /* not while a job that ends it has it */
	char token[SANDBOX_TOKEN_LEN + 1]; /* of a prepared one, until it is handed out */
	char address[16];
	struct job *job, *next_job; /* at work on it, and what waits for that */
	bool reserved;              /* promised by reserve() */

	enum refresh_state refresh[REFRESH_KINDS];

	struct local *local;
	struct loop_io *watch, *helper_watch; /* of its first process, and of its helper */
	int64_t connected_ms;                 /* when the helper came */
	struct sandbox *next;
};

enum { TABLE_BUCKETS = 256 };

struct table {
	struct local *local; /* whose it is */
	struct sandbox *buckets[TABLE_BUCKETS];
	size_t count;
	uint32_t slots[(SLOT_MAX + 32) / 32]; /* a bit each: taken */
};

struct sandbox *table_find(const struct table *table, const char *id);

/* Adds one with what `record` has (taken over); its slot, if 0, is the lowest free one.
 * ERR_LIMIT: there is none left. ERR_CONFLICT: the slot is another's. */
struct sandbox *table_add(struct table *table, struct record *record, struct err *err);

/* Forgets it, and frees it. */
void table_drop(struct table *table, struct sandbox *sandbox);

/* Goes through all: NULL gives the first. Entries may be dropped only after going on. */
struct sandbox *table_next(const struct table *table, const struct sandbox *after);

void table_release(struct table *table);

#endif
