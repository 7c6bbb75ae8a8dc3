#ifndef GLOB_H
#define GLOB_H

/*
 * Glob patterns over paths, with the meaning that ripgrep's globset gives them in ignore files
 * and in -g: `*` and `?` stop at a slash, a double star does not, {a,b} may nest, [!a] negates,
 * backslash escapes. Bytes, not characters: `?` is one byte. A glob never changes once made, so
 * any thread may match it; the time is linear in pattern times path, whatever they are.
 */
#include <stdbool.h>
#include <stddef.h>

struct err;
struct glob;

enum { GLOB_MAX = 4096 }; /* bytes of a pattern */

/* What a glob amounts to, for those who index many of them. */
enum glob_shape {
	GLOB_PATH,      /* the path is the literal */
	GLOB_NAME,      /* its last component is the literal */
	GLOB_EXTENSION, /* it ends in the literal: a dot and no other dot or slash */
	GLOB_OTHER,
};

/* ERR_INVALID says what is wrong with the pattern, and where; ERR_LIMIT past GLOB_MAX. */
int glob_new(const char *pattern, size_t len, struct glob **out, struct err *err);
void glob_free(struct glob *glob);

/* Whether the whole of `path` (relative, no "./" before it) matches. */
bool glob_match(const struct glob *glob, const char *path, size_t len);

enum glob_shape glob_shape(const struct glob *glob);

/* The literal of a shape that has one. Borrowed. */
const char *glob_literal(const struct glob *glob, size_t *len);

/* Bytes of memory that it takes. */
size_t glob_size(const struct glob *glob);

#endif
