#ifndef GREP_HITS_H
#define GREP_HITS_H

/* How hits are collected: for grep.c. */
#include "grep.h"

enum { GREP_HEAD = 64 << 10 }; /* where a NUL makes a named file binary at once */

/* Adds a line, of which the part around `match` is kept; number, offset and is_match of `line`
 * are set. False where there are too many. */
bool grep_hits_add(struct grep_hits *hits, const char *text, size_t len, size_t match,
	struct grep_line line);

#endif
