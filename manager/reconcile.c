/*
 * Brings rows and providers together after the start. A row is a memory; what the provider says
 * is so: sandboxes are adopted, changes that were under way are ended, and what bears an id of
 * ours without a row is removed.
 */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "err.h"
#include "gate/gate.h"
#include "log.h"
#include "manager.h"
#include "provider.h"
#include "sandbox.h"

static void load(struct sandbox_row *row, void *data)
{
	struct manager *manager = data;
	struct provider *provider = row->provider ? manager_provider(manager, row->provider) : NULL;

	/* Its provider is not configured this time: the row stays for the next one. */
	if (!provider) {
		log_event(LOG_WARNING, "sandbox of a provider that is not configured", "sandbox",
			row->id, "provider", row->provider ? row->provider : "", NULL);
		sandbox_row_release(row);
		return;
	}
	sandbox_new(manager, provider, row);
}

int manager_load(struct manager *manager, struct err *err)
{
	return store_load(manager->store, load, manager, err);
}

static void one_less(struct manager *manager)
{
	if (--manager->reconciling > 0 || manager->stopping)
		return;
	manager->ready = true;
	manager->on_ready(manager);
}

/* ---- orphans ---- */

struct orphan {
	char id[SANDBOX_ID_LEN + 1];
};

static void on_orphan_gone(const struct provider_answer *answer, const struct err *err, void *data)
{
	struct orphan *orphan = data;

	(void)answer;
	if (err)
		log_event(LOG_WARNING, "orphan not removed", "sandbox", orphan->id, "why", err->msg,
			NULL);
	free(orphan);
}

struct listing {
	struct manager *manager;
	struct provider *provider;
};

static void on_listed_one(const char *id, const struct provider_answer *answer, void *data)
{
	struct listing *listing = data;
	struct sandbox *sandbox = manager_sandbox(listing->manager, id);

	(void)answer;
	if (strlen(id) != SANDBOX_ID_LEN ||
		(sandbox && sandbox->row.state != SANDBOX_DELETED))
		return;
	struct orphan *orphan = alloc_zero(sizeof *orphan);
	memcpy(orphan->id, id, SANDBOX_ID_LEN);
	log_event(LOG_WARNING, "removing an orphan", "sandbox", id, NULL);
	listing->provider->destroy(listing->provider, orphan->id, on_orphan_gone, orphan);
}

static void on_listed(const struct err *err, void *data)
{
	struct listing *listing = data;

	if (err)
		log_event(LOG_WARNING, "provider could not list", "provider",
			listing->provider->name, "why", err->msg, NULL);
	one_less(listing->manager);
	free(listing);
}

/* ---- rows ---- */

static void on_ended(struct sandbox *sandbox, const struct err *err, void *data)
{
	(void)err;
	(void)data;
	one_less(sandbox->manager);
}

static void on_status(const struct provider_answer *answer, const struct err *err, void *data)
{
	struct sandbox *sandbox = data;

	if (err)
		log_event(LOG_WARNING, "status unknown", "sandbox", sandbox->row.id, "why",
			err->msg, NULL);
	else
		sandbox_believe(sandbox, answer);
	if (sandbox->row.state == SANDBOX_RUNNING || sandbox->row.state == SANDBOX_PAUSED) {
		sandbox_open_gate(sandbox);
		if (sandbox->gate)
			gate_set_paused(sandbox->gate, sandbox->row.state == SANDBOX_PAUSED);
	}
	sandbox_arm(sandbox);
	one_less(sandbox->manager);
}

/*
 * A create that nobody got an answer to: with a key its client will ask again, and gets this one;
 * without one it can never be found, so it goes.
 */
static void look_at(struct sandbox *sandbox)
{
	struct provider *provider = sandbox->provider;

	switch (sandbox->row.state) {
	case SANDBOX_CREATING:
		sandbox_change(sandbox, sandbox->key ? CHANGE_CREATE : CHANGE_DELETE, on_ended, NULL);
		break;
	case SANDBOX_DELETING:
		sandbox_change(sandbox, CHANGE_DELETE, on_ended, NULL);
		break;
	case SANDBOX_RUNNING:
	case SANDBOX_PAUSED:
	case SANDBOX_ERROR:
		provider->status(provider, sandbox->row.id, on_status, sandbox);
		break;
	case SANDBOX_DELETED:
		one_less(sandbox->manager);
		break;
	}
}

void manager_reconcile(struct manager *manager)
{
	struct sandbox *sandbox;

	manager->reconciling = 1; /* this function itself: answers may come at once */
	TAILQ_FOREACH(sandbox, &manager->sandboxes, link)
		manager->reconciling++;
	TAILQ_FOREACH(sandbox, &manager->sandboxes, link)
		look_at(sandbox);
	for (size_t i = 0; i < manager->providers_len; i++) {
		struct listing *listing = alloc_zero(sizeof *listing);

		*listing = (struct listing){ manager, manager->providers[i] };
		manager->reconciling++;
		listing->provider->list(listing->provider, on_listed_one, on_listed, listing);
	}
	one_less(manager);
}
