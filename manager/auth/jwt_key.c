#include "jwt_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "err.h"

enum { EXPONENT_MAX = 8, DER_MAX = 80 };

struct jwt_key {
	enum jwt_algorithm algorithm;
	EVP_PKEY *public; /* NULL for a secret */
	unsigned char secret[JWT_SECRET_MAX];
	size_t secret_len;
};

enum jwt_algorithm jwt_key_algorithm(const struct jwt_key *key)
{
	return key->algorithm;
}

void jwt_key_free(struct jwt_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->public);
	OPENSSL_cleanse(key->secret, sizeof key->secret);
	free(key);
}

/* ---- Making ---- */

int jwt_key_secret(const void *secret, size_t len, struct jwt_key **out, struct err *err)
{
	if (len < JWT_SECRET_MIN || len > JWT_SECRET_MAX)
		return err_set(err, ERR_INVALID,
			"a secret for HS256 has %d to %d bytes, not %zu; a good one: "
			"openssl rand -base64 32",
			JWT_SECRET_MIN, JWT_SECRET_MAX, len);
	struct jwt_key *key = alloc_zero(sizeof *key);
	key->algorithm = JWT_HS256;
	memcpy(key->secret, secret, len);
	key->secret_len = len;
	*out = key;
	return 0;
}

/* The key that `params` describe, or NULL: also where it is none, say no point of its curve. */
static EVP_PKEY *from_params(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *public = NULL;

	if (!make || EVP_PKEY_fromdata_init(make) != 1 ||
		EVP_PKEY_fromdata(make, &public, EVP_PKEY_PUBLIC_KEY, params) != 1)
	public = NULL;
	EVP_PKEY_CTX_free(make);
	EVP_PKEY_CTX *check = public ? EVP_PKEY_CTX_new_from_pkey(NULL, public, NULL) : NULL;
	if (check && EVP_PKEY_public_check(check) != 1) {
		EVP_PKEY_free(public);
		public = NULL;
	}
	EVP_PKEY_CTX_free(check);
	ERR_clear_error();
	return public;
}

static int finish(
	EVP_PKEY *public, enum jwt_algorithm algorithm, struct jwt_key **out, struct err *err)
{
	if (!public)
		return err_set(err, ERR_INVALID, "this is no valid public key");
	struct jwt_key *key = alloc_zero(sizeof *key);
	key->algorithm = algorithm;
	key->public = public;
	*out = key;
	return 0;
}

static EVP_PKEY *rsa_from(const BIGNUM *n, const BIGNUM *e)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *public = NULL;

	if (build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		params = OSSL_PARAM_BLD_to_param(build);
	if (params)
	public = from_params("RSA", params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	return public;
}

int jwt_key_rsa(const void *n, size_t n_len, const void *e, size_t e_len, struct jwt_key **out,
	struct err *err)
{
	if (n_len < JWT_RSA_MIN / 8 || n_len > JWT_RSA_MAX / 8 + 1 || e_len == 0 ||
		e_len > EXPONENT_MAX)
		return err_set(err, ERR_INVALID, "an RSA key has to have %d to %d bits",
			JWT_RSA_MIN, JWT_RSA_MAX);
	BIGNUM *modulus = BN_bin2bn(n, (int)n_len, NULL);
	BIGNUM *exponent = BN_bin2bn(e, (int)e_len, NULL);
	if (!modulus || !exponent)
		abort();
	int bits = BN_num_bits(modulus);
	bool fits = bits >= JWT_RSA_MIN && bits <= JWT_RSA_MAX && BN_is_odd(modulus) &&
		    BN_is_odd(exponent) && !BN_is_one(exponent);
	EVP_PKEY *public = fits ? rsa_from(modulus, exponent) : NULL;
	BN_free(modulus);
	BN_free(exponent);
	return finish(public, JWT_RS256, out, err);
}

int jwt_key_ec(const void *x, const void *y, struct jwt_key **out, struct err *err)
{
	unsigned char point[1 + 2 * JWT_EC_BYTES] = { POINT_CONVERSION_UNCOMPRESSED };
	char curve[] = "P-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
		OSSL_PARAM_construct_end(),
	};

	memcpy(point + 1, x, JWT_EC_BYTES);
	memcpy(point + 1 + JWT_EC_BYTES, y, JWT_EC_BYTES);
	return finish(from_params("EC", params), JWT_ES256, out, err);
}

/* ---- Using ---- */

void jwt_key_sign(const struct jwt_key *key, const void *text, size_t len, unsigned char *signature)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	if (!EVP_Q_mac(NULL, "HMAC", NULL, NULL, params, key->secret, key->secret_len, text, len,
		    signature, JWT_HMAC_BYTES, NULL))
		abort();
}

static bool verify_secret(const struct jwt_key *key, const void *text, size_t len,
	const void *signature, size_t signature_len)
{
	unsigned char want[JWT_HMAC_BYTES];

	jwt_key_sign(key, text, len, want);
	return signature_len == sizeof want && CRYPTO_memcmp(want, signature, sizeof want) == 0;
}

static bool verify_public(EVP_PKEY *public, const void *text, size_t len,
	const unsigned char *signature, size_t signature_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!ctx)
		abort();
	bool fine = EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, public, NULL) == 1 &&
		    EVP_DigestVerify(ctx, signature, signature_len, text, len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return fine;
}

/* A JWS has both numbers of a signature side by side (RFC 7518, 3.4), libcrypto wants DER. */
static bool verify_ec(EVP_PKEY *public, const void *text, size_t len,
	const unsigned char *signature, size_t signature_len)
{
	unsigned char der[DER_MAX], *end = der;

	if (signature_len != 2 * JWT_EC_BYTES)
		return false;
	ECDSA_SIG *both = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature, JWT_EC_BYTES, NULL);
	BIGNUM *s = BN_bin2bn(signature + JWT_EC_BYTES, JWT_EC_BYTES, NULL);
	if (!both || !r || !s || ECDSA_SIG_set0(both, r, s) != 1)
		abort();
	int der_len = i2d_ECDSA_SIG(both, NULL);
	bool fits = der_len > 0 && der_len <= DER_MAX && i2d_ECDSA_SIG(both, &end) == der_len;
	ECDSA_SIG_free(both);
	return fits && verify_public(public, text, len, der, (size_t)der_len);
}

bool jwt_key_verify(const struct jwt_key *key, const void *text, size_t len, const void *signature,
	size_t signature_len)
{
	switch (key->algorithm) {
	case JWT_HS256:
		return verify_secret(key, text, len, signature, signature_len);
	case JWT_RS256:
		return verify_public(key->public, text, len, signature, signature_len);
	case JWT_ES256:
		return verify_ec(key->public, text, len, signature, signature_len);
	}
	return false;
}
