#include "buf.h"

#include "test.h"

static void starts_empty_and_allocates_nothing(void)
{
	AUTO_BUF struct buf buf = BUF_INIT(10);

	CHECK(!buf.data);
	CHECK_INT(buf.len, 0);
}

static void appends_and_keeps_a_nul_behind(void)
{
	AUTO_BUF struct buf buf = BUF_INIT(1000);

	CHECK_INT(buf_add_text(&buf, "one"), 0);
	CHECK_INT(buf_addf(&buf, " %d %s", 2, "three"), 0);
	CHECK_TEXT(buf.data, "one 2 three");
	CHECK_INT(buf.len, 11);
}

static void appends_numbers(void)
{
	AUTO_BUF struct buf buf = BUF_INIT(100);

	buf_add_int(&buf, 0);
	buf_add_char(&buf, ' ');
	buf_add_int(&buf, -120);
	buf_add_char(&buf, ' ');
	buf_add_int(&buf, INT64_MIN);
	buf_add_char(&buf, ' ');
	buf_add_int(&buf, INT64_MAX);
	CHECK_TEXT(buf.data, "0 -120 -9223372036854775808 9223372036854775807");
}

static void takes_exactly_its_maximum(void)
{
	AUTO_BUF struct buf buf = BUF_INIT(4);

	CHECK_INT(buf_add_text(&buf, "four"), 0);
	CHECK(!buf.over);
	CHECK_INT(buf_add_char(&buf, '!'), -1);
	CHECK(buf.over);
	CHECK_TEXT(buf.data, "four");
}

static void stays_refusing_once_over(void)
{
	AUTO_BUF struct buf buf = BUF_INIT(4);

	CHECK_INT(buf_add_text(&buf, "too long"), -1);
	CHECK_INT(buf_add_text(&buf, "a"), -1);
	buf_clear(&buf);
	CHECK_INT(buf_add_text(&buf, "a"), 0);
}

static void consumes_from_the_front(void)
{
	AUTO_BUF struct buf buf = BUF_INIT(100);

	buf_add_text(&buf, "head tail");
	buf_consume(&buf, 5);
	CHECK_TEXT(buf.data, "tail");
	buf_consume(&buf, 4);
	CHECK_INT(buf.len, 0);
}

static void hands_over_its_bytes(void)
{
	struct buf buf;
	size_t len;

	buf_init(&buf, 100);
	char *empty = buf_steal(&buf, &len);
	CHECK_TEXT(empty, "");
	CHECK_INT(len, 0);
	free(empty);
	buf_add_text(&buf, "mine");
	char *text = buf_steal(&buf, &len);
	CHECK_TEXT(text, "mine");
	CHECK_INT(len, 4);
	CHECK(!buf.data);
	free(text);
}

TESTS(CASE(starts_empty_and_allocates_nothing), CASE(appends_and_keeps_a_nul_behind),
	CASE(appends_numbers), CASE(takes_exactly_its_maximum), CASE(stays_refusing_once_over),
	CASE(consumes_from_the_front), CASE(hands_over_its_bytes))
