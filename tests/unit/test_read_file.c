#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "base64.h"
#include "buf.h"
#include "cleanup.h"
#include "path.h"
#include "tool.h"

#include "test.h"
#include "toolkit.h"

extern const struct tool tool_read_file;

/* The tool's result, which has to be the same on the loop and on a worker. */
static json_t *read_file(struct toolkit *kit, const char *args)
{
	struct tool on_worker = tool_read_file;
	json_t *result = toolkit_call(kit, &tool_read_file, args);

	on_worker.flags &= ~(unsigned)TOOL_TRY_ON_LOOP;
	json_auto_t *again = toolkit_call(kit, &on_worker, args);
	if (!json_equal(result, again)) {
		json_dumpf(result, stdout, 0);
		json_dumpf(again, stdout, 0);
	}
	CHECK(json_equal(result, again));
	return result;
}

static void check_text(struct toolkit *kit, const char *args, const char *want)
{
	json_auto_t *result = read_file(kit, args);

	CHECK(json_is_false(json_object_get(result, "isError")));
	CHECK_TEXT(toolkit_text(result), want);
}

static void check_error(struct toolkit *kit, const char *args, const char *part)
{
	json_auto_t *result = read_file(kit, args);

	CHECK(json_is_true(json_object_get(result, "isError")));
	const char *text = toolkit_text(result);
	CHECK(text && strstr(text, part));
	if (text && !strstr(text, part))
		printf("# %s\n", text);
}

static void check_meta(struct toolkit *kit, const char *args, const char *want)
{
	json_auto_t *result = read_file(kit, args);
	json_auto_t *meta = json_loads(want, 0, NULL);
	json_t *have = json_object_get(json_object_get(result, "_meta"), "sandbox/read");

	CHECK(meta);
	CHECK(json_equal(have, meta));
	if (!json_equal(have, meta)) {
		printf("# ");
		json_dumpf(have, stdout, 0);
		printf("\n");
	}
}

static void put(struct toolkit *kit, const char *path, const char *text)
{
	toolkit_file(kit, path, text, strlen(text));
}

/* A file of `lines` lines "line 1", "line 2" … */
static void put_lines(struct toolkit *kit, const char *path, int lines)
{
	AUTO_BUF struct buf text = BUF_INIT(64 << 20);

	for (int i = 1; i <= lines; i++)
		buf_addf(&text, "line %d\n", i);
	toolkit_file(kit, path, text.data, text.len);
}

static void returns_the_whole_of_a_small_file(void)
{
	struct toolkit kit;

	toolkit_open(&kit);
	put(&kit, "a.txt", "one\ntwo\n");
	check_text(&kit, "{\"path\": \"a.txt\"}", "one\ntwo\n");
	check_meta(&kit, "{\"path\": \"a.txt\"}",
		"{\"path\": \"a.txt\", \"start_line\": 1, \"end_line\": 2, \"next_offset\": null,"
		" \"next_byte\": null, \"size\": 8, \"encoding\": \"utf-8\"}");
	put(&kit, "sub/b.txt", "no newline");
	check_text(&kit, "{\"path\": \"sub/b.txt\"}", "no newline");
	put(&kit, "quotes.txt", "\"q\" \\ \t \x01 \xC3\xA9\n");
	check_text(&kit, "{\"path\": \"quotes.txt\"}", "\"q\" \\ \t \x01 \xC3\xA9\n");
	toolkit_close(&kit);
}

static void returns_nothing_of_an_empty_file(void)
{
	struct toolkit kit;

	toolkit_open(&kit);
	put(&kit, "empty", "");
	check_text(&kit, "{\"path\": \"empty\"}", "");
	check_meta(&kit, "{\"path\": \"empty\"}",
		"{\"path\": \"empty\", \"start_line\": null, \"end_line\": null,"
		" \"next_offset\": null, \"next_byte\": null, \"size\": 0, \"encoding\": \"utf-8\"}");
	check_error(&kit, "{\"path\": \"empty\", \"offset\": 2}", "empty has 0 lines");
	toolkit_close(&kit);
}

static void returns_the_lines_asked_for(void)
{
	struct toolkit kit;

	toolkit_open(&kit);
	put(&kit, "a.txt", "1\n2\n3\n4\n5");
	check_text(&kit, "{\"path\": \"a.txt\", \"offset\": 4}", "4\n5");
	check_text(&kit, "{\"path\": \"a.txt\", \"offset\": 5, \"limit\": 1}", "5");
	check_text(&kit, "{\"path\": \"a.txt\", \"limit\": 5}", "1\n2\n3\n4\n5");
	check_text(&kit, "{\"path\": \"a.txt\", \"offset\": 2, \"limit\": 2}",
		"2\n3\n[Lines 2-3 are shown, the file goes on: call read_file with offset=4 for more]");
	check_meta(&kit, "{\"path\": \"a.txt\", \"offset\": 2, \"limit\": 2}",
		"{\"path\": \"a.txt\", \"start_line\": 2, \"end_line\": 3, \"next_offset\": 4,"
		" \"next_byte\": null, \"size\": 9, \"encoding\": \"utf-8\"}");
	toolkit_close(&kit);
}

static void says_where_the_end_was(void)
{
	struct toolkit kit;

	toolkit_open(&kit);
	put(&kit, "a.txt", "1\n2\n");
	put(&kit, "b.txt", "1\n2");
	check_error(&kit, "{\"path\": \"a.txt\", \"offset\": 3}", "a.txt has 2 lines: offset 3");
	check_error(&kit, "{\"path\": \"b.txt\", \"offset\": 3}", "b.txt has 2 lines: offset 3");
	check_error(&kit, "{\"path\": \"a.txt\", \"offset\": 9007199254740991}", "has 2 lines");
	toolkit_close(&kit);
}

static void checks_its_numbers(void)
{
	struct toolkit kit;

	toolkit_open(&kit);
	put(&kit, "a.txt", "1\n");
	check_error(&kit, "{\"path\": \"a.txt\", \"offset\": 0}", "'offset' has to be from 1");
	check_error(&kit, "{\"path\": \"a.txt\", \"offset\": -1}", "'offset' has to be from 1");
	check_error(&kit, "{\"path\": \"a.txt\", \"limit\": 0}", "'limit' has to be from 1");
	check_error(&kit, "{\"path\": \"a.txt\", \"offset\": 1.5}", "whole number");
	check_text(&kit, "{\"path\": \"a.txt\", \"offset\": 1.0, \"limit\": null}", "1\n");
	toolkit_close(&kit);
}

/* Follows next_offset and next_byte to the end; the pages have to be the file. */
static int read_in_pages(struct toolkit *kit, const char *path, const char *limit, struct buf *out)
{
	json_int_t offset = 1, byte = 1;
	int pages = 0;

	while (offset > 0 && pages < 1000) {
		AUTO_FREE char *args =
			alloc_printf("{\"path\": \"%s\", \"offset\": %lld, \"byte\": %lld%s}", path,
				(long long)offset, (long long)byte, limit);
		json_auto_t *result = read_file(kit, args);
		json_t *meta = json_object_get(json_object_get(result, "_meta"), "sandbox/read");
		const char *text = toolkit_text(result), *note = strrchr(text, '[');

		CHECK_INT(json_integer_value(json_object_get(meta, "start_line")), offset);
		offset = json_integer_value(json_object_get(meta, "next_offset"));
		byte = json_integer_value(json_object_get(meta, "next_byte"));
		size_t len = strlen(text);
		if (offset > 0)
			len = (size_t)(note - text) - (byte > 0);
		buf_add(out, text, len);
		byte = byte ? byte : 1;
		pages++;
	}
	return pages;
}

static void ends_a_page_after_2000_lines(void)
{
	struct toolkit kit;
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);

	toolkit_open(&kit);
	put_lines(&kit, "long", 4500);
	json_auto_t *result = read_file(&kit, "{\"path\": \"long\"}");
	CHECK(strstr(toolkit_text(result),
		"\nline 2000\n[Lines 1-2000 are shown, the file goes on: "
		"call read_file with offset=2001 for more]"));
	CHECK_INT(read_in_pages(&kit, "long", "", &text), 3);
	CHECK_INT(text.len, 9 * 7 + 90 * 8 + 900 * 9 + 3501 * 10);
	put_lines(&kit, "exact", 2000);
	json_auto_t *all = read_file(&kit, "{\"path\": \"exact\"}");
	CHECK(!strchr(toolkit_text(all), '['));
	toolkit_close(&kit);
}

static void ends_a_page_after_256_kb_at_a_line(void)
{
	struct toolkit kit;
	AUTO_BUF struct buf want = BUF_INIT(4 << 20);
	AUTO_BUF struct buf have = BUF_INIT(4 << 20);

	toolkit_open(&kit);
	for (int i = 0; i < 700; i++)
		buf_addf(&want, "%01000d\n", i);
	toolkit_file(&kit, "wide", want.data, want.len);
	CHECK_INT(read_in_pages(&kit, "wide", "", &have), 3);
	CHECK_INT(have.len, want.len);
	CHECK(memcmp(have.data, want.data, want.len) == 0);

	/* An explicit limit lifts that. */
	json_auto_t *all = read_file(&kit, "{\"path\": \"wide\", \"limit\": 700}");
	CHECK_TEXT(toolkit_text(all), want.data);
	toolkit_close(&kit);
}

static void goes_on_within_a_long_line(void)
{
	struct toolkit kit;
	AUTO_BUF struct buf want = BUF_INIT(4 << 20);
	AUTO_BUF struct buf have = BUF_INIT(4 << 20);

	toolkit_open(&kit);
	buf_add_text(&want, "first\n");
	for (int i = 0; i < 150000; i++)
		buf_add_text(&want, "\xE2\x82\xAC"
				    "a");
	buf_add_text(&want, "\nlast\n");
	toolkit_file(&kit, "min.js", want.data, want.len);
	CHECK_INT(read_in_pages(&kit, "min.js", "", &have), 4);
	CHECK_INT(have.len, want.len);
	CHECK(memcmp(have.data, want.data, want.len) == 0);

	json_auto_t *result = read_file(&kit, "{\"path\": \"min.js\", \"offset\": 2}");
	CHECK(strstr(toolkit_text(result),
		"\n[Line 2 goes on: call read_file with offset=2 and byte=262145 for more]"));
	check_text(&kit, "{\"path\": \"min.js\", \"offset\": 2, \"byte\": 600000}", "a\nlast\n");
	check_error(&kit, "{\"path\": \"min.js\", \"offset\": 2, \"byte\": 600002}",
		"has no byte 600002");
	check_error(&kit, "{\"path\": \"min.js\", \"offset\": 3, \"byte\": 6}", "has no byte 6");
	check_error(
		&kit, "{\"path\": \"min.js\", \"offset\": 3, \"byte\": 99999999}", "has no byte");
	toolkit_close(&kit);
}

static void reads_no_more_than_8_mb_of_a_line(void)
{
	struct toolkit kit;
	AUTO_FREE char *line = alloc_zero(9 << 20);

	toolkit_open(&kit);
	memset(line, 'x', 9 << 20);
	toolkit_file(&kit, "line", line, 9 << 20);
	json_auto_t *result = read_file(&kit, "{\"path\": \"line\", \"limit\": 1}");
	CHECK(strstr(toolkit_text(result), "x\n[Line 1 goes on: call read_file with offset=1 and "
					   "byte=8388609 for more]"));
	toolkit_close(&kit);
}

static void keeps_below_the_limit_of_results(void)
{
	struct toolkit kit;
	AUTO_BUF struct buf have = BUF_INIT(1 << 20);

	toolkit_open(&kit);
	kit.workspace.result_max = 64 * 1024;
	put_lines(&kit, "long", 20000);
	CHECK(read_in_pages(&kit, "long", ", \"limit\": 1000000", &have) > 5);
	CHECK_INT(have.len, 9 * 7 + 90 * 8 + 900 * 9 + 9000 * 10 + 10001 * 11);
	toolkit_close(&kit);
}

static void finds_a_deep_line_of_a_large_file(void)
{
	struct toolkit kit;

	toolkit_open(&kit);
	put_lines(&kit, "deep", 1000000);
	check_text(&kit, "{\"path\": \"deep\", \"offset\": 987654, \"limit\": 1}",
		"line 987654\n[Lines 987654-987654 are shown, the file goes on: call read_file with "
		"offset=987655 for more]");
	check_text(&kit, "{\"path\": \"deep\", \"offset\": 1000000}", "line 1000000\n");
	check_error(&kit, "{\"path\": \"deep\", \"offset\": 1000001}", "deep has 1000000 lines");
	toolkit_close(&kit);
}

static void keeps_memory_small_far_within_a_file(void)
{
	enum { FAR = 300 << 20 };
	struct rusage before, after;
	struct toolkit kit;
	char path[200], head[9000], args[100];

	/* One line of text, and a very long second one that is nothing but a hole. */
	toolkit_open(&kit);
	memset(head, 'x', sizeof head);
	head[4] = '\n';
	toolkit_file(&kit, "sparse", head, sizeof head);
	snprintf(path, sizeof path, "%s/sparse", kit.dir);
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK_INT(pwrite(fd, "\nend\n", 5, FAR), 5);
	snprintf(args, sizeof args, "{\"path\": \"sparse\", \"offset\": 2, \"byte\": %d}", FAR - 4);
	getrusage(RUSAGE_SELF, &before);
	json_auto_t *result = toolkit_call(&kit, &tool_read_file, args);
	getrusage(RUSAGE_SELF, &after);
	CHECK_TEXT(toolkit_text(result), "\nend\n");
	CHECK(after.ru_maxrss - before.ru_maxrss < (32 << 20) / 1024);
	toolkit_close(&kit);
}

static void converts_other_encodings(void)
{
	struct toolkit kit;

	toolkit_open(&kit);
	toolkit_file(&kit, "bom",
		"\xEF\xBB\xBF"
		"one\ntwo\n",
		11);
	check_text(&kit, "{\"path\": \"bom\"}", "one\ntwo\n");
	check_text(&kit, "{\"path\": \"bom\", \"offset\": 2}", "two\n");
	toolkit_file(&kit, "latin1", "caf\xE9\nna\xEFve\n", 11);
	check_text(&kit, "{\"path\": \"latin1\", \"offset\": 2}", "na\xC3\xAFve\n");
	check_meta(&kit, "{\"path\": \"latin1\"}",
		"{\"path\": \"latin1\", \"start_line\": 1, \"end_line\": 2, \"next_offset\": null,"
		" \"next_byte\": null, \"size\": 11, \"encoding\": \"iso-8859-1\"}");
	toolkit_file(&kit, "windows", "\x93quoted\x94 5 \x80\n", 13);
	check_text(
		&kit, "{\"path\": \"windows\"}", "\xE2\x80\x9Cquoted\xE2\x80\x9D 5 \xE2\x82\xAC\n");
	toolkit_file(&kit, "damaged", "\xC3\xA9\xC3\xA9\xFF\n", 6);
	check_text(&kit, "{\"path\": \"damaged\"}", "\xC3\xA9\xC3\xA9\xEF\xBF\xBD\n");
	toolkit_close(&kit);
}

static void converts_utf16_of_both_kinds(void)
{
	struct toolkit kit;

	toolkit_open(&kit);
	toolkit_file(&kit, "le",
		"\xFF\xFE"
		"a\0\n\0\xAC\x20\n\0c\0",
		12);
	check_text(&kit, "{\"path\": \"le\"}", "a\n\xE2\x82\xAC\nc");
	check_text(&kit, "{\"path\": \"le\", \"offset\": 3}", "c");
	check_text(&kit, "{\"path\": \"le\", \"offset\": 2, \"limit\": 1}",
		"\xE2\x82\xAC\n[Lines 2-2 are shown, the file goes on: call read_file with offset=3 "
		"for more]");
	check_error(&kit, "{\"path\": \"le\", \"offset\": 4}", "le has 3 lines");
	check_meta(&kit, "{\"path\": \"le\", \"offset\": 3}",
		"{\"path\": \"le\", \"start_line\": 3, \"end_line\": 3, \"next_offset\": null,"
		" \"next_byte\": null, \"size\": 12, \"encoding\": \"utf-16le\"}");
	toolkit_file(&kit, "be", "\xFE\xFF\0a\0\n\0b\0\n", 10);
	check_text(&kit, "{\"path\": \"be\", \"offset\": 2}", "b\n");
	check_error(&kit, "{\"path\": \"be\", \"offset\": 3}", "be has 2 lines");
	toolkit_file(&kit, "nomark", "t\0e\0x\0t\0\n\0", 10);
	check_text(&kit, "{\"path\": \"nomark\"}", "text\n");
	toolkit_close(&kit);
}

static void reads_long_utf16_in_pages(void)
{
	struct toolkit kit;
	AUTO_BUF struct buf bytes = BUF_INIT(4 << 20);
	AUTO_BUF struct buf want = BUF_INIT(4 << 20);
	AUTO_BUF struct buf have = BUF_INIT(4 << 20);

	toolkit_open(&kit);
	buf_add(&bytes, "\xFF\xFEx\0", 4);
	buf_add_text(&want, "x");
	for (int i = 0; i < 100000; i++) {
		buf_add(&bytes, "\x3D\xD8\x00\xDE", 4);
		buf_add_text(&want, "\xF0\x9F\x98\x80");
	}
	buf_add(&bytes, "\n\0y\0", 4);
	buf_add_text(&want, "\ny");
	toolkit_file(&kit, "utf16", bytes.data, bytes.len);
	CHECK_INT(read_in_pages(&kit, "utf16", "", &have), 2);
	CHECK_TEXT(have.data, want.data);
	toolkit_close(&kit);
}

static void notices_latin1_behind_a_plain_head(void)
{
	struct toolkit kit;
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);

	toolkit_open(&kit);
	for (int i = 0; i < 1000; i++)
		buf_add_text(&text, "plain text, line by line\n");
	buf_add_text(&text, "caf\xE9\n");
	toolkit_file(&kit, "late", text.data, text.len);
	check_text(&kit, "{\"path\": \"late\", \"offset\": 1001}", "caf\xC3\xA9\n");
	toolkit_close(&kit);
}

static void shows_images(void)
{
	static const char png[] = "\x89PNG\r\n\x1A\n\0\0\0\rIHDR";
	struct toolkit kit;
	AUTO_BUF struct buf data = BUF_INIT(1000);

	toolkit_open(&kit);
	toolkit_file(&kit, "picture.txt", png, sizeof png);
	json_auto_t *result = read_file(&kit, "{\"path\": \"picture.txt\", \"limit\": 1}");
	json_t *item = json_array_get(json_object_get(result, "content"), 0);
	CHECK_TEXT(json_string_value(json_object_get(item, "type")), "image");
	CHECK_TEXT(json_string_value(json_object_get(item, "mimeType")), "image/png");
	base64_add(&data, png, sizeof png);
	CHECK_TEXT(json_string_value(json_object_get(item, "data")), data.data);

	AUTO_FREE char *large = alloc_zero(5 << 20);
	memcpy(large, png, sizeof png);
	toolkit_file(&kit, "large.png", large, 2 << 20);
	json_auto_t *shown = read_file(&kit, "{\"path\": \"large.png\"}");
	CHECK_INT(json_string_length(json_object_get(
			  json_array_get(json_object_get(shown, "content"), 0), "data")),
		((2 << 20) + 2) / 3 * 4);
	toolkit_file(&kit, "large.png", large, 5 << 20);
	check_error(
		&kit, "{\"path\": \"large.png\"}", "(image/png) of 5242880 bytes; up to 3932160");
	toolkit_close(&kit);
}

static void refuses_binary_files_with_type_and_size(void)
{
	struct toolkit kit;

	toolkit_open(&kit);
	toolkit_file(&kit, "prog",
		"\x7F"
		"ELF\2\1\1\0\0\0\0\0\0\0\0\0",
		16);
	check_error(&kit, "{\"path\": \"prog\"}",
		"prog is no text: application/x-executable, 16 bytes");
	toolkit_file(&kit, "x.tar", "\0\1\2", 3);
	check_error(&kit, "{\"path\": \"x.tar\"}", "application/x-tar, 3 bytes");
	toolkit_file(&kit, "data", "a\0b", 3);
	check_error(&kit, "{\"path\": \"data\"}", "application/octet-stream, 3 bytes");
	toolkit_close(&kit);
}

static void says_what_else_is_no_file(void)
{
	struct toolkit kit;
	char path[200];

	toolkit_open(&kit);
	put(&kit, "sub/a.txt", "text");
	check_error(&kit, "{\"path\": \"sub\"}", "sub is a directory: list_directory");
	check_error(&kit, "{\"path\": \".\"}", "list_directory");
	check_error(&kit, "{\"path\": \"none.txt\"}", "none.txt does not exist in /tmp/toolkit.");
	check_error(&kit, "{\"path\": \"\"}", "the path is empty");
	check_error(&kit, "{\"path\": \"sub/a.txt\\u0000.png\"}", "NUL");
	check_error(&kit, "{\"path\": \"../../etc/passwd\"}", "leads out of");
	check_error(&kit, "{\"path\": \"/etc/passwd\"}", "outside");
	check_error(&kit, "{}", "needs 'path'");
	snprintf(path, sizeof path, "%s/pipe", kit.dir);
	CHECK_INT(mkfifo(path, 0644), 0);
	alarm(10);
	check_error(&kit, "{\"path\": \"pipe\"}", "pipe is a pipe, a socket or a device");
	alarm(0);
	toolkit_close(&kit);
}

static void reads_files_without_a_size(void)
{
	struct toolkit kit;
	struct err *err = NULL;

	toolkit_open(&kit);
	CHECK_INT(path_roots_add(kit.workspace.roots, "/proc", 0, err), 0);
	json_auto_t *result = read_file(&kit, "{\"path\": \"/proc/filesystems\"}");
	CHECK(strstr(toolkit_text(result), "proc\n"));
	json_auto_t *second = read_file(&kit, "{\"path\": \"/proc/filesystems\", \"offset\": 2}");
	const char *rest = strchr(toolkit_text(result), '\n');
	CHECK_TEXT(toolkit_text(second), rest ? rest + 1 : "");
	toolkit_close(&kit);
}

TESTS(CASE(returns_the_whole_of_a_small_file), CASE(returns_nothing_of_an_empty_file),
	CASE(returns_the_lines_asked_for), CASE(says_where_the_end_was), CASE(checks_its_numbers),
	CASE(ends_a_page_after_2000_lines), CASE(ends_a_page_after_256_kb_at_a_line),
	CASE(goes_on_within_a_long_line), CASE(reads_no_more_than_8_mb_of_a_line),
	CASE(keeps_below_the_limit_of_results), CASE(finds_a_deep_line_of_a_large_file),
	CASE(keeps_memory_small_far_within_a_file), CASE(converts_other_encodings),
	CASE(converts_utf16_of_both_kinds), CASE(reads_long_utf16_in_pages),
	CASE(notices_latin1_behind_a_plain_head), CASE(shows_images),
	CASE(refuses_binary_files_with_type_and_size), CASE(says_what_else_is_no_file),
	CASE(reads_files_without_a_size))
