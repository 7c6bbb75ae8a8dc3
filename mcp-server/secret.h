#ifndef SECRET_H
#define SECRET_H

/*
 * The bearer token and the keys derived from it. The token may come from a file that appears or
 * changes while the server runs (an E2B snapshot starts before its token is there): the file is
 * looked at on each request. No key exists before the token does. Loop thread only.
 */
#include <stdbool.h>
#include <stddef.h>

struct err;
struct secret;

enum { KEY_BYTES = 32, TOKEN_FILE_CHARS = 43 };

/*
 * Exactly one of `token` and `token_file`, or neither: then `state_fd`, a directory, keeps a
 * random key from one start to the next, and no token is asked for.
 */
int secret_new(const char *token, const char *token_file, int state_fd, struct secret **out,
	struct err *err);
void secret_free(struct secret *secret);

/* Whether a token is configured at all. */
bool secret_guarded(const struct secret *secret);

/* Looks whether the file changed. False while no whole token is there: refuse everything. */
bool secret_ready(struct secret *secret);

/* Compares in constant time. */
bool secret_matches(const struct secret *secret, const char *token);

/* A number that changes with the token: what was cached from its keys is void then. */
unsigned secret_generation(const struct secret *secret);

/* HMAC-SHA256 (RFC 2104) of `bytes` under the key for `label` (HKDF, RFC 5869). */
void secret_mac(const struct secret *secret, const char *label, const void *bytes, size_t len,
	unsigned char mac[KEY_BYTES]);

#endif
