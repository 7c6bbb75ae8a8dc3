#include "jwks.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "base64.h"
#include "buf.h"
#include "err.h"
#include "json_reader.h"

static const struct json_limits limits = { .depth = 8, .string = 32 * 1024, .number = 32 };

struct entry {
	char *kid; /* or NULL */
	struct jwt_key *key;
};

struct jwks {
	size_t count;
	struct entry entry[JWKS_MAX];
};

void jwks_free(struct jwks *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->count; i++) {
		free(set->entry[i].kid);
		jwt_key_free(set->entry[i].key);
	}
	free(set);
}

size_t jwks_count(const struct jwks *set)
{
	return set->count;
}

/* The text that a value is, or NULL: a NUL would hide what stands behind it. */
static const char *text_of(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

/* Whether a member is this text. */
static bool says(const json_t *jwk, const char *name, const char *want)
{
	const char *text = text_of(json_object_get(jwk, name));

	return text && strcmp(text, want) == 0;
}

/* Whether a member is absent, or is this text. */
static bool allows(const json_t *jwk, const char *name, const char *want)
{
	return !json_object_get(jwk, name) || says(jwk, name, want);
}

/* RFC 7517, 4.3. */
static bool may_verify(const json_t *jwk)
{
	const json_t *ops = json_object_get(jwk, "key_ops"), *op;
	size_t i;

	if (!ops)
		return true;
	json_array_foreach(ops, i, op) {
		const char *name = text_of(op);
		if (name && strcmp(name, "verify") == 0)
			return true;
	}
	return false;
}

static int bytes_of(const json_t *jwk, const char *name, struct buf *out)
{
	const json_t *member = json_object_get(jwk, name);

	if (!json_is_string(member))
		return -1;
	return base64url_decode(out, json_string_value(member), json_string_length(member));
}

static struct jwt_key *oct_key(const json_t *jwk)
{
	AUTO_BUF struct buf k = BUF_INIT(JWT_SECRET_MAX);
	struct jwt_key *key = NULL;

	if (allows(jwk, "alg", "HS256") && bytes_of(jwk, "k", &k) == 0)
		jwt_key_secret(k.data, k.len, &key, NULL);
	return key;
}

static struct jwt_key *rsa_key(const json_t *jwk)
{
	AUTO_BUF struct buf n = BUF_INIT(JWT_RSA_MAX / 8 + 1);
	AUTO_BUF struct buf e = BUF_INIT(8);
	struct jwt_key *key = NULL;

	if (allows(jwk, "alg", "RS256") && bytes_of(jwk, "n", &n) == 0 &&
		bytes_of(jwk, "e", &e) == 0)
		jwt_key_rsa(n.data, n.len, e.data, e.len, &key, NULL);
	return key;
}

static struct jwt_key *ec_key(const json_t *jwk)
{
	AUTO_BUF struct buf x = BUF_INIT(JWT_EC_BYTES);
	AUTO_BUF struct buf y = BUF_INIT(JWT_EC_BYTES);
	struct jwt_key *key = NULL;

	if (says(jwk, "crv", "P-256") && allows(jwk, "alg", "ES256") &&
		bytes_of(jwk, "x", &x) == 0 && bytes_of(jwk, "y", &y) == 0 &&
		x.len == JWT_EC_BYTES && y.len == JWT_EC_BYTES)
		jwt_key_ec(x.data, y.data, &key, NULL);
	return key;
}

static struct jwt_key *key_of(const json_t *jwk)
{
	if (!allows(jwk, "use", "sig") || !may_verify(jwk))
		return NULL;
	if (says(jwk, "kty", "oct"))
		return oct_key(jwk);
	if (says(jwk, "kty", "RSA"))
		return rsa_key(jwk);
	return says(jwk, "kty", "EC") ? ec_key(jwk) : NULL;
}

static void add(struct jwks *set, const json_t *jwk)
{
	const json_t *kid = json_object_get(jwk, "kid");

	if (set->count == JWKS_MAX ||
		(kid && (!text_of(kid) || json_string_length(kid) > JWKS_KID_MAX)))
		return;
	struct jwt_key *key = key_of(jwk);
	if (key)
		set->entry[set->count++] =
			(struct entry){ kid ? alloc_text(text_of(kid)) : NULL, key };
}

int jwks_parse(const char *text, size_t len, struct jwks **out, struct err *err)
{
	size_t i;
	json_t *jwk;

	if (len > JWKS_TEXT_MAX)
		return err_set(
			err, ERR_INVALID, "the key set has more than %d bytes", JWKS_TEXT_MAX);
	json_auto_t *document = json_read(text, len, &limits, err);
	if (!document && err && err->code == ERR_LIMIT)
		return err_wrap(err, "the key set");
	json_t *keys = json_object_get(document, "keys");
	if (!json_is_array(keys))
		return err_set(err, ERR_INVALID,
			"this is no key set: it has to be {\"keys\": [...]} (RFC 7517)");
	struct jwks *set = alloc_zero(sizeof *set);
	json_array_foreach(keys, i, jwk)
		add(set, jwk);
	if (set->count == 0) {
		jwks_free(set);
		return err_set(err, ERR_INVALID,
			"none of the %zu keys of the set can be used: RSA from %d bits, P-256 and "
			"oct from %d bytes are",
			json_array_size(keys), JWT_RSA_MIN, JWT_SECRET_MIN);
	}
	*out = set;
	return 0;
}

const struct jwt_key *jwks_next(
	const struct jwks *set, const char *kid, enum jwt_algorithm algorithm, size_t *at)
{
	while (*at < set->count) {
		const struct entry *entry = &set->entry[(*at)++];
		if (jwt_key_algorithm(entry->key) == algorithm &&
			(!kid || (entry->kid && strcmp(kid, entry->kid) == 0)))
			return entry->key;
	}
	return NULL;
}
