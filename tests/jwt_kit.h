#ifndef JWT_KIT_H
#define JWT_KIT_H

/* Keys and tokens for tests: what an identity provider does. */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "buf.h"

#define KIT_SECRET "0123456789abcdef0123456789abcdef"

#define KIT_MUST(call)                                                                    \
	do {                                                                              \
		if (!(call)) {                                                            \
			printf("Bail out! %s:%d: " #call "\n", __FILE__, __LINE__);       \
			exit(99);                                                         \
		}                                                                         \
	} while (0)

static inline EVP_PKEY *kit_rsa(size_t bits)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits);

	KIT_MUST(key);
	return key;
}

static inline EVP_PKEY *kit_ec(const char *curve)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve);

	KIT_MUST(key);
	return key;
}

/* "name":"base64url of a number", of `size` bytes where that is not 0. */
static inline void kit_add_number(
	struct buf *out, const EVP_PKEY *key, const char *param, const char *name, int size)
{
	unsigned char bytes[1024];
	BIGNUM *number = NULL;

	KIT_MUST(EVP_PKEY_get_bn_param(key, param, &number) == 1);
	int len = size ? size : BN_num_bytes(number);
	KIT_MUST(BN_bn2binpad(number, bytes, len) == len);
	BN_free(number);
	buf_addf(out, ",\"%s\":\"", name);
	base64url_add(out, bytes, (size_t)len);
	buf_add_text(out, "\"");
}

/* One JWK; `more` is ,"name":value… */
static inline void kit_add_jwk(struct buf *out, const EVP_PKEY *key, const char *more)
{
	if (EVP_PKEY_is_a(key, "RSA")) {
		buf_addf(out, "{\"kty\":\"RSA\"%s", more);
		kit_add_number(out, key, "n", "n", 0);
		kit_add_number(out, key, "e", "e", 0);
	} else {
		buf_addf(out, "{\"kty\":\"EC\",\"crv\":\"P-256\"%s", more);
		kit_add_number(out, key, "qx", "x", 32);
		kit_add_number(out, key, "qy", "y", 32);
	}
	buf_add_text(out, "}");
}

static inline void kit_sign_public(struct buf *token, EVP_PKEY *key)
{
	unsigned char der[1024], raw[64];
	const unsigned char *at = der;
	size_t len = sizeof der;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	KIT_MUST(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1);
	KIT_MUST(EVP_DigestSign(ctx, der, &len, (unsigned char *)token->data, token->len) == 1);
	EVP_MD_CTX_free(ctx);
	buf_add_char(token, '.');
	if (EVP_PKEY_is_a(key, "RSA")) {
		base64url_add(token, der, len);
		return;
	}
	ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)len);
	KIT_MUST(signature);
	BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + 32, 32);
	ECDSA_SIG_free(signature);
	base64url_add(token, raw, sizeof raw);
}

static inline void kit_sign_secret(struct buf *token, const char *secret, size_t len)
{
	unsigned char mac[32];

	KIT_MUST(HMAC(EVP_sha256(), secret, (int)len, (unsigned char *)token->data, token->len, mac,
		NULL));
	buf_add_char(token, '.');
	base64url_add(token, mac, sizeof mac);
}

/* A token with these JSON texts; `key` NULL: by KIT_SECRET. Valid until the next call. */
static inline const char *kit_token(const char *header, const char *payload, EVP_PKEY *key)
{
	static struct buf token;

	buf_release(&token);
	buf_init(&token, 64 * 1024);
	base64url_add(&token, header, strlen(header));
	buf_add_char(&token, '.');
	base64url_add(&token, payload, strlen(payload));
	if (key)
		kit_sign_public(&token, key);
	else
		kit_sign_secret(&token, KIT_SECRET, strlen(KIT_SECRET));
	return token.data;
}

#endif
