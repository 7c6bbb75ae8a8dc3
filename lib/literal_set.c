#include "literal_set.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

struct literal_set literal_set_empty(void)
{
	return (struct literal_set){ alloc_zero(sizeof(struct literal)), 1 };
}

struct literal_set literal_set_place(const struct byteset *set)
{
	struct literal_set one = literal_set_empty();

	one.at->len = 1;
	one.at->at[0] = *set;
	return one;
}

void literal_set_release(struct literal_set *set)
{
	free(set->at);
	*set = (struct literal_set){ 0 };
}

bool literal_set_append(struct literal_set *into, const struct literal_set *tail)
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
	*into = (struct literal_set){ both, count };
	return true;
}

bool literal_set_join(struct literal_set *into, const struct literal_set *more)
{
	size_t count = into->count + more->count;

	if (count > LITERALS_MAX)
		return false;
	into->at = alloc_grow(into->at, count * sizeof *into->at);
	memcpy(into->at + into->count, more->at, more->count * sizeof *more->at);
	into->count = count;
	return true;
}

bool literal_set_useful(const struct literal_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->at[i].len == 0)
			return false;
	return set->count > 0;
}

void literal_set_prefer(struct literal_set *best, struct literal_set *set)
{
	if (literal_set_useful(set) &&
		(!best->count || literals_rate(set->at, set->count) <
					 literals_rate(best->at, best->count))) {
		literal_set_release(best);
		*best = *set;
		*set = (struct literal_set){ 0 };
	}
	literal_set_release(set);
}
