#ifndef SANDBOX_H
#define SANDBOX_H

/*
 * A sandbox as the manager knows it: its row, its provider, its way in, and the queue of changes
 * that are to be made to it. Changes of one sandbox run one after the other; each is on disk
 * before the provider is asked and again after it answered. Loop thread only.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "store/store.h"

struct err;
struct gate_sandbox;
struct loop_timer;
struct manager;
struct provider;
struct provider_answer;

enum change_kind {
	CHANGE_CREATE,
	CHANGE_RESUME,
	CHANGE_PAUSE,
	CHANGE_COOL,
	CHANGE_DELETE,
	CHANGE_NOTHING, /* behind those that wait, its row is made to agree with the provider */
};

struct sandbox {
	struct manager *manager;
	struct provider *provider;
	struct sandbox_row row;
	char *key; /* by which manager->by_key finds it, or NULL */
	struct gate_sandbox *gate; /* NULL: it has no address of its own */
	TAILQ_HEAD(changes, change) changes; /* the first is under way */
	size_t holders;                      /* requests about it that are under way */
	bool unsaved;                        /* its times moved since the row was stored */
	bool asking;                         /* its tool server is asked whether it is busy */
	bool restarted;                      /* its processes were started anew */
	struct loop_timer *timer;            /* the next thing that time brings */
	int64_t retry_ms;                    /* until a delete is tried again */
	int64_t saved_ms, not_before_ms;
	TAILQ_ENTRY(sandbox) link;
};

const char *sandbox_state_name(enum sandbox_state state);

/* Takes the row's texts over. The sandbox is found by its id from now on. */
struct sandbox *sandbox_new(
	struct manager *manager, struct provider *provider, struct sandbox_row *row);

/* Forgets it; only where no change is under way and nobody holds it. */
void sandbox_free(struct sandbox *sandbox);

/* A create of the same Idempotency-Key makes another one from now on. */
void sandbox_forget_key(struct sandbox *sandbox);

/*
 * Queues a change. `done` comes when it was made, was not needed, or could not be made (`err`);
 * NULL is allowed. Before it was made the sandbox may have got into a state that refuses it.
 */
typedef void change_done(struct sandbox *sandbox, const struct err *err, void *data);
void sandbox_change(
	struct sandbox *sandbox, enum change_kind kind, change_done *done, void *data);

/* Ends them all as cancelled, for the end of the manager: what a provider answers afterwards is
 * for the next one to see. */
void changes_drop(struct sandbox *sandbox);

/* Whether a change is under way or waits. */
bool sandbox_changing(const struct sandbox *sandbox);

/* Takes over what the provider says, where that is not what the row says. */
void sandbox_believe(struct sandbox *sandbox, const struct provider_answer *answer);

/* A request about it begins and ends; while one is under way it is in use. */
void sandbox_hold(struct sandbox *sandbox);
void sandbox_release(struct sandbox *sandbox);

/* It was used just now: its deadline moves. */
void sandbox_touch(struct sandbox *sandbox);

/* Sets its own idle time and starts it anew. */
void sandbox_set_timeout(struct sandbox *sandbox, int64_t timeout_ms, enum on_timeout then);

/* Looks at its clocks again, after a change of state or of a deadline. */
void sandbox_arm(struct sandbox *sandbox);

/* What time brings waits a minute: the last try of it failed. */
void sandbox_wait(struct sandbox *sandbox);

/* Writes the row, where it is not as it was written last. What could not be written is logged, and
 * tried again the next time. */
void sandbox_save(struct sandbox *sandbox);

/* The same, and calls `done` once the row is on disk, or could not be written. It has to be held
 * until then. */
void sandbox_save_then(struct sandbox *sandbox, change_done *done, void *data);

/* What a provider makes it from. Valid as long as the row is; release the JSON. */
struct spec_json {
	json_t *allow, *envs, *metadata;
};
void sandbox_spec(const struct sandbox *sandbox, struct provider_spec *spec, struct spec_json *json);
void spec_json_release(struct spec_json *json);

/* Opens its way in, with the ports that are open in the row. */
void sandbox_open_gate(struct sandbox *sandbox);

/* The base URL of a port, which the caller frees; opens the port, and keeps it open. NULL with an
 * error where it has none at present. */
char *sandbox_url(struct sandbox *sandbox, uint16_t port, struct err *err);

/* Whether a client asked for that port, or it is one that every sandbox has. */
bool sandbox_exposes(const struct sandbox *sandbox, uint16_t port);

#endif
