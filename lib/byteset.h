#ifndef BYTESET_H
#define BYTESET_H

/* A set of bytes: one bit for each. */
#include <stdbool.h>
#include <stdint.h>

struct byteset {
	uint64_t bits[4];
};

static inline void byteset_add(struct byteset *set, unsigned char c)
{
	set->bits[c >> 6] |= 1ULL << (c & 63);
}

static inline void byteset_remove(struct byteset *set, unsigned char c)
{
	set->bits[c >> 6] &= ~(1ULL << (c & 63));
}

static inline bool byteset_has(const struct byteset *set, unsigned char c)
{
	return set->bits[c >> 6] >> (c & 63) & 1;
}

static inline void byteset_invert(struct byteset *set)
{
	for (int i = 0; i < 4; i++)
		set->bits[i] = ~set->bits[i];
}

static inline int byteset_count(const struct byteset *set)
{
	int n = 0;

	for (int i = 0; i < 4; i++)
		n += __builtin_popcountll(set->bits[i]);
	return n;
}

#endif
