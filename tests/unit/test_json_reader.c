#include "json_reader.h"

#include <stdbool.h>

#include "err.h"

#include "test.h"

static const struct json_limits wide = { .depth = 100, .string = 1000, .number = 100 };
static struct err err;

static json_t *read_text(const char *text)
{
	err = (struct err){ 0 };
	return json_read(text, strlen(text), &wide, &err);
}

static bool same_as_jansson(const char *text, size_t len)
{
	json_auto_t *value = json_read(text, len, &wide, NULL);
	json_auto_t *expected =
		json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

	if (!value || !expected)
		return !value && !expected;
	return json_equal(value, expected);
}

static void reads_every_kind_of_value(void)
{
	json_auto_t *value = read_text(" {\"a\" : [1, -2, 0, 2.5e3, 123456789012345678901e-3],\n"
				       "\t\"\" : {}, \"b\":[], \"c\":[true,false,null] , "
				       "\"d\":\"x\\n\\u00e4\\ud83d\\ude00\\u0000y\\/\"}\r\n");
	json_t *array = json_object_get(value, "a"), *text = json_object_get(value, "d");

	CHECK(json_object_size(value) == 5);
	CHECK_INT(json_integer_value(json_array_get(array, 0)), 1);
	CHECK_INT(json_integer_value(json_array_get(array, 1)), -2);
	CHECK(json_real_value(json_array_get(array, 3)) == 2500);
	CHECK_INT(json_string_length(text), sizeof "x\nä😀\0y/" - 1);
	CHECK(memcmp(json_string_value(text), "x\nä😀\0y/", json_string_length(text)) == 0);
}

static void agrees_with_jansson_on_what_is_json(void)
{
	static const char *const texts[] = { "", " ", "1", "\"a\"", "null", "{", "[", "]", "{}",
		"[]", "{} x", "[1,]", "[,1]", "[1 2]", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
		"{a:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{\"a\":1,\"a\":2}",
		"{\"a\":1,\"\\u0061\":2}", "{\"a\\u0000\":1}", "[\"\\u0000\"]", "[01]", "[-]",
		"[-0]", "[+1]", "[.5]", "[1.]", "[1.5]", "[1e]", "[1e+5]", "[1E-5]", "[1e999]",
		"[--1]", "[1-2]", "[9223372036854775807]", "[9223372036854775808]",
		"[-9223372036854775808]", "[999999999999999999]", "[1000000000000000000]",
		"[0123456789]", "[tru]", "[truex]", "[true]", "[nul", "[NaN]", "[\"a]", "[\"a\\\"]",
		"[\"\\\\\"]", "[\"\\\"\"]", "[\"\\x\"]", "[\"\\u12\"]", "[\"\\u12G4\"]",
		"[\"\\uD800\"]", "[\"\\uDC00\"]", "[\"\\uD800\\u0041\"]", "[\"\\uD83D\\uDE00\"]",
		"[\"\\uD83D\\n\"]", "[\"\t\"]", "[\"\x7F\"]", "[\"\xFF\"]", "[\"\xC0\x80\"]",
		"[\"\xED\xA0\x80\"]", "[\"\xF4\x90\x80\x80\"]", "[\"\\\xC3\xA4\"]", "[\"ä\\\\ö\"]",
		"\xEF\xBB\xBF[]", "[1]//", "['a']", "[\"\\u005C\\\"\"]", "[[],{}]" };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if (!same_as_jansson(texts[i], strlen(texts[i])))
			printf("# not as jansson: %s\n", texts[i]), test_failures++;
	}
	CHECK(same_as_jansson("[\"a\0b\"]", 7));
}

/* Every text that one message becomes where a byte of it is lost or another. */
static void agrees_with_jansson_on_every_damaged_message(void)
{
	static const char whole[] =
		"{\"id\":12,\"p\":{\"a\":[true,-1.5e2,\"\\u00e4\\n ä\"]},\"q\":null}";
	static const char bytes[] = "\"\\{}[],:0-e.u \n\x80\xC3";
	char text[sizeof whole];
	int different = 0;

	for (size_t len = 0; len < sizeof whole; len++)
		different += !same_as_jansson(whole, len);
	for (size_t at = 0; at < sizeof whole - 1; at++) {
		for (size_t i = 0; i < sizeof bytes - 1; i++) {
			memcpy(text, whole, sizeof whole);
			text[at] = bytes[i];
			different += !same_as_jansson(text, sizeof whole - 1);
		}
	}
	CHECK_INT(different, 0);
}

static enum err_code refusal(const char *text, struct json_limits limits)
{
	err = (struct err){ 0 };
	json_auto_t *value = json_read(text, strlen(text), &limits, &err);

	return value ? 0 : err.code;
}

/* jansson passes over it behind a number, and takes it for the end behind the message. */
static void refuses_a_nul_outside_of_strings(void)
{
	CHECK(!json_read("[1\0]", 4, &wide, NULL));
	CHECK(!json_read("[\0]", 3, &wide, NULL));
	CHECK(!json_read("[1]\0", 4, &wide, NULL));
	CHECK(!json_read("[1]\0x", 5, &wide, NULL));
}

static void keeps_each_limit_to_the_last_byte(void)
{
	CHECK_INT(refusal("[[[]]]", (struct json_limits){ 3, 9, 9 }), 0);
	CHECK_INT(refusal("[[[]]]", (struct json_limits){ 2, 9, 9 }), ERR_LIMIT);
	CHECK_INT(refusal("[{\"a\":[]}]", (struct json_limits){ 2, 9, 9 }), ERR_LIMIT);
	CHECK_INT(refusal("[[],[],{}]", (struct json_limits){ 2, 9, 9 }), 0);
	CHECK_INT(refusal("[\"1234\"]", (struct json_limits){ 9, 4, 9 }), 0);
	CHECK_INT(refusal("[\"12345\"]", (struct json_limits){ 9, 4, 9 }), ERR_LIMIT);
	CHECK_INT(refusal("{\"12345\":1}", (struct json_limits){ 9, 4, 9 }), ERR_LIMIT);
	CHECK_INT(refusal("[1234]", (struct json_limits){ 9, 9, 4 }), 0);
	CHECK_INT(refusal("[12345]", (struct json_limits){ 9, 9, 4 }), ERR_LIMIT);
	CHECK_INT(refusal("[-1.25]", (struct json_limits){ 9, 9, 4 }), ERR_LIMIT);
	CHECK_INT(refusal("[1]", (struct json_limits){ 0, 9, 9 }), ERR_LIMIT);
}

static void says_where_a_text_goes_wrong(void)
{
	CHECK(!read_text("{\"a\":1,\"a\":2}"));
	CHECK_TEXT(err.msg, "Parse error at byte 12: a name came twice");
	CHECK(!read_text("[\"\\ud800\"]"));
	CHECK_TEXT(err.msg, "Parse error at byte 2: no such escape, or half a surrogate pair");
	CHECK(!read_text("[1,2"));
	CHECK_TEXT(err.msg, "Parse error at byte 4: ',' or ']' is expected");
	CHECK(!read_text("[\"ab\xFF\"]"));
	CHECK_TEXT(err.msg, "Parse error at byte 4: these bytes are no UTF-8");
	CHECK_INT(err.code, ERR_INVALID);
}

TESTS(CASE(reads_every_kind_of_value), CASE(agrees_with_jansson_on_what_is_json),
	CASE(agrees_with_jansson_on_every_damaged_message), CASE(refuses_a_nul_outside_of_strings),
	CASE(keeps_each_limit_to_the_last_byte), CASE(says_where_a_text_goes_wrong))
