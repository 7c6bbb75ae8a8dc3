#include "literals.h"

#include <stdlib.h>

#include "alloc.h"

#include "test.h"

static struct literal literal(const char *text)
{
	struct literal l = { .len = strlen(text) };

	for (size_t i = 0; i < l.len; i++)
		byteset_add(&l.at[i], (unsigned char)text[i]);
	return l;
}

static struct literal caseless(const char *text)
{
	struct literal l = literal(text);

	for (size_t i = 0; i < l.len; i++)
		byteset_add(&l.at[i], (unsigned char)text[i] ^ 0x20);
	return l;
}

static bool occurs_at(const struct literal *l, const char *at, const char *end)
{
	if ((size_t)(end - at) < l->len)
		return false;
	for (size_t i = 0; i < l->len; i++)
		if (!byteset_has(&l->at[i], (unsigned char)at[i]))
			return false;
	return true;
}

/* The found place lies in an occurrence, and no line before it has one. */
static bool right(const struct literal *l, size_t count, const char *begin, const char *end,
	const char *found)
{
	const char *limit = found ? found : end;

	while (found && limit > begin && limit[-1] != '\n')
		limit--;
	for (const char *at = begin; at < limit; at++)
		for (size_t i = 0; i < count; i++)
			if (occurs_at(&l[i], at, end))
				return false;
	for (const char *at = limit; found && at <= found; at++)
		for (size_t i = 0; i < count; i++)
			if (occurs_at(&l[i], at, end) && at + l[i].len > found)
				return true;
	return !found;
}

static void check_both(const struct literal *l, size_t count, const char *text, size_t len)
{
	char *copy = alloc_zero(len + LITERALS_PAD);
	struct literals *set = literals_new(l, count);

	memcpy(copy, text, len);
	for (int portable = 0; portable < 2; portable++) {
		literals_portable = portable;
		for (size_t from = 0; from < len; from += 1 + len / 7)
			CHECK(right(l, count, copy + from, copy + len,
				literals_find(set, copy + from, copy + len)));
	}
	literals_portable = false;
	literals_free(set);
	free(copy);
}

static void finds_one_literal_anywhere(void)
{
	char text[400];

	for (size_t at = 0; at + 6 <= sizeof text; at++) {
		memset(text, 'x', sizeof text);
		memcpy(text + at, "needle", 6);
		struct literal l = literal("needle");
		check_both(&l, 1, text, sizeof text);
		l = caseless("NeeDle");
		check_both(&l, 1, text, sizeof text);
	}
}

static void does_not_look_behind_the_end(void)
{
	struct literal l[] = { literal("needle"), literal("n"), literal("le") };
	char text[64 + LITERALS_PAD] = "xxneedle";

	for (size_t i = 0; i < 3; i++) {
		struct literals *set = literals_new(&l[i], 1);
		CHECK(!literals_find(set, text, text + (i == 0 ? 7 : i == 1 ? 2 : 7)));
		CHECK(!literals_find(set, text + 7, text + 8));
		CHECK(!literals_find(set, text, text));
		literals_free(set);
	}
}

static void finds_the_first_of_many(void)
{
	const char text[] = "a line\nSherlock Holmes\nProfessor Moriarty\nDr. Watson\n";
	struct literal l[] = { literal("Watson"), caseless("moriarty"), literal("Sherlock"),
		literal("x"), literal("fess") };

	for (size_t count = 1; count <= 5; count++)
		for (size_t from = 0; from + count <= 5; from++)
			check_both(l + from, count, text, sizeof text - 1);
}

static void agrees_with_a_plain_search(void)
{
	static const char letters[] = "abAB\n";
	struct literal l[LITERALS_MAX];
	char text[1000];

	srand(1);
	for (int round = 0; round < 300; round++) {
		size_t count = 1 + (size_t)rand() % (round % 3 ? 3 : LITERALS_MAX);
		for (size_t i = 0; i < count; i++) {
			l[i] = (struct literal){ .len = 1 + (size_t)rand() % 6 };
			for (size_t k = 0; k < l[i].len; k++)
				for (int n = rand() % 3; n >= 0; n--)
					byteset_add(
						&l[i].at[k], (unsigned char)letters[rand() % 4]);
		}
		size_t len = (size_t)rand() % sizeof text;
		for (size_t i = 0; i < len; i++)
			text[i] = rand() % 20 ? 'x' : letters[rand() % 5];
		check_both(l, count, text, len);
	}
}

static void counts_bytes_of_any_length(void)
{
	char text[40000];

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 3 ? 'x' : '\n';
	for (size_t len = 0; len < sizeof text; len += 1 + len / 9)
		for (int portable = 0; portable < 2; portable++) {
			literals_portable = portable;
			CHECK_INT(count_byte(text, len, '\n'), (len + 2) / 3);
		}
	literals_portable = false;
}

static void tells_ascii_from_the_rest(void)
{
	char text[600] = { 0 };

	for (size_t at = 0; at < sizeof text; at++) {
		text[at] = (char)0x80;
		CHECK(!is_ascii(text, sizeof text));
		CHECK(is_ascii(text, at));
		text[at] = 0x7F;
	}
	CHECK(is_ascii(text, sizeof text));
}

static void rates_rare_literals_lower(void)
{
	struct literal a = literal("e"), b = literal("zq#"), c[] = { literal("e"), literal("zq#") };

	CHECK(literals_rate(&b, 1) < literals_rate(&a, 1));
	CHECK(literals_rate(c, 2) > literals_rate(&b, 1));
}

TESTS(CASE(finds_one_literal_anywhere), CASE(does_not_look_behind_the_end),
	CASE(finds_the_first_of_many), CASE(agrees_with_a_plain_search),
	CASE(counts_bytes_of_any_length), CASE(tells_ascii_from_the_rest),
	CASE(rates_rare_literals_lower))
