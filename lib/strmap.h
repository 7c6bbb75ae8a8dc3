#ifndef STRMAP_H
#define STRMAP_H

/*
 * A map from texts to pointers. Keys are borrowed: they live in what they lead to. The table is
 * seeded at random, so that no client can choose keys that collide. Used by one thread.
 */
#include <stddef.h>
#include <stdint.h>

struct strmap_slot {
	const char *key; /* NULL: free */
	void *value;
};

struct strmap {
	struct strmap_slot *slots;
	size_t count, size; /* size is a power of two, or 0 */
	uint64_t seed;
};

void strmap_release(struct strmap *map); /* all zeroes is an empty map */

/* Adds the key, which must not be there. */
void strmap_add(struct strmap *map, const char *key, void *value);
void *strmap_find(const struct strmap *map, const char *key); /* or NULL */
void strmap_remove(struct strmap *map, const char *key);      /* where it is there */

#endif
