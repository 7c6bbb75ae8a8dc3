#ifndef COMPLETION_H
#define COMPLETION_H

/* Values that a client may offer while its user types one argument. Any thread, one at a time. */
#include <jansson.h>
#include <stddef.h>

struct err;
struct path_roots;

enum { COMPLETION_MAX = 100 }; /* values that a client gets (server/utilities/completion) */

struct completion {
	json_t *values; /* the first ones; owned */
	size_t total;
};

void completion_add(struct completion *completion, const char *value, size_t len);

/* Adds those of a NULL-terminated list that begin with what was typed, whatever its case. */
void completion_add_choices(struct completion *completion, const char *const *choices,
	const char *typed);

/*
 * Adds the paths that begin with what was typed, as it was typed: relative to the workspace or
 * absolute; directories end in a slash, hidden names come where their dot was typed. None where
 * there is no such directory. May block.
 */
void completion_add_paths(struct completion *completion, const struct path_roots *roots,
	const char *typed);

#endif
