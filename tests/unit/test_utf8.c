#include "utf8.h"

#include <stdint.h>
#include <stdlib.h>

#include "buf.h"

#include "test.h"

static const char fffd[] = "\xEF\xBF\xBD";

/* Writes a code point as UTF-8 without asking whether it may be; returns the length. */
static size_t put(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3F));
	out[0] = (char)((0xF00u >> n & 0xF0u) | c);
	return n;
}

/* JSON by the code under test, read back by jansson: a new reference, NULL where refused. */
static json_t *round_trip(const char *bytes, size_t len)
{
	AUTO_BUF struct buf json = BUF_INIT(64 << 20);

	if (utf8_add_json(&json, bytes, len) < 0)
		return NULL;
	return json_loadb(json.data, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static void check_round_trip(const char *bytes, size_t len, const char *want, size_t want_len)
{
	json_auto_t *value = round_trip(bytes, len);

	CHECK(json_is_string(value));
	CHECK_INT(json_string_length(value), want_len);
	if (json_string_length(value) == want_len)
		CHECK(memcmp(json_string_value(value), want, want_len) == 0);

	json_auto_t *direct = utf8_json(bytes, len);
	CHECK(json_equal(value, direct));
}

static void takes_every_character_and_no_surrogate(void)
{
	char text[4];

	for (uint32_t c = 0; c <= 0x110FFF; c++) {
		size_t n = put(text, c);
		bool want = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
		if ((utf8_valid_prefix(text, n) == n) != want) {
			printf("# U+%04X\n", c);
			CHECK(false);
			return;
		}
		for (size_t cut = 1; want && cut < n; cut++) {
			if (utf8_valid_prefix(text, cut) != 0 || !utf8_cut_at_end(text, cut) ||
				utf8_floor(text, cut) != 0) {
				printf("# U+%04X cut to %zu\n", c, cut);
				CHECK(false);
				return;
			}
		}
	}
}

static void takes_exactly_one_spelling_of_each(void)
{
	static const unsigned char edges[] = { 0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
		0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5,
		0xF7, 0xF8, 0xFE, 0xFF };
	size_t valid[5] = { 0 };

	/* Counted over all pairs and triples; fours over the edges of every range. */
	for (uint32_t i = 0; i < 0x1000000; i++) {
		char text[3] = { (char)(i >> 16), (char)(i >> 8), (char)i };
		if ((i >> 16) >= 0x80 && utf8_valid_prefix(text, 3) == 3)
			valid[3]++;
		if (i < 0x10000 && (i >> 8) >= 0x80 && utf8_valid_prefix(text + 1, 2) == 2)
			valid[2]++;
	}
	size_t n = sizeof edges;
	for (size_t i = 0; i < n * n * n * n; i++) {
		char text[4] = { (char)edges[i / n / n / n], (char)edges[i / n / n % n],
			(char)edges[i / n % n], (char)edges[i % n] };
		if ((unsigned char)text[0] >= 0xF0 && utf8_valid_prefix(text, 4) == 4)
			valid[4]++;
	}
	CHECK_INT(valid[2], 0x800 - 0x80);
	/* Three of one character, or two and one of ASCII. */
	CHECK_INT(valid[3], 0x10000 - 0x800 - 0x800 + (0x800 - 0x80) * 0x80);
	/* Second bytes: F0 four, F1 and F3 six each, F4 two; then six of six each. */
	CHECK_INT(valid[4], (4 + 6 + 6 + 2) * 6 * 6);
}

static void stops_at_the_first_bad_byte(void)
{
	char text[200];

	for (size_t len = 1; len < 100; len++) {
		for (size_t at = 0; at < len; at++) {
			memset(text, 'a', len);
			text[at] = (char)0xFF;
			CHECK_INT(utf8_valid_prefix(text, len), at);
			CHECK(!utf8_cut_at_end(text, len));
		}
	}
}

static void tells_a_cut_character_from_a_bad_one(void)
{
	CHECK(utf8_cut_at_end("abc\xE2\x82", 5));
	CHECK(utf8_cut_at_end("abc\xF0\x9F\x98", 6));
	CHECK(!utf8_cut_at_end("abc\xE0\x80", 5)); /* overlong: no end can help */
	CHECK(!utf8_cut_at_end("abc\xED\xA0", 5)); /* a surrogate */
	CHECK(!utf8_cut_at_end("abc", 3));
	CHECK(!utf8_cut_at_end("", 0));
	CHECK(!utf8_cut_at_end("a\xFF"
			       "bc\xE2\x82",
		6)); /* stopped before */
	CHECK_INT(utf8_floor("abc\xE2\x82", 5), 3);
	CHECK_INT(utf8_floor("abc\xE2\x82\xAC", 6), 6);
	CHECK_INT(utf8_floor("abc\x82\x82\x82\x82", 7), 7);
	CHECK_INT(utf8_floor("\xE2\x82\xAC", 0), 0);
}

static void escapes_what_json_demands(void)
{
	AUTO_BUF struct buf json = BUF_INIT(1000);

	CHECK_INT(utf8_add_json(&json, "a\"b\\c/\b\f\n\r\t\0\x1f\x7f<", 15), 0);
	CHECK_TEXT(json.data, "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f<\"");
	buf_clear(&json);
	CHECK_INT(utf8_add_json(&json, "", 0), 0);
	CHECK_TEXT(json.data, "\"\"");
	CHECK_INT(utf8_add_json_part(&json, "a\n", 2), 0);
	CHECK_TEXT(json.data, "\"\"a\\n");
}

static void escapes_each_byte_at_each_place(void)
{
	char text[80], want[3 * 80];

	for (unsigned byte = 0; byte < 256; byte++) {
		for (size_t at = 0; at < 70; at++) {
			memset(text, 'x', 70);
			text[at] = (char)byte;
			memcpy(want, text, at);
			size_t n = at;
			if (byte < 0x80)
				want[n++] = (char)byte;
			else
				n += put(want + n, 0xFFFD);
			memcpy(want + n, text + at + 1, 70 - at - 1);
			n += 70 - at - 1;
			check_round_trip(text, 70, want, n);
		}
	}
}

static void keeps_characters_across_every_boundary(void)
{
	static const char *const characters[] = { "\xC3\xA9", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80" };
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);

	for (size_t pad = 4080; pad < 4100; pad++) {
		for (size_t i = 0; i < 3; i++) {
			buf_clear(&text);
			for (size_t n = 0; n < pad; n++)
				buf_add_char(&text, 'x');
			buf_add_text(&text, characters[i]);
			check_round_trip(text.data, text.len, text.data, text.len);
			buf_add_text(&text, "end");
			check_round_trip(text.data, text.len, text.data, text.len);
		}
	}
}

static void replaces_each_byte_of_a_broken_character(void)
{
	char want[64];
	int n = snprintf(want, sizeof want, "a%s%sb%s", fffd, fffd, fffd);

	check_round_trip("a\xE2\x82"
			 "b\xC3",
		5, want, (size_t)n);
	n = snprintf(want, sizeof want, "%s%s%s", fffd, fffd, fffd);
	check_round_trip("\xED\xA0\x80", 3, want, (size_t)n);
}

static void agrees_with_jansson_on_noise(void)
{
	static const char *const pieces[] = { "a",
		"plain text of some length, longer than a vector", "\n", "\"", "\\", "\xC3\xA9",
		"\xE4\xB8\xAD\xE6\x96\x87", "\xF0\x9F\x98\x80", "\xE2\x80\xA8", "\x01", "\x7f",
		"                " };
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);

	srand(7);
	for (int round = 0; round < 300; round++) {
		buf_clear(&text);
		for (int n = rand() % 2000; n > 0; n--)
			buf_add_text(
				&text, pieces[(size_t)rand() % (sizeof pieces / sizeof *pieces)]);
		CHECK_INT(utf8_valid_prefix(text.data ? text.data : "", text.len), text.len);
		check_round_trip(text.data ? text.data : "", text.len, text.data, text.len);
	}
}

static void fits_exactly_or_is_refused_whole(void)
{
	/* 20,000 bytes become 20,000 + 500 escapes and two quotes. */
	AUTO_BUF struct buf text = BUF_INIT(20000);
	for (int i = 0; i < 20000; i++)
		buf_add_char(&text, i % 40 ? 'x' : '\n');

	for (size_t max = 20495; max <= 20506; max++) {
		AUTO_BUF struct buf json = BUF_INIT(max);
		buf_add_text(&json, "abc");
		int rc = utf8_add_json(&json, text.data, text.len);
		CHECK_INT(rc, max >= 20505 ? 0 : -1);
		CHECK_INT(json.len, max >= 20505 ? 20505 : 3);
		CHECK_INT(json.over, max < 20505);
		CHECK(strlen(json.data) == json.len);
	}
}

static void adds_nothing_to_a_full_buffer(void)
{
	AUTO_BUF struct buf json = BUF_INIT(4);

	buf_add_text(&json, "too long");
	CHECK_INT(utf8_add_json(&json, "", 0), -1);
	CHECK_INT(utf8_add_json_part(&json, "a", 1), -1);
	CHECK_INT(json.len, 0);
}

TESTS(CASE(takes_every_character_and_no_surrogate), CASE(takes_exactly_one_spelling_of_each),
	CASE(stops_at_the_first_bad_byte), CASE(tells_a_cut_character_from_a_bad_one),
	CASE(escapes_what_json_demands), CASE(escapes_each_byte_at_each_place),
	CASE(keeps_characters_across_every_boundary),
	CASE(replaces_each_byte_of_a_broken_character), CASE(agrees_with_jansson_on_noise),
	CASE(fits_exactly_or_is_refused_whole), CASE(adds_nothing_to_a_full_buffer))
