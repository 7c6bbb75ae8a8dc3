#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "tool.h"

#include "scratch.h"
#include "test.h"
#include "toolkit.h"

extern const struct tool tool_search_files;

#define AUTO_KIT __attribute__((cleanup(leave)))

/* A workspace that is also the working directory; no configuration of git counts in it. */
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

static void make(struct toolkit *kit, const char *path)
{
	toolkit_file(kit, path, "x", 1);
}

static void check_finds(struct toolkit *kit, const char *args, const char *want)
{
	json_auto_t *result = toolkit_call(kit, &tool_search_files, args);

	CHECK(json_is_false(json_object_get(result, "isError")));
	CHECK_TEXT(toolkit_text(result), want);
}

static void check_refused(struct toolkit *kit, const char *args, const char *part)
{
	json_auto_t *result = toolkit_call(kit, &tool_search_files, args);
	const char *text = toolkit_text(result);

	CHECK(json_is_true(json_object_get(result, "isError")));
	CHECK(text && strstr(text, part));
	if (text && !strstr(text, part))
		printf("# %s\n", text);
}

static bool truncated(const json_t *result)
{
	return json_is_true(
		json_object_get(json_object_get(result, "structuredContent"), "truncated"));
}

static void finds_by_name_and_by_path(void)
{
	AUTO_KIT struct toolkit kit = enter();

	make(&kit, "a.py");
	make(&kit, "src/b.py");
	make(&kit, "src/b.c");
	make(&kit, "src/deep/c.py");
	check_finds(&kit, "{\"pattern\": \"*.py\"}", "a.py\nsrc/b.py\nsrc/deep/c.py");
	check_finds(&kit, "{\"pattern\": \"src/*.py\"}", "src/b.py");
	check_finds(&kit, "{\"pattern\": \"*.py\", \"path\": \"src\"}", "b.py\ndeep/c.py");
	check_finds(&kit, "{\"pattern\": \"!*.py\"}", "src/b.c");
	check_finds(&kit, "{\"pattern\": \"*.{c,h}\"}", "src/b.c");
	check_finds(&kit, "{\"pattern\": \"*.rs\"}", "No files found");
}

static void says_the_same_in_the_structured_form(void)
{
	AUTO_KIT struct toolkit kit = enter();

	make(&kit, "b");
	make(&kit, "a");
	json_auto_t *result = toolkit_call(&kit, &tool_search_files, "{\"pattern\": \"*\"}");
	json_auto_t *want =
		json_loads("{\"files\": [\"a\", \"b\"], \"truncated\": false}", 0, NULL);
	CHECK(json_equal(json_object_get(result, "structuredContent"), want));
}

static void leaves_out_what_is_ignored_or_hidden_unless_asked_for(void)
{
	AUTO_KIT struct toolkit kit = enter();

	MUST(mkdir(".git", 0755));
	toolkit_file(&kit, ".gitignore", "*.log\nbuild/\n", 13);
	make(&kit, "x.log");
	make(&kit, "build/out");
	make(&kit, "kept");
	make(&kit, ".env");
	check_finds(&kit, "{\"pattern\": \"!nothing\"}", "kept");
	check_finds(&kit, "{\"pattern\": \"*.log\"}", "x.log");
	check_finds(&kit, "{\"pattern\": \".env\"}", ".env");
	MUST(rmdir(".git"));
	check_finds(&kit, "{\"pattern\": \"!nothing\"}", "build/out\nkept\nx.log");
}

static void rules_above_the_start_count(void)
{
	AUTO_KIT struct toolkit kit = enter();

	toolkit_file(&kit, ".ignore", "secret*\n/sub/here\n", 18);
	make(&kit, "sub/secret1");
	make(&kit, "sub/here");
	make(&kit, "sub/there");
	check_finds(&kit, "{\"pattern\": \"!nothing\", \"path\": \"sub\"}", "there");
}

static void an_ignore_file_that_leads_out_is_none(void)
{
	AUTO_KIT struct toolkit kit = enter();
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	scratch_text("rules", "a\n");
	MUST(chdir(kit.dir));
	AUTO_FREE char *target = alloc_printf("%s/rules", scratch.dir);
	make(&kit, "a");
	make(&kit, "rules");
	MUST(symlink(target, ".ignore"));
	check_finds(&kit, "{\"pattern\": \"!nothing\"}", "a\nrules");
	/* One that stays counts, as in ripgrep. */
	MUST(unlink(".ignore"));
	toolkit_file(&kit, "rules", "a\n", 2);
	MUST(symlink("rules", ".ignore"));
	check_finds(&kit, "{\"pattern\": \"!nothing\"}", "rules");
}

static void symlinks_pipes_and_sockets_are_no_files(void)
{
	AUTO_KIT struct toolkit kit = enter();

	make(&kit, "dir/file");
	MUST(symlink("dir", "link"));
	MUST(symlink("dir/file", "filelink"));
	MUST(symlink("..", "dir/up"));
	MUST(mkfifo("pipe", 0644));
	MUST(mkfifo(".ignore", 0644));
	check_finds(&kit, "{\"pattern\": \"*\"}", "dir/file");
	/* The start may be a link, but not one that leads out. */
	check_finds(&kit, "{\"pattern\": \"*\", \"path\": \"link\"}", "file");
	MUST(symlink("/etc", "out"));
	check_refused(&kit, "{\"pattern\": \"*\", \"path\": \"out\"}", "symlink");
	check_refused(&kit, "{\"pattern\": \"*\", \"path\": \"..\"}", "..");
	check_refused(&kit, "{\"pattern\": \"*\", \"path\": \"dir/file\"}", "not a directory");
	check_refused(&kit, "{\"pattern\": \"*\", \"path\": \"nowhere\"}", "does not exist");
}

static void the_first_ones_in_order_are_kept(void)
{
	AUTO_KIT struct toolkit kit = enter();
	char path[64];

	for (int i = 0; i < 600; i++) {
		snprintf(path, sizeof path, "d%02d/s%d/f%03d", i * 7 % 20, i % 3, i);
		make(&kit, path);
	}
	json_auto_t *all =
		toolkit_call(&kit, &tool_search_files, "{\"pattern\": \"*\", \"limit\": 600}");
	CHECK(!truncated(all));
	for (int limit = 1; limit < 600; limit += 57) {
		char args[64];
		snprintf(args, sizeof args, "{\"pattern\": \"*\", \"limit\": %d}", limit);
		for (int round = 0; round < 3; round++) {
			json_auto_t *some = toolkit_call(&kit, &tool_search_files, args);
			size_t n = strlen(toolkit_text(some));

			CHECK(truncated(some));
			CHECK(strncmp(toolkit_text(all), toolkit_text(some), n) == 0);
			CHECK_INT(toolkit_text(all)[n], '\n');
			CHECK_INT(json_array_size(json_object_get(some, "content")), 2);
		}
	}
}

static void a_result_too_large_is_cut(void)
{
	AUTO_KIT struct toolkit kit = enter();
	char name[101];

	for (int i = 0; i < 400; i++) {
		/* As JSON, a control character takes six bytes. */
		snprintf(name, sizeof name, "%03d%.*s", i, i % 2 ? 97 : 20,
			"\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
		make(&kit, name);
	}
	kit.workspace.result_max = 64 << 10;
	json_auto_t *result = toolkit_call(&kit, &tool_search_files, "{\"pattern\": \"*\"}");
	json_t *files = json_object_get(json_object_get(result, "structuredContent"), "files");
	CHECK(truncated(result));
	CHECK(json_array_size(files) > 100 && json_array_size(files) < 400);
}

/* Deeper than a path may be long, for all calls that take one. */
static void goes_deeper_than_any_path(void)
{
	AUTO_KIT struct toolkit kit = enter();
	char name[201];
	int depth = 0;

	memset(name, 'd', 200);
	name[200] = '\0';
	for (; depth < 40; depth++) {
		MUST(mkdir(name, 0755));
		MUST(chdir(name));
	}
	scratch_text("found", "x");
	json_auto_t *result = toolkit_call(&kit, &tool_search_files, "{\"pattern\": \"found\"}");
	const char *text = toolkit_text(result);
	CHECK_INT(strlen(text), 40 * 201 + 5);
	CHECK_TEXT(text + 40 * 201, "found");
	MUST(unlink("found"));
	for (; depth > 0; depth--) {
		MUST(chdir(".."));
		MUST(rmdir(name));
	}
}

static void a_large_directory_keeps_its_rules(void)
{
	AUTO_KIT struct toolkit kit = enter();
	char path[64];

	/* Listed in several pieces: the ignore file may be in any of them. */
	for (int i = 0; i < 6000; i++) {
		snprintf(path, sizeof path, "a-file-with-a-rather-long-name-%05d.o", i);
		make(&kit, path);
	}
	make(&kit, "kept");
	toolkit_file(&kit, ".ignore", "*.o\n", 4);
	check_finds(&kit, "{\"pattern\": \"!nothing\"}", "kept");
}

static void names_that_are_no_text_are_shown_marked(void)
{
	AUTO_KIT struct toolkit kit = enter();

	make(&kit, "a\xFF.c");
	check_finds(&kit, "{\"pattern\": \"*.c\"}", "a\xEF\xBF\xBD.c");
}

static void a_bad_glob_is_refused_with_its_place(void)
{
	AUTO_KIT struct toolkit kit = enter();

	check_refused(&kit, "{\"pattern\": \"{a,b\"}", "bad glob \"{a,b\" at character 5");
	check_refused(&kit, "{\"pattern\": \"a\\u0000b\"}", "NUL");
}

TESTS(CASE(finds_by_name_and_by_path), CASE(says_the_same_in_the_structured_form),
	CASE(leaves_out_what_is_ignored_or_hidden_unless_asked_for),
	CASE(rules_above_the_start_count), CASE(an_ignore_file_that_leads_out_is_none),
	CASE(symlinks_pipes_and_sockets_are_no_files), CASE(the_first_ones_in_order_are_kept),
	CASE(a_result_too_large_is_cut), CASE(goes_deeper_than_any_path),
	CASE(a_large_directory_keeps_its_rules), CASE(names_that_are_no_text_are_shown_marked),
	CASE(a_bad_glob_is_refused_with_its_place))
