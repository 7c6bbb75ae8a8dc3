#include "api_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "user_name.h"

enum { DIGEST = 32 };

struct api_key {
	char name[USER_NAME_MAX + 1];
	unsigned char digest[DIGEST];
};

struct api_keys {
	size_t count;
	struct api_key key[API_KEYS_MAX];
};

static void digest_of(const char *key, unsigned char *out)
{
	if (EVP_Digest(key, strlen(key), out, NULL, EVP_sha256(), NULL) != 1)
		abort();
}

static int check_key(const char *name, const char *key, struct err *err)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < len; i++) {
		if (key[i] <= ' ' || key[i] >= 0x7F)
			return err_set(err, ERR_INVALID,
				"SANDBOX_API_KEYS: the key of %s may hold visible ASCII only",
				name);
	}
	if (len == 0 || len > API_KEY_MAX)
		return err_set(err, ERR_INVALID,
			"SANDBOX_API_KEYS: the key of %s has to have 1 to %d characters; a "
			"good one: openssl rand -base64 32",
			name, API_KEY_MAX);
	return 0;
}

/* `entry` is "name:key", and is cut there. */
static int add(struct api_keys *keys, char *entry, struct err *err)
{
	char *colon = strchr(entry, ':');

	if (!colon)
		return err_set(err, ERR_INVALID,
			"SANDBOX_API_KEYS takes name:key,name:key…; entry %zu has no colon",
			keys->count + 1);
	*colon = '\0';
	if (user_name_check(entry, err) < 0)
		return err_wrap(err, "SANDBOX_API_KEYS, entry %zu", keys->count + 1);
	if (check_key(entry, colon + 1, err) < 0)
		return -1;
	if (keys->count == API_KEYS_MAX)
		return err_set(
			err, ERR_INVALID, "SANDBOX_API_KEYS takes at most %d keys", API_KEYS_MAX);
	const char *other = api_keys_find(keys, colon + 1);
	if (other)
		return err_set(err, ERR_INVALID, "SANDBOX_API_KEYS: %s and %s have the same key",
			other, entry);
	struct api_key *key = &keys->key[keys->count++];
	memcpy(key->name, entry, strlen(entry) + 1);
	digest_of(colon + 1, key->digest);
	return 0;
}

static void wipe(char **text)
{
	if (*text)
		OPENSSL_cleanse(*text, strlen(*text));
	free(*text);
}

int api_keys_parse(const char *text, struct api_keys **out, struct err *err)
{
	struct api_keys *keys = alloc_zero(sizeof *keys);

	for (size_t len; *text; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		__attribute__((cleanup(wipe))) char *entry = alloc_textn(text, len);
		if (add(keys, entry, err) < 0) {
			free(keys);
			return -1;
		}
	}
	*out = keys;
	return 0;
}

void api_keys_free(struct api_keys *keys)
{
	free(keys);
}

const char *api_keys_find(const struct api_keys *keys, const char *key)
{
	unsigned char digest[DIGEST];
	const char *name = NULL;

	digest_of(key, digest);
	for (size_t i = 0; i < keys->count; i++) {
		if (CRYPTO_memcmp(digest, keys->key[i].digest, sizeof digest) == 0)
			name = keys->key[i].name;
	}
	return name;
}
