#include "jwt.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "base64.h"
#include "buf.h"
#include "cleanup.h"
#include "err.h"
#include "jwks.h"
#include "json_reader.h"

#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static const struct json_limits limits = { .depth = 16, .string = JWT_MAX, .number = 32 };

/* The three parts of a token, as they stand in it. */
struct parts {
	const char *text; /* header and payload, the dot between them: what is signed */
	size_t header_len, payload_len, text_len;
	const char *signature;
	size_t signature_len;
};

static const char *const algorithms[] = {
	[JWT_HS256] = "HS256",
	[JWT_RS256] = "RS256",
	[JWT_ES256] = "ES256",
};

enum { ALGORITHMS = sizeof algorithms / sizeof *algorithms };

static int malformed(struct err *err)
{
	return err_set(err, ERR_DENIED, "The token is malformed: log in again for a new one");
}

/* ---- Its form ---- */

static int split(const char *token, struct parts *out, struct err *err)
{
	size_t len = strnlen(token, JWT_MAX + 1);
	const char *first = strchr(token, '.'), *second = first ? strchr(first + 1, '.') : NULL;

	if (len > JWT_MAX)
		return err_set(err, ERR_DENIED, "The token has more than %d bytes", JWT_MAX);
	if (!second)
		return malformed(err);
	*out = (struct parts){
		.text = token,
		.header_len = (size_t)(first - token),
		.payload_len = (size_t)(second - first - 1),
		.text_len = (size_t)(second - token),
		.signature = second + 1,
		.signature_len = len - (size_t)(second + 1 - token),
	};
	return 0;
}

/* The object that a part holds, or NULL. */
static json_t *object_in(const char *part, size_t len, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT(JWT_MAX);
	json_t *object = NULL;

	if (base64url_decode(&text, part, len) == 0 && text.len > 0)
		object = json_read(text.data, text.len, &limits, NULL);
	if (json_is_object(object))
		return object;
	json_decref(object);
	malformed(err);
	return NULL;
}

/* The text that a value is, or NULL: a NUL would hide what stands behind it. */
static const char *text_of(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

/* ---- Its header ---- */

static bool is_token_type(const json_t *type)
{
	const char *text = text_of(type);

	/* Absent, or the two that are handed to APIs: others are for other ends (RFC 8725, 3.11).
	 */
	return !type || (text && (strcasecmp(text, "JWT") == 0 || strcasecmp(text, "at+jwt") == 0));
}

static int read_header(
	const json_t *header, enum jwt_algorithm *algorithm, const char **kid, struct err *err)
{
	const char *name = text_of(json_object_get(header, "alg"));
	const json_t *id = json_object_get(header, "kid");
	unsigned i = 0;

	if (!name || (id && !text_of(id)))
		return malformed(err);
	while (i < ALGORITHMS && strcmp(name, algorithms[i]) != 0)
		i++;
	if (i == ALGORITHMS)
		return err_set(err, ERR_DENIED,
			"The token's algorithm is not accepted: HS256, RS256 and ES256 are");
	if (json_object_get(header, "crit") || !is_token_type(json_object_get(header, "typ")))
		return err_set(err, ERR_DENIED,
			"The token is not of a kind that this server knows: it has to be a plain "
			"JWT");
	*algorithm = (enum jwt_algorithm)i;
	*kid = text_of(id);
	return 0;
}

/* ---- Its signature ---- */

static bool signed_by(const struct jwt_rules *rules, enum jwt_algorithm algorithm, const char *kid,
	const struct parts *parts, const struct buf *signature, bool *known, bool *own)
{
	const struct jwt_key *key;
	size_t at = 0;

	*known = *own = false;
	if (rules->secret && algorithm == JWT_HS256 &&
		jwt_key_verify(rules->secret, parts->text, parts->text_len, signature->data,
			signature->len))
		return *own = true;
	while (rules->keys && (key = jwks_next(rules->keys, kid, algorithm, &at))) {
		*known = true;
		if (jwt_key_verify(
			    key, parts->text, parts->text_len, signature->data, signature->len))
			return true;
	}
	return false;
}

static enum jwt_verdict check_signature(
	const struct parts *parts, const struct jwt_rules *rules, bool *own, struct err *err)
{
	json_auto_t *header = object_in(parts->text, parts->header_len, err);
	AUTO_BUF struct buf signature = BUF_INIT(JWT_MAX);
	enum jwt_algorithm algorithm = JWT_HS256;
	const char *kid = NULL;
	bool known;

	if (!header || read_header(header, &algorithm, &kid, err) < 0)
		return JWT_REFUSED;
	if (base64url_decode(&signature, parts->signature, parts->signature_len) < 0 ||
		signature.len == 0) {
		malformed(err);
		return JWT_REFUSED;
	}
	if (signed_by(rules, algorithm, kid, parts, &signature, &known, own))
		return JWT_FINE;
	err_set(err, ERR_DENIED,
		known ? "The token's signature is wrong: log in again for a new one"
		      : "The token was signed by a key that this server does not know: log in "
			"again for a new one");
	/* A secret of our own has no name; any other key does, or stands in the set that is there.
	 */
	return !known && (kid || algorithm != JWT_HS256) ? JWT_UNKNOWN_KEY : JWT_REFUSED;
}

/* ---- Its claims ---- */

/* A time (RFC 7519, 2: seconds, perhaps with a fraction); -1 where it is none. */
static int read_time(const json_t *payload, const char *name, int64_t absent, int64_t *out)
{
	const json_t *time = json_object_get(payload, name);
	double seconds = json_number_value(time);

	if (!time) {
		*out = absent;
		return 0;
	}
	if (!json_is_number(time) || !isfinite(seconds) || fabs(seconds) > 1e15)
		return -1;
	*out = (int64_t)floor(seconds);
	return 0;
}

static int check_times(
	const json_t *payload, const struct jwt_rules *rules, int64_t *expires, struct err *err)
{
	int64_t not_before, issued, now = rules->now_s;

	if (!json_object_get(payload, "exp"))
		return err_set(
			err, ERR_DENIED, "The token has no exp claim: it has to end some time");
	if (read_time(payload, "exp", 0, expires) < 0 ||
		read_time(payload, "nbf", now, &not_before) < 0 ||
		read_time(payload, "iat", now, &issued) < 0)
		return malformed(err);
	if (now >= *expires + JWT_LEEWAY_S)
		return err_set(
			err, ERR_DENIED, "The token has expired: log in again for a new one");
	if (not_before > now + JWT_LEEWAY_S || issued > now + JWT_LEEWAY_S)
		return err_set(err, ERR_DENIED,
			"The token is not valid yet: compare the clocks of this server and of the "
			"one that issued it");
	return 0;
}

static bool is_text(const json_t *value, const char *want)
{
	const char *text = text_of(value);

	return text && strcmp(text, want) == 0;
}

/* Whether it is this text, or an array with it. */
static bool has_text(const json_t *value, const char *want)
{
	const json_t *item;
	size_t i;

	json_array_foreach(value, i, item) {
		if (is_text(item, want))
			return true;
	}
	return is_text(value, want);
}

static int read_subject(const json_t *payload, char *out, struct err *err)
{
	const json_t *subject = json_object_get(payload, "sub");
	const char *text = json_string_value(subject);
	size_t len = json_string_length(subject);

	if (!text || len == 0 || len > JWT_SUBJECT_MAX)
		return err_set(err, ERR_DENIED,
			"The token's sub claim has to be a text of 1 to %d bytes", JWT_SUBJECT_MAX);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7F)
			return err_set(
				err, ERR_DENIED, "The token's sub claim has control characters");
	}
	memcpy(out, text, len + 1);
	return 0;
}

/* Its issuer signs tokens for others, too. */
static int check_foreign(const json_t *payload, const struct jwt_rules *rules, struct err *err)
{
	if (rules->audience && !has_text(json_object_get(payload, "aud"), rules->audience))
		return err_set(err, ERR_DENIED, "The token is for another audience than %s",
			rules->audience);
	if (rules->issuer && !is_text(json_object_get(payload, "iss"), rules->issuer))
		return err_set(
			err, ERR_DENIED, "The token is from another issuer than %s", rules->issuer);
	return 0;
}

static bool says_admin(const json_t *payload)
{
	return json_is_true(json_object_get(payload, "admin")) ||
	       has_text(json_object_get(payload, "role"), "admin") ||
	       has_text(json_object_get(payload, "roles"), "admin");
}

static int read_claims(const json_t *payload, const struct jwt_rules *rules, bool own,
	struct jwt_claims *out, struct err *err)
{
	struct jwt_claims claims = { 0 };

	if (check_times(payload, rules, &claims.expires_s, err) < 0 ||
		read_subject(payload, claims.subject, err) < 0 ||
		(!own && check_foreign(payload, rules, err) < 0))
		return -1;
	claims.admin = own && says_admin(payload);
	*out = claims;
	return 0;
}

enum jwt_verdict jwt_check(
	const char *token, const struct jwt_rules *rules, struct jwt_claims *out, struct err *err)
{
	struct parts parts = { 0 };
	bool own = false;

	if (split(token, &parts, err) < 0)
		return JWT_REFUSED;
	/* Nothing that it says is looked at before its signature is known to be right. */
	enum jwt_verdict verdict = check_signature(&parts, rules, &own, err);
	if (verdict != JWT_FINE)
		return verdict;
	json_auto_t *payload = object_in(parts.text + parts.header_len + 1, parts.payload_len, err);
	return payload && read_claims(payload, rules, own, out, err) == 0 ? JWT_FINE : JWT_REFUSED;
}

/* ---- Issuing ---- */

char *jwt_issue(
	const struct jwt_key *secret, const char *subject, bool admin, int64_t now_s, int64_t ttl_s)
{
	struct buf token = BUF_INIT(JWT_MAX);
	unsigned char signature[JWT_HMAC_BYTES];
	json_auto_t *payload = json_pack("{s:s, s:b, s:I, s:I}", "sub", subject, "admin", admin,
		"iat", (json_int_t)now_s, "exp", (json_int_t)(now_s + ttl_s));
	AUTO_FREE char *text = json_dumps(payload, JSON_COMPACT);

	if (!text)
		abort();
	base64url_add(&token, HEADER, strlen(HEADER));
	buf_add_char(&token, '.');
	base64url_add(&token, text, strlen(text));
	jwt_key_sign(secret, token.data, token.len, signature);
	buf_add_char(&token, '.');
	base64url_add(&token, signature, sizeof signature);
	return buf_steal(&token, NULL);
}
