#ifndef SHORTLIST_H
#define SHORTLIST_H

/*
 * The first results of a search, in the order of their paths' bytes, as far as a limit goes.
 * A search that runs in any order on several threads gives the same answer each time and can
 * pass over what would come too late: each thread has a list of its own, which drops the last
 * paths when it grows past its limits and then knows a bound; in the end they are merged.
 */
#include <stdbool.h>
#include <stddef.h>

struct shortlist_item {
	const char *path; /* set by shortlist_merge(); NUL-terminated */
	size_t offset, len;
	size_t weight, bytes; /* results in it, and what they take; both count against limits */
	void *payload;
};

struct shortlist {
	size_t weight_max, bytes_max; /* the limits */
	void (*drop)(void *payload);  /* frees a payload; NULL: there are none */
	struct shortlist_item *items;
	size_t count, cap;
	size_t weight, bytes; /* of all items */
	char *text;           /* the paths */
	size_t text_len, text_cap;
	char *bound; /* nothing behind it is wanted; NULL: none yet */
	size_t bound_len;
	bool cut; /* something was dropped */
};

void shortlist_init(struct shortlist *list, size_t weight_max, size_t bytes_max,
	void (*drop)(void *payload));
void shortlist_release(struct shortlist *list);

/* Whether a path, or anything below a directory whose path ends in a slash, could count. */
bool shortlist_wants(const struct shortlist *list, const char *path, size_t len);

/* Adds a path (copied) and its payload (taken over). */
void shortlist_add(struct shortlist *list, const char *path, size_t len, size_t weight,
	size_t bytes, void *payload);

/* Moves the items of `from` over and sorts; the items stand in order then, paths set. */
void shortlist_merge(struct shortlist *into, struct shortlist *from, size_t count);

#endif
