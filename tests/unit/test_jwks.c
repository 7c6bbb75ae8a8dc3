#include "jwks.h"

#include "base64.h"
#include "err.h"

#include "jwt_kit.h"
#include "test.h"

/* The examples of RFC 7515, appendix A.1 to A.3: one payload, signed in three ways. */
#define PAYLOAD                                                                                    \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0" \
	"cnVlfQ"
#define HS_TEXT "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." PAYLOAD
#define HS_SIGNATURE "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define HS_KEY                                                                                  \
	"{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3" \
	"Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}"
#define RS_TEXT "eyJhbGciOiJSUzI1NiJ9." PAYLOAD
#define RS_SIGNATURE                                                                              \
	"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8" \
	"W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPv" \
	"kSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1ph" \
	"CnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define RS_N                                                                                      \
	"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1P" \
	"t0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSH" \
	"SXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6" \
	"_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define RS_KEY "{\"kty\":\"RSA\",\"n\":\"" RS_N "\",\"e\":\"AQAB\"}"
#define ES_TEXT "eyJhbGciOiJFUzI1NiJ9." PAYLOAD
#define ES_SIGNATURE \
	"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define ES_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define ES_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define ES_KEY "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" ES_X "\",\"y\":\"" ES_Y "\"}"

static struct err err;

static size_t count_of(const char *keys)
{
	AUTO_BUF struct buf text = BUF_INIT(JWKS_TEXT_MAX);
	struct jwks *set;

	buf_addf(&text, "{\"keys\":[%s]}", keys);
	if (jwks_parse(text.data, text.len, &set, &err) < 0)
		return 0;
	size_t count = jwks_count(set);
	jwks_free(set);
	return count;
}

static bool verifies(const struct jwks *set, enum jwt_algorithm algorithm, const char *text,
	const char *signature)
{
	AUTO_BUF struct buf bytes = BUF_INIT(1024);
	size_t at = 0;
	const struct jwt_key *key = jwks_next(set, NULL, algorithm, &at);

	CHECK_INT(base64url_decode(&bytes, signature, strlen(signature)), 0);
	CHECK(key && jwt_key_algorithm(key) == algorithm);
	CHECK(!jwks_next(set, NULL, algorithm, &at));
	if (!key)
		return false;
	CHECK(!jwt_key_verify(key, text, strlen(text) - 1, bytes.data, bytes.len));
	CHECK(!jwt_key_verify(key, text, strlen(text), bytes.data, bytes.len - 1));
	CHECK(!jwt_key_verify(key, text, strlen(text), bytes.data, 0));
	bool fine = jwt_key_verify(key, text, strlen(text), bytes.data, bytes.len);
	for (size_t i = 0; i < bytes.len; i++) {
		bytes.data[i] ^= 1;
		CHECK(!jwt_key_verify(key, text, strlen(text), bytes.data, bytes.len));
		bytes.data[i] ^= 1;
	}
	return fine;
}

static void verifies_the_examples_of_rfc_7515(void)
{
	static const char text[] = "{\"keys\":[" HS_KEY "," RS_KEY "," ES_KEY "]}";
	struct jwks *set;

	CHECK_INT(jwks_parse(text, strlen(text), &set, &err), 0);
	CHECK_INT(jwks_count(set), 3);
	CHECK(verifies(set, JWT_HS256, HS_TEXT, HS_SIGNATURE));
	CHECK(verifies(set, JWT_RS256, RS_TEXT, RS_SIGNATURE));
	CHECK(verifies(set, JWT_ES256, ES_TEXT, ES_SIGNATURE));
	jwks_free(set);
}

static void leaves_out_what_it_cannot_use(void)
{
	static const char *const useless[] = {
		"{}",
		"7",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
		"{\"kty\":\"oct\\u0000\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0g\"}",
		"{\"kty\":\"RSA\",\"kid\":\"a\\u0000b\",\"n\":\"" RS_N "\",\"e\":\"AQAB\"}",
		/* for another use, or for another algorithm */
		"{\"kty\":\"RSA\",\"use\":\"enc\",\"n\":\"" RS_N "\",\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"key_ops\":[\"encrypt\"],\"n\":\"" RS_N "\",\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"alg\":\"PS256\",\"n\":\"" RS_N "\",\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"alg\":\"HS256\",\"n\":\"" RS_N "\",\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"alg\":7,\"n\":\"" RS_N "\",\"e\":\"AQAB\"}",
		/* no good exponent */
		"{\"kty\":\"RSA\",\"n\":\"" RS_N "\"}",
		"{\"kty\":\"RSA\",\"n\":\"" RS_N "\",\"e\":\"AQ\"}",
		"{\"kty\":\"RSA\",\"n\":\"" RS_N "\",\"e\":\"Ag\"}",
		"{\"kty\":\"RSA\",\"n\":\"" RS_N "\",\"e\":\"\"}",
		"{\"kty\":\"RSA\",\"n\":\"" RS_N "\",\"e\":\"AQABAQABAQAB\"}",
		/* no base64url */
		"{\"kty\":\"RSA\",\"n\":\"" RS_N "=\",\"e\":\"AQAB\"}",
		/* too small */
		"{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbjiw\",\"e\":\"AQAB\"}",
		"{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}",
		"{\"kty\":\"oct\",\"k\":7}",
		/* no point of the curve, another curve, a coordinate without its zeroes */
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" ES_Y "\",\"y\":\"" ES_X "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" ES_X "\",\"y\":\"" ES_Y "\"}",
		"{\"kty\":\"EC\",\"x\":\"" ES_X "\",\"y\":\"" ES_Y "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQAB\",\"y\":\"AQAB\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" ES_X "\"}",
	};
	char both[4096];

	for (size_t i = 0; i < sizeof useless / sizeof *useless; i++) {
		if (count_of(useless[i]) != 0)
			CHECK_TEXT(useless[i], "left out");
		CHECK(strstr(err.msg, "can be used"));
		snprintf(both, sizeof both, "%s,%s", useless[i], ES_KEY);
		CHECK_INT(count_of(both), 1);
	}
}

static void takes_keys_that_say_what_they_are_for(void)
{
	CHECK_INT(count_of("{\"kty\":\"RSA\",\"use\":\"sig\",\"alg\":\"RS256\",\"kid\":\"1\","
			   "\"key_ops\":[\"verify\"],\"x5t\":\"x\",\"n\":\"" RS_N
			   "\",\"e\":\"AQAB\"}"),
		1);
}

static void refuses_what_is_no_set(void)
{
	static const char *const texts[] = { "", "{}", "[]", "{\"keys\":{}}", "{\"keys\":[}",
		"{\"keys\":[],\"keys\":[]}", "<html>" };
	struct jwks *set;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		CHECK_INT(jwks_parse(texts[i], strlen(texts[i]), &set, &err), -1);
		CHECK_INT(err.code, ERR_INVALID);
		CHECK(strstr(err.msg, "key set"));
	}
	CHECK_INT(jwks_parse("{\"keys\":[]}", 11, &set, &err), -1);
	CHECK(strstr(err.msg, "none of the 0 keys"));
}

static void is_bounded(void)
{
	AUTO_BUF struct buf keys = BUF_INIT(JWKS_TEXT_MAX);
	char *text = calloc(1, JWKS_TEXT_MAX + 1);
	struct jwks *set;

	for (int i = 0; i < JWKS_MAX + 9; i++)
		buf_addf(&keys, "%s%s", i ? "," : "", HS_KEY);
	CHECK_INT(count_of(keys.data), JWKS_MAX);
	memset(text, ' ', JWKS_TEXT_MAX + 1);
	CHECK_INT(jwks_parse(text, JWKS_TEXT_MAX + 1, &set, &err), -1);
	CHECK(strstr(err.msg, "more than"));
	memset(text, '[', JWKS_TEXT_MAX);
	CHECK_INT(jwks_parse(text, JWKS_TEXT_MAX, &set, &err), -1);
	CHECK(strstr(err.msg, "nested deeper"));
	free(text);
}

TESTS(CASE(verifies_the_examples_of_rfc_7515), CASE(leaves_out_what_it_cannot_use),
	CASE(takes_keys_that_say_what_they_are_for), CASE(refuses_what_is_no_set), CASE(is_bounded))
