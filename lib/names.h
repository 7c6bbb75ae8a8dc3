#ifndef NAMES_H
#define NAMES_H

/*
 * The names in a directory in the order of their bytes, some at a time: memory is bounded by how
 * many are asked for, whatever the directory holds. May block; any thread.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>

struct err;

enum { NAMES_READ_MAX = 1000000 }; /* entries of one directory; what comes behind them is not seen */

struct name {
	char *text;
	unsigned char type; /* DT_REG, DT_DIR … as d_type has it, never DT_UNKNOWN */
};

struct names_query {
	const char *after;  /* only names behind this one; NULL: all */
	const char *prefix; /* only names that begin so; NULL: all */
	unsigned char type; /* only entries of this type (DT_DIR …); 0: all */
	bool hidden;        /* those that begin with a dot, too */
	size_t max;         /* at most so many: the first ones */
};

struct names {
	struct name *list; /* in order */
	size_t count;
	size_t matching; /* all that match, whether they are in the list or not */
	size_t read;     /* entries looked at */
};

#define AUTO_NAMES __attribute__((cleanup(names_release)))

/* Reads the directory from its start. `out` is an empty one ({ 0 }). */
int names_read(DIR *dir, const struct names_query *query, struct names *out, struct err *err);
void names_release(struct names *names);

#endif
