#ifndef KEY_SET_H
#define KEY_SET_H

/*
 * The identity provider's keys, fetched from SANDBOX_JWKS_URL at the start, when a token names one
 * that is not known, and every hour; never more often than every half minute, since anybody can
 * send such a token. Loop thread only.
 */
#include <stdbool.h>
#include <sys/queue.h>

struct http_request;
struct key_set;
struct manager;

struct key_set *key_set_new(struct manager *manager, const char *url);
void key_set_free(struct key_set *set); /* NULL is allowed */

/* A request (whose http_wait() it is) that goes on when the fetch under way has ended. */
struct key_set_waiter {
	struct http_request *request;
	bool waits; /* the set's */
	TAILQ_ENTRY(key_set_waiter) link;
};

/* Fetches, where that is not too often. False: nothing is under way, so there is nothing to wait
 * for; else it takes a few seconds at the most. */
bool key_set_wait(struct manager *manager, struct key_set_waiter *waiter);
void key_set_leave(struct manager *manager, struct key_set_waiter *waiter);

#endif
