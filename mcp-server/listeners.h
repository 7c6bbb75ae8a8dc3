#ifndef LISTENERS_H
#define LISTENERS_H

/*
 * Who hears of changes: subscriptions/listen requests of 2026-07-28, each with a filter, and
 * sessions of the older eras, which hear of every list and of the resources they subscribed to.
 * Nothing is watched that nobody listens for. Loop thread only.
 */
#include <stdbool.h>

struct err;
struct listener;
struct listeners;
struct server;
struct session;
struct watcher;

struct listeners *listeners_new(struct server *server, struct watcher *watcher);
void listeners_free(struct listeners *listeners); /* after all sessions; NULL is allowed */

/* The server stops: subscriptions end in order, and so do streams that nothing more comes on. */
void listeners_end(struct server *server);

/* ---- What happened. Who wants to know is told. ---- */

void listeners_tools_changed(struct server *server);
void listeners_prompts_changed(struct server *server);
void listeners_resources_changed(struct server *server);
void listeners_resource_updated(struct server *server, const char *uri);

/* ---- Sessions ---- */

/* The session's client can be reached from now on (session_send()). */
void listeners_add_session(struct server *server, struct session *session);

/* For the session that owns it; NULL is allowed. */
void listener_free(struct listener *listener);

#endif
