#ifndef JWT_KEY_H
#define JWT_KEY_H

/*
 * A key that checks signatures, for one algorithm of RFC 7518 and no other: the key says which, so
 * that no token can choose (a public key as an HMAC secret, "none"). Only this pair and jwks.c
 * deal with libcrypto's keys. Any thread.
 */
#include <stdbool.h>
#include <stddef.h>

struct err;
struct jwt_key;

enum jwt_algorithm { JWT_HS256, JWT_RS256, JWT_ES256 };

enum {
	JWT_SECRET_MIN = 32, /* RFC 7518, 3.2 */
	JWT_SECRET_MAX = 1024,
	JWT_RSA_MIN = 2048, /* bits; RFC 7518, 3.3 */
	JWT_RSA_MAX = 8192,
	JWT_EC_BYTES = 32, /* of a P-256 coordinate, and of a half of a signature */
	JWT_HMAC_BYTES = 32,
};

/* HS256. ERR_INVALID where it is too short or too long. */
int jwt_key_secret(const void *secret, size_t len, struct jwt_key **out, struct err *err);

/* RS256, from modulus and exponent as RFC 7518, 6.3.1 has them. */
int jwt_key_rsa(const void *n, size_t n_len, const void *e, size_t e_len, struct jwt_key **out,
	struct err *err);

/* ES256, from a point of P-256 (two coordinates of JWT_EC_BYTES). */
int jwt_key_ec(const void *x, const void *y, struct jwt_key **out, struct err *err);

void jwt_key_free(struct jwt_key *key); /* NULL is allowed */

enum jwt_algorithm jwt_key_algorithm(const struct jwt_key *key);

bool jwt_key_verify(const struct jwt_key *key, const void *text, size_t len,
	const void *signature, size_t signature_len);

/* HS256 alone: JWT_HMAC_BYTES. */
void jwt_key_sign(
	const struct jwt_key *key, const void *text, size_t len, unsigned char *signature);

#endif
