#ifndef TABLE_H
#define TABLE_H

/* Commands by their number, which only rises: an array that stays sorted by itself. One thread. */
#include <stddef.h>
#include <stdint.h>

struct table_entry {
	uint64_t number;
	void *value;
};

struct table {
	struct table_entry *entries; /* in the order of their numbers */
	size_t len, cap;
};

void table_release(struct table *table); /* the values are the caller's */
void *table_find(const struct table *table, uint64_t number); /* NULL: none */
void table_insert(struct table *table, uint64_t number, void *value);
void table_remove(struct table *table, uint64_t number);

#endif
