#ifndef SANDBOXES_H
#define SANDBOXES_H

/* Calls about many sandboxes. */
#include <jansson.h>

struct err;
struct settings;

/* All of them, which `status` and `user_id` may narrow: an array (new reference), or NULL. */
json_t *sandboxes_list(const struct settings *settings, struct err *err);

/*
 * The call to /sandboxes/ID`leaf` for each id (`body` takes the id instead where `leaf` is NULL:
 * then `path` is the whole path). One that fails stops no other: it is told on standard error.
 * The exit status: 0 where all went well, else 1.
 */
int sandboxes_each(const struct settings *settings, int count, char **ids, const char *method,
	const char *path, const char *leaf);

#endif
