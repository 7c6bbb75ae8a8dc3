#include "sandbox.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cleanup.h"
#include "clock.h"
#include "config.h"
#include "err.h"
#include "gate/gate.h"
#include "log.h"
#include "loop.h"
#include "manager.h"
#include "provider.h"

enum { PORTS_MAX = 64 };

/* ---- its life ---- */

static void add_key(struct sandbox *sandbox)
{
	const struct sandbox_row *row = &sandbox->row;
	struct strmap *map = &sandbox->manager->by_key;

	if (!row->idempotency_key)
		return;
	sandbox->key = alloc_printf("%s %s", row->owner, row->idempotency_key);
	/* Rows come oldest first: the newest use of a key is the one that holds. */
	struct sandbox *older = strmap_find(map, sandbox->key);
	if (older)
		sandbox_forget_key(older);
	strmap_add(map, sandbox->key, sandbox);
}

void sandbox_forget_key(struct sandbox *sandbox)
{
	if (!sandbox->key)
		return;
	strmap_remove(&sandbox->manager->by_key, sandbox->key);
	free(steal_ptr(&sandbox->key));
}

struct sandbox *sandbox_new(
	struct manager *manager, struct provider *provider, struct sandbox_row *row)
{
	struct sandbox *sandbox = alloc_zero(sizeof *sandbox);

	sandbox->manager = manager;
	sandbox->provider = provider;
	sandbox->row = *row;
	*row = (struct sandbox_row){ 0 };
	TAILQ_INIT(&sandbox->changes);
	clock_init(sandbox);
	TAILQ_INSERT_TAIL(&manager->sandboxes, sandbox, link);
	strmap_add(&manager->by_id, sandbox->row.id, sandbox);
	add_key(sandbox);
	if (sandbox->row.state != SANDBOX_DELETED)
		manager->alive++;
	return sandbox;
}

void sandbox_free(struct sandbox *sandbox)
{
	struct manager *manager = sandbox->manager;

	if (sandbox->row.state != SANDBOX_DELETED)
		manager->alive--;
	gate_remove(sandbox->gate);
	sandbox_forget_key(sandbox);
	strmap_remove(&manager->by_id, sandbox->row.id);
	TAILQ_REMOVE(&manager->sandboxes, sandbox, link);
	loop_timer_free(sandbox->timer);
	changes_drop(sandbox);
	sandbox_row_release(&sandbox->row);
	free(sandbox);
}

void sandbox_hold(struct sandbox *sandbox)
{
	sandbox->holders++;
	sandbox_touch(sandbox);
}

void sandbox_release(struct sandbox *sandbox)
{
	sandbox->holders--;
	sandbox_touch(sandbox);
}

struct saving {
	struct manager *manager;
	char id[SANDBOX_ID_LEN + 1];
	change_done *done; /* or NULL */
	void *data;
};

/* The sandbox may be gone, where nobody held it. */
static void on_saved(const struct err *err, void *data)
{
	struct saving *saving = data;
	struct sandbox *sandbox = manager_sandbox(saving->manager, saving->id);

	if (err && sandbox) {
		sandbox->unsaved = true;
		log_event(
			LOG_ERROR, "row not stored", "sandbox", saving->id, "why", err->msg, NULL);
	}
	if (saving->done)
		saving->done(sandbox, err, saving->data);
	free(saving);
}

void sandbox_save_then(struct sandbox *sandbox, change_done *done, void *data)
{
	struct saving *saving = alloc_zero(sizeof *saving);

	*saving = (struct saving){ .manager = sandbox->manager, .done = done, .data = data };
	memcpy(saving->id, sandbox->row.id, sizeof saving->id);
	sandbox->unsaved = false;
	store_put(sandbox->manager->store, &sandbox->row, on_saved, saving);
}

void sandbox_save(struct sandbox *sandbox)
{
	if (sandbox->unsaved && !sandbox_changing(sandbox)) /* a change stores what it made */
		sandbox_save_then(sandbox, NULL, NULL);
}

/* ---- what it is made from ---- */

static json_t *load(const char *text)
{
	return text ? json_loads(text, 0, NULL) : NULL;
}

void sandbox_spec(const struct sandbox *sandbox, struct provider_spec *spec, struct spec_json *json)
{
	const struct sandbox_row *row = &sandbox->row;

	*json = (struct spec_json){ load(row->allow), load(row->envs), load(row->metadata) };
	*spec = (struct provider_spec){
		.id = row->id,
		.token = row->token,
		.template_id = row->template_id,
		.limits = row->limits,
		.network = row->network,
		.allow = json->allow,
		.envs = json->envs,
		.metadata = json->metadata,
		.timeout_s = row->timeout_ms / 1000,
	};
}

void spec_json_release(struct spec_json *json)
{
	json_decref(json->allow);
	json_decref(json->envs);
	json_decref(json->metadata);
}

/* ---- its ports ---- */

/* The row's `ports` is a JSON array of the numbers that were asked for. */
static json_t *ports_of(const struct sandbox *sandbox)
{
	json_t *ports = load(sandbox->row.ports);

	return ports ? ports : json_array();
}

static bool has_port(json_t *ports, uint16_t port)
{
	size_t i;
	json_t *value;

	json_array_foreach(ports, i, value) {
		if (json_integer_value(value) == port)
			return true;
	}
	return false;
}

static void open_port(struct sandbox *sandbox, uint16_t port)
{
	uint16_t real;
	struct err err;

	if (gate_open_port(sandbox->gate, port, &real, &err) < 0)
		log_event(LOG_WARNING, "port not open", "sandbox", sandbox->row.id, "why", err.msg,
			NULL);
}

void sandbox_open_gate(struct sandbox *sandbox)
{
	struct manager *manager = sandbox->manager;
	json_auto_t *ports = ports_of(sandbox);
	struct err err;
	size_t i;
	json_t *port;

	if (sandbox->gate || !sandbox->row.address)
		return;
	if (gate_add(manager->gate, sandbox->row.id, sandbox->row.address, &sandbox->gate, &err) <
		0) {
		log_event(LOG_ERROR, "no way in", "sandbox", sandbox->row.id, "why", err.msg,
			NULL);
		return;
	}
	open_port(sandbox, (uint16_t)manager->config->mcp_port);
	open_port(sandbox, (uint16_t)manager->config->code_port);
	json_array_foreach(ports, i, port)
		open_port(sandbox, (uint16_t)json_integer_value(port));
}

static int remember_port(struct sandbox *sandbox, uint16_t port, struct err *err)
{
	const struct config *config = sandbox->manager->config;
	json_auto_t *ports = ports_of(sandbox);

	if (port == config->mcp_port || port == config->code_port || has_port(ports, port))
		return 0;
	if (json_array_size(ports) == PORTS_MAX)
		return err_set(err, ERR_CONFLICT,
			"a sandbox may expose %d ports, and has: use one of them", PORTS_MAX);
	json_array_append_new(ports, json_integer(port));
	free(sandbox->row.ports);
	sandbox->row.ports = json_dumps(ports, JSON_COMPACT);
	sandbox->unsaved = true;
	return 0;
}

char *sandbox_url(struct sandbox *sandbox, uint16_t port, struct err *err)
{
	const struct config *config = sandbox->manager->config;
	struct provider *provider = sandbox->provider;
	uint16_t real = port;

	if (provider->url)
		return provider->url(provider, sandbox->row.id, port);
	if (!sandbox->gate) {
		err_set(err, ERR_CONFLICT, "the sandbox has no address at present: connect to it first");
		return NULL;
	}
	if (remember_port(sandbox, port, err) < 0 ||
		gate_open_port(sandbox->gate, port, &real, err) < 0)
		return NULL;
	if (config->domain)
		return alloc_printf("http://%u-%s.%s:%u", port, sandbox->row.id, config->domain,
			sandbox->manager->domain_port);
	return alloc_printf("http://%s:%u", sandbox->row.address, real);
}

bool sandbox_exposes(const struct sandbox *sandbox, uint16_t port)
{
	const struct config *config = sandbox->manager->config;
	json_auto_t *ports = ports_of(sandbox);

	return port == config->mcp_port || port == config->code_port || has_port(ports, port);
}
