#include "charset.h"

#include "buf.h"

#include "test.h"

static enum charset detect(const char *text, size_t len)
{
	size_t bom;

	return charset_detect(text, len, true, &bom);
}

static void check_decoded(enum charset charset, const char *bytes, size_t len, const char *want)
{
	AUTO_BUF struct buf text = BUF_INIT(100000);

	CHECK_INT(charset_decode(charset, bytes, len, &text), 0);
	CHECK_TEXT(text.data, want);
}

static void knows_byte_order_marks(void)
{
	size_t bom;

	CHECK_INT(charset_detect("\xEF\xBB\xBFx", 4, true, &bom), CHARSET_UTF8);
	CHECK_INT(bom, 3);
	CHECK_INT(charset_detect("\xFF\xFEx\0", 4, true, &bom), CHARSET_UTF16LE);
	CHECK_INT(bom, 2);
	CHECK_INT(charset_detect("\xFE\xFF\0x", 4, true, &bom), CHARSET_UTF16BE);
	CHECK_INT(bom, 2);
	CHECK_INT(charset_detect("\xFF\xFE", 2, true, &bom), CHARSET_UTF16LE);
	CHECK_INT(charset_detect("\xFF\xFE\0\0x\0\0\0", 8, true, &bom), CHARSET_BINARY);
	CHECK_INT(charset_detect("\0\0\xFE\xFF\0\0\0x", 8, true, &bom), CHARSET_BINARY);
	CHECK_INT(charset_detect("plain", 5, true, &bom), CHARSET_UTF8);
	CHECK_INT(bom, 0);
}

static void takes_utf8_for_utf8(void)
{
	CHECK_INT(detect("", 0), CHARSET_UTF8);
	CHECK_INT(detect("text\n", 5), CHARSET_UTF8);
	CHECK_INT(detect("\x1B[31mred\x1B[0m\x01\n", 14), CHARSET_UTF8);
	CHECK_INT(detect("gr\xC3\xBC\xC3\x9F", 6), CHARSET_UTF8);
	/* A broken byte among many good characters is damage. */
	CHECK_INT(detect("\xC3\xBC \xC3\x9F \xC3\xA4 \xFF", 10), CHARSET_UTF8);
}

static void lets_the_head_end_within_a_character(void)
{
	size_t bom;

	CHECK_INT(charset_detect("abc\xE2\x82", 5, false, &bom), CHARSET_UTF8);
	CHECK_INT(charset_detect("abc\xE2\x82", 5, true, &bom), CHARSET_WINDOWS_1252);
}

static void tells_latin1_from_windows_1252(void)
{
	CHECK_INT(detect("caf\xE9", 4), CHARSET_LATIN1);
	CHECK_INT(detect("gr\xFC\xDF\x65 aus K\xF6ln\n", 14), CHARSET_LATIN1);
	CHECK_INT(detect("\x93quoted\x94 for 5 \x80\n", 15), CHARSET_WINDOWS_1252);
}

static void calls_the_rest_binary(void)
{
	CHECK_INT(detect("a\0b", 3), CHARSET_BINARY);
	CHECK_INT(detect("\x7F"
			 "ELF\2\1\1\0\0\0\0\0\0\0\0\0",
			  16),
		CHARSET_BINARY);
	CHECK_INT(detect("\1\0\2\0\3\0\4\0\5\0\6\0", 12), CHARSET_BINARY);
	CHECK_INT(detect("\xFF\x01\xFE\x02\x80", 5), CHARSET_BINARY);
	CHECK_INT(detect("t\0e\0x\0t\0!", 9), CHARSET_BINARY); /* odd */
}

static void guesses_utf16_without_a_mark(void)
{
	CHECK_INT(detect("t\0e\0x\0t\0\r\0\n\0", 12), CHARSET_UTF16LE);
	CHECK_INT(detect("\0t\0e\0x\0t\0\r\0\n", 12), CHARSET_UTF16BE);
}

static void decodes_every_encoding(void)
{
	check_decoded(CHARSET_UTF8,
		"a\xFF"
		"b\xE2\x82",
		5,
		"a\xEF\xBF\xBD"
		"b\xEF\xBF\xBD\xEF\xBF\xBD");
	check_decoded(CHARSET_LATIN1, "caf\xE9\xFF", 5, "caf\xC3\xA9\xC3\xBF");
	check_decoded(CHARSET_WINDOWS_1252, "\x80\x93\x81\x9F", 4,
		"\xE2\x82\xAC\xE2\x80\x9C\xC2\x81\xC5\xB8");
	check_decoded(CHARSET_UTF16LE, "a\0\xE9\0\xAC\x20\x3D\xD8\x00\xDE", 10,
		"a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
	check_decoded(CHARSET_UTF16BE, "\0a\xD8\x3D\xDE\x00", 6, "a\xF0\x9F\x98\x80");
	/* Surrogates alone, the wrong way round, at the end; half a unit. */
	check_decoded(CHARSET_UTF16BE, "\xDE\x00\xD8\x3D\0a\xD8\x3D", 8,
		"\xEF\xBF\xBD\xEF\xBF\xBD"
		"a\xEF\xBF\xBD");
	check_decoded(CHARSET_UTF16BE, "\0a\0", 3, "a\xEF\xBF\xBD");
}

static void decodes_long_texts_across_its_parts(void)
{
	AUTO_BUF struct buf bytes = BUF_INIT(100000);
	AUTO_BUF struct buf text = BUF_INIT(100000);

	buf_add(&bytes, "x\0", 2); /* pairs at odd places: one lies across each part's end */
	for (int i = 0; i < 5000; i++)
		buf_add(&bytes, "\x3D\xD8\x00\xDE", 4);
	CHECK_INT(charset_decode(CHARSET_UTF16LE, bytes.data, bytes.len, &text), 0);
	CHECK_INT(text.len, 1 + 4 * 5000);
	for (size_t i = 1; i + 4 <= text.len; i += 4)
		CHECK(memcmp(text.data + i, "\xF0\x9F\x98\x80", 4) == 0);
}

static void cuts_between_characters(void)
{
	CHECK_INT(charset_floor(CHARSET_UTF8, "a\xE2\x82", 3), 1);
	CHECK_INT(charset_floor(CHARSET_LATIN1, "a\xE2\x82", 3), 3);
	CHECK_INT(charset_floor(CHARSET_UTF16LE, "a\0\x3D\xD8\x00\xDE", 6), 6);
	CHECK_INT(charset_floor(CHARSET_UTF16LE, "a\0\x3D\xD8\x00\xDE", 5), 2);
	CHECK_INT(charset_floor(CHARSET_UTF16LE, "a\0\x3D\xD8\x00\xDE", 3), 2);
}

static void refuses_what_does_not_fit(void)
{
	AUTO_BUF struct buf text = BUF_INIT(4);

	CHECK_INT(charset_decode(CHARSET_LATIN1, "caf\xE9", 4, &text), -1);
	buf_clear(&text);
	CHECK_INT(charset_decode(CHARSET_UTF8, "a\xFF\xFF", 3, &text), -1);
}

TESTS(CASE(knows_byte_order_marks), CASE(takes_utf8_for_utf8),
	CASE(lets_the_head_end_within_a_character), CASE(tells_latin1_from_windows_1252),
	CASE(calls_the_rest_binary), CASE(guesses_utf16_without_a_mark),
	CASE(decodes_every_encoding), CASE(decodes_long_texts_across_its_parts),
	CASE(cuts_between_characters), CASE(refuses_what_does_not_fit))
