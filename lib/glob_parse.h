#ifndef GLOB_PARSE_H
#define GLOB_PARSE_H

/*
 * The first half of a glob: from the pattern's text to tokens. Only glob.c and its parser
 * include this.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "byteset.h"

struct err;

enum glob_token_kind {
	GLOB_LITERAL,   /* the byte */
	GLOB_ANY,       /* `?`: one byte that is no slash */
	GLOB_STAR,      /* any number of those */
	GLOB_ANY_DIRS,  /* a leading double star: nothing, or anything that ends in a slash */
	GLOB_REST,      /* slash, double star, end: a slash and anything */
	GLOB_SOME_DIRS, /* slash, double star, slash: a slash, or two with anything between */
	GLOB_CLASS,     /* one byte of the set */
	GLOB_OPEN,      /* `{` */
	GLOB_OR,        /* `,` between braces */
	GLOB_CLOSE,     /* `}` */
};

struct glob_token {
	uint8_t kind, byte;
	uint16_t set; /* GLOB_CLASS: its number */
};

struct glob_tokens {
	struct glob_token *at;
	size_t count;
	struct byteset *sets;
	size_t set_count;
};

/* Releases what is there on failure, too. */
int glob_parse(const char *pattern, size_t len, struct glob_tokens *out, struct err *err);
void glob_tokens_release(struct glob_tokens *tokens);

#endif
