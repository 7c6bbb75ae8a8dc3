#ifndef SERVER_H
#define SERVER_H

/* What the parts of the server share: made once by main, then handed around. Loop thread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state.h"
#include "workspace.h"

struct call;
struct catalog;
struct config;
struct err;
struct guard;
struct link;
struct loop_timer;
struct post;
struct stdio;
struct http;
struct listeners;
struct loop_timer;
struct secret;
struct sessions;
struct sse_hub;
struct watcher;

struct server {
	const struct config *config;
	struct state state;
	struct workspace workspace; /* the loop and the workers are in here, too */
	struct secret *secret;
	struct guard *guard;
	struct sessions *sessions;
	struct sse_hub *streams;
	struct catalog *catalog;
	struct watcher *watcher;
	struct listeners *listeners;
	struct http *http;   /* NULL with --stdio */
	struct stdio *stdio; /* NULL without */
	struct link *links;  /* eras/sse_era.c: open HTTP+SSE connections */
	struct post *posts;  /* post.c: those whose clients may come back */

	struct call *served;   /* linked by call->next_served; open subscriptions, too */
	size_t calls;          /* those that do work: open subscriptions do none */
	size_t posts_detached; /* calls and answers that nobody is connected for */
	uint64_t tool_calls;
	int64_t last_activity_ms; /* of the real-time clock */
	bool stopping;
	struct loop_timer *deadline; /* of stopping */
};

/* Opens everything that the configuration names; listens where HTTP is spoken. */
int server_open(struct server *server, const struct config *config, struct err *err);

/* Serves until SIGTERM or SIGINT; a second one ends it at once. */
int server_run(struct server *server, struct err *err);

/* Somebody asked for something: this is what /activity tells as the last activity. */
void server_touch(struct server *server);

void server_close(struct server *server);

#endif
