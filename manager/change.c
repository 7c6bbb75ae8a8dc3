/* The state machine: which change is allowed in which state, and how one is made. */
#include "sandbox.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "cleanup.h"
#include "config.h"
#include "err.h"
#include "gate/gate.h"
#include "log.h"
#include "loop.h"
#include "manager.h"
#include "provider.h"

enum { DELETE_RETRY_MS = 5000, DELETE_RETRY_MAX_MS = 300000, STATES = SANDBOX_ERROR + 1 };

struct change {
	enum change_kind kind;
	enum sandbox_state before;
	change_done *done;
	void *data;
	TAILQ_ENTRY(change) link;
};

enum verdict {
	REFUSE,      /* not in this state */
	GONE,        /* there is none any more */
	NOTHING,     /* it is so already */
	MAKE,
};

/* ---- the table ---- */

/* What a change means in each state, in the order of enum sandbox_state. */
static const struct rule {
	const char *name;
	enum verdict in[STATES];
	enum sandbox_state during; /* stored before the provider is asked */
} rules[] = {
	/*                            creating running  paused   deleting deleted  error        */
	[CHANGE_CREATE] = { "create", { MAKE,   NOTHING, NOTHING, GONE,    GONE,    REFUSE }, SANDBOX_CREATING },
	[CHANGE_RESUME] = { "resume", { REFUSE, NOTHING, MAKE,    GONE,    GONE,    REFUSE }, SANDBOX_PAUSED },
	[CHANGE_PAUSE]  = { "pause",  { REFUSE, MAKE,    NOTHING, GONE,    GONE,    REFUSE }, SANDBOX_RUNNING },
	[CHANGE_COOL]   = { "cool",   { REFUSE, NOTHING, MAKE,    GONE,    GONE,    REFUSE }, SANDBOX_PAUSED },
	[CHANGE_DELETE] = { "delete", { MAKE,   MAKE,    MAKE,    MAKE,    NOTHING, MAKE   }, SANDBOX_DELETING },
	[CHANGE_NOTHING] = { "look",  { NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING }, SANDBOX_RUNNING },
};

static const char *const state_names[] = { [SANDBOX_CREATING] = "creating",
	[SANDBOX_RUNNING] = "running", [SANDBOX_PAUSED] = "paused", [SANDBOX_DELETING] = "deleting",
	[SANDBOX_DELETED] = "deleted", [SANDBOX_ERROR] = "error" };

const char *sandbox_state_name(enum sandbox_state state)
{
	return state_names[state];
}

/* ---- the end of a change ---- */

static void begin_later(void *data);

static void finish(struct sandbox *sandbox, const struct err *err)
{
	struct change *change = TAILQ_FIRST(&sandbox->changes);

	/* What `done` asks for next comes behind what waits already. */
	if (change->done)
		change->done(sandbox, err, change->data);
	TAILQ_REMOVE(&sandbox->changes, change, link);
	free(change);
	sandbox_arm(sandbox);
	if (!TAILQ_EMPTY(&sandbox->changes))
		loop_post(sandbox->manager->loop, begin_later, sandbox);
}

/* It was asked for, and could not be made: time brings it again after a while. */
static void fail(struct sandbox *sandbox, const struct err *err)
{
	const struct change *change = TAILQ_FIRST(&sandbox->changes);

	log_event(LOG_WARNING, "change failed", "sandbox", sandbox->row.id, "change",
		rules[change->kind].name, "why", err->msg, NULL);
	sandbox_wait(sandbox);
	finish(sandbox, err);
}

static void on_stored_after(const struct err *err, void *data)
{
	struct sandbox *sandbox = data;

	if (TAILQ_EMPTY(&sandbox->changes))
		return; /* it was dropped */
	if (err && TAILQ_FIRST(&sandbox->changes)->kind == CHANGE_CREATE)
		sandbox_change(sandbox, CHANGE_DELETE, NULL, NULL); /* nobody learns its id */
	if (err)
		fail(sandbox, err);
	else
		finish(sandbox, NULL);
}

static void store_after(struct sandbox *sandbox)
{
	sandbox->unsaved = false;
	store_put(sandbox->manager->store, &sandbox->row, on_stored_after, sandbox);
}

/* ---- what the provider answered ---- */

static void set_text(char **place, const char *text)
{
	if (!text || (*place && strcmp(*place, text) == 0))
		return;
	free(*place);
	*place = alloc_text(text);
}

static void close_gate(struct sandbox *sandbox)
{
	gate_remove(sandbox->gate);
	sandbox->gate = NULL;
}

static void is_running(struct sandbox *sandbox, bool restarted)
{
	struct sandbox_row *row = &sandbox->row;

	row->state = SANDBOX_RUNNING;
	row->cold = false;
	row->paused_ms = 0;
	row->started_ms = manager_now_ms();
	sandbox->restarted = restarted;
	sandbox_open_gate(sandbox);
	if (sandbox->gate && restarted)
		gate_cut(sandbox->gate);
	if (sandbox->gate)
		gate_set_paused(sandbox->gate, false);
	sandbox_touch(sandbox);
}

static void is_paused(struct sandbox *sandbox, bool cold)
{
	struct sandbox_row *row = &sandbox->row;

	if (row->state != SANDBOX_PAUSED || !row->paused_ms)
		row->paused_ms = manager_now_ms();
	row->state = SANDBOX_PAUSED;
	row->cold = cold;
	row->expires_ms = row->paused_ms + sandbox->manager->config->paused_retention * 1000;
	if (sandbox->gate)
		gate_set_paused(sandbox->gate, true);
}

static void is_deleted(struct sandbox *sandbox)
{
	struct sandbox_row *row = &sandbox->row;

	if (row->state != SANDBOX_DELETED)
		sandbox->manager->alive--;
	row->state = SANDBOX_DELETED;
	row->deleted_ms = manager_now_ms();
	memset(row->token, '0', SANDBOX_TOKEN_LEN); /* opens nothing any more */
	free(steal_ptr(&row->metadata)); /* the row is kept for a while, so it is made small */
	free(steal_ptr(&row->envs));
	free(steal_ptr(&row->allow));
	free(steal_ptr(&row->ports));
	close_gate(sandbox);
}

static void is_lost(struct sandbox *sandbox)
{
	sandbox->row.state = SANDBOX_ERROR;
	set_text(&sandbox->row.problem,
		"the provider has no such sandbox any more: delete it and create another");
	close_gate(sandbox);
}

static void apply(struct sandbox *sandbox, const struct provider_answer *answer)
{
	set_text(&sandbox->row.provider_id, answer->provider_id);
	set_text(&sandbox->row.address, answer->address);
	switch (answer->state) {
	case PROVIDER_RUNNING:
		is_running(sandbox, answer->restarted);
		break;
	case PROVIDER_PAUSED:
	case PROVIDER_COLD:
		is_paused(sandbox, answer->state == PROVIDER_COLD);
		break;
	case PROVIDER_GONE:
		if (sandbox->row.state == SANDBOX_DELETING)
			is_deleted(sandbox);
		else
			is_lost(sandbox);
		break;
	}
}

/* A create that failed leaves nothing, not even a row: the same key may be used again. */
static void create_failed(struct sandbox *sandbox)
{
	is_deleted(sandbox);
	sandbox->row.deleted_ms = 0;
	sandbox_forget_key(sandbox);
}

/* It is not there, whatever was asked for. */
static void lost(struct sandbox *sandbox)
{
	struct err err;

	err_set(&err, ERR_CONFLICT, "%s", sandbox->row.problem);
	store_put(sandbox->manager->store, &sandbox->row, NULL, NULL);
	fail(sandbox, &err);
}

static void on_answer(const struct provider_answer *answer, const struct err *err, void *data)
{
	struct sandbox *sandbox = data;
	struct change *change = TAILQ_FIRST(&sandbox->changes);

	if (!change)
		return; /* it was dropped */
	if (answer) {
		apply(sandbox, answer);
		if (sandbox->row.state == SANDBOX_ERROR)
			lost(sandbox);
		else
			store_after(sandbox);
		return;
	}
	if (change->kind == CHANGE_CREATE) {
		struct store *store = sandbox->manager->store;

		create_failed(sandbox);
		store_remove(store, sandbox->row.id, NULL, NULL);
	} else if (change->kind != CHANGE_DELETE) {
		sandbox->row.state = change->before;
	}
	fail(sandbox, err);
}

/* ---- a change ---- */

static void ask_provider(struct sandbox *sandbox)
{
	struct provider *provider = sandbox->provider;
	struct change *change = TAILQ_FIRST(&sandbox->changes);
	const char *id = sandbox->row.id;
	struct provider_spec spec;
	struct spec_json json;

	switch (change->kind) {
	case CHANGE_CREATE:
		sandbox_spec(sandbox, &spec, &json);
		provider->create(provider, &spec, on_answer, sandbox);
		spec_json_release(&json);
		break;
	case CHANGE_RESUME:
		provider->resume(provider, id, on_answer, sandbox);
		break;
	case CHANGE_PAUSE:
	case CHANGE_COOL:
		provider->pause(provider, id, change->kind == CHANGE_COOL, on_answer, sandbox);
		break;
	case CHANGE_DELETE:
		provider->destroy(provider, id, on_answer, sandbox);
		break;
	case CHANGE_NOTHING:
		break;
	}
}

static void on_not_wanted(
	const struct provider_answer *answer, const struct err *err, void *data)
{
	(void)answer, (void)data;
	if (err)
		log_event(LOG_WARNING, "sandbox without a row not removed", "why", err->msg, NULL);
}

static void on_stored_before(const struct err *err, void *data)
{
	struct sandbox *sandbox = data;
	struct change *change = TAILQ_FIRST(&sandbox->changes);

	if (!change)
		return; /* it was dropped */
	if (!err) {
		ask_provider(sandbox);
		return;
	}
	if (change->kind == CHANGE_CREATE) {
		struct provider *provider = sandbox->provider;

		/* It may be a prepared one, which would wait for its create for ever. */
		provider->destroy(provider, sandbox->row.id, on_not_wanted, NULL);
		create_failed(sandbox);
	} else {
		sandbox->row.state = change->before;
	}
	fail(sandbox, err);
}

static void refuse(struct sandbox *sandbox, struct err *err)
{
	const struct change *change = TAILQ_FIRST(&sandbox->changes);
	const struct sandbox_row *row = &sandbox->row;

	if (row->state == SANDBOX_ERROR)
		err_set(err, ERR_CONFLICT, "the sandbox cannot be used: %s",
			row->problem ? row->problem : "delete it and create another");
	else
		err_set(err, ERR_CONFLICT, "a sandbox that is %s cannot do that (%s)",
			state_names[row->state], rules[change->kind].name);
}

static void decide(struct sandbox *sandbox)
{
	struct change *change = TAILQ_FIRST(&sandbox->changes);
	const struct rule *rule = &rules[change->kind];
	struct err err;

	change->before = sandbox->row.state;
	switch (rule->in[change->before]) {
	case REFUSE:
		refuse(sandbox, &err);
		finish(sandbox, &err);
		return;
	case GONE:
		err_set(&err, ERR_NOT_FOUND, "that sandbox was deleted");
		finish(sandbox, &err);
		return;
	case NOTHING:
		finish(sandbox, NULL);
		return;
	case MAKE:
		break;
	}
	if (change->kind == CHANGE_PAUSE && !sandbox->provider->pause) {
		err_set(&err, ERR_CONFLICT, "sandboxes of %s cannot be paused: delete it instead",
			sandbox->provider->name);
		finish(sandbox, &err);
		return;
	}
	if (change->before == rule->during && change->kind != CHANGE_CREATE) {
		ask_provider(sandbox); /* what is stored says so already */
		return;
	}
	sandbox->row.state = rule->during;
	store_put(sandbox->manager->store, &sandbox->row, on_stored_before, sandbox);
}

static void believe(struct sandbox *sandbox, const struct provider_answer *answer)
{
	enum sandbox_state state = sandbox->row.state;
	bool cold = answer->state == PROVIDER_COLD;

	if ((answer->state == PROVIDER_RUNNING && state == SANDBOX_RUNNING) ||
		(answer->state == PROVIDER_PAUSED && state == SANDBOX_PAUSED) ||
		(cold && state == SANDBOX_PAUSED && sandbox->row.cold) ||
		(answer->state == PROVIDER_GONE && state == SANDBOX_ERROR))
		return;
	log_event(LOG_WARNING, "sandbox is not as it was left", "sandbox", sandbox->row.id, "was",
		state_names[state], NULL);
	apply(sandbox, answer);
	store_put(sandbox->manager->store, &sandbox->row, NULL, NULL);
}

static void on_looked(const struct provider_answer *answer, const struct err *err, void *data)
{
	struct sandbox *sandbox = data;

	if (TAILQ_EMPTY(&sandbox->changes))
		return; /* it was dropped */
	if (err) {
		finish(sandbox, err);
		return;
	}
	believe(sandbox, answer);
	decide(sandbox);
}

/* A row is a memory: whether it runs, the provider is asked before one relies on it. */
static void begin(struct sandbox *sandbox)
{
	enum change_kind kind = TAILQ_FIRST(&sandbox->changes)->kind;
	enum sandbox_state state = sandbox->row.state;
	struct provider *provider = sandbox->provider;

	if ((kind == CHANGE_RESUME || kind == CHANGE_NOTHING) &&
		(state == SANDBOX_RUNNING || state == SANDBOX_PAUSED))
		provider->status(provider, sandbox->row.id, on_looked, sandbox);
	else
		decide(sandbox);
}

static void begin_later(void *data)
{
	struct sandbox *sandbox = data;

	if (!TAILQ_EMPTY(&sandbox->changes))
		begin(sandbox);
}

void sandbox_change(struct sandbox *sandbox, enum change_kind kind, change_done *done, void *data)
{
	static const struct err closing = { ERR_CANCELLED, 0, "the manager is stopping" };
	bool idle = TAILQ_EMPTY(&sandbox->changes);

	if (sandbox->manager->closing) {
		if (done)
			done(sandbox, &closing, data);
		return;
	}
	struct change *change = alloc_zero(sizeof *change);

	*change = (struct change){ .kind = kind, .done = done, .data = data };
	TAILQ_INSERT_TAIL(&sandbox->changes, change, link);
	/* Never within the caller: it may not be ready for `done` yet. */
	if (idle)
		loop_post(sandbox->manager->loop, begin_later, sandbox);
}

void changes_drop(struct sandbox *sandbox)
{
	static const struct err stopping = { ERR_CANCELLED, 0,
		"the manager is stopping: ask the next one" };
	struct changes dropped = TAILQ_HEAD_INITIALIZER(dropped);
	struct change *change;

	TAILQ_CONCAT(&dropped, &sandbox->changes, link);
	while ((change = TAILQ_FIRST(&dropped))) {
		TAILQ_REMOVE(&dropped, change, link);
		if (change->done)
			change->done(sandbox, &stopping, change->data);
		free(change);
	}
}

bool sandbox_changing(const struct sandbox *sandbox)
{
	return !TAILQ_EMPTY(&sandbox->changes);
}

void sandbox_believe(struct sandbox *sandbox, const struct provider_answer *answer)
{
	enum sandbox_state state = sandbox->row.state;

	if (sandbox_changing(sandbox) || state == SANDBOX_DELETED || state == SANDBOX_DELETING)
		return;
	believe(sandbox, answer);
	sandbox_arm(sandbox);
}
