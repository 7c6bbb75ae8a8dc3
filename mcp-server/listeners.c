#include "listeners_impl.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "call_impl.h"
#include "err.h"
#include "log.h"
#include "prompt.h"
#include "resource.h"
#include "server.h"
#include "session.h"
#include "sse.h"
#include "watch.h"

enum { MESSAGE_MAX_BYTES = 128 * 1024 };

struct listeners *listeners_new(struct server *server, struct watcher *watcher)
{
	struct listeners *listeners = alloc_zero(sizeof *listeners);

	listeners->server = server;
	listeners->watcher = watcher;
	listeners->topics = topics_new(watcher);
	return listeners;
}

void listeners_free(struct listeners *listeners)
{
	if (!listeners)
		return;
	watch_free(listeners->tree);
	topics_free(listeners->topics);
	free(listeners);
}

/* ---- telling ---- */

static bool reachable(const struct listener *listener)
{
	return listener->open && (listener->call || session_reachable(listener->session));
}

/* Takes ownership of `params`; NULL: none. In 2026-07-28 every message of a subscription bears
 * its id (basic/patterns/subscriptions). */
static void tell(struct listener *listener, const char *method, json_t *params)
{
	AUTO_BUF struct buf out = BUF_INIT(MESSAGE_MAX_BYTES);

	if (listener->call) {
		if (!params)
			params = json_object();
		json_object_set_new(
			params, "_meta", json_pack("{s:O}", SUBSCRIPTION_ID, listener->call->id));
		call_notify(listener->call, method, params);
		return;
	}
	buf_addf(&out, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\"", method);
	if (params) {
		buf_add_text(&out, ",\"params\":");
		buf_add_json(&out, params);
		json_decref(params);
	}
	buf_add_char(&out, '}');
	if (!out.over)
		session_send(listener->session, out.data, out.len);
}

static void tell_all(struct listeners *listeners, unsigned wants, const char *method)
{
	for (struct listener *l = listeners->first; l; l = l->next) {
		if (l->wants & wants && reachable(l))
			tell(l, method, NULL);
	}
}

void listeners_tools_changed(struct server *server)
{
	tell_all(server->listeners, WANTS_TOOLS, "notifications/tools/list_changed");
}

void listeners_prompts_changed(struct server *server)
{
	tell_all(server->listeners, WANTS_PROMPTS, "notifications/prompts/list_changed");
}

void listeners_resources_changed(struct server *server)
{
	tell_all(server->listeners, WANTS_RESOURCES, "notifications/resources/list_changed");
}

void listeners_resource_updated(struct server *server, const char *uri)
{
	topics_updated(server->listeners->topics, uri);
}

void wish_updated(struct interest *interest, void *data)
{
	struct listener *listener = ((struct wish *)data)->listener;

	if (reachable(listener))
		tell(listener, "notifications/resources/updated",
			json_pack("{s:s}", "uri", interest_uri(interest)));
}

/* ---- the workspace's list ---- */

static void stop_tree(struct listeners *listeners)
{
	watch_free(listeners->tree);
	listeners->tree = NULL;
	listeners->tree_ready = false;
}

static void not_watched(const struct err *err)
{
	log_event(LOG_WARNING, "the list of files is not watched", "why", err->msg, NULL);
}

static void on_tree_ready(void *data, const struct err *err)
{
	struct listeners *listeners = data;

	listeners->tree_ready = !err;
	if (err) {
		not_watched(err);
		stop_tree(listeners);
	}
	for (struct listener *l = listeners->first, *next; l; l = next) {
		next = l->next;
		if (!l->waits_for_tree)
			continue;
		l->waits_for_tree = false;
		if (err)
			l->wants &= ~(unsigned)WANTS_RESOURCES;
		listener_look(l);
	}
}

static bool anybody_wants_lists(const struct listeners *listeners)
{
	for (const struct listener *l = listeners->first; l; l = l->next) {
		if (l->wants & WANTS_RESOURCES && (l->call || session_reachable(l->session)))
			return true;
	}
	return false;
}

static void on_tree_changed(void *data)
{
	struct listeners *listeners = data;

	if (anybody_wants_lists(listeners))
		listeners_resources_changed(listeners->server);
	else
		stop_tree(listeners);
}

static const struct watch_events tree_events = { on_tree_ready, on_tree_changed };

static bool workspace_is_listed(void)
{
	for (size_t i = 0; resource_providers[i]; i++) {
		if (resource_providers[i]->lists_workspace)
			return true;
	}
	return false;
}

void listener_watch_lists(struct listener *listener)
{
	struct listeners *listeners = listener->listeners;
	struct err err;

	if (!(listener->wants & WANTS_RESOURCES) || !workspace_is_listed())
		return;
	if (!listeners->tree && watch_tree(listeners->watcher, &tree_events, listeners,
					&listeners->tree, &err) < 0) {
		not_watched(&err);
		if (listener->call)
			listener->wants &= ~(unsigned)WANTS_RESOURCES;
		return;
	}
	listener->waits_for_tree = listener->call && !listeners->tree_ready;
}

/* ---- listeners ---- */

struct listener *listener_new(struct listeners *listeners)
{
	struct listener *listener = alloc_zero(sizeof *listener);

	*listener = (struct listener){
		.listeners = listeners,
		.next = listeners->first,
		.link = &listeners->first,
	};
	if (listener->next)
		listener->next->link = &listener->next;
	listeners->first = listener;
	return listener;
}

void listener_free(struct listener *listener)
{
	if (!listener)
		return;
	while (listener->count > 0)
		wish_free(listener->wishes[listener->count - 1]);
	*listener->link = listener->next;
	if (listener->next)
		listener->next->link = listener->link;
	free(listener->wishes);
	free(listener);
}

void listeners_add_session(struct server *server, struct session *session)
{
	struct listener *listener = session_listener(session);

	if (!listener) {
		listener = listener_new(server->listeners);
		listener->session = session;
		listener->open = true;
		session_set_listener(session, listener);
	}
	listener->wants = (tools_may_change ? WANTS_TOOLS : 0) |
			  (prompts_may_change ? WANTS_PROMPTS : 0) |
			  (resources_may_change ? WANTS_RESOURCES : 0);
	if (session_reachable(session))
		listener_watch_lists(listener);
}

/* The result says which subscription ends (basic/patterns/subscriptions, "Graceful Closure"). */
static void end_subscription(struct listener *listener)
{
	struct call *call = listener->call;

	listener_free(listener);
	call_on_cancel(call, NULL, NULL);
	call_reply(call, json_pack("{s:{s:O}}", "_meta", SUBSCRIPTION_ID, call->id));
}

void listeners_end(struct server *server)
{
	struct listener *next;

	for (struct listener *l = server->listeners->first; l; l = next) {
		next = l->next;
		if (l->call)
			end_subscription(l);
		else if (session_stream(l->session))
			sse_end(session_stream(l->session));
	}
	stop_tree(server->listeners);
}

/* ---- wishes ---- */

int wish_new(struct listener *listener, const char *uri, size_t len,
	const struct interest_events *events, struct wish **out, struct err *err)
{
	if (listener->count >= INTERESTS_MAX)
		return err_set(
			err, ERR_LIMIT, "%d resources are watched for you already", INTERESTS_MAX);
	struct wish *wish = alloc_zero(sizeof *wish);
	wish->listener = listener;
	if (interest_new(listener->listeners->topics, uri, len, events, wish, &wish->interest,
		    err) < 0) {
		free(wish);
		return -1;
	}
	listener->wishes =
		alloc_grow(listener->wishes, (listener->count + 1) * sizeof(struct wish *));
	listener->wishes[listener->count++] = wish;
	*out = wish;
	return 0;
}

void wish_free(struct wish *wish)
{
	struct listener *listener = wish->listener;
	size_t i = 0;

	while (listener->wishes[i] != wish)
		i++;
	listener->count--;
	memmove(listener->wishes + i, listener->wishes + i + 1,
		(listener->count - i) * sizeof(struct wish *));
	interest_free(wish->interest);
	if (wish->asker)
		call_reply(wish->asker, NULL);
	free(wish);
}

struct wish *wish_find(const struct listener *listener, const char *uri)
{
	for (size_t i = 0; i < listener->count; i++) {
		if (strcmp(interest_uri(listener->wishes[i]->interest), uri) == 0)
			return listener->wishes[i];
	}
	return NULL;
}
