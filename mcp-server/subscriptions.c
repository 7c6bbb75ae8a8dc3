/*
 * Who wants to hear of changes: resources/subscribe and resources/unsubscribe of the older eras,
 * subscriptions/listen of 2026-07-28 (basic/patterns/subscriptions), which stays open.
 */
#include <string.h>

#include "call_impl.h"
#include "cleanup.h"
#include "err.h"
#include "listeners_impl.h"
#include "method.h"
#include "prompt.h"
#include "resources.h"
#include "rpc.h"
#include "server.h"
#include "session.h"

/* ---- the older eras ---- */

static void on_subscribed(struct interest *interest, const struct err *err, void *data)
{
	struct wish *wish = data;
	struct call *call = steal_ptr(&wish->asker);

	(void)interest;
	if (err)
		wish_free(wish);
	if (call && err)
		resource_refuse(call, err);
	else if (call)
		call_reply(call, NULL);
}

static const struct interest_events session_events = { on_subscribed, wish_updated };

/* The URI that the call is about; NULL where it was answered instead. */
static const json_t *uri_of(struct call *call)
{
	const json_t *uri = json_object_get(call->params, "uri");

	if (!call->peer.session) {
		call_reply_error(call, RPC_INVALID_REQUEST, NULL,
			"Subscriptions belong to a session: send initialize first");
		return NULL;
	}
	if (!json_is_string(uri) || strlen(json_string_value(uri)) != json_string_length(uri)) {
		call_reply_error(
			call, RPC_INVALID_PARAMS, NULL, "'uri' has to be a string, without NUL");
		return NULL;
	}
	return uri;
}

void method_subscribe(const struct inbound *in, struct call *call)
{
	const json_t *uri = uri_of(call);
	struct wish *wish;
	struct err err;

	if (!uri)
		return;
	struct session *session = call->peer.session;
	if (!session_listener(session))
		listeners_add_session(in->server, session);
	struct listener *listener = session_listener(session);
	if (wish_find(listener, json_string_value(uri)))
		call_reply(call, NULL);
	else if (wish_new(listener, json_string_value(uri), json_string_length(uri),
			 &session_events, &wish, &err) < 0)
		resource_refuse(call, &err);
	else if (interest_ready(wish->interest))
		call_reply(call, NULL);
	else
		wish->asker = call;
}

void method_unsubscribe(const struct inbound *in, struct call *call)
{
	const json_t *uri = uri_of(call);

	(void)in;
	if (!uri)
		return;
	struct listener *listener = session_listener(call->peer.session);
	struct wish *wish = listener ? wish_find(listener, json_string_value(uri)) : NULL;
	if (wish)
		wish_free(wish);
	call_reply(call, NULL);
}

/* ---- 2026-07-28 ---- */

static const struct {
	const char *member;
	unsigned wants;
} lists[] = {
	{ "toolsListChanged", WANTS_TOOLS },
	{ "promptsListChanged", WANTS_PROMPTS },
	{ "resourcesListChanged", WANTS_RESOURCES },
};

enum { LISTS = sizeof lists / sizeof lists[0] };

/* False where the client cannot be told anything. */
static bool acknowledge(struct listener *listener)
{
	const json_t *filter = json_object_get(listener->call->params, "notifications");
	json_t *honoured = json_object();

	for (size_t i = 0; i < LISTS; i++) {
		if (listener->wants & lists[i].wants)
			json_object_set_new(honoured, lists[i].member, json_true());
	}
	if (json_object_get(filter, "resourceSubscriptions")) {
		json_t *uris = json_array();
		for (size_t i = 0; i < listener->count; i++)
			json_array_append_new(
				uris, json_string(interest_uri(listener->wishes[i]->interest)));
		json_object_set_new(honoured, "resourceSubscriptions", uris);
	}
	listener->open = true;
	return call_notify(listener->call, "notifications/subscriptions/acknowledged",
		json_pack("{s:{s:O}, s:o}", "_meta", SUBSCRIPTION_ID, listener->call->id,
			"notifications", honoured));
}

void listener_look(struct listener *listener)
{
	struct call *call = listener->call;

	if (!call || listener->open || listener->waiting > 0 || listener->waits_for_tree)
		return;
	if (acknowledge(listener))
		return;
	listener_free(listener);
	call_on_cancel(call, NULL, NULL);
	call_reply_error(call, RPC_INVALID_REQUEST, NULL,
		"A subscription is an event stream: send Accept: application/json, "
		"text/event-stream, or try again later where the server has too many streams");
}

static void on_heard(struct interest *interest, const struct err *err, void *data)
{
	struct wish *wish = data;
	struct listener *listener = wish->listener;

	(void)interest;
	if (err)
		wish_free(wish);
	listener->waiting--;
	listener_look(listener);
}

static const struct interest_events request_events = { on_heard, wish_updated };

static void on_cancelled(struct call *call, void *data)
{
	listener_free(data);
	call_reply(call, NULL);
}

/* Whether the filter is one; else what is wrong with it. */
static const char *check_filter(const json_t *filter)
{
	const json_t *uris = json_object_get(filter, "resourceSubscriptions"), *uri;
	size_t k;

	if (!json_is_object(filter))
		return "'notifications' has to be an object";
	for (size_t i = 0; i < LISTS; i++) {
		const json_t *flag = json_object_get(filter, lists[i].member);
		if (flag && !json_is_boolean(flag))
			return "toolsListChanged, promptsListChanged and resourcesListChanged of "
			       "'notifications' have to be true or false";
	}
	if (uris && !json_is_array(uris))
		return "'notifications.resourceSubscriptions' has to be an array of URIs";
	if (json_array_size(uris) > INTERESTS_MAX)
		return "'notifications.resourceSubscriptions' names too many resources: open "
		       "several subscriptions";
	json_array_foreach(uris, k, uri) {
		if (!json_is_string(uri))
			return "'notifications.resourceSubscriptions' has to hold URIs";
	}
	return NULL;
}

/* What cannot be watched is left out of what is acknowledged. */
static void make_wishes(struct listener *listener, const json_t *uris)
{
	const json_t *uri;
	struct wish *wish;
	size_t i;

	json_array_foreach(uris, i, uri) {
		const char *text = json_string_value(uri);
		if (wish_find(listener, text) || wish_new(listener, text, json_string_length(uri),
							 &request_events, &wish, NULL) < 0)
			continue;
		if (!interest_ready(wish->interest))
			listener->waiting++;
	}
}

static unsigned lists_of(const json_t *filter)
{
	unsigned wants = 0;

	for (size_t i = 0; i < LISTS; i++) {
		if (json_is_true(json_object_get(filter, lists[i].member)))
			wants |= lists[i].wants;
	}
	return wants &
	       ((tools_may_change ? WANTS_TOOLS : 0U) | (prompts_may_change ? WANTS_PROMPTS : 0U) |
		       (resources_may_change ? WANTS_RESOURCES : 0U));
}

void method_listen(const struct inbound *in, struct call *call)
{
	const json_t *filter = json_object_get(call->params, "notifications");
	const char *wrong = check_filter(filter);

	if (wrong) {
		call_reply_error(call, RPC_INVALID_PARAMS, NULL, "%s", wrong);
		return;
	}
	if (in->server->stopping) {
		call_reply_error(call, RPC_INTERNAL_ERROR, NULL, "The server is stopping");
		return;
	}
	struct listener *listener = listener_new(in->server->listeners);
	listener->call = call;
	listener->wants = lists_of(filter);
	call_wait(call);
	call_on_cancel(call, on_cancelled, listener);
	make_wishes(listener, json_object_get(filter, "resourceSubscriptions"));
	listener_watch_lists(listener);
	listener_look(listener);
}
