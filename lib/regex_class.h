#ifndef REGEX_CLASS_H
#define REGEX_CLASS_H

/*
 * The small change of regex_facts.c: escapes and classes. Only it and regex_class.c include
 * this.
 */
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "byteset.h"

struct regex_parser {
	const unsigned char *text;
	size_t len, at;
	struct buf out;  /* the pattern, rewritten */
	bool caseless;
	bool by_line;    /* something may look past the end of a line */
	bool asserts;    /* something matches without taking any character */
	bool lost;       /* not understood: the facts are void */
	size_t newline;  /* where a newline is asked for, from 1; 0: nowhere */
};

enum regex_escape {
	REGEX_CODE,      /* one character */
	REGEX_ASSERTION, /* nothing, at some place */
	REGEX_TYPE,      /* one character of a type that may be a newline; upper or lower case of
			    its letter is the opposite type */
	REGEX_LINE_TYPE, /* characters within the line, or a back reference */
	REGEX_UNKNOWN,
};

/* Reads the escape at p->at, which moves behind it. */
enum regex_escape regex_escape(struct regex_parser *p, unsigned *code);

/* Reads and rewrites the class at p->at. True where it is `set`: a few characters of ASCII. */
bool regex_class(struct regex_parser *p, struct byteset *set);

/* Adds the other cases. False where a character outside ASCII is one, too (k, s). */
bool regex_fold(struct byteset *set);

#endif
