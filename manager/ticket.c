#include "ticket.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base64.h"
#include "buf.h"

enum { KEY_BYTES = 32, NONCE_BYTES = 16, TICKET_MAX_BYTES = 256 };

static const char label[] = "front ticket";

/* No part of it can fail but for want of memory. */
static void must(int fine)
{
	if (fine <= 0)
		abort();
}

static void derive(const char *token, unsigned char key[KEY_BYTES])
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
	size_t len = KEY_BYTES;

	must(context != NULL);
	must(EVP_PKEY_derive_init(context));
	must(EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()));
	must(EVP_PKEY_CTX_set1_hkdf_key(
		context, (const unsigned char *)token, (int)strlen(token)));
	must(EVP_PKEY_CTX_add1_hkdf_info(
		context, (const unsigned char *)label, (int)strlen(label)));
	must(EVP_PKEY_derive(context, key, &len));
	EVP_PKEY_CTX_free(context);
}

char *ticket_new(const char *token, int64_t now_s)
{
	unsigned char key[KEY_BYTES], nonce[NONCE_BYTES], mac[EVP_MAX_MD_SIZE];
	unsigned mac_len;
	struct buf out;

	buf_init(&out, TICKET_MAX_BYTES);
	must(getrandom(nonce, sizeof nonce, 0) == sizeof nonce);
	derive(token, key);
	buf_addf(&out, "%" PRId64 ".", now_s + TICKET_S);
	base64url_add(&out, nonce, sizeof nonce);
	must(HMAC(EVP_sha256(), key, sizeof key, (const unsigned char *)out.data, out.len, mac,
		     &mac_len) != NULL);
	buf_add_char(&out, '.');
	base64url_add(&out, mac, mac_len);
	explicit_bzero(key, sizeof key);
	return buf_steal(&out, NULL);
}
