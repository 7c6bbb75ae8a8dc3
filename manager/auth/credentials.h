#ifndef CREDENTIALS_H
#define CREDENTIALS_H

/*
 * Who is asking: an API key, or a JWT that the login or an identity provider issued, becomes an
 * owner. Where neither keys nor a secret nor a key set is configured the manager is open, and
 * everything belongs to one owner, "local". One thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jwt.h"

struct credentials;
struct err;

struct credentials_setup {
	const char *api_keys;   /* SANDBOX_API_KEYS, or NULL */
	const char *jwt_secret; /* SANDBOX_JWT_SECRET, or NULL: one is made in the data directory */
	const char *data_dir;
	bool key_set;         /* SANDBOX_JWKS_URL is configured: see credentials_set_keys() */
	/* What "aud" (needed with a key set) and "iss" (or NULL) of its tokens name. Borrowed */
	const char *audience, *issuer;
};

struct identity {
	char owner[JWT_SUBJECT_MAX + 1];
	bool admin;
};

/* What a request brings along. */
struct credentials_request {
	const char *authorization; /* the header's value, or NULL */
	const char *api_key;       /* X-API-Key's, or NULL */
	bool always; /* a credential is needed where the manager is open, too */
	int64_t now_s; /* since the epoch */
};

enum credentials_verdict {
	CREDENTIALS_FINE,
	CREDENTIALS_REFUSED, /* 401; `err` says what to send */
	/* The same, unless a newly fetched key set has the token's key. Anybody can cause this:
	 * fetch at most every so often. */
	CREDENTIALS_STALE,
};

/* May block (the secret's file). ERR_INVALID names the option that is wrong. */
int credentials_new(const struct credentials_setup *setup, struct credentials **out,
	struct err *err);
void credentials_free(struct credentials *credentials); /* NULL is allowed */

/* Nothing is configured: the manager may be reached on loopback only. */
bool credentials_open(const struct credentials *credentials);

/* The document behind SANDBOX_JWKS_URL, whenever it was fetched. After a failure the old keys
 * stay. */
int credentials_set_keys(
	struct credentials *credentials, const char *text, size_t len, struct err *err);

enum credentials_verdict credentials_check(const struct credentials *credentials,
	const struct credentials_request *request, struct identity *out, struct err *err);

/* A token for who has logged in, which the caller frees. */
char *credentials_issue(const struct credentials *credentials, const struct identity *identity,
	int64_t now_s, int64_t ttl_s);

#endif
