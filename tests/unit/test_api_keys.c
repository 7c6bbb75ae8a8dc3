#include "api_keys.h"

#include <stdlib.h>

#include "buf.h"
#include "err.h"

#include "test.h"

static struct err err;

static void finds_whose_key_it_is(void)
{
	struct api_keys *keys;

	CHECK_INT(api_keys_parse("eve:key-one,bob:a:b.c,eve:key-two", &keys, &err), 0);
	CHECK_TEXT(api_keys_find(keys, "key-one"), "eve");
	CHECK_TEXT(api_keys_find(keys, "key-two"), "eve");
	CHECK_TEXT(api_keys_find(keys, "a:b.c"), "bob");
	CHECK(!api_keys_find(keys, ""));
	CHECK(!api_keys_find(keys, "key-on"));
	CHECK(!api_keys_find(keys, "key-one "));
	CHECK(!api_keys_find(keys, "KEY-ONE"));
	CHECK(!api_keys_find(keys, "eve:key-one"));
	api_keys_free(keys);
}

static void no_text_is_no_key(void)
{
	struct api_keys *keys;

	CHECK_INT(api_keys_parse("", &keys, &err), 0);
	CHECK(!api_keys_find(keys, ""));
	CHECK(!api_keys_find(keys, "x"));
	api_keys_free(keys);
}

static void check_refused(const char *text, const char *says)
{
	struct api_keys *none = NULL;

	CHECK_INT(api_keys_parse(text, &none, &err), -1);
	CHECK_INT(err.code, ERR_INVALID);
	CHECK(!none);
	CHECK(strstr(err.msg, "SANDBOX_API_KEYS"));
	CHECK(!strstr(err.msg, "hush"));
	if (!strstr(err.msg, says))
		CHECK_TEXT(err.msg, says);
}

static void says_which_entry_is_wrong_and_shows_no_key(void)
{
	char text[API_KEY_MAX + 16];

	check_refused("hush", "entry 1 has no colon");
	check_refused("eve:hush,hush", "entry 2 has no colon");
	check_refused("eve:hush,,bob:x", "entry 2 has no colon");
	check_refused(":hush", "entry 1: a name has");
	check_refused("e v:hush", "entry 1: a name has");
	check_refused("-e:hush", "entry 1: a name has");
	check_refused("eve:", "the key of eve");
	check_refused("eve:hu sh", "the key of eve");
	check_refused("eve:hush\n", "the key of eve");
	check_refused("eve:hush,bob:hush", "eve and bob have the same key");
	memset(text, 'x', sizeof text);
	memcpy(text, "eve:", 4);
	text[4 + API_KEY_MAX + 1] = '\0';
	check_refused(text, "the key of eve");
}

static void is_bounded(void)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024);
	struct api_keys *keys;

	for (int i = 0; i < API_KEYS_MAX; i++)
		buf_addf(&text, "%seve:key%d", i ? "," : "", i);
	CHECK_INT(api_keys_parse(text.data, &keys, &err), 0);
	CHECK_TEXT(api_keys_find(keys, "key255"), "eve");
	api_keys_free(keys);
	buf_add_text(&text, ",eve:more");
	check_refused(text.data, "at most 256");
}

TESTS(CASE(finds_whose_key_it_is), CASE(no_text_is_no_key),
	CASE(says_which_entry_is_wrong_and_shows_no_key), CASE(is_bounded))
