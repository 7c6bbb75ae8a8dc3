#ifndef LINES_H
#define LINES_H

/*
 * Lines of a text, which end in a newline; the last one may lack it. For bytes as they stand
 * in a file, so in one pass and fast: a deep line of a large file is found by counting.
 */
#include <stdbool.h>
#include <stddef.h>

/*
 * The length of the first `want` lines, their newlines included, or `len` where fewer newlines
 * are there; `found` is the number of newlines within that length.
 */
size_t lines_span(const char *bytes, size_t len, size_t want, size_t *found);

/* The same for UTF-16; an odd byte at the end belongs to no line. */
size_t lines_span16(const char *bytes, size_t len, bool big_endian, size_t want, size_t *found);

#endif
