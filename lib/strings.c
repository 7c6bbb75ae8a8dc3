#include "strings.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

struct strings strings_empty(void)
{
	return (struct strings){ alloc_zero(sizeof(struct literal)), 1 };
}

struct strings strings_place(const struct byteset *set)
{
	struct strings one = strings_empty();

	one.at->len = 1;
	one.at->at[0] = *set;
	return one;
}

void strings_release(struct strings *set)
{
	free(set->at);
	*set = (struct strings){ 0 };
}

bool strings_append(struct strings *into, const struct strings *tail)
{
	size_t count = into->count * tail->count;

	if (count > LITERALS_MAX)
		return false;
	for (size_t i = 0; i < into->count; i++)
		for (size_t k = 0; k < tail->count; k++)
			if (into->at[i].len + tail->at[k].len > LITERAL_MAX)
				return false;
	struct literal *both = alloc_array(count, sizeof *both);
	for (size_t i = 0; i < count; i++) {
		const struct literal *end = &tail->at[i % tail->count];

		both[i] = into->at[i / tail->count];
		memcpy(both[i].at + both[i].len, end->at, end->len * sizeof *end->at);
		both[i].len += end->len;
	}
	free(into->at);
	*into = (struct strings){ both, count };
	return true;
}

bool strings_join(struct strings *into, const struct strings *more)
{
	size_t count = into->count + more->count;

	if (count > LITERALS_MAX)
		return false;
	into->at = alloc_grow(into->at, count * sizeof *into->at);
	memcpy(into->at + into->count, more->at, more->count * sizeof *more->at);
	into->count = count;
	return true;
}

bool strings_useful(const struct strings *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->at[i].len == 0)
			return false;
	return set->count > 0;
}

void strings_prefer(struct strings *best, struct strings *set)
{
	if (strings_useful(set) && (!best->count || literals_rate(set->at, set->count) <
							    literals_rate(best->at, best->count))) {
		strings_release(best);
		*best = *set;
		*set = (struct strings){ 0 };
	}
	strings_release(set);
}
