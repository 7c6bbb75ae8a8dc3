/* Calls that look: status, info, list. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api.h"
#include "err.h"
#include "manager.h"
#include "sandbox.h"

enum { LIST_DEFAULT = 100 };

json_t *api_time(int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char text[48], whole[32];
	struct tm tm;

	if (ms == 0)
		return json_null();
	gmtime_r(&seconds, &tm);
	strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof text, "%s.%03dZ", whole, (int)(ms % 1000));
	return json_string(text);
}

json_t *api_text(const char *text)
{
	return text ? json_string(text) : json_null();
}

json_t *api_info(struct sandbox *sandbox)
{
	const struct sandbox_row *row = &sandbox->row;
	json_t *metadata = row->metadata ? json_loads(row->metadata, 0, NULL) : NULL;

	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
		"sandbox_id", row->id, "provider", api_text(row->provider), "provider_sandbox_id",
		api_text(row->provider_id), "owner", api_text(row->owner), "user_id",
		api_text(row->user_id), "template_id", api_text(row->template_id), "status",
		sandbox_state_name(row->state), "created_at", api_time(row->created_ms),
		"started_at", api_time(row->started_ms), "last_activity_at",
		api_time(row->active_ms), "expires_at",
		api_time(row->state == SANDBOX_DELETED ? 0 : row->expires_ms), "metadata",
		metadata ? metadata : json_object(), "error", api_text(row->problem));
}

/* ---- one sandbox ---- */

static void on_status(const struct provider_answer *answer, const struct err *err, void *data)
{
	struct api_call *call = data;
	struct sandbox *sandbox = call->sandbox;

	if (err) {
		api_fail(call, err);
		return;
	}
	sandbox_believe(sandbox, answer);
	api_reply(call,
		json_pack("{s:s, s:o}", "status", sandbox_state_name(sandbox->row.state),
			"provider_sandbox_id", api_text(sandbox->row.provider_id)),
		NULL);
}

/* While a change is under way the provider's word is about to change: then it is the row's. */
void api_status(struct api_call *call)
{
	struct sandbox *sandbox = call->sandbox;
	struct provider *provider = sandbox->provider;

	if (!api_exists(call))
		return;
	if (sandbox_changing(sandbox) || sandbox->row.state == SANDBOX_DELETING) {
		api_reply(call,
			json_pack("{s:s, s:o}", "status", sandbox_state_name(sandbox->row.state),
				"provider_sandbox_id", api_text(sandbox->row.provider_id)),
			NULL);
		return;
	}
	provider->status(provider, sandbox->row.id, on_status, call);
}

void api_info_call(struct api_call *call)
{
	struct sandbox *sandbox = call->sandbox;
	struct provider *provider = sandbox->provider;

	if (!api_exists(call))
		return;
	json_t *info = api_info(sandbox);
	if (provider->info)
		json_object_set_new(info, "isolation", provider->info(provider, sandbox->row.id));
	json_object_set_new(info, "cold", json_boolean(sandbox->row.cold));
	json_object_set_new(info, "restarted", json_boolean(sandbox->restarted));
	api_reply(call, info, NULL);
}

/* ---- list ---- */

static bool is_wanted(const struct api_call *call, const struct sandbox *sandbox)
{
	const char *user = call_text(call, "user_id"), *status = call_text(call, "status");
	const struct sandbox_row *row = &sandbox->row;

	return api_may(call, sandbox) && row->state != SANDBOX_DELETED &&
	       (!user || (row->user_id && strcmp(user, row->user_id) == 0)) &&
	       (!status || strcmp(status, sandbox_state_name(row->state)) == 0);
}

void api_list(struct api_call *call)
{
	const char *cursor = call_text(call, "cursor");
	int64_t left = call_integer(call, "limit", LIST_DEFAULT);
	struct sandbox *sandbox = cursor ? manager_sandbox(call->manager, cursor)
					 : TAILQ_FIRST(&call->manager->sandboxes);
	json_t *list = json_array(), *next = json_null();

	if (cursor && (!sandbox || !api_may(call, sandbox))) {
		json_decref(list);
		api_refuse(call, 404, "not_found",
			"That cursor is not known any more: list from the start");
		return;
	}
	for (; sandbox; sandbox = TAILQ_NEXT(sandbox, link)) {
		if (!is_wanted(call, sandbox))
			continue;
		if (left-- == 0) {
			next = json_string(sandbox->row.id);
			break;
		}
		json_array_append_new(list, api_info(sandbox));
	}
	api_reply(call, json_pack("{s:o, s:o}", "sandboxes", list, "next_cursor", next), NULL);
}
