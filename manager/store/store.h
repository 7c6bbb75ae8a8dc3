#ifndef STORE_H
#define STORE_H

/*
 * What outlives the manager: sandboxes and users. Rows are a cache of the truth, but they are
 * on disk before a provider is asked and again after it answered. Writes are queued in order and
 * done by a thread of the store's own, several in one transaction where they queue up; `done`
 * comes on the loop thread. A small interface, so that another database can stand behind it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "provider.h"
#include "sandbox_limits.h"

struct err;
struct loop;
struct store;

enum sandbox_state {
	SANDBOX_CREATING,
	SANDBOX_RUNNING,
	SANDBOX_PAUSED,
	SANDBOX_DELETING,
	SANDBOX_DELETED,
	SANDBOX_ERROR,
};

enum on_timeout { ON_TIMEOUT_PAUSE, ON_TIMEOUT_DELETE };

/* One row. It owns its texts, NULL where there is none. Times are ms since the epoch, 0: not. */
struct sandbox_row {
	char id[SANDBOX_ID_LEN + 1];
	char token[SANDBOX_TOKEN_LEN + 1];
	enum sandbox_state state;
	char *provider, *provider_id;
	char *owner;       /* the credential's subject or key name */
	char *user_id;     /* a label of the client's */
	char *template_id;
	char *address;     /* of the gate for it */
	char *metadata, *envs, *allow, *ports; /* JSON texts */
	char *problem;     /* why it is in SANDBOX_ERROR */
	char *idempotency_key, *idempotency_hash; /* of the create that made it */
	enum network network;
	struct sandbox_limits limits;
	enum on_timeout on_timeout;
	bool auto_resume;
	bool cold; /* paused, and its processes have ended */
	int64_t timeout_ms, created_ms, started_ms, active_ms, expires_ms, paused_ms, deleted_ms;
};

void sandbox_row_release(struct sandbox_row *row);

/* Copies every text. */
void sandbox_row_copy(const struct sandbox_row *row, struct sandbox_row *out);

/*
 * `url` is "sqlite:///path", where an absolute path has its own slash ("sqlite:////var/lib/x.db").
 * The file is made (0600, a missing directory 0700) and brought to this version. ERR_INVALID names
 * what is supported; ERR_CONFLICT: another manager has it open. With `loop` NULL it is for a
 * command, which may run beside a manager: nothing but the users can be used then.
 */
int store_open(struct loop *loop, const char *url, struct store **out, struct err *err);

/* Writes what is queued first; each `done` was called then. NULL is allowed. */
void store_close(struct store *store);

/* Waits until what is queued was written; each `done` was called then. */
void store_flush(struct store *store);

typedef void store_done(const struct err *err, void *data); /* err NULL: it is on disk */

/* Inserts or replaces the row (copied). `done` may be NULL. */
void store_put(struct store *store, const struct sandbox_row *row, store_done *done, void *data);

/* Removes the row, where it is there. */
void store_remove(struct store *store, const char *id, store_done *done, void *data);

/* Every row that is on disk, oldest first, from the calling thread: for the start. `each` may steal
 * the texts, and calls nothing of the store but store_put() and store_remove(). */
typedef void store_each(struct sandbox_row *row, void *data);
int store_load(struct store *store, store_each *each, void *data, struct err *err);

/* ---- Users. These read and write at once: call them on a worker or in a command. ---- */

struct user {
	char *name, *password; /* as crypt(3) has it */
	bool admin;
};

void user_release(struct user *user);

/* ERR_NOT_FOUND where there is none; store_remove_user() too. */
int store_user(struct store *store, const char *name, struct user *out, struct err *err);
int store_put_user(struct store *store, const struct user *user, struct err *err); /* or replaces */
int store_remove_user(struct store *store, const char *name, struct err *err);

/* Every user, by name. `each` may steal the texts, and calls nothing of the store. */
typedef void store_each_user(struct user *user, void *data);
int store_users(struct store *store, store_each_user *each, void *data, struct err *err);

#endif
