#ifndef REGEX_H
#define REGEX_H

/*
 * A PCRE2 pattern for searching the lines of files: Unicode-aware, just-in-time compiled, and
 * unable to hang: a match that backtracks too much is given up. Bytes that are no UTF-8 match
 * nothing but do no harm. A pattern is constant; each thread needs a scratch of its own.
 */
#include <stdbool.h>
#include <stddef.h>

#include "literals.h"

struct err;
struct regex;
struct regex_scratch;

enum { REGEX_MAX = 16 << 10 }; /* bytes of a pattern */

enum regex_case {
	REGEX_SENSITIVE,
	REGEX_INSENSITIVE,
	REGEX_SMART, /* insensitive where the pattern has no upper-case letter */
};

/* What is known of the bytes searched; the more, the faster. */
enum regex_text { REGEX_ASCII, REGEX_UTF8, REGEX_BYTES };

enum regex_found { REGEX_NO, REGEX_YES, REGEX_TOO_HARD, REGEX_INTERRUPTED };

/* ERR_INVALID: a bad pattern; the message says where it goes wrong and what is wrong. */
int regex_new(const char *pattern, size_t len, enum regex_case how, struct regex **out,
	struct err *err);
void regex_free(struct regex *regex);

/* Whether it has to be given single lines, without their ends, since it could look past them.
 * All others find in many lines at once what they find in each. */
bool regex_by_line(const struct regex *regex);

/* Literals of which one is in every match, NULL where none are known to be worth it. Where
 * `exact`, each of their occurrences is a match. Borrowed. */
const struct literals *regex_literals(const struct regex *regex, bool *exact);

/* `interrupted` (may be NULL) is asked now and then, and ends a search. */
struct regex_scratch *regex_scratch_new(bool (*interrupted)(void *data), void *data);
void regex_scratch_free(struct regex_scratch *scratch);

/* The first match from `start` on; `at` gets where it begins. */
enum regex_found regex_find(struct regex *regex, struct regex_scratch *scratch,
	const char *bytes, size_t len, size_t start, enum regex_text text, size_t *at);

/* What the bytes are. */
enum regex_text regex_text_of(const char *bytes, size_t len);

#endif
