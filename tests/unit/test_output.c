#include "output.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "test.h"

enum { BOTH = OUTPUT_HEAD_BYTES + OUTPUT_TAIL_BYTES, TEXT_MAX = 2 * BOTH };

/* Prints `size` bytes, each told by where it stands, in pieces of `piece`. */
static void print(struct output *output, size_t size, size_t piece)
{
	AUTO_FREE char *bytes = malloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)('a' + i % 23);
	output_init(output);
	for (size_t at = 0; at < size; at += piece)
		output_add(output, bytes + at, size - at < piece ? size - at : piece);
}

static bool is_from(const char *text, size_t len, size_t start)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] != (char)('a' + (start + i) % 23))
			return false;
	}
	return true;
}

static void check_whole(size_t size, size_t piece)
{
	AUTO_BUF struct buf text = BUF_INIT(TEXT_MAX);
	struct output output;

	print(&output, size, piece);
	output_text(&output, &text);
	CHECK_INT(text.len, size);
	CHECK(is_from(text.data, text.len, 0));
	CHECK(!output_truncated(&output));
	output_release(&output);
}

static void keeps_all_up_to_its_two_parts(void)
{
	check_whole(1, 1);
	check_whole(OUTPUT_HEAD_BYTES, 1000);
	check_whole(OUTPUT_HEAD_BYTES + 1, 1000);
	check_whole(BOTH - 1, 1000);
	check_whole(BOTH, 1000);
	check_whole(BOTH, BOTH);
}

static void check_cut(size_t size, size_t piece)
{
	static const char start[] = "\n[";
	AUTO_BUF struct buf text = BUF_INIT(TEXT_MAX);
	struct output output;

	print(&output, size, piece);
	output_text(&output, &text);
	CHECK(output_truncated(&output));
	CHECK(is_from(text.data, OUTPUT_HEAD_BYTES, 0));
	CHECK(strncmp(text.data + OUTPUT_HEAD_BYTES, start, strlen(start)) == 0);
	CHECK_INT(strtoull(text.data + OUTPUT_HEAD_BYTES + strlen(start), NULL, 10), size - BOTH);
	CHECK(is_from(text.data + text.len - OUTPUT_TAIL_BYTES, OUTPUT_TAIL_BYTES,
		size - OUTPUT_TAIL_BYTES));
	output_release(&output);
}

static void leaves_out_the_middle_of_more(void)
{
	check_cut(BOTH + 1, 1000);
	check_cut(BOTH + OUTPUT_TAIL_BYTES, 4096);
	check_cut(3 * BOTH + 17, 3 * BOTH);
	check_cut(5 * BOTH + 17, 9999);
}

TESTS(CASE(keeps_all_up_to_its_two_parts), CASE(leaves_out_the_middle_of_more))
