#ifndef LITERAL_SET_H
#define LITERAL_SET_H

/* Small sets of literals, as an analysis of patterns makes them. One thread at a time. */
#include <stdbool.h>
#include <stddef.h>

#include "literals.h"

struct literal_set {
	struct literal *at;
	size_t count; /* 0: not known */
};

/* The set of the empty literal. */
struct literal_set literal_set_empty(void);

/* The set of one literal that is one place long. */
struct literal_set literal_set_place(const struct byteset *set);

void literal_set_release(struct literal_set *set);

/* `into` becomes each of its literals followed by each of `tail`; false, and nothing happens,
 * where that is more or longer than literals may be. */
bool literal_set_append(struct literal_set *into, const struct literal_set *tail);

/* `into` gets the literals of `more`, too; false where they are too many. */
bool literal_set_join(struct literal_set *into, const struct literal_set *more);

/* Whether every literal has a byte. */
bool literal_set_useful(const struct literal_set *set);

/* Keeps in `best` the one of the two that is the better filter; takes `set` over. */
void literal_set_prefer(struct literal_set *best, struct literal_set *set);

#endif
