/* Calls that change what a sandbox does: connect, pause, delete, its idle time. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "api.h"
#include "config.h"
#include "err.h"
#include "manager.h"
#include "sandbox.h"

bool api_exists(struct api_call *call)
{
	if (call->sandbox->row.state != SANDBOX_DELETED)
		return true;
	api_refuse(call, 404, "not_found", "That sandbox was deleted");
	return false;
}

/* ---- connect, pause, delete ---- */

void api_connect(struct api_call *call)
{
	sandbox_change(call->sandbox, CHANGE_RESUME, api_reply_access, call);
}

static void on_paused(struct sandbox *sandbox, const struct err *err, void *data)
{
	struct api_call *call = data;

	if (err)
		api_fail(call, err);
	else
		api_reply(call,
			json_pack("{s:s}", "status", sandbox_state_name(sandbox->row.state)),
			"Sandbox paused");
}

static void on_frozen(struct sandbox *sandbox, const struct err *err, void *data)
{
	if (err)
		api_fail(data, err);
	else
		sandbox_change(sandbox, CHANGE_COOL, on_paused, data);
}

void api_pause(struct api_call *call)
{
	sandbox_change(call->sandbox, CHANGE_PAUSE,
		call_flag(call, "cold") ? on_frozen : on_paused, call);
}

static void on_deleted(struct sandbox *sandbox, const struct err *err, void *data)
{
	struct api_call *call = data;

	(void)sandbox;
	if (err)
		api_fail(call, err);
	else
		api_reply(call, NULL, "Sandbox deleted");
}

void api_delete(struct api_call *call)
{
	sandbox_change(call->sandbox, CHANGE_DELETE, on_deleted, call);
}

enum on_timeout api_on_timeout(const struct api_call *call, enum on_timeout missing)
{
	const char *text = call_text(call, "on_timeout");

	if (!text)
		return missing;
	return strcmp(text, "delete") == 0 ? ON_TIMEOUT_DELETE : ON_TIMEOUT_PAUSE;
}

static void on_timeout_saved(struct sandbox *sandbox, const struct err *err, void *data)
{
	if (err)
		api_fail(data, err);
	else
		api_reply(data, json_pack("{s:o}", "expires_at", api_time(sandbox->row.expires_ms)),
			"Timeout set");
}

void api_set_timeout(struct api_call *call)
{
	struct sandbox *sandbox = call->sandbox;
	const struct config *config = call->manager->config;
	int64_t timeout = call_integer(call, "timeout", 0);

	if (!api_exists(call))
		return;
	if (timeout > config->max_timeout)
		timeout = config->max_timeout;
	sandbox_set_timeout(sandbox, timeout * 1000, api_on_timeout(call, sandbox->row.on_timeout));
	sandbox_save_then(sandbox, on_timeout_saved, call);
}

/* ---- for the calls that need it to run ---- */

struct waiting {
	struct api_call *call;
	api_fn *then;
};

/* Whether anybody still wants to know; frees what the wait took. */
static bool waited(struct waiting *waiting, api_fn **then)
{
	struct api_call *call = waiting->call;

	*then = waiting->then;
	free(waiting);
	call->waits = false;
	if (!call->over)
		return true;
	api_call_free(call);
	return false;
}

static void on_runs(struct sandbox *sandbox, const struct err *err, void *data)
{
	struct api_call *call = ((struct waiting *)data)->call;
	api_fn *then;

	(void)sandbox;
	if (!waited(data, &then))
		return;
	if (err)
		api_fail(call, err);
	else
		then(call);
}

/* What was under way has ended, and its state is the provider's word. */
static void on_looked(struct sandbox *sandbox, const struct err *err, void *data)
{
	struct api_call *call = ((struct waiting *)data)->call;
	const struct sandbox_row *row = &sandbox->row;
	api_fn *then;

	if (err || row->state == SANDBOX_RUNNING) {
		on_runs(sandbox, err, data);
	} else if (row->state != SANDBOX_PAUSED || row->auto_resume) {
		sandbox_change(sandbox, CHANGE_RESUME, on_runs, data);
	} else if (waited(data, &then)) {
		api_refuse(call, 409, "paused",
			"The sandbox is paused: resume it with POST /sandboxes/connect");
	}
}

void api_when_running(struct api_call *call, api_fn *then)
{
	struct waiting *waiting = alloc_zero(sizeof *waiting);

	*waiting = (struct waiting){ call, then };
	call->waits = true;
	sandbox_change(call->sandbox, CHANGE_NOTHING, on_looked, waiting);
}
