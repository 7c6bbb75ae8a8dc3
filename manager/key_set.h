#ifndef KEY_SET_H
#define KEY_SET_H

/*
 * The identity provider's keys, fetched from SANDBOX_JWKS_URL at the start, when a token names one
 * that is not known, and every hour; never more often than every half minute, since anybody can
 * send such a token. Loop thread only.
 */
struct key_set;
struct manager;

struct key_set *key_set_new(struct manager *manager, const char *url);
void key_set_free(struct key_set *set); /* NULL is allowed */

/* Fetches soon, where that is not too often. */
void key_set_fetch(struct manager *manager);

#endif
