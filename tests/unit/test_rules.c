#include "rules.h"

#include "err.h"

#include "test.h"

static char verdict(const char *file, const char *path, bool is_dir)
{
	struct rules *rules = rules_new();
	struct rule_name name;

	rules_add_file(rules, file, strlen(file));
	rules_seal(rules);
	rule_name_init(&name, path, strlen(path), is_dir);
	enum verdict found = rules_match(rules, &name, 0);
	rules_free(rules);
	return found == VERDICT_NONE ? '-' : found == VERDICT_IGNORE ? 'i' : 'k';
}

static void a_name_matches_at_any_depth(void)
{
	CHECK_INT(verdict("foo\n", "foo", false), 'i');
	CHECK_INT(verdict("foo\n", "a/b/foo", false), 'i');
	CHECK_INT(verdict("*.o\n", "a/b/x.o", false), 'i');
	CHECK_INT(verdict("*.o\n", "a/b/x.c", false), '-');
}

static void a_slash_anchors(void)
{
	CHECK_INT(verdict("/foo\n", "foo", false), 'i');
	CHECK_INT(verdict("/foo\n", "a/foo", false), '-');
	CHECK_INT(verdict("a/foo\n", "a/foo", false), 'i');
	CHECK_INT(verdict("a/foo\n", "b/a/foo", false), '-');
	CHECK_INT(verdict("/*.c\n", "x.c", false), 'i');
	CHECK_INT(verdict("/*.c\n", "d/x.c", false), '-');
}

static void a_slash_at_the_end_asks_for_a_directory(void)
{
	CHECK_INT(verdict("build/\n", "a/build", true), 'i');
	CHECK_INT(verdict("build/\n", "a/build", false), '-');
	CHECK_INT(verdict("a/build/\n", "a/build", true), 'i');
}

static void the_last_rule_that_matches_decides(void)
{
	CHECK_INT(verdict("*.c\n!a.c\n", "a.c", false), 'k');
	CHECK_INT(verdict("!a.c\n*.c\n", "a.c", false), 'i');
	CHECK_INT(verdict("*.c\n!a.c\na.*\n", "a.c", false), 'i');
	CHECK_INT(verdict("a.c\n!a.c/\n", "a.c", false), 'i');
	CHECK_INT(verdict("a.c\n!a.c/\n", "a.c", true), 'k');
}

static void everything_below_is_not_the_directory_itself(void)
{
	CHECK_INT(verdict("a/**\n", "a", true), '-');
	CHECK_INT(verdict("a/**\n", "a/b", false), 'i');
	CHECK_INT(verdict("**\n", "x/y", false), 'i');
}

static void marks_and_blanks_can_be_escaped(void)
{
	CHECK_INT(verdict("#foo\n", "#foo", false), '-');
	CHECK_INT(verdict("\\#foo\n", "#foo", false), 'i');
	CHECK_INT(verdict("\\!foo\n", "!foo", false), 'i');
	CHECK_INT(verdict("foo   \n", "foo", false), 'i');
	CHECK_INT(verdict("foo\\ \n", "foo ", false), 'i');
	CHECK_INT(verdict("\n   \n", "x", false), '-');
}

static void lines_may_end_in_cr_lf_or_nothing(void)
{
	CHECK_INT(verdict("foo\r\nbar", "foo", false), 'i');
	CHECK_INT(verdict("foo\r\nbar", "bar", false), 'i');
	CHECK_INT(verdict("\xEF\xBB\xBF"
			  "foo\n",
			  "foo", false),
		'i');
}

static void bad_lines_do_not_spoil_the_others(void)
{
	CHECK_INT(verdict("foo\n[\nbar\n", "bar", false), 'i');
	CHECK_INT(verdict("foo\n\xFF\nbar\n", "foo", false), 'i');
	CHECK_INT(verdict("foo\n\xFF\nbar\n", "bar", false), '-');
}

static void an_index_gives_the_same_as_one_rule_after_the_other(void)
{
	char file[4000] = "*.c\n!keep.c\n";

	for (int i = 0; i < 100; i++)
		snprintf(file + strlen(file), sizeof file - strlen(file),
			i % 2 ? "name%d\n" : "*.ext%d\n", i);
	CHECK_INT(verdict(file, "a/keep.c", false), 'k');
	CHECK_INT(verdict(file, "a/other.c", false), 'i');
	CHECK_INT(verdict(file, "name51", false), 'i');
	CHECK_INT(verdict(file, "x.ext52", false), 'i');
	CHECK_INT(verdict(file, "x.ext51", false), '-');
}

static void tells_what_is_wrong_with_a_glob(void)
{
	struct rules *rules = rules_new();
	struct err err = { 0 };

	CHECK_INT(rules_add(rules, "{a", 2, &err), -1);
	CHECK_INT(err.code, ERR_INVALID);
	CHECK(strstr(err.msg, "bad glob \"{a\" at character 3"));
	CHECK_INT(rules_add(rules, "!a", 2, &err), 0);
	CHECK(!rules_have_ignore(rules));
	CHECK_INT(rules_add(rules, "b", 1, &err), 0);
	CHECK(rules_have_ignore(rules));
	CHECK_INT(rules_count(rules), 2);
	rules_free(rules);
}

TESTS(CASE(a_name_matches_at_any_depth), CASE(a_slash_anchors),
	CASE(a_slash_at_the_end_asks_for_a_directory), CASE(the_last_rule_that_matches_decides),
	CASE(everything_below_is_not_the_directory_itself), CASE(marks_and_blanks_can_be_escaped),
	CASE(lines_may_end_in_cr_lf_or_nothing), CASE(bad_lines_do_not_spoil_the_others),
	CASE(an_index_gives_the_same_as_one_rule_after_the_other),
	CASE(tells_what_is_wrong_with_a_glob))
