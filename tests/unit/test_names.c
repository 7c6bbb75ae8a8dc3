#include "names.h"

#include "cleanup.h"
#include "err.h"

#include "scratch.h"
#include "test.h"

/* The names as one text; directories end in a slash. */
static const char *read_names(struct names_query query, size_t *matching)
{
	static char text[4096];
	AUTO_CLOSEDIR DIR *dir = opendir(".");
	AUTO_NAMES struct names names = { 0 };
	size_t len = 0;

	text[0] = '\0';
	if (!dir || names_read(dir, &query, &names, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < names.count; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%s%s", i ? " " : "",
			names.list[i].text, names.list[i].type == DT_DIR ? "/" : "");
	if (matching)
		*matching = names.matching;
	return text;
}

static void gives_names_in_the_order_of_bytes(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	size_t matching;

	scratch_text("b", "");
	scratch_text("B", "");
	scratch_text("a.txt", "");
	scratch_text(".hidden", "");
	MUST(mkdir("a", 0755));
	MUST(symlink("a", "link"));
	CHECK_TEXT(read_names((struct names_query){ .max = 10 }, &matching), "B a/ a.txt b link");
	CHECK_INT(matching, 5);
	CHECK_TEXT(read_names((struct names_query){ .max = 10, .hidden = true }, NULL),
		".hidden B a/ a.txt b link");
	CHECK_TEXT(read_names((struct names_query){ .max = 10, .prefix = "a" }, NULL), "a/ a.txt");
	CHECK_TEXT(
		read_names((struct names_query){ .max = 10, .after = "a" }, NULL), "a.txt b link");
}

static void gives_the_first_ones_of_many(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char name[8];
	size_t matching;

	for (int i = 99; i >= 0; i--) {
		snprintf(name, sizeof name, "%02d", i * 37 % 100);
		scratch_text(name, "");
	}
	CHECK_TEXT(read_names((struct names_query){ .max = 3 }, &matching), "00 01 02");
	CHECK_INT(matching, 100);
	CHECK_TEXT(read_names((struct names_query){ .max = 1 }, NULL), "00");
	CHECK_TEXT(read_names((struct names_query){ .max = 3, .after = "49" }, NULL), "50 51 52");
	CHECK_TEXT(read_names((struct names_query){ .max = 50, .after = "96" }, &matching),
		"97 98 99");
	CHECK_INT(matching, 3);
}

static void takes_an_empty_directory(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	CHECK_TEXT(read_names((struct names_query){ .max = 1 }, NULL), "");
}

TESTS(CASE(gives_names_in_the_order_of_bytes), CASE(gives_the_first_ones_of_many),
	CASE(takes_an_empty_directory))
