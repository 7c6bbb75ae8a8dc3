#include "jwt.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "err.h"
#include "jwks.h"

#include "jwt_kit.h"
#include "test.h"

#define NOW 1000000
#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define FINE "{\"sub\":\"eve\",\"exp\":1000100}"

static struct err err;
static struct jwt_claims claims;

static struct jwt_key *secret_key(void)
{
	struct jwt_key *key = NULL;

	CHECK_INT(jwt_key_secret(KIT_SECRET, strlen(KIT_SECRET), &key, &err), 0);
	return key;
}

static enum jwt_verdict check_with(const char *token, const struct jwks *keys)
{
	struct jwt_key *secret = secret_key();
	struct jwt_rules rules = { .secret = secret, .keys = keys, .now_s = NOW };

	claims = (struct jwt_claims){ 0 };
	err.msg[0] = '\0';
	enum jwt_verdict verdict = jwt_check(token, &rules, &claims, &err);
	jwt_key_free(secret);
	return verdict;
}

static void check_refused(const char *token, const char *says)
{
	CHECK_INT(check_with(token, NULL), JWT_REFUSED);
	CHECK_INT(err.code, ERR_DENIED);
	if (!strstr(err.msg, says)) {
		printf("# of %s\n", token);
		CHECK_TEXT(err.msg, says);
	}
	CHECK_TEXT(claims.subject, "");
}

static void check_payload(const char *payload, const char *says)
{
	const char *token = kit_token(HS256, payload, NULL);

	if (says) {
		check_refused(token, says);
		return;
	}
	if (check_with(token, NULL) != JWT_FINE)
		CHECK_TEXT(payload, err.msg);
	CHECK_TEXT(claims.subject, "eve");
}

/* ---- Issuing and reading ---- */

static void what_is_issued_is_accepted(void)
{
	struct jwt_key *key = secret_key();
	char *token = jwt_issue(key, "eve \"\xc3\xa4\"", true, NOW, 60);

	CHECK_INT(check_with(token, NULL), JWT_FINE);
	CHECK_TEXT(claims.subject, "eve \"\xc3\xa4\"");
	CHECK(claims.admin);
	CHECK_INT(claims.expires_s, NOW + 60);
	free(token);
	token = jwt_issue(key, "bob", false, NOW, 60);
	CHECK_INT(check_with(token, NULL), JWT_FINE);
	CHECK(!claims.admin);
	free(token);
	jwt_key_free(key);
}

static void every_changed_character_is_noticed(void)
{
	char token[512], alphabet[] = "AZaz09-_.= ";

	snprintf(token, sizeof token, "%s", kit_token(HS256, FINE, NULL));
	for (size_t i = 0; token[i]; i++) {
		char was = token[i];
		for (const char *c = alphabet; *c; c++) {
			token[i] = *c;
			CHECK(check_with(token, NULL) == JWT_REFUSED || *c == was);
		}
		token[i] = was;
	}
	CHECK_INT(check_with(token, NULL), JWT_FINE);
}

static void every_length_but_its_own_is_refused(void)
{
	char token[512];

	snprintf(token, sizeof token, "%s", kit_token(HS256, FINE, NULL));
	size_t len = strlen(token);
	for (size_t i = 0; i < len; i++) {
		char was = token[i];
		token[i] = '\0';
		CHECK_INT(check_with(token, NULL), JWT_REFUSED);
		token[i] = was;
	}
	for (const char *c = "A.=\n"; *c; c++) {
		token[len] = *c;
		token[len + 1] = '\0';
		CHECK_INT(check_with(token, NULL), JWT_REFUSED);
	}
}

static void a_token_that_is_too_long_is_refused(void)
{
	static char payload[JWT_MAX + 1];
	int n = snprintf(payload, sizeof payload, "{\"sub\":\"eve\",\"exp\":1000100,\"x\":\"");

	memset(payload + n, 'x', 5000);
	memcpy(payload + n + 5000, "\"}", 3);
	check_payload(payload, NULL);
	memset(payload + n, 'x', 6500);
	memcpy(payload + n + 6500, "\"}", 3);
	check_payload(payload, "more than 8192 bytes");
}

/* ---- Claims ---- */

static void times_count_with_a_leeway(void)
{
	check_payload("{\"sub\":\"eve\",\"exp\":1000000}", NULL);
	check_payload("{\"sub\":\"eve\",\"exp\":999941}", NULL);
	check_payload("{\"sub\":\"eve\",\"exp\":999940}", "expired");
	check_payload("{\"sub\":\"eve\",\"exp\":999940.9}", "expired");
	check_payload("{\"sub\":\"eve\",\"exp\":-1}", "expired");
	check_payload("{\"sub\":\"eve\",\"exp\":1000100.5,\"nbf\":1000060,\"iat\":1000060}", NULL);
	check_payload("{\"sub\":\"eve\",\"exp\":1000100,\"nbf\":1000061}", "not valid yet");
	check_payload("{\"sub\":\"eve\",\"exp\":1000100,\"iat\":1000061}", "not valid yet");
}

static void a_time_has_to_be_a_number(void)
{
	check_payload("{\"sub\":\"eve\"}", "no exp claim");
	check_payload("{\"sub\":\"eve\",\"exp\":null}", "malformed");
	check_payload("{\"sub\":\"eve\",\"exp\":\"1000100\"}", "malformed");
	check_payload("{\"sub\":\"eve\",\"exp\":1e300}", "malformed");
	check_payload("{\"sub\":\"eve\",\"exp\":9223372036854775807}", "malformed");
	check_payload("{\"sub\":\"eve\",\"exp\":92233720368547758070}", "malformed");
	check_payload("{\"sub\":\"eve\",\"exp\":1000100,\"nbf\":true}", "malformed");
	check_payload("{\"sub\":\"eve\",\"exp\":1000100,\"iat\":[]}", "malformed");
}

static void a_subject_has_to_be_a_text(void)
{
	char payload[512], name[JWT_SUBJECT_MAX + 2];

	check_payload("{\"exp\":1000100}", "sub claim");
	check_payload("{\"sub\":\"\",\"exp\":1000100}", "sub claim");
	check_payload("{\"sub\":7,\"exp\":1000100}", "sub claim");
	check_payload("{\"sub\":[\"eve\"],\"exp\":1000100}", "sub claim");
	check_payload("{\"sub\":\"a\\nb\",\"exp\":1000100}", "control characters");
	check_payload("{\"sub\":\"a\\u0000b\",\"exp\":1000100}", "control characters");
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	snprintf(payload, sizeof payload, "{\"sub\":\"%s\",\"exp\":1000100}", name);
	check_payload(payload, "sub claim");
}

static bool is_admin(const char *claim)
{
	char payload[256];

	snprintf(payload, sizeof payload, "{\"sub\":\"eve\",\"exp\":1000100,%s}", claim);
	check_payload(payload, NULL);
	return claims.admin;
}

static void an_admin_says_so_in_one_of_three_ways(void)
{
	CHECK(is_admin("\"admin\":true"));
	CHECK(is_admin("\"role\":\"admin\""));
	CHECK(is_admin("\"roles\":[7,\"user\",\"admin\"]"));
	CHECK(!is_admin("\"admin\":false"));
	CHECK(!is_admin("\"admin\":\"true\""));
	CHECK(!is_admin("\"admin\":1"));
	CHECK(!is_admin("\"role\":\"administrator\""));
	CHECK(!is_admin("\"role\":\"Admin\""));
	CHECK(!is_admin("\"role\":\"admin\\u0000s\""));
	CHECK(!is_admin("\"roles\":[\"admin\\u0000s\"]"));
	CHECK(!is_admin("\"roles\":[[\"admin\"]]"));
	CHECK(!is_admin("\"roles\":{\"admin\":true}"));
}

static void json_is_read_strictly(void)
{
	char deep[1024] = "{\"sub\":\"eve\",\"exp\":1000100,\"x\":";

	check_payload("{\"sub\":\"eve\",\"sub\":\"root\",\"exp\":1000100}", "malformed");
	check_payload("{\"sub\":\"eve\",\"exp\":1000100,}", "malformed");
	check_payload("{\"sub\":\"eve\",\"exp\":1000100} x", "malformed");
	check_payload("[{\"sub\":\"eve\",\"exp\":1000100}]", "malformed");
	check_payload("{'sub':'eve'}", "malformed");
	check_payload("{\"sub\":\"\xff\",\"exp\":1000100}", "malformed");
	check_payload("", "malformed");
	size_t len = strlen(deep);
	memset(deep + len, '[', 200);
	memset(deep + len + 200, ']', 200);
	memcpy(deep + len + 400, "}", 2);
	check_payload(deep, "malformed");
}

/* ---- Headers ---- */

static void only_what_is_known_is_accepted_in_a_header(void)
{
	static const struct {
		const char *header, *says;
	} cases[] = {
		{ "{\"alg\":\"none\"}", "algorithm is not accepted" },
		{ "{\"alg\":\"None\"}", "algorithm is not accepted" },
		{ "{\"alg\":\"hs256\"}", "algorithm is not accepted" },
		{ "{\"alg\":\"HS384\"}", "algorithm is not accepted" },
		{ "{\"alg\":\"PS256\"}", "algorithm is not accepted" },
		{ "{\"alg\":\"\"}", "algorithm is not accepted" },
		{ "{\"alg\":[\"HS256\"]}", "malformed" },
		{ "{\"typ\":\"JWT\"}", "malformed" },
		{ "{\"alg\":\"HS256\",\"alg\":\"none\"}", "malformed" },
		{ "{\"alg\":\"HS256\",\"kid\":7}", "malformed" },
		{ "{\"alg\":\"HS256\",\"kid\":\"a\\u0000b\"}", "malformed" },
		{ "{\"alg\":\"HS256\\u0000\"}", "malformed" },
		{ "{\"alg\":\"HS256\",\"typ\":\"JWT\\u0000\"}", "plain JWT" },
		{ "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "plain JWT" },
		{ "{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}", "plain JWT" },
		{ "{\"alg\":\"HS256\",\"typ\":\"dpop+jwt\"}", "plain JWT" },
		{ "{\"alg\":\"HS256\",\"typ\":1}", "plain JWT" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_refused(kit_token(cases[i].header, FINE, NULL), cases[i].says);
	CHECK_INT(check_with(kit_token("{\"alg\":\"HS256\",\"typ\":\"at+JWT\"}", FINE, NULL), NULL),
		JWT_FINE);
	CHECK_INT(check_with(kit_token("{\"alg\":\"HS256\"}", FINE, NULL), NULL), JWT_FINE);
}

static void without_a_signature_nothing_is_accepted(void)
{
	/* {"alg":"none"} . {"sub":"eve","exp":1000100} */
	check_refused("eyJhbGciOiJub25lIn0.eyJzdWIiOiJldmUiLCJleHAiOjEwMDAxMDB9.",
		"algorithm is not accepted");
	check_refused("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJldmUiLCJleHAiOjEwMDAxMDB9.", "malformed");
	check_refused("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJldmUiLCJleHAiOjEwMDAxMDB9", "malformed");
	check_refused("", "malformed");
	check_refused("..", "malformed");
	check_refused("a.b.c.d.e", "malformed");
}

/* ---- Key sets ---- */

static struct jwks *set_of(EVP_PKEY *key, const char *more)
{
	struct buf text = BUF_INIT(8192);
	struct jwks *set = NULL;

	buf_add_text(&text, "{\"keys\":[");
	kit_add_jwk(&text, key, more);
	buf_add_text(&text, "]}");
	CHECK_INT(jwks_parse(text.data, text.len, &set, &err), 0);
	buf_release(&text);
	return set;
}

static void a_set_s_key_is_found_by_its_name(void)
{
	static const char *const algorithms[] = { "RS256", "ES256" };
	EVP_PKEY *keys[] = { kit_rsa(2048), kit_ec("P-256") };
	char header[64];

	for (int i = 0; i < 2; i++) {
		struct jwks *set = set_of(keys[i], ",\"kid\":\"a\"");

		snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"a\"}", algorithms[i]);
		CHECK_INT(check_with(kit_token(header, FINE, keys[i]), set), JWT_FINE);
		CHECK_TEXT(claims.subject, "eve");
		CHECK_INT(check_with(kit_token(header, FINE, keys[i]), NULL), JWT_UNKNOWN_KEY);
		snprintf(header, sizeof header, "{\"alg\":\"%s\"}", algorithms[i]);
		CHECK_INT(check_with(kit_token(header, FINE, keys[i]), set), JWT_FINE);
		snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"b\"}", algorithms[i]);
		CHECK_INT(check_with(kit_token(header, FINE, keys[i]), set), JWT_UNKNOWN_KEY);
		jwks_free(set);
	}
	EVP_PKEY_free(keys[0]);
	EVP_PKEY_free(keys[1]);
}

#define ES256 "{\"alg\":\"ES256\",\"kid\":\"a\"}"

static void who_else_signs_tokens_names_us_and_makes_no_admin(void)
{
	EVP_PKEY *theirs = kit_ec("P-256");
	struct jwks *set = set_of(theirs, ",\"kid\":\"a\"");
	struct jwt_key *secret = secret_key();
	struct jwt_rules rules = { secret, set, "sandbox", "https://id", NOW };
	static const char *const fine[] = { "\"aud\":\"sandbox\",\"iss\":\"https://id\"",
		"\"aud\":[\"x\",\"sandbox\"],\"iss\":\"https://id\",\"admin\":true" };
	static const char *const wrong[] = { "\"iss\":\"https://id\"", "\"aud\":\"sandbox\"",
		"\"aud\":\"sand\",\"iss\":\"https://id\"",
		"\"aud\":{\"sandbox\":1},\"iss\":\"https://id\"",
		"\"aud\":\"sandbox\",\"iss\":\"https://id/\"",
		"\"aud\":\"sandbox\",\"iss\":[\"https://id\"]" };
	char payload[128];

	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
		snprintf(payload, sizeof payload, "{\"sub\":\"eve\",\"exp\":1000100,%s}", fine[i]);
		CHECK_INT(jwt_check(kit_token(ES256, payload, theirs), &rules, &claims, &err),
			JWT_FINE);
		CHECK(!claims.admin);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		snprintf(payload, sizeof payload, "{\"sub\":\"eve\",\"exp\":1000100,%s}", wrong[i]);
		CHECK_INT(jwt_check(kit_token(ES256, payload, theirs), &rules, &claims, &err),
			JWT_REFUSED);
		CHECK(strstr(err.msg, "another "));
	}
	/* Our own are for nobody else. */
	CHECK_INT(jwt_check(kit_token(HS256, FINE, NULL), &rules, &claims, &err), JWT_FINE);
	jwt_key_free(secret);
	jwks_free(set);
	EVP_PKEY_free(theirs);
}

static void another_key_s_signature_is_wrong(void)
{
	EVP_PKEY *ours = kit_ec("P-256"), *theirs = kit_ec("P-256");
	struct jwks *set = set_of(ours, ",\"kid\":\"a\"");
	const char *header = "{\"alg\":\"ES256\",\"kid\":\"a\"}";

	CHECK_INT(check_with(kit_token(header, FINE, theirs), set), JWT_REFUSED);
	CHECK(strstr(err.msg, "signature is wrong"));
	jwks_free(set);
	EVP_PKEY_free(ours);
	EVP_PKEY_free(theirs);
}

/* What anybody can do: sign by HMAC with the public key as the secret, in each form it has. */
static void a_public_key_is_no_secret(void)
{
	static const char header[] = "{\"alg\":\"HS256\",\"kid\":\"a\"}";
	EVP_PKEY *rsa = kit_rsa(2048);
	struct jwks *set = set_of(rsa, ",\"kid\":\"a\"");

	for (int pem = 0; pem < 2; pem++) {
		AUTO_BUF struct buf token = BUF_INIT(8192);
		BIO *form = BIO_new(BIO_s_mem());
		char *text;

		CHECK_INT(pem ? PEM_write_bio_PUBKEY(form, rsa) : i2d_PUBKEY_bio(form, rsa), 1);
		long len = BIO_get_mem_data(form, &text);
		base64url_add(&token, header, strlen(header));
		buf_add_char(&token, '.');
		base64url_add(&token, FINE, strlen(FINE));
		kit_sign_secret(&token, text, (size_t)len);
		CHECK_INT(check_with(token.data, set), JWT_UNKNOWN_KEY);
		BIO_free(form);
	}
	jwks_free(set);
	EVP_PKEY_free(rsa);
}

static void a_key_serves_its_own_algorithm_alone(void)
{
	EVP_PKEY *rsa = kit_rsa(2048);
	struct jwks *set = set_of(rsa, ",\"kid\":\"a\"");

	CHECK_INT(check_with(kit_token("{\"alg\":\"ES256\",\"kid\":\"a\"}", FINE, rsa), set),
		JWT_UNKNOWN_KEY);
	CHECK_INT(check_with(kit_token("{\"alg\":\"HS256\",\"kid\":\"a\"}", FINE, rsa), set),
		JWT_UNKNOWN_KEY);
	CHECK_INT(check_with(kit_token("{\"alg\":\"RS512\",\"kid\":\"a\"}", FINE, rsa), set),
		JWT_REFUSED);
	CHECK_INT(check_with(kit_token("{\"alg\":\"RS256\",\"kid\":\"a\"}", FINE, rsa), set),
		JWT_FINE);
	jwks_free(set);
	EVP_PKEY_free(rsa);
}

TESTS(CASE(what_is_issued_is_accepted), CASE(every_changed_character_is_noticed),
	CASE(every_length_but_its_own_is_refused), CASE(a_token_that_is_too_long_is_refused),
	CASE(times_count_with_a_leeway), CASE(a_time_has_to_be_a_number),
	CASE(a_subject_has_to_be_a_text), CASE(an_admin_says_so_in_one_of_three_ways),
	CASE(who_else_signs_tokens_names_us_and_makes_no_admin), CASE(json_is_read_strictly),
	CASE(only_what_is_known_is_accepted_in_a_header),
	CASE(without_a_signature_nothing_is_accepted), CASE(a_set_s_key_is_found_by_its_name),
	CASE(another_key_s_signature_is_wrong), CASE(a_public_key_is_no_secret),
	CASE(a_key_serves_its_own_algorithm_alone))
