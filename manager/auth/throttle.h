#ifndef THROTTLE_H
#define THROTTLE_H

/*
 * How often somebody may try to log in: five times a minute for one user from one address, and
 * thirty times from one address, whatever the names, since each try costs a moment of the one
 * thread that checks passwords. The table has a fixed size; who is forgotten first cannot be
 * chosen from outside. One thread.
 */
#include <stdint.h>

struct throttle;

enum {
	THROTTLE_TRIES = 5,
	THROTTLE_ADDRESS_TRIES = 30,
	THROTTLE_WINDOW_MS = 60 * 1000,
};

struct throttle *throttle_new(void);
void throttle_free(struct throttle *throttle); /* NULL is allowed */

/* Counts a try. 0: go on; else the whole seconds after which the next one is taken, and this one
 * was not counted. `now_ms` is of a clock that nobody sets. `address` is an IP address as text; of
 * an IPv6 one the network (/64) counts. */
int64_t throttle_try(
	struct throttle *throttle, const char *user, const char *address, int64_t now_ms);

/* The last try was right: forgets those of the user, and of the address that one. */
void throttle_clear(struct throttle *throttle, const char *user, const char *address);

#endif
