#include "shortlist.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

void shortlist_init(
	struct shortlist *list, size_t weight_max, size_t bytes_max, void (*drop)(void *payload))
{
	*list = (struct shortlist){
		.weight_max = weight_max, .bytes_max = bytes_max, .drop = drop
	};
}

void shortlist_release(struct shortlist *list)
{
	for (size_t i = 0; i < list->count && list->drop; i++)
		list->drop(list->items[i].payload);
	free(list->items);
	free(list->text);
	free(list->bound);
	*list = (struct shortlist){ 0 };
}

static int compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order ? order : (a_len > b_len) - (a_len < b_len);
}

bool shortlist_wants(const struct shortlist *list, const char *path, size_t len)
{
	return !list->bound || compare(path, len, list->bound, list->bound_len) <= 0;
}

static int compare_items(const void *a, const void *b)
{
	const struct shortlist_item *x = a, *y = b;

	return compare(x->path, x->len, y->path, y->len);
}

static void sort(struct shortlist *list)
{
	for (size_t i = 0; i < list->count; i++)
		list->items[i].path = list->text + list->items[i].offset;
	if (list->count > 1)
		qsort(list->items, list->count, sizeof *list->items, compare_items);
}

/* Keeps the paths of the first `keep` items only, in new memory. */
static void compact(struct shortlist *list, size_t keep)
{
	size_t need = 0;

	for (size_t i = 0; i < keep; i++)
		need += list->items[i].len + 1;
	char *text = alloc_grow(NULL, 2 * need + 1);
	list->text_len = 0;
	for (size_t i = 0; i < keep; i++) {
		struct shortlist_item *item = &list->items[i];

		memcpy(text + list->text_len, item->path, item->len + 1);
		item->offset = list->text_len;
		list->text_len += item->len + 1;
	}
	free(list->text);
	list->text = text;
	list->text_cap = 2 * need + 1;
}

/* Drops what is past the limits: the items before reach them. */
static void prune(struct shortlist *list)
{
	size_t weight = 0, bytes = 0, keep = 0;

	sort(list);
	while (keep < list->count && weight < list->weight_max && bytes < list->bytes_max) {
		weight += list->items[keep].weight;
		bytes += list->items[keep].bytes;
		keep++;
	}
	if (keep == list->count)
		return;
	for (size_t i = keep; i < list->count && list->drop; i++)
		list->drop(list->items[i].payload);
	compact(list, keep);
	list->count = keep;
	list->weight = weight;
	list->bytes = bytes;
	list->cut = true;
	free(list->bound);
	list->bound_len = list->items[keep - 1].len;
	list->bound = alloc_textn(list->text + list->items[keep - 1].offset, list->bound_len);
}

void shortlist_add(struct shortlist *list, const char *path, size_t len, size_t weight,
	size_t bytes, void *payload)
{
	if (!shortlist_wants(list, path, len)) {
		list->cut = true;
		if (list->drop)
			list->drop(payload);
		return;
	}
	if (list->text_len + len + 1 > list->text_cap) {
		list->text_cap = 2 * (list->text_cap + len + 1);
		list->text = alloc_grow(list->text, list->text_cap);
	}
	if (list->count == list->cap) {
		list->cap = list->cap ? 2 * list->cap : 64;
		list->items = alloc_grow(list->items, list->cap * sizeof *list->items);
	}
	list->items[list->count++] =
		(struct shortlist_item){ NULL, list->text_len, len, weight, bytes, payload };
	memcpy(list->text + list->text_len, path, len);
	list->text[list->text_len + len] = '\0';
	list->text_len += len + 1;
	list->weight += weight;
	list->bytes += bytes;
	if (list->weight > 2 * list->weight_max || list->bytes > 2 * list->bytes_max)
		prune(list);
}

void shortlist_merge(struct shortlist *into, struct shortlist *from, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct shortlist *list = &from[i];

		for (size_t k = 0; k < list->count; k++) {
			struct shortlist_item *item = &list->items[k];
			shortlist_add(into, list->text + item->offset, item->len, item->weight,
				item->bytes, item->payload);
		}
		into->cut |= list->cut;
		list->count = 0;
		shortlist_release(list);
	}
	sort(into);
}
