#ifndef TOPICS_H
#define TOPICS_H

/*
 * Resources that somebody wants to hear about, each watched once however many they are. Loop
 * thread only.
 */
#include <stdbool.h>
#include <stddef.h>

struct err;
struct interest;
struct topics;
struct watcher;

enum { TOPICS_MAX = 4096 };

struct topics *topics_new(struct watcher *watcher);
void topics_free(struct topics *topics); /* after the last interest; NULL is allowed */

/* One party's interest in one resource. Callbacks come later, never from within a call here. */
struct interest_events {
	/* Once, unless interest_ready() is true from the start: from here on no change is
	 * missed; or, with `err`, there is nothing to hear. May free this interest. */
	void (*ready)(struct interest *interest, const struct err *err, void *data);
	void (*updated)(struct interest *interest, void *data);
};

/* ERR_NOT_FOUND: no provider has such URIs; or what its file() or watch_file() says. */
int interest_new(struct topics *topics, const char *uri, size_t len,
	const struct interest_events *events, void *data, struct interest **out, struct err *err);
void interest_free(struct interest *interest);

/* The URI as it was given. Borrowed. */
const char *interest_uri(const struct interest *interest);

/* Whether ready() was called, or is not going to be since others waited for it already. */
bool interest_ready(const struct interest *interest);

/* Tells all who are interested in the resource. */
void topics_updated(struct topics *topics, const char *uri);

#endif
