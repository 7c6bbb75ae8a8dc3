#include "grep.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "regex.h"

#include "plain_grep.h"
#include "scratch.h"
#include "test.h"

static int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	MUST(fd);
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)bytes + done, len - done);
		MUST(n);
		done += (size_t)n;
	}
	return fd;
}

static struct regex *regex(const char *pattern, enum regex_case how)
{
	struct regex *compiled;
	struct err err;

	if (regex_new(pattern, strlen(pattern), how, &compiled, &err) < 0) {
		printf("# %s\n", err.msg);
		abort();
	}
	return compiled;
}

/* The hits as text: "3:the line\n", "4-a line of context\n". */
static char *text_of(const struct grep_hits *hits)
{
	AUTO_BUF struct buf text = BUF_INIT(64 << 20);

	for (size_t i = 0; i < hits->count; i++) {
		const struct grep_line *line = &hits->lines[i];
		buf_addf(&text, "%llu%c", (unsigned long long)line->number,
			line->is_match ? ':' : '-');
		buf_add(&text, hits->texts.data + line->text, line->len);
		buf_add_char(&text, '\n');
	}
	return buf_steal(&text, NULL);
}

static char *search_with(struct grep_options options, const char *pattern, const void *bytes,
	size_t len, struct grep_hits *hits)
{
	AUTO_CLOSE int fd = file_of(bytes, len);

	options.regex = regex(pattern, REGEX_SENSITIVE);
	if (!options.matches_max)
		options.matches_max = 1000000;
	struct grep *grep = grep_new(&options);
	grep_hits_init(hits);
	CHECK_INT(grep_file(grep, fd, hits), 0);
	grep_end(&options, fd, hits);
	grep_free(grep);
	regex_free(options.regex);
	return text_of(hits);
}

static void check(struct grep_options options, const char *pattern, const void *bytes, size_t len,
	const char *want)
{
	struct grep_hits hits;
	AUTO_FREE char *have = search_with(options, pattern, bytes, len, &hits);

	CHECK_TEXT(have, want);
	grep_hits_release(&hits);
}

static void check_text(const char *pattern, const char *text, const char *want)
{
	check((struct grep_options){ 0 }, pattern, text, strlen(text), want);
}

static void shows_lines_with_their_numbers(void)
{
	check_text("b", "abc\nx\nb\n", "1:abc\n3:b\n");
	check_text("b", "abc\nx\nb", "1:abc\n3:b\n");
	check_text("^$", "a\n\nb\n\n", "2:\n4:\n");
	check_text("$", "a\nb", "1:a\n2:b\n");
	check_text("", "a\n", "1:a\n");
	check_text("a", "", "");
	check_text("a\\r$", "a\r\nb\r\n", "1:a\r\n");
}

static void no_match_spans_lines(void)
{
	check_text("a\\s+b", "a\nb\na b\n", "3:a b\n");
	check_text("a[^x]b", "a\nb\na b\n", "3:a b\n");
	check_text("a\\Wb", "a\nb\na b\n", "3:a b\n");
	check_text("a\\s*+$", "x\na  \nb\n", "2:a  \n");
	check_text("a(?!\\s*b)", "a\nb\n", "1:a\n");
	check_text("(?s)a.b", "a\nb\na-b\n", "3:a-b\n");
	check_text("a[\\s,]b", "a\nb\na,b\n", "3:a,b\n");
	check_text("a[\\s\\S]b", "a\nb\na,b\n", "3:a,b\n");
	check_text("\\Ab", "a\nb\n", "2:b\n");
	check_text("a\\z", "a\nba\nb\n", "1:a\n2:ba\n");
	check_text("a\\P{L}b", "a\nb\na,b\n", "3:a,b\n");
}

static void context_is_shown_once(void)
{
	struct grep_options options = { .context = 1 };
	const char text[] = "1\n2\nx\n4\n5\nx\nx\n8\n9\n10\n11\nx";

	check(options, "x", text, sizeof text - 1,
		"2-2\n3:x\n4-4\n5-5\n6:x\n7:x\n8-8\n11-11\n12:x\n");
	options.context = 2;
	check(options, "x", text, sizeof text - 1,
		"1-1\n2-2\n3:x\n4-4\n5-5\n6:x\n7:x\n8-8\n9-9\n10-10\n11-11\n12:x\n");
}

/* Every seventh line matches; blocks end anywhere: in a match, in its context, in a line. */
static void the_ends_of_blocks_do_not_show(void)
{
	static const char dots[] = "....................................................";
	const size_t lines = 20000, last = lines - lines % 7;

	for (size_t context = 0; context < 3; context++) {
		AUTO_BUF struct buf text = BUF_INIT(4 << 20), want = BUF_INIT(4 << 20);
		struct grep_hits hits;

		for (size_t line = 1; line <= lines; line++) {
			size_t start = text.len, since = line % 7;
			bool match = since == 0;

			buf_addf(&text, "%s%.*s\n", match ? "match" : "", (int)(line % 50), dots);
			if (match || (line > 7 && since <= context) ||
				(line < last && 7 - since <= context))
				buf_addf(&want, "%zu%c%s", line, match ? ':' : '-',
					text.data + start);
		}
		AUTO_FREE char *have = search_with((struct grep_options){ .context = context },
			"mat[c]h", text.data, text.len, &hits);
		CHECK_TEXT(have, want.data);
		grep_hits_release(&hits);
	}
}

static void a_line_may_be_longer_than_a_block(void)
{
	size_t len = 3 << 20;
	char *text = alloc_zero(len);
	struct grep_hits hits;

	memset(text, 'a', len);
	memcpy(text + len / 2, "needle", 6);
	text[10] = '\n';
	free(search_with((struct grep_options){ 0 }, "needle", text, len, &hits));
	CHECK_INT(hits.count, 1);
	CHECK_INT(hits.lines[0].number, 2);
	CHECK(hits.lines[0].len <= GREP_SHOWN_MAX + 6);
	CHECK(memmem(hits.texts.data, hits.texts.len, "needle", 6));
	grep_hits_release(&hits);
	free(text);
}

static void long_lines_are_cut_between_characters(void)
{
	for (size_t at = 0; at < 6000; at += 997) {
		char text[9000];
		struct grep_hits hits;

		for (size_t i = 0; i < sizeof text; i += 3)
			memcpy(text + i, "\xE2\x82\xAC", 3);
		memcpy(text + at - at % 3, "XYZ", 3);
		free(search_with((struct grep_options){ 0 }, "XYZ", text, sizeof text, &hits));
		CHECK_INT(hits.count, 1);
		CHECK_INT(regex_text_of(hits.texts.data, hits.texts.len), REGEX_UTF8);
		CHECK(memmem(hits.texts.data, hits.texts.len, "XYZ", 3));
		grep_hits_release(&hits);
	}
}

static void stops_with_one_match_too_many(void)
{
	struct grep_hits hits;
	const char text[] = "x\nx\nx\nx\nx\n";

	free(search_with(
		(struct grep_options){ .matches_max = 2 }, "x", text, sizeof text - 1, &hits));
	CHECK_INT(hits.matches, 3);
	grep_hits_release(&hits);
}

static void a_nul_hides_a_file_that_was_met(void)
{
	check((struct grep_options){ 0 }, "a", "aaa\na\0\n", 7, "");
	/* ripgrep reads 3 bytes first, to see a mark of byte order. */
	check((struct grep_options){ 0 }, "a", "a\na\0\n", 5, "1:a\n");
}

static void a_late_nul_leaves_what_was_read_before(void)
{
	size_t len = 200000;
	char *text = alloc_zero(len);
	struct grep_hits hits;

	for (size_t i = 0; i < len; i++)
		text[i] = i % 100 == 99 ? '\n' : 'a';
	text[150000] = '\0';
	AUTO_FREE char *have = search_with((struct grep_options){ 0 }, "^a", text, len, &hits);
	/* 3 bytes, then 64 KiB behind the last newline: the third read has the NUL. */
	CHECK_INT(hits.count, 1310);
	grep_hits_release(&hits);
	free(text);
}

static void a_named_file_shows_lines_up_to_one_with_a_nul(void)
{
	const struct grep_options named = { .named = true };
	size_t len = 70010;
	char *text = alloc_zero(len);
	struct grep_hits hits;

	memset(text, '.', len);
	for (size_t i = 99; i < len; i += 100)
		text[i] = '\n';
	text[0] = text[69000] = text[69100] = text[69200] = 'x';
	text[69050] = '\0'; /* in a line that is not shown */
	text[69000] = '.';
	text[69150] = '\0';
	AUTO_FREE char *have = search_with(named, "^x", text, len, &hits);
	CHECK_INT(hits.count, 1);
	CHECK(hits.binary_match);
	grep_hits_release(&hits);
	text[60000] = '\0';
	AUTO_FREE char *none = search_with(named, "^x", text, len, &hits);
	CHECK_INT(hits.count, 0);
	CHECK(hits.binary_match);
	grep_hits_release(&hits);
	free(text);
}

static void marks_of_byte_order_are_understood(void)
{
	check((struct grep_options){ 0 }, "^a",
		"\xEF\xBB\xBF"
		"a\n",
		5, "1:a\n");
	check((struct grep_options){ 0 }, "^h.$", "\xFF\xFEh\0\xE9\0\n\0", 8, "1:h\xC3\xA9\n");
	check((struct grep_options){ 0 }, "^h.$", "\xFE\xFF\0h\0\xE9\0\n", 8, "1:h\xC3\xA9\n");
	/* A pair, half a pair, half a unit. */
	check((struct grep_options){ 0 }, "a",
		"\xFF\xFE\x3D\xD8\0\xDE\x3D\xD8"
		"a\0x",
		11,
		"1:\xF0\x9F\x98\x80\xEF\xBF\xBD"
		"a\xEF\xBF\xBD\n");
}

static void what_backtracks_too_much_is_given_up_and_counted(void)
{
	struct grep_hits hits;
	char text[1000];

	memset(text, 'a', sizeof text);
	memcpy(text + 500, "\nfine\n", 6);
	AUTO_FREE char *have = search_with(
		(struct grep_options){ 0 }, "(?:(a|aa)+[bc]|fin)", text, sizeof text, &hits);
	CHECK_TEXT(have, "2:fine\n");
	CHECK(hits.too_hard > 0);
	grep_hits_release(&hits);
}

static bool now(void *data)
{
	++*(int *)data;
	return true;
}

static void can_be_interrupted(void)
{
	size_t len = 4 << 20;
	char *text = alloc_zero(len);
	struct grep_hits hits;
	int asked = 0;

	memset(text, 'a', len);
	free(search_with((struct grep_options){ .interrupted = now, .data = &asked }, "a+b", text,
		len, &hits));
	CHECK(asked > 0 && asked < 5);
	grep_hits_release(&hits);
	free(text);
}

/* ---- Against the plain search ---- */

static const char *const atoms[] = { "alpha", "be?ta", "[a-f]", "[^a ]", "\\s", "\\S", "\\w+",
	"\\W", "\\d{2}", "\\D", ".", ".*", "^", "$", "\\b", "\\B", "(?i)be", "(?i:k)", "s", "k",
	"(x|yy|)", "(?:al|be)+", "a{2,}", "\\x61", "é", "[é-ü]", "[\\s,]", "[\\w-]", "[]a]",
	"[^]a]", "\\.", "(?=a)", "(?!a)", "(?<=a)b", "(?>a+)", "a++", "a*?b", "\\Qa.b\\E", "\\pL",
	"\\P{Lu}", "[[:upper:]]", "[[:space:]]", "[[:^alpha:]]", "\\h", "\\v", "\\R", "\\X", "\\N",
	"\\K", "\\A", "\\z", "\\G", "[\\n ]", "[\\x00-\\x20]", "[^\\W]", "(?s).", "(?x) a b",
	"(?-i)B", "(?#c)", "\\t", "\\xe9", "\\x{e9}", "foo|bar", "(a)\\1", "{", "}", "a{,2}",
	"[a\\]b]", "(?m)^a", "[b-\\d]", "(?|a|b)", "(?<n>a)", "(?'n'b)", "\\e", "\\cA", "\\0",
	"\\o{141}", "ß", "ſ", "K" };

static const char *const pieces[] = { "alpha", "beta", "BETA", "a", "b", "aa", " ", "\t", "é", "É",
	"ü", ",", "-", "]", "12", "7", "x", "yy", "k", "K", "s", "S", "ſ", "foo", "bar", ".", "\r",
	"\xFF", "\xC3", "\xE2\x82", "{", "}", "_", "ab", "a.b", "ß", "\v", "\f", "\xC2\x85",
	"\xE2\x80\xA8" };

#define PICK(list) list[(size_t)rand() % (sizeof list / sizeof *list)]

static void random_pattern(char *out, size_t size)
{
	int n = 1 + rand() % 3;

	*out = '\0';
	for (int i = 0; i < n; i++)
		snprintf(out + strlen(out), size - strlen(out), "%s%s", PICK(atoms),
			rand() % 8 ? ""
				   : (const char *[]){ "*", "+", "?", "|", "{2}" }[rand() % 5]);
}

static size_t random_text(char *out, size_t size, bool ascii)
{
	size_t len = 0;

	for (int lines = rand() % 12; lines >= 0; lines--) {
		for (int n = rand() % 6; n > 0; n--) {
			const char *piece = PICK(pieces);
			size_t have = strlen(piece);

			if (len + have + 16 > size || (ascii && piece[0] & 0x80))
				continue;
			memcpy(out + len, piece, have);
			len += have;
		}
		out[len++] = '\n';
	}
	return rand() % 3 ? len : len - 1;
}

/* The numbers of the lines that match, by the plain search; false where it gave up. */
static bool plain_numbers(
	const pcre2_code *code, const char *text, size_t len, char *out, size_t size)
{
	*out = '\0';
	for (size_t at = 0, number = 1; at < len; number++) {
		const char *newline = memchr(text + at, '\n', len - at);
		size_t end = newline ? (size_t)(newline - text) : len;
		int rc = plain_match(code, text + at, end - at);

		if (rc < 0)
			return false;
		if (rc > 0)
			snprintf(out + strlen(out), size - strlen(out), "%zu ", number);
		at = end + 1;
	}
	return true;
}

static void numbers(const struct grep_hits *hits, char *out, size_t size)
{
	*out = '\0';
	for (size_t i = 0; i < hits->count; i++)
		snprintf(out + strlen(out), size - strlen(out), "%llu ",
			(unsigned long long)hits->lines[i].number);
}

static void show_bytes(const char *pattern, const char *text, size_t len)
{
	printf("# pattern: %s\n# text: ", pattern);
	for (size_t i = 0; i < len; i++)
		printf(text[i] >= ' ' && text[i] < 0x7F ? "%c" : "\\x%02X", (unsigned char)text[i]);
	printf("\n");
}

/* The whole file, and the same in ranges of a few bytes. */
static void compare(const char *pattern, struct regex *compiled, const pcre2_code *code,
	const char *text, size_t len)
{
	struct grep_options options = { .regex = compiled, .matches_max = 1000 };
	char want[400], have[400];
	struct grep_hits hits, all;
	AUTO_CLOSE int fd = file_of(text, len);
	int64_t step = 1 + rand() % 20;

	if (!plain_numbers(code, text, len, want, sizeof want))
		return;
	struct grep *grep = grep_new(&options);
	grep_hits_init(&hits);
	CHECK_INT(grep_file(grep, fd, &hits), 0);
	numbers(&hits, have, sizeof have);
	if (strcmp(want, have) != 0)
		show_bytes(pattern, text, len);
	CHECK_TEXT(have, want);
	grep_hits_release(&hits);
	grep_hits_init(&all);
	for (int64_t from = 0; from < (int64_t)len; from += step) {
		grep_hits_init(&hits);
		CHECK_INT(grep_range(grep, fd, from, from + step, &hits), 0);
		grep_join(&all, &hits);
	}
	numbers(&all, have, sizeof have);
	if (strncmp(text, "\xEF\xBB\xBF", 3) != 0)
		CHECK_TEXT(have, want);
	grep_hits_release(&all);
	grep_free(grep);
}

static void agrees_with_the_plain_search(void)
{
	char pattern[200], text[600];
	size_t tried = 0;

	srand(7);
	for (int round = 0; round < 6000; round++) {
		bool caseless = rand() % 3 == 0;
		struct regex *compiled;
		struct err err;

		random_pattern(pattern, sizeof pattern);
		pcre2_code *code = plain_compile(pattern, strlen(pattern), caseless);
		int rc = regex_new(pattern, strlen(pattern),
			caseless ? REGEX_INSENSITIVE : REGEX_SENSITIVE, &compiled, &err);
		CHECK(code || rc < 0);
		if (rc == 0) {
			for (int i = 0; i < 3; i++) {
				size_t len = random_text(text, sizeof text, i == 0);
				compare(pattern, compiled, code, text, len);
			}
			regex_free(compiled);
			tried++;
		}
		pcre2_code_free(code);
	}
	CHECK(tried > 4000);
}

TESTS(CASE(shows_lines_with_their_numbers), CASE(no_match_spans_lines), CASE(context_is_shown_once),
	CASE(the_ends_of_blocks_do_not_show), CASE(a_line_may_be_longer_than_a_block),
	CASE(long_lines_are_cut_between_characters), CASE(stops_with_one_match_too_many),
	CASE(a_nul_hides_a_file_that_was_met), CASE(a_late_nul_leaves_what_was_read_before),
	CASE(a_named_file_shows_lines_up_to_one_with_a_nul),
	CASE(marks_of_byte_order_are_understood),
	CASE(what_backtracks_too_much_is_given_up_and_counted), CASE(can_be_interrupted),
	CASE(agrees_with_the_plain_search))
