#ifndef MANAGER_H
#define MANAGER_H

/* All that the manager consists of, and its life from the options to the last answer. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "site.h"
#include "strmap.h"

struct config;
struct credentials;
struct err;
struct fetch_pool;
struct gate;
struct http;
struct key_set;
struct loop;
struct provider;
struct sandbox;
struct store;
struct throttle;
struct worker_pool;

enum { PROVIDERS_MAX = 8 };

struct manager {
	const struct config *config;
	struct loop *loop;
	struct worker_pool *workers;
	struct worker_pool *logins; /* of its own, so that nobody's tries hold up others' work */
	struct store *store;
	struct credentials *credentials;
	struct key_set *key_set; /* NULL: none is configured */
	struct throttle *throttle;
	struct fetch_pool *fetches;
	struct gate *gate;
	uint16_t domain_port; /* where the gate listens for the domain */
	struct http *http;
	struct site site;
	struct provider *providers[PROVIDERS_MAX]; /* the default first */
	size_t providers_len;
	TAILQ_HEAD(, sandbox) sandboxes; /* in the order of their creation */
	struct strmap by_id, by_key;     /* by_key: "owner key" of an Idempotency-Key */
	size_t alive;                    /* sandboxes that are not deleted */
	struct loop_timer *deadline, *housekeeping;
	size_t reconciling; /* sandboxes that a provider was asked about at the start */
	bool ready;         /* rows and providers agree */
	void (*on_ready)(struct manager *manager);
	bool stopping; /* SIGTERM came */
	bool closing;  /* nothing is begun any more */
	size_t ending; /* what is waited for before the loop stops */
};

/* Makes the data directory where it is not there, for its owner alone. */
int manager_make_data_dir(const char *dir, struct err *err);

/* `on_ready` is called once rows and providers agree; until then all but /health is refused. */
int manager_open(struct manager *manager, const struct config *config,
	void (*on_ready)(struct manager *manager), struct err *err);

/* Until a signal ends it. */
int manager_run(struct manager *manager, struct err *err);

/* Within a second. Where jobs go on it does not return, but ends the process with `status`. */
void manager_close(struct manager *manager, int status);

/* Makes the directory, private, with what is missing above it. */
int manager_make_data_dir(const char *dir, struct err *err);

/* Now, in ms since the epoch: what is stored. */
int64_t manager_now_ms(void);

struct provider *manager_provider(const struct manager *manager, const char *name); /* or NULL */
struct sandbox *manager_sandbox(const struct manager *manager, const char *id);     /* or NULL */

/* Brings rows and providers together after the start: reconcile.c. */
int manager_load(struct manager *manager, struct err *err);
void manager_reconcile(struct manager *manager);

/* Forgets sandboxes that were deleted long ago. */
void manager_forget_deleted(struct manager *manager);

#endif
