#ifndef REGEX_FACTS_H
#define REGEX_FACTS_H

/*
 * What can be told from the text of a PCRE2 pattern that compiles: literals of which one is in
 * every match, and an equal pattern that matches no newline, so that many lines can be given to
 * it at once. What is not understood makes no facts, never wrong ones.
 */
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "literals.h"

struct err;

struct regex_facts {
	struct literal *literals;
	size_t count;      /* 0: none known */
	bool exact;        /* an occurrence of a literal is a match */
	bool by_line;      /* only single lines may be given to it: it could look past their ends */
	struct buf text;   /* the pattern without newlines; where not by_line */
};

/* ERR_INVALID where the pattern asks for a newline, which no line has. */
int regex_facts_init(struct regex_facts *facts, const char *pattern, size_t len, bool caseless,
	struct err *err);
void regex_facts_release(struct regex_facts *facts);

#endif
