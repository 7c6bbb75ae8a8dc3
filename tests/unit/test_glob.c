#include "glob.h"

#include <stdlib.h>

#include "err.h"

#include "test.h"

static bool matches(const char *pattern, const char *path)
{
	struct glob *glob;
	struct err err;

	if (glob_new(pattern, strlen(pattern), &glob, &err) < 0) {
		printf("# %s: %s\n", pattern, err.msg);
		return false;
	}
	bool yes = glob_match(glob, path, strlen(path));
	glob_free(glob);
	return yes;
}

static bool refused(const char *pattern, const char *why)
{
	struct glob *glob;
	struct err err = { 0 };

	if (glob_new(pattern, strlen(pattern), &glob, &err) == 0) {
		glob_free(glob);
		return false;
	}
	if (!strstr(err.msg, why))
		printf("# %s\n", err.msg);
	return err.code == ERR_INVALID && strstr(err.msg, why);
}

static void stars_stop_at_a_slash(void)
{
	CHECK(matches("*.c", "a.c"));
	CHECK(matches("*.c", ".c"));
	CHECK(!matches("*.c", "d/a.c"));
	CHECK(matches("a*c*e", "abcde"));
	CHECK(!matches("a*c*e", "ab/cde"));
	CHECK(matches("d/*", "d/a"));
	CHECK(!matches("d/*", "d/a/b"));
	CHECK(matches("a?c", "abc"));
	CHECK(!matches("a?c", "a/c"));
	CHECK(!matches("?", "\xC3\xA9")); /* one byte, as in globset */
	CHECK(matches("??", "\xC3\xA9"));
}

static void double_stars_cross_slashes(void)
{
	CHECK(matches("**", "a/b/c"));
	CHECK(matches("**/a", "a"));
	CHECK(matches("**/a", "x/y/a"));
	CHECK(!matches("**/a", "xa"));
	CHECK(matches("**/**/a", "x/a"));
	CHECK(matches("a/**", "a/b/c"));
	CHECK(!matches("a/**", "a"));
	CHECK(matches("a/**/b", "a/b"));
	CHECK(matches("a/**/b", "a/x/y/b"));
	CHECK(!matches("a/**/b", "a/xb"));
	CHECK(matches("a/**/**/b", "a/b"));
	CHECK(matches("**/a/**", "x/a/y"));
	CHECK(!matches("a**b", "a/b"));
	CHECK(matches("a**b", "axxb"));
	CHECK(matches("**a", "xa"));
	CHECK(!matches("**a", "x/a"));
	CHECK(matches("**/x*y.c", "p/q/xay.c"));
	CHECK(!matches("**/x*y.c", "p/xq/ay.c"));
}

static void literals_need_no_automaton(void)
{
	CHECK(matches("a/b", "a/b"));
	CHECK(!matches("a/b", "x/a/b"));
	CHECK(matches("**/a/b", "x/a/b"));
	CHECK(matches("**/a/b", "a/b"));
	CHECK(!matches("**/a/b", "xa/b"));
	CHECK(matches("**/*.tar.gz", "x/y.tar.gz"));
	CHECK(matches("**/foo*", "x/foobar"));
	CHECK(!matches("**/foo*", "foo/bar"));
	CHECK(!matches("**/foo*", "xfoo"));
	CHECK(matches("**/*foo*", "x/afoob"));
	CHECK(!matches("**/*foo*", "afoo/b"));
}

static void classes_hold_bytes_and_ranges(void)
{
	CHECK(matches("[abc]", "b"));
	CHECK(!matches("[abc]", "d"));
	CHECK(matches("[!abc]", "d"));
	CHECK(matches("[^abc]", "d"));
	CHECK(!matches("[!abc]", "a"));
	CHECK(matches("[a-c]x", "bx"));
	CHECK(matches("[]]", "]"));
	CHECK(matches("[]-a]", "_"));
	CHECK(matches("[-a]", "-"));
	CHECK(matches("[a-]", "-"));
	CHECK(!matches("[a-]", "b"));
	CHECK(matches("[a-b-d]", "c")); /* a-d, as in globset */
	CHECK(matches("[--0]", "."));
	CHECK(matches("[!!]", "a"));
	CHECK(!matches("[!!]", "!"));
	CHECK(matches("[0-9a-z]", "7"));
	CHECK(matches("[\xC3\xA9]", "\xC3"));
	CHECK(matches("[[]", "["));
	CHECK(matches("a[!x]b", "a/b")); /* as in globset 0.4 */
}

static void braces_give_choices(void)
{
	CHECK(matches("{a,b}", "a"));
	CHECK(matches("{a,b}", "b"));
	CHECK(!matches("{a,b}", "ab"));
	CHECK(matches("x{a,bc}y", "xbcy"));
	CHECK(matches("*.{c,h}", "a.h"));
	CHECK(matches("{a,{b,c}d}", "cd"));
	CHECK(matches("{a*,b?}/{x,y}", "aaa/y"));
	CHECK(matches("{**/a,b}", "x/y/a"));
	CHECK(matches("{a,d/**}", "d/x/y"));
	CHECK(matches("a,b", "a,b"));
	CHECK(!matches("{,a}b", "b")); /* an empty choice does not count */
	CHECK(matches("{,a}b", "ab"));
	CHECK(matches("x{}y", "xy"));
	CHECK(matches("x{,}y", "xy"));
	CHECK(matches("{{a,b},{c,d}}{e,f}", "df"));
}

static void backslash_escapes(void)
{
	CHECK(matches("\\*", "*"));
	CHECK(!matches("\\*", "a"));
	CHECK(matches("a\\{b", "a{b"));
	CHECK(matches("\\[a]", "[a]"));
	CHECK(matches("\\\\", "\\"));
}

static void bad_patterns_are_refused_with_their_place(void)
{
	CHECK(refused("a[b", "character 2: \"[\" has no \"]\""));
	CHECK(refused("[]", "character 1"));
	CHECK(refused("[!]", "character 1"));
	CHECK(refused("x[z-a]", "character 3: the range"));
	CHECK(refused("{a,b", "\"{\" has no \"}\""));
	CHECK(refused("a}", "character 2: \"}\" has no \"{\""));
	CHECK(refused("a\\", "character 2: a backslash"));
}

static void refuses_what_is_too_long_or_too_deep(void)
{
	char text[GLOB_MAX + 1];
	struct glob *glob;
	struct err err;

	memset(text, 'a', sizeof text);
	CHECK_INT(glob_new(text, sizeof text, &glob, &err), -1);
	CHECK_INT(err.code, ERR_LIMIT);
	CHECK_INT(glob_new(text, GLOB_MAX, &glob, &err), 0);
	CHECK(glob_match(glob, text, GLOB_MAX));
	glob_free(glob);
	memset(text, '{', sizeof text);
	CHECK_INT(glob_new(text, 100, &glob, &err), -1);
	CHECK_INT(err.code, ERR_INVALID);
}

static void costs_linear_time_whatever_the_pattern(void)
{
	char text[2 * 500 + 2], path[4000];
	struct glob *glob;

	for (size_t i = 0; i < 500; i++)
		memcpy(text + 2 * i, "*a", 2);
	memcpy(text + 1000, "b", 2);
	memset(path, 'a', sizeof path);
	CHECK_INT(glob_new(text, 1001, &glob, NULL), 0);
	CHECK(!glob_match(glob, path, sizeof path));
	path[sizeof path - 1] = 'b';
	CHECK(glob_match(glob, path, sizeof path));
	glob_free(glob);
}

static void the_largest_automaton_fits(void)
{
	char text[GLOB_MAX];
	struct glob *glob;
	struct err err;

	/* Many operations for each byte of the pattern. */
	text[0] = '{';
	for (size_t i = 1; i + 1 < sizeof text; i++)
		text[i] = i & 1 ? '*' : ',';
	text[sizeof text - 1] = '}';
	CHECK_INT(glob_new(text, sizeof text, &glob, &err), 0);
	CHECK(glob_match(glob, "abc", 3));
	CHECK(!glob_match(glob, "a/c", 3));
	glob_free(glob);
	for (size_t i = 1; i + 4 < sizeof text; i += 4)
		memcpy(text + i, "**/,", 4);
	memcpy(text + sizeof text - 4, "aaa}", 4);
	CHECK_INT(glob_new(text, sizeof text, &glob, &err), 0);
	glob_free(glob);
}

static enum glob_shape shape(const char *pattern)
{
	struct glob *glob;

	if (glob_new(pattern, strlen(pattern), &glob, NULL) < 0)
		abort();
	enum glob_shape found = glob_shape(glob);
	glob_free(glob);
	return found;
}

static void tells_shapes_that_can_be_indexed(void)
{
	CHECK_INT(shape("**/a.o"), GLOB_NAME);
	CHECK_INT(shape("**/*.o"), GLOB_EXTENSION);
	CHECK_INT(shape("**/*.tar.gz"), GLOB_OTHER);
	CHECK_INT(shape("a/b"), GLOB_PATH);
	CHECK_INT(shape("**/a/b"), GLOB_OTHER);
	CHECK_INT(shape("*.o"), GLOB_OTHER);
}

TESTS(CASE(stars_stop_at_a_slash), CASE(double_stars_cross_slashes),
	CASE(literals_need_no_automaton), CASE(classes_hold_bytes_and_ranges),
	CASE(braces_give_choices), CASE(backslash_escapes),
	CASE(bad_patterns_are_refused_with_their_place), CASE(refuses_what_is_too_long_or_too_deep),
	CASE(costs_linear_time_whatever_the_pattern), CASE(the_largest_automaton_fits),
	CASE(tells_shapes_that_can_be_indexed))
