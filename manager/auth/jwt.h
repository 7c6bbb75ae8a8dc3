#ifndef JWT_H
#define JWT_H

/*
 * JSON Web Tokens (RFC 7519, 7515): who bears one, and until when. Strict: one form, bounded,
 * no member twice, nothing that is not understood (RFC 8725). Any thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "jwt_key.h"

struct err;
struct jwks;

enum {
	JWT_MAX = 8192, /* bytes of a token */
	JWT_SUBJECT_MAX = 255,
	JWT_LEEWAY_S = 60, /* clocks may differ by so much */
};

struct jwt_claims {
	char subject[JWT_SUBJECT_MAX + 1]; /* UTF-8 without control characters, not empty */
	/* "admin": true, "role": "admin", or "roles" with "admin" in it; never by the key set:
	 * what its issuer calls an admin is one elsewhere. */
	bool admin;
	int64_t expires_s;
};

/* What a token is held against. */
struct jwt_rules {
	const struct jwt_key *secret; /* HS256, or NULL */
	const struct jwks *keys;      /* or NULL */
	/* What "aud" and "iss" of a token by the key set have to name; NULL: anything. */
	const char *audience, *issuer;
	int64_t now_s;
};

enum jwt_verdict {
	JWT_FINE,
	JWT_REFUSED,
	JWT_UNKNOWN_KEY, /* refused, but a newer key set may have its key */
};

/* `err` says what is wrong and what to do, and never shows the token. `out`: where it is fine. */
enum jwt_verdict jwt_check(const char *token, const struct jwt_rules *rules,
	struct jwt_claims *out, struct err *err);

/* A token by HS256, which the caller frees. */
char *jwt_issue(const struct jwt_key *secret, const char *subject, bool admin, int64_t now_s,
	int64_t ttl_s);

#endif
