#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "tool.h"

#include "scratch.h"
#include "test.h"
#include "toolkit.h"

extern const struct tool tool_search_text;

#define AUTO_KIT __attribute__((cleanup(leave)))

static struct toolkit enter(void)
{
	struct toolkit kit;

	toolkit_open(&kit);
	MUST(chdir(kit.dir));
	MUST(setenv("HOME", "/nonexistent", 1));
	MUST(unsetenv("XDG_CONFIG_HOME"));
	return kit;
}

static void leave(struct toolkit *kit)
{
	MUST(chdir("/"));
	toolkit_close(kit);
}

static void put(struct toolkit *kit, const char *path, const char *text)
{
	toolkit_file(kit, path, text, strlen(text));
}

static void check_finds(struct toolkit *kit, const char *args, const char *want)
{
	json_auto_t *result = toolkit_call(kit, &tool_search_text, args);

	CHECK(json_is_false(json_object_get(result, "isError")));
	CHECK_TEXT(toolkit_text(result), want);
}

static void check_refused(struct toolkit *kit, const char *args, const char *part)
{
	json_auto_t *result = toolkit_call(kit, &tool_search_text, args);
	const char *text = toolkit_text(result);

	CHECK(json_is_true(json_object_get(result, "isError")));
	CHECK(text && strstr(text, part));
	if (text && !strstr(text, part))
		printf("# %s\n", text);
}

static const char *note(const json_t *result)
{
	json_t *item = json_array_get(json_object_get(result, "content"), 1);
	const char *text = json_string_value(json_object_get(item, "text"));

	return text ? text : "";
}

static void shows_path_line_and_text(void)
{
	AUTO_KIT struct toolkit kit = enter();

	put(&kit, "b.c", "int x;\nint main(void)\n");
	put(&kit, "a/c.c", "main\n");
	put(&kit, "a.md", "see main\n");
	check_finds(&kit, "{\"pattern\": \"main\"}",
		"a.md:1:see main\na/c.c:1:main\n"
		"b.c:2:int main(void)");
	check_finds(&kit, "{\"pattern\": \"main\", \"glob\": \"*.c\"}",
		"a/c.c:1:main\nb.c:2:int main(void)");
	check_finds(&kit, "{\"pattern\": \"main\", \"path\": \"a\"}", "c.c:1:main");
	check_finds(&kit, "{\"pattern\": \"main\", \"path\": \"a/c.c\"}", "a/c.c:1:main");
	check_finds(&kit, "{\"pattern\": \"^main$\"}", "a/c.c:1:main");
	check_finds(&kit, "{\"pattern\": \"nothing\"}", "No matches found");
}

static void says_the_same_in_the_structured_form(void)
{
	AUTO_KIT struct toolkit kit = enter();

	put(&kit, "f", "1\nx\n3\n4\nx\nx\n7\n");
	json_auto_t *result =
		toolkit_call(&kit, &tool_search_text, "{\"pattern\": \"x\", \"context\": 1}");
	json_auto_t *want = json_loads(
		"{\"matches\": ["
		"{\"path\": \"f\", \"line\": 2, \"text\": \"x\", \"before\": [\"1\"], \"after\": "
		"[\"3\"]},"
		"{\"path\": \"f\", \"line\": 5, \"text\": \"x\", \"before\": [\"4\"], \"after\": []},"
		"{\"path\": \"f\", \"line\": 6, \"text\": \"x\", \"before\": [], \"after\": [\"7\"]}],"
		"\"truncated\": false}",
		0, NULL);
	CHECK(json_equal(json_object_get(result, "structuredContent"), want));
	CHECK_TEXT(toolkit_text(result), "f-1-1\nf:2:x\nf-3-3\nf-4-4\nf:5:x\nf:6:x\nf-7-7");
}

static void groups_of_context_are_set_apart(void)
{
	AUTO_KIT struct toolkit kit = enter();

	put(&kit, "f", "x\n2\n3\nx\n");
	put(&kit, "g", "x\n");
	check_finds(&kit, "{\"pattern\": \"x\", \"context\": 1}",
		"f:1:x\nf-2-2\nf-3-3\nf:4:x\n--\ng:1:x");
	check_finds(&kit, "{\"pattern\": \"x\", \"context\": 0}", "f:1:x\nf:4:x\ng:1:x");
}

static void case_counts_unless_told_otherwise(void)
{
	AUTO_KIT struct toolkit kit = enter();

	put(&kit, "f", "foo\nFOO\n");
	check_finds(&kit, "{\"pattern\": \"foo\"}", "f:1:foo");
	check_finds(&kit, "{\"pattern\": \"Foo\", \"case\": \"insensitive\"}", "f:1:foo\nf:2:FOO");
	check_finds(&kit, "{\"pattern\": \"foo\", \"case\": \"smart\"}", "f:1:foo\nf:2:FOO");
	check_finds(&kit, "{\"pattern\": \"FOO\", \"case\": \"smart\"}", "f:2:FOO");
	check_refused(&kit, "{\"pattern\": \"foo\", \"case\": \"any\"}", "case");
}

static void what_is_wrong_with_a_pattern_is_said_with_its_place(void)
{
	AUTO_KIT struct toolkit kit = enter();

	check_refused(&kit, "{\"pattern\": \"foo(\"}", "byte 5");
	check_refused(&kit, "{\"pattern\": \"a\\nb\"}", "line by line");
	check_refused(&kit, "{\"pattern\": \"\"}", "empty");
	check_refused(&kit, "{\"pattern\": \"a\", \"glob\": \"{\"}", "bad glob");
	check_refused(&kit, "{\"pattern\": \"a\", \"path\": \"../..\"}", "..");
}

static void the_first_matches_in_order_are_kept(void)
{
	AUTO_KIT struct toolkit kit = enter();
	char path[64];

	for (int i = 0; i < 200; i++) {
		snprintf(path, sizeof path, "d%02d/f%03d", i * 7 % 20, i);
		put(&kit, path, "x\ny\nx\ny\nx\n");
	}
	json_auto_t *all =
		toolkit_call(&kit, &tool_search_text, "{\"pattern\": \"x\", \"limit\": 600}");
	CHECK_TEXT(note(all), "");
	for (int limit = 1; limit < 600; limit += 43) {
		char args[64];
		snprintf(args, sizeof args, "{\"pattern\": \"x\", \"limit\": %d}", limit);
		for (int round = 0; round < 3; round++) {
			json_auto_t *some = toolkit_call(&kit, &tool_search_text, args);
			json_t *structured = json_object_get(some, "structuredContent");
			size_t n = strlen(toolkit_text(some));

			CHECK_INT(json_array_size(json_object_get(structured, "matches")), limit);
			CHECK(json_is_true(json_object_get(structured, "truncated")));
			CHECK(strncmp(toolkit_text(all), toolkit_text(some), n) == 0);
			CHECK(strstr(note(some), "more matches"));
		}
	}
}

static void the_limit_keeps_the_context_of_its_last_match(void)
{
	AUTO_KIT struct toolkit kit = enter();

	put(&kit, "f", "x\n2\n3\n4\n5\nx\n7\n");
	check_finds(
		&kit, "{\"pattern\": \"x\", \"context\": 2, \"limit\": 1}", "f:1:x\nf-2-2\nf-3-3");
}

/* Larger than what is searched in one piece: line numbers and limits go across ranges. */
static void a_large_file_is_searched_in_ranges(void)
{
	AUTO_KIT struct toolkit kit = enter();
	size_t len = 20 << 20;
	char *text = alloc_zero(len + 1);

	memset(text, '.', len);
	for (size_t i = 99; i < len; i += 100)
		text[i] = '\n';
	for (size_t i = 0; i < len - 100; i += 1000000)
		memcpy(text + i, "needle", 6);
	toolkit_file(&kit, "large", text, len);
	for (int named = 0; named < 2; named++) {
		json_auto_t *result = toolkit_call(&kit, &tool_search_text,
			named ? "{\"pattern\": \"needle\", \"path\": \"large\"}"
			      : "{\"pattern\": \"needle\"}");
		json_t *matches =
			json_object_get(json_object_get(result, "structuredContent"), "matches");
		CHECK_INT(json_array_size(matches), 21);
		for (size_t i = 0; i < json_array_size(matches); i++) {
			json_t *line = json_object_get(json_array_get(matches, i), "line");
			CHECK_INT(json_integer_value(line), i * 10000 + 1);
		}
	}
	json_auto_t *cut =
		toolkit_call(&kit, &tool_search_text, "{\"pattern\": \"needle\", \"limit\": 7}");
	CHECK(strstr(toolkit_text(cut), "large:60001:needle"));
	CHECK(!strstr(toolkit_text(cut), "large:70001:needle"));
	/* A NUL in the third range: what ripgrep read before it. */
	text[10 << 20] = '\0';
	toolkit_file(&kit, "large", text, len);
	json_auto_t *binary = toolkit_call(&kit, &tool_search_text, "{\"pattern\": \"needle\"}");
	CHECK(strstr(toolkit_text(binary), "large:100001:needle"));
	CHECK(!strstr(toolkit_text(binary), "large:110001:needle"));
	free(text);
}

static void binary_files_are_left_out_and_told_of_where_named(void)
{
	AUTO_KIT struct toolkit kit = enter();

	toolkit_file(&kit, "bin", "foo\nfoo\0", 8);
	check_finds(&kit, "{\"pattern\": \"oo\\\\b\"}", "No matches found");
	json_auto_t *result =
		toolkit_call(&kit, &tool_search_text, "{\"pattern\": \"foo\", \"path\": \"bin\"}");
	CHECK_TEXT(toolkit_text(result), "No matches found");
	CHECK(strstr(note(result), "binary"));
}

static void nothing_but_regular_files_is_opened(void)
{
	AUTO_KIT struct toolkit kit = enter();

	MUST(mkfifo("pipe", 0644));
	MUST(symlink("/etc/passwd", "link"));
	put(&kit, "f", "root\n");
	check_finds(&kit, "{\"pattern\": \"root\"}", "f:1:root");
	check_refused(&kit, "{\"pattern\": \"root\", \"path\": \"pipe\"}", "pipe");
	check_refused(&kit, "{\"pattern\": \"root\", \"path\": \"link\"}", "symlink");
}

static void a_pattern_that_backtracks_too_much_ends(void)
{
	AUTO_KIT struct toolkit kit = enter();
	char line[5000];

	memset(line, 'a', sizeof line);
	line[sizeof line - 1] = '\0';
	put(&kit, "f", line);
	json_auto_t *result =
		toolkit_call(&kit, &tool_search_text, "{\"pattern\": \"(a|aa|b)+[cd]\"}");
	CHECK_TEXT(toolkit_text(result), "No matches found");
	CHECK(strstr(note(result), "backtracks too much there, the first time in f"));
}

struct changer {
	atomic_bool stop;
};

/* Grows, shrinks, renames and swaps for links, until told to stop. */
static void *change(void *data)
{
	struct changer *changer = data;
	static char text[300000];

	memset(text, 'x', sizeof text);
	for (int i = 0; !atomic_load(&changer->stop); i++) {
		int fd = open("d/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd >= 0) {
			if (write(fd, text, sizeof text) < 0 || ftruncate(fd, i % 1000) < 0)
				abort();
			close(fd);
		}
		if (rename("d", "e") == 0 && symlink("/etc", "d") == 0) {
			unlink("d");
			rename("e", "d");
		}
	}
	return NULL;
}

static void files_that_change_meanwhile_do_no_harm(void)
{
	AUTO_KIT struct toolkit kit = enter();
	struct changer changer = { false };
	pthread_t id;

	put(&kit, "d/f", "x\n");
	put(&kit, "d/passwd", "x\n");
	MUST(-pthread_create(&id, NULL, change, &changer));
	for (int i = 0; i < 300; i++) {
		json_auto_t *result =
			toolkit_call(&kit, &tool_search_text, "{\"pattern\": \"root|x\"}");
		CHECK(json_is_false(json_object_get(result, "isError")));
		CHECK(!strstr(toolkit_text(result), "root"));
	}
	atomic_store(&changer.stop, true);
	MUST(-pthread_join(id, NULL));
}

TESTS(CASE(shows_path_line_and_text), CASE(says_the_same_in_the_structured_form),
	CASE(groups_of_context_are_set_apart), CASE(case_counts_unless_told_otherwise),
	CASE(what_is_wrong_with_a_pattern_is_said_with_its_place),
	CASE(the_first_matches_in_order_are_kept),
	CASE(the_limit_keeps_the_context_of_its_last_match),
	CASE(a_large_file_is_searched_in_ranges),
	CASE(binary_files_are_left_out_and_told_of_where_named),
	CASE(nothing_but_regular_files_is_opened), CASE(a_pattern_that_backtracks_too_much_ends),
	CASE(files_that_change_meanwhile_do_no_harm))
