#include "strmap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "alloc.h"

enum { FIRST_SIZE = 16 };

/* FNV-1a with a secret start, and a mix at the end for the low bits (splitmix64's). */
static size_t place_of(const struct strmap *map, const char *key)
{
	uint64_t hash = map->seed;

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 0x100000001b3;
	hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
	hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
	return (size_t)(hash ^ (hash >> 31)) & (map->size - 1);
}

/* The slot that holds the key, or the free one where it would be. */
static size_t seek(const struct strmap *map, const char *key)
{
	size_t i = place_of(map, key);

	while (map->slots[i].key && strcmp(map->slots[i].key, key) != 0)
		i = (i + 1) & (map->size - 1);
	return i;
}

static void grow(struct strmap *map)
{
	struct strmap old = *map;

	if (!map->seed && getrandom(&map->seed, sizeof map->seed, 0) < 0)
		abort();
	map->size = old.size ? old.size * 2 : FIRST_SIZE;
	map->slots = alloc_array(map->size, sizeof *map->slots);
	for (size_t i = 0; i < old.size; i++) {
		if (old.slots[i].key)
			map->slots[seek(map, old.slots[i].key)] = old.slots[i];
	}
	free(old.slots);
}

void strmap_release(struct strmap *map)
{
	free(map->slots);
	*map = (struct strmap){ 0 };
}

void strmap_add(struct strmap *map, const char *key, void *value)
{
	if (map->count + 1 > map->size / 4 * 3)
		grow(map);
	map->slots[seek(map, key)] = (struct strmap_slot){ key, value };
	map->count++;
}

void *strmap_find(const struct strmap *map, const char *key)
{
	return map->size ? map->slots[seek(map, key)].value : NULL;
}

/* Those behind it move up, so that no search stops at the gap too early. */
void strmap_remove(struct strmap *map, const char *key)
{
	size_t mask = map->size - 1, gap;

	if (!map->size || !map->slots[gap = seek(map, key)].key)
		return;
	for (size_t i = (gap + 1) & mask; map->slots[i].key; i = (i + 1) & mask) {
		size_t home = place_of(map, map->slots[i].key);

		if (((i - home) & mask) >= ((i - gap) & mask)) {
			map->slots[gap] = map->slots[i];
			gap = i;
		}
	}
	map->slots[gap] = (struct strmap_slot){ 0 };
	map->count--;
}
