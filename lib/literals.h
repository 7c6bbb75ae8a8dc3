#ifndef LITERALS_H
#define LITERALS_H

/*
 * Searches bytes for any of a few literals at once, many bytes a step where the processor can
 * (AVX2, asked at run time). A literal is a row of byte sets, so that "a" in either case or a
 * digit is a place in it like any other. Constant once made; any thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "byteset.h"

struct literals;

enum {
	LITERAL_MAX = 24,  /* places of a literal */
	LITERALS_MAX = 64, /* literals of a search */
	LITERALS_PAD = 64, /* bytes that have to be readable behind what is searched */
};

struct literal {
	size_t len; /* at least 1 */
	struct byteset at[LITERAL_MAX];
};

/* `count` from 1 to LITERALS_MAX. The literals are copied. */
struct literals *literals_new(const struct literal *literal, size_t count);
void literals_free(struct literals *literals);

/*
 * A place inside some occurrence of a literal between `begin` and `end`, or NULL. Occurrences
 * begin at `begin` or later; where several do, the place is in the first or in one that
 * overlaps the stretch before it by less than a literal. Literals without a newline therefore
 * come line after line.
 */
const char *literals_find(const struct literals *literals, const char *begin, const char *end);

/* How many of `len` bytes are `c`; LITERALS_PAD is not needed. */
size_t count_byte(const char *bytes, size_t len, char c);

/* Whether no byte is past 0x7F. */
bool is_ascii(const char *bytes, size_t len);

/* About how often the literals occur by chance, per byte: the smaller, the better a filter. */
double literals_rate(const struct literal *literal, size_t count);

/* Makes all of the above do without special instructions, for tests. */
extern bool literals_portable;

#endif
