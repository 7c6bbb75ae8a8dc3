#ifndef SEARCH_JOB_H
#define SEARCH_JOB_H

/*
 * A search through the contents of a tree or of one file, with as many threads as there are
 * processors: the files of a walk side by side, and a large file in ranges. The hits come in
 * order of path and line, and the same ones each time, also where they are cut at a limit.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "grep.h"
#include "regex.h"
#include "shortlist.h"

struct err;
struct path_roots;
struct rules;

struct search_job {
	const struct path_roots *roots; /* see walk.h */
	struct regex *regex;
	struct rules *only;    /* -g, or NULL */
	const char *path;      /* what a single file is called in the hits */
	size_t path_len;
	size_t limit, context; /* matches; lines around each */
	size_t bytes_max;      /* of paths and texts, about */
	int64_t time_max_ms;
	bool (*cancelled)(const void *data); /* any thread */
	const void *data;
};

struct search_result {
	struct shortlist files; /* payload: struct grep_hits; perhaps more than the limit */
	size_t skipped;         /* files and directories that could not be read */
	size_t too_hard;        /* lines given up, see grep.h */
	char *too_hard_path;    /* a file with such a line, or NULL */
	bool binary;            /* the file is binary and has matches that are not shown */
	bool late;              /* it took too long: there may be more */
};

/* `fd`: the directory or file. ERR_CANCELLED, or what walk_end() says. */
int search_run(
	const struct search_job *job, int fd, struct search_result *result, struct err *err);
void search_result_release(struct search_result *result);

#endif
