#ifndef SANDBOXES_H
#define SANDBOXES_H

/* Calls about many sandboxes. */
#include <jansson.h>

struct err;
struct settings;

/* All of them, which `status` and `user_id` may narrow: an array (new reference), or NULL. */
json_t *sandboxes_list(const struct settings *settings, struct err *err);

/* A call that is made for each of many sandboxes. */
struct each_call {
	const char *method;
	const char *leaf; /* of the path /sandboxes/ID`leaf`; NULL: the id goes into the body of `path` */
	const char *path;
	json_t *body; /* sent with each, or NULL. Borrowed */
};

/* One that fails stops no other: it is told on standard error. The exit status: 0 where all went
 * well, else 1. */
int sandboxes_each(
	const struct settings *settings, int count, char **ids, const struct each_call *call);

/* The same for all that the caller may see. -1 and `err` where these cannot be listed. */
int sandboxes_all(const struct settings *settings, const struct each_call *call, struct err *err);

/* For ids, or with --all for every one; ERR_INVALID where both are given, or neither. */
int sandboxes_named(const struct settings *settings, int count, char **ids,
	const struct each_call *call, struct err *err);

#endif
