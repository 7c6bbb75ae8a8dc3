#ifndef API_KEYS_H
#define API_KEYS_H

/*
 * The keys of SANDBOX_API_KEYS: "name:key,name:key". Only their digests are kept. A name may have
 * several keys, so that one can be replaced by another without a gap.
 */
#include <stddef.h>

struct api_keys;
struct err;

enum { API_KEYS_MAX = 256, API_KEY_MAX = 1024 };

/* ERR_INVALID names the entry that is wrong, and never shows a key. */
int api_keys_parse(const char *text, struct api_keys **out, struct err *err);
void api_keys_free(struct api_keys *keys); /* NULL is allowed */

/* Whose key it is (borrowed), or NULL. Takes as long whatever the key, and wherever it stands. */
const char *api_keys_find(const struct api_keys *keys, const char *key);

#endif
