#ifndef LOCAL_H
#define LOCAL_H

/*
 * The provider's inside: the table of sandboxes, and the jobs that work on them. A job runs on a
 * worker with copies of what it needs, and what it found comes into the table on the loop.
 */
#include <stdbool.h>

#include "err.h"
#include "provider.h"
#include "site.h"
#include "table.h"

struct local {
	struct provider base;
	struct provider_setup setup;
	struct site site;
	struct table table;
	size_t jobs;    /* that are under way */
	size_t waiting; /* of these, for sandboxes that are somebody's */
	bool filling;   /* a sandbox for the pool is being made */
	bool stopping;  /* no more of them */
	struct loop_timer *refill, *lookups;
	bool refreshing[REFRESH_KINDS]; /* one sandbox at a time: others need the workers, too */
	int addresses_fd;               /* tells when the host's addresses change */
	struct loop_io *addresses;
};

/* How a sandbox is to be. */
enum wish { WISH_MADE, WISH_RUNNING, WISH_CONNECTED, WISH_FROZEN, WISH_COLD, WISH_GONE };

/* `sandbox` is NULL where it is no more. */
typedef void job_done(struct sandbox *sandbox, bool restarted, const struct err *err, void *data);

/*
 * Brings a sandbox there; `done` (NULL is allowed) is called later on the loop. Where the engine
 * itself is at work on it, that is waited for. WISH_MADE takes `record` over and the token.
 */
void job_ask(struct sandbox *sandbox, enum wish wish, struct record *record, const char *token,
	job_done *done, void *data);

/* Sees to it when one that runs ends by itself; a job does this, too. */
void sandbox_watch(struct sandbox *sandbox);

/* How it is. */
enum provider_state sandbox_state(const struct sandbox *sandbox);

/* ---- pool.c ---- */

struct pool_figures {
	int64_t ready, memory_bytes;
};

void pool_open(struct local *local);

/* Makes one more prepared sandbox, where one is missing and nobody waits. */
void pool_refill(struct local *local);

/* A prepared one that is what `want` asks for, or NULL. */
struct sandbox *pool_find(struct local *local, const struct record *want);

/* Makes no more of them, and removes those that nobody has; `done` is called on the loop once
 * they are gone. */
void pool_end(struct local *local, void (*done)(void *data), void *data);

void pool_count(const struct local *local, struct pool_figures *out);

/* ---- refresh.c ---- */

int refresh_open(struct local *local, struct err *err);
void refresh_close(struct local *local);

/* Does what is due. */
void refresh_go(struct local *local);

/* ---- info.c ---- */

/* The provider's info() and figures(). */
json_t *info_of(const struct local *local, const struct sandbox *sandbox);
json_t *info_figures(const struct local *local);

#endif
