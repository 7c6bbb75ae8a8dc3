#ifndef LISTENERS_IMPL_H
#define LISTENERS_IMPL_H

/* Between listeners.c, which keeps and tells them, and subscriptions.c, whose methods make them. */
#include <stddef.h>

#include "listeners.h"
#include "topics.h"

struct call;

#define SUBSCRIPTION_ID "io.modelcontextprotocol/subscriptionId"

enum { INTERESTS_MAX = 1024 }; /* of one listener */

enum listener_wants { WANTS_TOOLS = 1 << 0, WANTS_PROMPTS = 1 << 1, WANTS_RESOURCES = 1 << 2 };

/* One resource that a listener wants to hear about. */
struct wish {
	struct interest *interest;
	struct listener *listener;
	struct call *asker; /* resources/subscribe that waits for its answer, or NULL */
};

struct listener {
	struct listeners *listeners;
	struct call *call;       /* 2026-07-28: its request; exactly one of the two */
	struct session *session; /* older eras: the session that owns it */
	unsigned wants;          /* lists */
	bool open;               /* messages may be sent: a request's was acknowledged */
	bool waits_for_tree;
	struct wish **wishes;
	size_t count, waiting; /* wishes; those that are not ready */
	struct listener *next, **link;
};

struct listeners {
	struct server *server;
	struct watcher *watcher;
	struct topics *topics;
	struct watch *tree; /* while somebody wants to hear of the list of resources */
	bool tree_ready;
	struct listener *first;
};

/* A listener that nobody tells anything yet. */
struct listener *listener_new(struct listeners *listeners);

/* Acknowledges a request's listener once everything it waits for is there. The listener may be
 * gone afterwards. */
void listener_look(struct listener *listener);

/* Sees to it that changes of the workspace's list are noticed, where the listener wants them. */
void listener_watch_lists(struct listener *listener);

/* A wish for a URI; its interest may not be ready yet. */
int wish_new(struct listener *listener, const char *uri, size_t len,
	const struct interest_events *events, struct wish **out, struct err *err);
void wish_free(struct wish *wish);
struct wish *wish_find(const struct listener *listener, const char *uri);

/* Tells the listener that the resource changed. */
void wish_updated(struct interest *interest, void *data);

#endif
