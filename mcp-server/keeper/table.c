#include "table.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

void table_release(struct table *table)
{
	free(table->entries);
	*table = (struct table){ 0 };
}

/* The place of `number`, or where it would be. */
static size_t place(const struct table *table, uint64_t number)
{
	size_t from = 0, to = table->len;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (table->entries[middle].number < number)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

void *table_find(const struct table *table, uint64_t number)
{
	size_t i = place(table, number);

	return i < table->len && table->entries[i].number == number ? table->entries[i].value
								    : NULL;
}

void table_insert(struct table *table, uint64_t number, void *value)
{
	size_t i = place(table, number);

	if (table->len == table->cap) {
		table->cap = table->cap ? table->cap * 2 : 16;
		table->entries = alloc_grow(table->entries, table->cap * sizeof *table->entries);
	}
	memmove(table->entries + i + 1, table->entries + i,
		(table->len - i) * sizeof *table->entries);
	table->entries[i] = (struct table_entry){ number, value };
	table->len++;
}

void table_remove(struct table *table, uint64_t number)
{
	size_t i = place(table, number);

	if (i == table->len || table->entries[i].number != number)
		return;
	table->len--;
	memmove(table->entries + i, table->entries + i + 1,
		(table->len - i) * sizeof *table->entries);
}
