#include "strmap.h"

#include <stdio.h>

#include "test.h"

enum { COUNT = 1000 };

static char keys[COUNT][16];

static void fill(struct strmap *map)
{
	for (size_t i = 0; i < COUNT; i++) {
		snprintf(keys[i], sizeof keys[i], "key-%zu", i);
		strmap_add(map, keys[i], keys[i]);
	}
}

static void finds_what_was_added_and_nothing_else(void)
{
	struct strmap map = { 0 };

	CHECK(!strmap_find(&map, "key-1"));
	fill(&map);
	for (size_t i = 0; i < COUNT; i++)
		CHECK(strmap_find(&map, keys[i]) == keys[i]);
	CHECK(!strmap_find(&map, "key-1000"));
	CHECK(map.count == COUNT);
	strmap_release(&map);
}

static void keeps_the_others_when_one_is_removed(void)
{
	struct strmap map = { 0 };

	fill(&map);
	for (size_t i = 0; i < COUNT; i += 2)
		strmap_remove(&map, keys[i]);
	strmap_remove(&map, "never there");
	for (size_t i = 0; i < COUNT; i++)
		CHECK(strmap_find(&map, keys[i]) == (i % 2 ? keys[i] : NULL));
	CHECK(map.count == COUNT / 2);
	strmap_release(&map);
}

TESTS(CASE(finds_what_was_added_and_nothing_else), CASE(keeps_the_others_when_one_is_removed))
