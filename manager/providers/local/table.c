#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "err.h"
#include "loop.h"

static unsigned bucket_of(const char *id)
{
	uint32_t hash = 0x811c9dc5;

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 0x01000193;
	return (hash ^ hash >> 16) % TABLE_BUCKETS;
}

struct sandbox *table_find(const struct table *table, const char *id)
{
	struct sandbox *at = table->buckets[bucket_of(id)];

	while (at && strcmp(at->record.id, id) != 0)
		at = at->next;
	return at;
}

static bool taken(const struct table *table, unsigned slot)
{
	return table->slots[slot / 32] >> slot % 32 & 1;
}

static unsigned lowest_free(const struct table *table)
{
	unsigned slot = 1;

	while (slot <= SLOT_MAX && taken(table, slot))
		slot++;
	return slot;
}

struct sandbox *table_add(struct table *table, struct record *record, struct err *err)
{
	unsigned bucket = bucket_of(record->id);

	if (record->slot == 0)
		record->slot = lowest_free(table);
	if (record->slot > SLOT_MAX) {
		err_set(err, ERR_LIMIT, "there are %d sandboxes here, which is all that fit",
			SLOT_MAX);
		return NULL;
	}
	if (taken(table, record->slot)) {
		err_set(err, ERR_CONFLICT, "slot %u of sandbox %s is taken", record->slot,
			record->id);
		return NULL;
	}
	struct sandbox *sandbox = alloc_zero(sizeof *sandbox);
	sandbox->record = *record;
	*record = (struct record){ .slot = 0 };
	sandbox->local = table->local;
	sandbox->live = (struct live)LIVE_NONE;
	sandbox->next = table->buckets[bucket];
	unsigned slot = sandbox->record.slot;
	snprintf(sandbox->address, sizeof sandbox->address, "127.83.%u.%u", slot / 256 % 256,
		slot % 256);
	table->slots[slot / 32] |= UINT32_C(1) << slot % 32;
	table->buckets[bucket] = sandbox;
	table->count++;
	return sandbox;
}

void table_drop(struct table *table, struct sandbox *sandbox)
{
	struct sandbox **at = &table->buckets[bucket_of(sandbox->record.id)];
	unsigned slot = sandbox->record.slot;

	while (*at != sandbox)
		at = &(*at)->next;
	*at = sandbox->next;
	table->slots[slot / 32] &= ~(UINT32_C(1) << slot % 32);
	table->count--;
	loop_io_free(sandbox->watch);
	loop_io_free(sandbox->helper_watch);
	live_release(&sandbox->live);
	record_release(&sandbox->record);
	free(sandbox);
}

struct sandbox *table_next(const struct table *table, const struct sandbox *after)
{
	unsigned bucket = 0;

	if (after) {
		if (after->next)
			return after->next;
		bucket = bucket_of(after->record.id) + 1;
	}
	while (bucket < TABLE_BUCKETS && !table->buckets[bucket])
		bucket++;
	return bucket < TABLE_BUCKETS ? table->buckets[bucket] : NULL;
}

void table_release(struct table *table)
{
	struct sandbox *at;

	while ((at = table_next(table, NULL)))
		table_drop(table, at);
}
