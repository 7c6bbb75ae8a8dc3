#include "shortlist.h"

#include <stdlib.h>

#include "alloc.h"

#include "test.h"

static size_t dropped;

static void drop(void *payload)
{
	free(payload);
	dropped++;
}

static void add(struct shortlist *list, const char *path)
{
	shortlist_add(list, path, strlen(path), 1, strlen(path), alloc_text(path));
}

static void sorts_by_bytes(void)
{
	struct shortlist one, all;

	shortlist_init(&one, 10, 1000, drop);
	shortlist_init(&all, 10, 1000, drop);
	add(&one, "b");
	add(&one, "a/b");
	add(&one, "a.c");
	add(&one, "a");
	shortlist_merge(&all, &one, 1);
	CHECK_INT(all.count, 4);
	CHECK_TEXT(all.items[0].path, "a");
	CHECK_TEXT(all.items[1].path, "a.c");
	CHECK_TEXT(all.items[2].path, "a/b");
	CHECK_TEXT(all.items[3].path, "b");
	CHECK(!all.cut);
	shortlist_release(&all);
}

/* Whatever the order and the thread that finds them, the first ones stay. */
static void keeps_the_first_whatever_the_order(void)
{
	char path[16];

	for (unsigned seed = 0; seed < 20; seed++) {
		struct shortlist lists[3], all;

		srand(seed);
		dropped = 0;
		for (int i = 0; i < 3; i++)
			shortlist_init(&lists[i], 10, 100000, drop);
		shortlist_init(&all, 10, 100000, drop);
		for (unsigned i = 0; i < 1000; i++) {
			snprintf(path, sizeof path, "%04u", (i * 617) % 1000);
			add(&lists[rand() % 3], path);
		}
		shortlist_merge(&all, lists, 3);
		CHECK(all.cut);
		for (unsigned i = 0; i < 10; i++) {
			snprintf(path, sizeof path, "%04u", i);
			CHECK_TEXT(all.items[i].path, path);
			CHECK_TEXT(all.items[i].payload, path);
		}
		size_t kept = all.count;
		shortlist_release(&all);
		CHECK_INT(dropped, 1000);
		CHECK(kept <= 31);
	}
}

static void exactly_the_limit_is_not_cut(void)
{
	struct shortlist list, all;

	shortlist_init(&list, 2, 1000, NULL);
	shortlist_init(&all, 2, 1000, NULL);
	shortlist_add(&list, "a", 1, 1, 1, NULL);
	shortlist_add(&list, "b", 1, 1, 1, NULL);
	shortlist_merge(&all, &list, 1);
	CHECK_INT(all.count, 2);
	CHECK(!all.cut);
	shortlist_release(&all);
}

static void passes_over_what_comes_too_late(void)
{
	struct shortlist list;

	shortlist_init(&list, 1, 1000, NULL);
	CHECK(shortlist_wants(&list, "z", 1));
	shortlist_add(&list, "c", 1, 1, 1, NULL);
	shortlist_add(&list, "b", 1, 1, 1, NULL);
	shortlist_add(&list, "b/x", 3, 1, 1, NULL);
	CHECK_INT(list.count, 1);
	CHECK(list.cut);
	CHECK(shortlist_wants(&list, "a/", 2));
	CHECK(shortlist_wants(&list, "b", 1));
	CHECK(!shortlist_wants(&list, "b/", 2));
	CHECK(!shortlist_wants(&list, "c/", 2));
	shortlist_release(&list);
}

static void bytes_count_as_well(void)
{
	struct shortlist list;

	shortlist_init(&list, 1000, 10, NULL);
	for (char c = 'z'; c >= 'a'; c--)
		shortlist_add(&list, &c, 1, 1, 5, NULL);
	CHECK(list.cut);
	CHECK(list.bytes <= 20);
	shortlist_release(&list);
}

TESTS(CASE(sorts_by_bytes), CASE(keeps_the_first_whatever_the_order),
	CASE(exactly_the_limit_is_not_cut), CASE(passes_over_what_comes_too_late),
	CASE(bytes_count_as_well))
