#include "credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "api_keys.h"
#include "err.h"
#include "jwks.h"
#include "jwt_secret.h"

#define BEARER "Bearer"

struct credentials {
	struct api_keys *api_keys; /* or NULL */
	struct jwt_key *secret;
	struct jwks *keys; /* NULL until they were fetched */
	bool key_set, open;
	const char *audience, *issuer;
};

static int load_secret(const struct credentials_setup *setup, struct jwt_key **out, struct err *err)
{
	if (!setup->jwt_secret)
		return jwt_secret_load(setup->data_dir, out, err);
	if (jwt_key_secret(setup->jwt_secret, strlen(setup->jwt_secret), out, err) < 0)
		return err_wrap(err, "SANDBOX_JWT_SECRET");
	return 0;
}

int credentials_new(
	const struct credentials_setup *setup, struct credentials **out, struct err *err)
{
	if (setup->key_set && (!setup->audience || !*setup->audience))
		return err_set(err, ERR_INVALID,
			"SANDBOX_JWKS_URL needs SANDBOX_JWT_AUDIENCE: the name by which its issuer "
			"knows this manager, or tokens for others would be taken, too");
	struct credentials *credentials = alloc_zero(sizeof *credentials);

	credentials->key_set = setup->key_set;
	credentials->audience = setup->audience;
	credentials->issuer = setup->issuer;
	credentials->open = !setup->api_keys && !setup->jwt_secret && !setup->key_set;
	if ((setup->api_keys && api_keys_parse(setup->api_keys, &credentials->api_keys, err) < 0) ||
		load_secret(setup, &credentials->secret, err) < 0) {
		credentials_free(credentials);
		return -1;
	}
	*out = credentials;
	return 0;
}

void credentials_free(struct credentials *credentials)
{
	if (!credentials)
		return;
	api_keys_free(credentials->api_keys);
	jwt_key_free(credentials->secret);
	jwks_free(credentials->keys);
	free(credentials);
}

bool credentials_open(const struct credentials *credentials)
{
	return credentials->open;
}

int credentials_set_keys(
	struct credentials *credentials, const char *text, size_t len, struct err *err)
{
	struct jwks *keys;

	if (jwks_parse(text, len, &keys, err) < 0)
		return -1;
	jwks_free(credentials->keys);
	credentials->keys = keys;
	return 0;
}

char *credentials_issue(const struct credentials *credentials, const struct identity *identity,
	int64_t now_s, int64_t ttl_s)
{
	return jwt_issue(credentials->secret, identity->owner, identity->admin, now_s, ttl_s);
}

/* ---- Checking ---- */

static enum credentials_verdict be(const char *owner, bool admin, struct identity *out)
{
	out->admin = admin;
	snprintf(out->owner, sizeof out->owner, "%s", owner);
	return CREDENTIALS_FINE;
}

static enum credentials_verdict check_api_key(const struct credentials *credentials,
	const char *key, struct identity *out, struct err *err)
{
	const char *name = credentials->api_keys ? api_keys_find(credentials->api_keys, key) : NULL;

	if (name)
		return be(name, false, out);
	err_set(err, ERR_DENIED,
		"The API key is not known: send one that is configured in SANDBOX_API_KEYS");
	return CREDENTIALS_REFUSED;
}

static enum credentials_verdict check_token(const struct credentials *credentials,
	const char *token, int64_t now_s, struct identity *out, struct err *err)
{
	struct jwt_rules rules = {
		.secret = credentials->secret,
		.keys = credentials->keys,
		.audience = credentials->audience,
		.issuer = credentials->issuer,
		.now_s = now_s,
	};
	struct jwt_claims claims;

	switch (jwt_check(token, &rules, &claims, err)) {
	case JWT_FINE:
		return be(claims.subject, claims.admin, out);
	case JWT_UNKNOWN_KEY:
		return credentials->key_set ? CREDENTIALS_STALE : CREDENTIALS_REFUSED;
	case JWT_REFUSED:
		break;
	}
	return CREDENTIALS_REFUSED;
}

/* What stands behind "Bearer" (RFC 6750, 2.1), or NULL. */
static const char *bearer_of(const char *authorization)
{
	const char *text = authorization + strlen(BEARER);

	if (strncasecmp(authorization, BEARER, strlen(BEARER)) != 0 || *text != ' ')
		return NULL;
	text += strspn(text, " ");
	return *text ? text : NULL;
}

static enum credentials_verdict check_bearer(const struct credentials *credentials,
	const char *bearer, int64_t now_s, struct identity *out, struct err *err)
{
	/* A key may look like a token. */
	if (check_api_key(credentials, bearer, out, err) == CREDENTIALS_FINE)
		return CREDENTIALS_FINE;
	if (strchr(bearer, '.'))
		return check_token(credentials, bearer, now_s, out, err);
	err_set(err, ERR_DENIED,
		"The bearer token is neither a JWT nor a known API key: log in for a token, or "
		"send a key of SANDBOX_API_KEYS");
	return CREDENTIALS_REFUSED;
}

/* What was sent, whether it is needed or not. */
static enum credentials_verdict check_sent(const struct credentials *credentials,
	const struct credentials_request *request, struct identity *out, struct err *err)
{
	const char *bearer;

	/* X-API-Key is for this server; Authorization may be meant for one on the way. */
	if (request->api_key && *request->api_key)
		return check_api_key(credentials, request->api_key, out, err);
	if (!request->authorization || !*request->authorization) {
		err_set(err, ERR_DENIED,
			"A credential is needed: send Authorization: Bearer with a token or API "
			"key, or X-API-Key");
		return CREDENTIALS_REFUSED;
	}
	bearer = bearer_of(request->authorization);
	if (!bearer) {
		err_set(err, ERR_DENIED, "Authorization has to be 'Bearer' and a token or API key");
		return CREDENTIALS_REFUSED;
	}
	return check_bearer(credentials, bearer, request->now_s, out, err);
}

enum credentials_verdict credentials_check(const struct credentials *credentials,
	const struct credentials_request *request, struct identity *out, struct err *err)
{
	bool sent = request->authorization || request->api_key;

	/* Who says who he is, is held to it: an expired token must not make anybody more. */
	if (credentials->open && !request->always && !sent)
		return be("local", true, out);
	return check_sent(credentials, request, out, err);
}
