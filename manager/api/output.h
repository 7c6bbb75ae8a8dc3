#ifndef OUTPUT_H
#define OUTPUT_H

/*
 * What a command prints, in bounded memory: its first bytes and its last ones. Pure data.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum { OUTPUT_HEAD_BYTES = 512 * 1024, OUTPUT_TAIL_BYTES = 512 * 1024 };

struct output {
	struct buf head;
	char *tail;     /* a ring, made when it is needed */
	uint64_t behind; /* bytes that came after the head */
};

void output_init(struct output *output);
void output_release(struct output *output);
void output_add(struct output *output, const char *bytes, size_t len);

/* Appends it as it was, with a sentence where the middle is missing. */
void output_text(const struct output *output, struct buf *out);
int output_truncated(const struct output *output);

#endif
