#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "cleanup.h"
#include "tool.h"

#include "scratch.h"
#include "test.h"
#include "toolkit.h"

extern const struct tool tool_list_directory;

/* Opens a toolkit and goes into its directory, so that plain names are files there. */
static void enter(struct toolkit *kit)
{
	toolkit_open(kit);
	MUST(chdir(kit->dir));
}

static void leave(struct toolkit *kit)
{
	MUST(chdir("/"));
	toolkit_close(kit);
}

static json_t *list(struct toolkit *kit, const char *args)
{
	return toolkit_call(kit, &tool_list_directory, args);
}

static void check_lists(struct toolkit *kit, const char *args, const char *want)
{
	json_auto_t *result = list(kit, args);

	CHECK(json_is_false(json_object_get(result, "isError")));
	CHECK_TEXT(toolkit_text(result), want);
}

static void check_error(struct toolkit *kit, const char *args, const char *part)
{
	json_auto_t *result = list(kit, args);
	const char *text = toolkit_text(result);

	CHECK(json_is_true(json_object_get(result, "isError")));
	CHECK(text && strstr(text, part));
	if (text && !strstr(text, part))
		printf("# %s\n", text);
}

static json_t *structured(const json_t *result, const char *member)
{
	return json_object_get(json_object_get(result, "structuredContent"), member);
}

static void put_tree(void)
{
	MUST(mkdir("sub", 0755));
	MUST(mkdir("sub/deep", 0755));
	MUST(mkdir("sub.d", 0755));
	scratch_text("b.txt", "text");
	scratch_text("a", "");
	scratch_text(".hidden", "");
	scratch_text("sub/x", "");
	scratch_text("sub/deep/y", "");
}

static void lists_names_sorted_with_slashes(void)
{
	struct toolkit kit;

	enter(&kit);
	check_lists(&kit, "{}", "");
	put_tree();
	check_lists(&kit, "{}", ".hidden\na\nb.txt\nsub.d/\nsub/");
	check_lists(&kit, "{\"path\": \"sub\"}", "deep/\nx");
	check_lists(&kit, "{\"path\": \"sub/\", \"depth\": 1}", "deep/\nx");
	leave(&kit);
}

static void lists_paths_of_deeper_levels(void)
{
	struct toolkit kit;

	enter(&kit);
	put_tree();
	check_lists(&kit, "{\"depth\": 2}", ".hidden\na\nb.txt\nsub.d/\nsub/\nsub/deep/\nsub/x");
	check_lists(&kit, "{\"depth\": 16}",
		".hidden\na\nb.txt\nsub.d/\nsub/\nsub/deep/\nsub/deep/y\nsub/x");
	check_error(&kit, "{\"depth\": 17}", "'depth' has to be from 1 to 16");
	leave(&kit);
}

static void tells_type_size_time_and_target(void)
{
	struct timespec times[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	struct toolkit kit;

	enter(&kit);
	scratch_text("file", "text");
	MUST(mkdir("dir", 0755));
	MUST(symlink("../outside", "link"));
	MUST(mkfifo("pipe", 0644));
	static const char *const names[] = { "file", "dir", "link", "pipe" };
	for (size_t i = 0; i < 4; i++)
		MUST(utimensat(AT_FDCWD, names[i], times, AT_SYMLINK_NOFOLLOW));
	json_auto_t *result = list(&kit, "{\"path\": \".\"}");
	json_auto_t *want =
		json_loads("[{\"name\": \"dir\", \"type\": \"directory\", \"size\": null,"
			   "  \"mtime\": \"2001-09-09T01:46:40Z\", \"target\": null},"
			   " {\"name\": \"file\", \"type\": \"file\", \"size\": 4,"
			   "  \"mtime\": \"2001-09-09T01:46:40Z\", \"target\": null},"
			   " {\"name\": \"link\", \"type\": \"symlink\", \"size\": null,"
			   "  \"mtime\": \"2001-09-09T01:46:40Z\", \"target\": \"../outside\"},"
			   " {\"name\": \"pipe\", \"type\": \"pipe\", \"size\": null,"
			   "  \"mtime\": \"2001-09-09T01:46:40Z\", \"target\": null}]",
			0, NULL);
	CHECK(want && json_equal(structured(result, "entries"), want));
	CHECK(json_is_false(structured(result, "truncated")));
	CHECK_TEXT(json_string_value(structured(result, "path")), ".");
	CHECK_TEXT(toolkit_text(result), "dir/\nfile\nlink\npipe");
	leave(&kit);
}

static void names_a_subdirectorys_entries_by_path(void)
{
	struct toolkit kit;

	enter(&kit);
	put_tree();
	json_auto_t *result = list(&kit, "{\"path\": \"sub\", \"depth\": 2}");
	json_t *entries = structured(result, "entries");
	CHECK_INT(json_array_size(entries), 3);
	CHECK_TEXT(
		json_string_value(json_object_get(json_array_get(entries, 1), "name")), "deep/y");
	leave(&kit);
}

static void says_when_it_is_cut(void)
{
	struct toolkit kit;

	enter(&kit);
	put_tree();
	json_auto_t *cut = list(&kit, "{\"limit\": 2}");
	CHECK(json_is_true(structured(cut, "truncated")));
	CHECK_INT(json_array_size(structured(cut, "entries")), 2);
	const char *note = "\n[The first 2 entries are shown, there are more: ";
	CHECK(strstr(toolkit_text(cut), note));
	CHECK(strncmp(toolkit_text(cut), ".hidden\na\n", 10) == 0);

	/* Exactly all of them are not cut; neither is a last directory that is empty. */
	json_auto_t *exact = list(&kit, "{\"limit\": 5}");
	CHECK(json_is_false(structured(exact, "truncated")));
	json_auto_t *deep = list(&kit, "{\"depth\": 16, \"limit\": 8}");
	CHECK(json_is_false(structured(deep, "truncated")));
	json_auto_t *less = list(&kit, "{\"depth\": 16, \"limit\": 7}");
	CHECK(json_is_true(structured(less, "truncated")));
	/* The last one shown is a directory, and something is in it. */
	json_auto_t *within = list(&kit, "{\"path\": \"sub\", \"depth\": 2, \"limit\": 1}");
	CHECK(json_is_true(structured(within, "truncated")));
	check_error(&kit, "{\"limit\": 10001}", "'limit' has to be from 1 to 10000");
	leave(&kit);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void finds_the_first_of_very_many(void)
{
	enum { MANY = 30000, LIMIT = 700 };
	static char *names[MANY];
	struct toolkit kit;

	enter(&kit);
	MUST(mkdir("many", 0755));
	srand(11);
	for (int i = 0; i < MANY; i++) {
		names[i] = alloc_printf("%x-%d", (unsigned)rand() % 5000, i);
		AUTO_FREE char *path = alloc_printf("many/%s", names[i]);
		MUST(mknod(path, S_IFREG | 0644, 0));
	}
	qsort(names, MANY, sizeof *names, by_text);
	json_auto_t *result = list(&kit, "{\"path\": \"many\", \"limit\": 700}");
	json_t *entries = structured(result, "entries");
	CHECK_INT(json_array_size(entries), LIMIT);
	CHECK(json_is_true(structured(result, "truncated")));
	for (size_t i = 0; i < LIMIT; i++)
		CHECK_TEXT(json_string_value(json_object_get(json_array_get(entries, i), "name")),
			names[i]);
	for (int i = 0; i < MANY; i++)
		free(names[i]);
	leave(&kit);
}

static void keeps_below_the_limit_of_results(void)
{
	struct toolkit kit;

	enter(&kit);
	kit.workspace.result_max = 64 * 1024;
	for (int i = 0; i < 1000; i++) {
		char name[200];
		snprintf(name, sizeof name, "%0150d", i);
		scratch_text(name, "");
	}
	json_auto_t *result = list(&kit, "{}");
	CHECK(json_is_true(structured(result, "truncated")));
	CHECK(json_array_size(structured(result, "entries")) >= 50);
	leave(&kit);
}

static void shows_strange_names_on_one_line(void)
{
	struct toolkit kit;

	enter(&kit);
	scratch_text("new\nline", "");
	scratch_text("bad\xFF"
		     "byte",
		"");
	json_auto_t *result = list(&kit, "{}");
	CHECK_TEXT(toolkit_text(result), "bad\xEF\xBF\xBD"
					 "byte\nnew?line");
	json_t *second = json_array_get(structured(result, "entries"), 1);
	CHECK_TEXT(json_string_value(json_object_get(second, "name")), "new\nline");
	leave(&kit);
}

static void does_not_follow_links(void)
{
	struct toolkit kit;

	enter(&kit);
	put_tree();
	MUST(symlink("sub", "alias"));
	MUST(symlink(".", "sub/loop"));
	check_lists(&kit, "{\"depth\": 3}",
		".hidden\na\nalias\nb.txt\nsub.d/\nsub/\nsub/deep/\nsub/deep/y\nsub/loop\nsub/x");
	/* The path itself may go through one. */
	check_lists(&kit, "{\"path\": \"alias\"}", "deep/\nloop\nx");
	leave(&kit);
}

static void says_what_is_no_directory(void)
{
	struct toolkit kit;

	enter(&kit);
	put_tree();
	check_error(&kit, "{\"path\": \"b.txt\"}", "b.txt is a file: read_file reads it");
	check_error(&kit, "{\"path\": \"none\"}", "none does not exist");
	check_error(&kit, "{\"path\": \"..\"}", "leads out of");
	check_error(&kit, "{\"path\": \"/etc\"}", "outside");
	check_error(&kit, "{\"path\": \"\"}", "the path is empty");
	check_error(&kit, "{\"path\": \"sub\\u0000\"}", "NUL");
	leave(&kit);
}

static void says_how_many_it_could_not_read(void)
{
	struct toolkit kit;
	int status = -1;

	enter(&kit);
	put_tree();
	MUST(chmod(".", 0755));
	MUST(chmod("sub/deep", 0));
	fflush(stdout);
	pid_t pid = fork();
	MUST(pid);
	if (pid == 0) {
		test_failures = geteuid() == 0 && setuid(12345) < 0;
		check_lists(&kit, "{\"path\": \"sub\", \"depth\": 2}",
			"deep/\nx\n[1 of these directories could not be read]");
		check_error(&kit, "{\"path\": \"sub/deep\"}", "no permission for sub/deep");
		fflush(stdout);
		_exit(test_failures);
	}
	MUST(waitpid(pid, &status, 0));
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
	MUST(chmod("sub/deep", 0755));
	leave(&kit);
}

/* ---- A directory that becomes a link ---- */

static atomic_bool stop;

static void *swap(void *data)
{
	while (!atomic_load(&stop))
		MUST(renameat2(AT_FDCWD, "flip", AT_FDCWD, "trap", RENAME_EXCHANGE));
	return data;
}

static void shows_nothing_outside_in_a_race(void)
{
	struct toolkit kit;
	pthread_t thread;
	int inside = 0, outside = 0, rounds = 0;

	enter(&kit);
	MUST(mkdir("flip", 0755));
	scratch_text("flip/inside", "");
	MUST(symlink("/", "trap"));
	MUST(-pthread_create(&thread, NULL, swap, NULL));
	for (; rounds < 20000 && (inside < 300 || rounds < 3000); rounds++) {
		json_auto_t *result = list(&kit, "{\"depth\": 2}");
		inside += strstr(toolkit_text(result), "/inside") != NULL;
		outside += strstr(toolkit_text(result), "/etc") != NULL;
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	CHECK(inside >= 300);
	CHECK_INT(outside, 0);
	leave(&kit);
}

TESTS(CASE(lists_names_sorted_with_slashes), CASE(lists_paths_of_deeper_levels),
	CASE(tells_type_size_time_and_target), CASE(names_a_subdirectorys_entries_by_path),
	CASE(says_when_it_is_cut), CASE(finds_the_first_of_very_many),
	CASE(keeps_below_the_limit_of_results), CASE(shows_strange_names_on_one_line),
	CASE(does_not_follow_links), CASE(says_what_is_no_directory),
	CASE(says_how_many_it_could_not_read), CASE(shows_nothing_outside_in_a_race))
