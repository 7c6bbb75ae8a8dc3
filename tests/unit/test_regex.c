#include "regex.h"

#include <stdlib.h>

#include "err.h"
#include "regex_facts.h"

#include "test.h"

/* The literals as text, "|" between them, "[…]" where a place has several bytes; "" for none,
 * "=" before them where they are exact. */
static const char *facts_of(const char *pattern, bool caseless)
{
	static char out[2000];
	struct regex_facts facts;
	size_t n = 0;

	if (regex_facts_init(&facts, pattern, strlen(pattern), caseless, NULL) < 0)
		return "newline";
	if (facts.exact)
		out[n++] = '=';
	for (size_t i = 0; i < facts.count; i++) {
		const struct literal *l = &facts.literals[i];

		if (i > 0)
			out[n++] = '|';
		for (size_t k = 0; k < l->len; k++) {
			bool many = byteset_count(&l->at[k]) > 1;

			if (many)
				out[n++] = '[';
			for (unsigned c = 0; c < 256; c++)
				if (byteset_has(&l->at[k], (unsigned char)c))
					out[n++] = (char)c;
			if (many)
				out[n++] = ']';
		}
	}
	out[n] = '\0';
	regex_facts_release(&facts);
	return out;
}

static void finds_the_literals_that_every_match_has(void)
{
	CHECK_TEXT(facts_of("foo", false), "=foo");
	CHECK_TEXT(facts_of("foo|bar", false), "=foo|bar");
	CHECK_TEXT(facts_of("(?:foo|bar)qux", false), "=fooqux|barqux");
	CHECK_TEXT(facts_of("colou?r", false), "=colour|color");
	CHECK_TEXT(facts_of("\\bfoo\\b", false), "foo");
	CHECK_TEXT(facts_of("^foo$", false), "foo");
	CHECK_TEXT(facts_of("\\w+_RESUME", false), "_RESUME");
	CHECK_TEXT(facts_of("a.*zebra", false), "zebra");
	CHECK_TEXT(facts_of("(zebra)+", false), "zebra");
	CHECK_TEXT(facts_of("(zebra)*x", false), "x");
	CHECK_TEXT(facts_of("(zebra){2}", false), "=zebrazebra");
	CHECK_TEXT(facts_of("foo|\\w+", false), "");
	CHECK_TEXT(facts_of("foo|", false), "");
	CHECK_TEXT(facts_of("\\x66oo\\.", false), "=foo.");
	CHECK_TEXT(facts_of("[xy]1", false), "=[xy]1");
	CHECK_TEXT(facts_of("é", false), "=é");
	CHECK_TEXT(facts_of("ab(?=cd)", false), "ab");
	CHECK_TEXT(facts_of("(?<!x)ab", false), "ab");
	CHECK_TEXT(facts_of("[^a]", false), "");
}

static void without_case_a_place_has_both(void)
{
	CHECK_TEXT(facts_of("ab1", true), "=[Aa][Bb]1");
	CHECK_TEXT(facts_of("(?i)ab", false), "=[Aa][Bb]");
	CHECK_TEXT(facts_of("(?i:a)b", false), "=[Aa]b");
	/* K and S have a third case outside ASCII. */
	CHECK_TEXT(facts_of("skim", true), "[Ii][Mm]");
	CHECK_TEXT(facts_of("é", true), "");
	CHECK_TEXT(facts_of("[ks]x", true), "[Xx]");
}

static void what_is_not_understood_makes_no_facts(void)
{
	CHECK_TEXT(facts_of("\\Qfoo\\E", false), "");
	CHECK_TEXT(facts_of("(?x) f oo", false), "");
	CHECK_TEXT(facts_of("(foo)\\1", false), "");
	CHECK_TEXT(facts_of("(?R)?foo", false), "");
	CHECK_TEXT(facts_of("(*UTF)foo", false), "");
	CHECK_TEXT(facts_of("(?(1)foo|bar)", false), "");
	CHECK_TEXT(facts_of("(?#c)foo", false), "");
}

static void a_newline_is_refused(void)
{
	CHECK_TEXT(facts_of("a\nb", false), "newline");
	CHECK_TEXT(facts_of("a\\nb", false), "newline");
	CHECK_TEXT(facts_of("a\\x0ab", false), "newline");
	CHECK_TEXT(facts_of("[\\n]a", false), "a");
}

static void patterns_cannot_be_large_enough_to_hurt(void)
{
	struct err err;
	char *pattern = malloc(REGEX_MAX + 1);
	struct regex *regex;

	for (size_t i = 0; i < REGEX_MAX; i++)
		pattern[i] = "a|b."[i % 4];
	CHECK_INT(regex_new(pattern, REGEX_MAX + 1, REGEX_SENSITIVE, &regex, &err), -1);
	CHECK_INT(err.code, ERR_LIMIT);
	if (regex_new(pattern, REGEX_MAX, REGEX_SENSITIVE, &regex, &err) == 0)
		regex_free(regex);
	free(pattern);
}

static void check_error(const char *pattern, const char *part)
{
	struct regex *regex;
	struct err err = { 0 };

	CHECK_INT(regex_new(pattern, strlen(pattern), REGEX_SENSITIVE, &regex, &err), -1);
	CHECK_INT(err.code, ERR_INVALID);
	CHECK(strstr(err.msg, part));
	if (!strstr(err.msg, part))
		printf("# %s\n", err.msg);
}

static void tells_where_a_pattern_goes_wrong(void)
{
	check_error("foo(bar", "byte 8, near \"foo(bar\": missing closing parenthesis");
	check_error("a**b", "byte 3, near");
	check_error("x[z-a]", "range out of order");
	check_error("a{3,2}", "byte 6");
	check_error("\\C", "\\C");
	check_error("foo\\nbar", "byte 4: it asks for a newline");
	check_error("é(é", "byte 6");
}

static bool found(const char *pattern, enum regex_case how, const char *text)
{
	struct regex_scratch *scratch = regex_scratch_new(NULL, NULL);
	struct regex *regex;
	size_t at;

	if (regex_new(pattern, strlen(pattern), how, &regex, NULL) < 0)
		abort();
	enum regex_found result = regex_find(
		regex, scratch, text, strlen(text), 0, regex_text_of(text, strlen(text)), &at);
	regex_free(regex);
	regex_scratch_free(scratch);
	return result == REGEX_YES;
}

static void case_is_a_matter_of_unicode(void)
{
	CHECK(found("é", REGEX_INSENSITIVE, "É"));
	CHECK(!found("é", REGEX_SENSITIVE, "É"));
	CHECK(found("k", REGEX_INSENSITIVE, "\xE2\x84\xAA"));
	CHECK(found("abc", REGEX_SMART, "ABC"));
	CHECK(!found("Abc", REGEX_SMART, "ABC"));
	CHECK(!found("É", REGEX_SMART, "é"));
	CHECK(found("\\Sb\\pLd", REGEX_SMART, "ABCD"));
	CHECK(found("\\w{3}", REGEX_SENSITIVE, "éàü"));
	CHECK(found("^.$", REGEX_SENSITIVE, "é"));
	CHECK(found("[[:upper:]]", REGEX_SENSITIVE, "É"));
}

static void bytes_that_are_no_text_match_nothing(void)
{
	CHECK(found("a.b", REGEX_SENSITIVE,
		"\xFF"
		"axb"));
	CHECK(!found("a.b", REGEX_SENSITIVE,
		"a\xFF"
		"b"));
	CHECK(found("é", REGEX_SENSITIVE, "\xC3\xC3\xA9"));
}

static void a_long_subject_is_tried_slice_by_slice(void)
{
	size_t len = 100001;
	char *text = malloc(len + 1);

	memset(text, 'a', len);
	text[len] = '\0';
	for (size_t at = 2000; at < 2100; at++) {
		text[at] = 'b';
		text[at + 1] = 'c';
		CHECK(found("[b]+c", REGEX_SENSITIVE, text));
		text[at] = text[at + 1] = 'a';
	}
	memcpy(text + 2047, "\xC3\xA9", 2);
	CHECK(found("[é]", REGEX_SENSITIVE, text));
	text[len - 1] = 'z';
	CHECK(found("[z]$", REGEX_SENSITIVE, text));
	CHECK(!found("[z].", REGEX_SENSITIVE, text));
	free(text);
}

static void backtracking_ends(void)
{
	struct regex_scratch *scratch = regex_scratch_new(NULL, NULL);
	struct regex *regex;
	char text[3000];
	size_t at;

	memset(text, 'a', sizeof text);
	CHECK_INT(regex_new("(a|aa|b)+[cd]", 13, REGEX_SENSITIVE, &regex, NULL), 0);
	CHECK_INT(
		regex_find(regex, scratch, text, sizeof text, 0, REGEX_ASCII, &at), REGEX_TOO_HARD);
	regex_free(regex);
	regex_scratch_free(scratch);
}

TESTS(CASE(finds_the_literals_that_every_match_has), CASE(without_case_a_place_has_both),
	CASE(what_is_not_understood_makes_no_facts), CASE(a_newline_is_refused),
	CASE(patterns_cannot_be_large_enough_to_hurt), CASE(tells_where_a_pattern_goes_wrong),
	CASE(case_is_a_matter_of_unicode), CASE(bytes_that_are_no_text_match_nothing),
	CASE(a_long_subject_is_tried_slice_by_slice), CASE(backtracking_ends))
