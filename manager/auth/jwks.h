#ifndef JWKS_H
#define JWKS_H

/*
 * A set of keys as an identity provider publishes it (RFC 7517): RSA keys for RS256, P-256 keys
 * for ES256, "oct" ones for HS256. Others are left out, as section 5 asks.
 */
#include <stddef.h>

#include "jwt_key.h"

struct err;
struct jwks;

enum { JWKS_MAX = 64, JWKS_TEXT_MAX = 256 * 1024, JWKS_KID_MAX = 256 };

/* ERR_INVALID where it is no set, or has no key that can be used; ERR_LIMIT names what is over. */
int jwks_parse(const char *text, size_t len, struct jwks **out, struct err *err);
void jwks_free(struct jwks *set); /* NULL is allowed */

/* How many keys can be used. */
size_t jwks_count(const struct jwks *set);

/* The next key after number `*at` (0 at first) for `algorithm` that is called `kid`; any name where
 * that is NULL. NULL where there is no more. */
const struct jwt_key *jwks_next(const struct jwks *set, const char *kid,
	enum jwt_algorithm algorithm, size_t *at);

#endif
