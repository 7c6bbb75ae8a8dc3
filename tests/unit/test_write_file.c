#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

#include "scratch.h"
#include "test.h"
#include "toolkit.h"

extern const struct tool tool_write_file;

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

static void check_writes(
	struct toolkit *kit, const char *args, const char *text, const char *structured)
{
	json_auto_t *result = toolkit_call(kit, &tool_write_file, args);
	json_auto_t *want = json_loads(structured, 0, NULL);

	CHECK(json_is_false(json_object_get(result, "isError")));
	CHECK_TEXT(toolkit_text(result), text);
	CHECK(want && json_equal(json_object_get(result, "structuredContent"), want));
}

static void check_error(struct toolkit *kit, const char *args, const char *part)
{
	json_auto_t *result = toolkit_call(kit, &tool_write_file, args);
	const char *text = toolkit_text(result);

	CHECK(json_is_true(json_object_get(result, "isError")));
	CHECK(!json_object_get(result, "structuredContent"));
	CHECK(text && strstr(text, part));
	if (text && !strstr(text, part))
		printf("# %s\n", text);
}

static void check_file(const char *path, const char *want)
{
	char have[256];

	CHECK_TEXT(scratch_read(path, have, sizeof have), want);
}

static void makes_and_overwrites_a_file(void)
{
	struct toolkit kit;

	enter(&kit);
	check_writes(&kit, "{\"path\": \"a.txt\", \"content\": \"one\\n\"}",
		"Successfully wrote 4 bytes to a.txt",
		"{\"path\": \"a.txt\", \"bytes\": 4, \"created\": true}");
	check_file("a.txt", "one\n");
	check_writes(&kit, "{\"path\": \"a.txt\", \"content\": \"\", \"mode\": \"overwrite\"}",
		"Successfully wrote 0 bytes to a.txt",
		"{\"path\": \"a.txt\", \"bytes\": 0, \"created\": false}");
	check_file("a.txt", "");
	leave(&kit);
}

static void counts_and_keeps_bytes_as_they_are(void)
{
	struct toolkit kit;
	struct stat st;

	enter(&kit);
	check_writes(&kit, "{\"path\": \"b\", \"content\": \"\\u00e9\\r\\n\\u0000\\ud83d\\ude00\"}",
		"Successfully wrote 9 bytes to b",
		"{\"path\": \"b\", \"bytes\": 9, \"created\": true}");
	MUST(stat("b", &st));
	CHECK_INT(st.st_size, 9);
	check_file("b", "\xC3\xA9\r\n");
	leave(&kit);
}

static void makes_parents(void)
{
	struct toolkit kit;

	enter(&kit);
	check_writes(&kit, "{\"path\": \"x/y/z.txt\", \"content\": \"deep\"}",
		"Successfully wrote 4 bytes to x/y/z.txt",
		"{\"path\": \"x/y/z.txt\", \"bytes\": 4, \"created\": true}");
	check_file("x/y/z.txt", "deep");
	check_writes(&kit, "{\"path\": \"u/v.txt\", \"content\": \"log\", \"mode\": \"append\"}",
		"Successfully wrote 3 bytes to u/v.txt",
		"{\"path\": \"u/v.txt\", \"bytes\": 3, \"created\": true}");
	check_writes(&kit, "{\"path\": \"w/v.txt\", \"content\": \"new\", \"mode\": \"create\"}",
		"Successfully wrote 3 bytes to w/v.txt",
		"{\"path\": \"w/v.txt\", \"bytes\": 3, \"created\": true}");
	leave(&kit);
}

static void appends(void)
{
	struct toolkit kit;

	enter(&kit);
	scratch_text("log", "one\n");
	check_writes(&kit, "{\"path\": \"log\", \"content\": \"two\\n\", \"mode\": \"append\"}",
		"Successfully wrote 4 bytes to log",
		"{\"path\": \"log\", \"bytes\": 4, \"created\": false}");
	check_file("log", "one\ntwo\n");
	leave(&kit);
}

static void creates_only_what_is_not_there(void)
{
	struct toolkit kit;

	enter(&kit);
	scratch_text("a.txt", "old");
	MUST(symlink("nowhere", "link"));
	check_error(&kit, "{\"path\": \"a.txt\", \"content\": \"new\", \"mode\": \"create\"}",
		"a.txt exists already");
	check_error(&kit, "{\"path\": \"link\", \"content\": \"new\", \"mode\": \"create\"}",
		"link exists already");
	check_file("a.txt", "old");
	CHECK_INT(access("nowhere", F_OK), -1);
	leave(&kit);
}

static void writes_through_links_inside(void)
{
	struct toolkit kit;
	struct stat st;

	enter(&kit);
	MUST(mkdir("sub", 0755));
	scratch_text("sub/real", "old");
	MUST(symlink("sub/real", "link"));
	MUST(symlink("../new/target", "sub/dangling"));
	check_writes(&kit, "{\"path\": \"link\", \"content\": \"new\"}",
		"Successfully wrote 3 bytes to link",
		"{\"path\": \"link\", \"bytes\": 3, \"created\": false}");
	check_file("sub/real", "new");
	MUST(lstat("link", &st));
	CHECK(S_ISLNK(st.st_mode));
	check_writes(&kit, "{\"path\": \"link\", \"content\": \"!\", \"mode\": \"append\"}",
		"Successfully wrote 1 bytes to link",
		"{\"path\": \"link\", \"bytes\": 1, \"created\": false}");
	check_file("sub/real", "new!");
	check_writes(&kit, "{\"path\": \"sub/dangling\", \"content\": \"made\"}",
		"Successfully wrote 4 bytes to sub/dangling",
		"{\"path\": \"sub/dangling\", \"bytes\": 4, \"created\": true}");
	check_file("new/target", "made");
	leave(&kit);
}

static void writes_nothing_outside(void)
{
	struct toolkit kit;

	enter(&kit);
	MUST(symlink("/tmp/write-file-must-not-make-this", "absolute"));
	MUST(symlink("../write-file-must-not-make-this", "relative"));
	check_error(&kit, "{\"path\": \"absolute\", \"content\": \"x\"}", "leads out of");
	check_error(&kit, "{\"path\": \"relative\", \"content\": \"x\"}", "leads out of");
	check_error(&kit, "{\"path\": \"relative\", \"content\": \"x\", \"mode\": \"append\"}",
		"leads out of");
	check_error(&kit, "{\"path\": \"../write-file-must-not-make-this\", \"content\": \"x\"}",
		"leads out of");
	check_error(&kit, "{\"path\": \"/tmp/write-file-must-not-make-this\", \"content\": \"x\"}",
		"outside");
	check_error(&kit,
		"{\"path\": \"../write-file-must-not-make-this/x\", \"content\": \"x\", "
		"\"mode\": \"create\"}",
		"leads out of");
	CHECK_INT(access("/tmp/write-file-must-not-make-this", F_OK), -1);
	leave(&kit);
}

static void says_what_cannot_be_written(void)
{
	struct toolkit kit;

	enter(&kit);
	MUST(mkdir("sub", 0755));
	MUST(mkfifo("pipe", 0644));
	scratch_text("a.txt", "text");
	check_error(&kit, "{\"path\": \"sub\", \"content\": \"x\"}", "sub is a directory");
	check_error(&kit, "{\"path\": \"sub\", \"content\": \"x\", \"mode\": \"append\"}",
		"sub is a directory");
	check_error(&kit, "{\"path\": \"sub/\", \"content\": \"x\"}", "the name of a directory");
	check_error(&kit, "{\"path\": \"a.txt/b\", \"content\": \"x\"}", "no directory");
	check_error(&kit, "{\"path\": \"\", \"content\": \"x\"}", "the path is empty");
	check_error(&kit, "{\"path\": \"a\\u0000b\", \"content\": \"x\"}", "NUL");
	alarm(10);
	check_error(&kit, "{\"path\": \"pipe\", \"content\": \"x\"}", "pipe, a socket or a device");
	check_error(&kit, "{\"path\": \"pipe\", \"content\": \"x\", \"mode\": \"append\"}",
		"pipe, a socket or a device");
	alarm(0);
	check_error(&kit, "{\"path\": \"a.txt\"}", "needs 'content'");
	check_error(&kit, "{\"path\": \"a.txt\", \"content\": \"x\", \"mode\": \"w\"}",
		"one of: overwrite, append, create");
	check_file("a.txt", "text");
	leave(&kit);
}

TESTS(CASE(makes_and_overwrites_a_file), CASE(counts_and_keeps_bytes_as_they_are),
	CASE(makes_parents), CASE(appends), CASE(creates_only_what_is_not_there),
	CASE(writes_through_links_inside), CASE(writes_nothing_outside),
	CASE(says_what_cannot_be_written))
