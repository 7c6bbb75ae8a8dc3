#ifndef STRINGS_H
#define STRINGS_H

/* Small sets of literals, as an analysis of patterns makes them. One thread at a time. */
#include <stdbool.h>
#include <stddef.h>

#include "literals.h"

struct strings {
	struct literal *at;
	size_t count; /* 0: not known */
};

/* The set of the empty literal. */
struct strings strings_empty(void);

/* The set of one literal that is one place long. */
struct strings strings_place(const struct byteset *set);

void strings_release(struct strings *set);

/* `into` becomes each of its literals followed by each of `tail`; false, and nothing happens,
 * where that is more or longer than literals may be. */
bool strings_append(struct strings *into, const struct strings *tail);

/* `into` gets the literals of `more`, too; false where they are too many. */
bool strings_join(struct strings *into, const struct strings *more);

/* Whether every literal has a byte. */
bool strings_useful(const struct strings *set);

/* Keeps in `best` the one of the two that is the better filter; takes `set` over. */
void strings_prefer(struct strings *best, struct strings *set);

#endif
