#include "lines.h"

#include <stdint.h>
#include <stdlib.h>

#include "test.h"

/* The same by the plainest means. */
static size_t plain_span(const char *bytes, size_t len, size_t want, size_t *found)
{
	size_t at = 0;

	for (*found = 0; at < len && *found < want; at++)
		*found += bytes[at] == '\n';
	return at;
}

static void finds_the_end_of_a_line(void)
{
	size_t found;

	CHECK_INT(lines_span("a\nbc\n\nd", 7, 1, &found), 2);
	CHECK_INT(found, 1);
	CHECK_INT(lines_span("a\nbc\n\nd", 7, 3, &found), 6);
	CHECK_INT(found, 3);
	CHECK_INT(lines_span("a\nbc\n\nd", 7, 4, &found), 7);
	CHECK_INT(found, 3);
	CHECK_INT(lines_span("a\n", 2, 0, &found), 0);
	CHECK_INT(found, 0);
	CHECK_INT(lines_span("", 0, 5, &found), 0);
	CHECK_INT(found, 0);
}

static void agrees_with_counting_one_by_one(void)
{
	static char text[20000];

	srand(3);
	for (int density = 1; density <= 1000; density *= 10) {
		for (size_t i = 0; i < sizeof text; i++)
			text[i] = rand() % density == 0 ? '\n' : (char)(rand() % 256);
		for (int round = 0; round < 2000; round++) {
			size_t from = (size_t)rand() % 64,
			       len = (size_t)rand() % (sizeof text - 64);
			size_t want = (size_t)(rand() % (20000 / density + 2)), have_n, want_n;
			size_t have = lines_span(text + from, len, want, &have_n);
			CHECK_INT(have, plain_span(text + from, len, want, &want_n));
			CHECK_INT(have_n, want_n);
		}
	}
}

static void counts_more_than_a_byte_can_hold(void)
{
	static char text[100000];
	size_t found;

	memset(text, '\n', sizeof text);
	CHECK_INT(lines_span(text, sizeof text, SIZE_MAX, &found), sizeof text);
	CHECK_INT(found, sizeof text);
	CHECK_INT(lines_span(text, sizeof text, 77777, &found), 77777);
}

static void counts_whole_units_of_utf16(void)
{
	/* a, newline, U+0A0A, newline, b */
	static const char little[] = "a\0\n\0\n\n\n\0b\0", big[] = "\0a\0\n\n\n\0\n\0b";
	size_t found;

	CHECK_INT(lines_span16(little, 10, false, 1, &found), 4);
	CHECK_INT(lines_span16(little, 10, false, 2, &found), 8);
	CHECK_INT(lines_span16(little, 10, false, 3, &found), 10);
	CHECK_INT(found, 2);
	CHECK_INT(lines_span16(big, 10, true, 2, &found), 8);
	CHECK_INT(found, 2);
	CHECK_INT(lines_span16(big, 9, true, 3, &found), 9);
}

TESTS(CASE(finds_the_end_of_a_line), CASE(agrees_with_counting_one_by_one),
	CASE(counts_more_than_a_byte_can_hold), CASE(counts_whole_units_of_utf16))
