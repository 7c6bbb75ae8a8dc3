#ifndef WALK_H
#define WALK_H

/*
 * Walks a directory tree with several threads and hands every regular file that the rules of
 * ignore.h leave in to a visitor. Symlinks are not followed: each directory is opened from the
 * start by openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), in several steps where its path is
 * longer than the kernel takes, so nothing that is moved or swapped meanwhile leads out.
 * Directories that cannot be read are left out and counted. Descriptors: a few per thread;
 * memory: the names of the directories that are still to be visited, bounded.
 */
#include <stdbool.h>
#include <stddef.h>

#include "crew.h"

struct err;
struct path_roots;
struct rules;

enum {
	WALK_PATH_MAX = 32 << 10,   /* bytes; what is deeper is left out and counted */
	WALK_NAMES_MAX = 256 << 20, /* bytes of names that wait to be visited */
};

struct walk_file {
	int dirfd;        /* the file's directory; only for the time of the visit */
	const char *name; /* in it */
	const char *path; /* from the start, for the time of the visit */
	size_t len;
};

struct walk_options {
	const struct path_roots *roots; /* see ignore_new() */
	const struct rules *only;       /* -g, or NULL */
	bool spread; /* the files of a directory go to several threads: where a visit is long */

	/* Whether to enter the directory; its path ends in a slash. NULL: always. */
	bool (*wants)(const char *path, size_t len, unsigned worker, void *data);
	/* Any thread; `worker` tells which. */
	void (*visit)(struct crew *crew, const struct walk_file *file, unsigned worker, void *data);
	void *data;
};

struct walk;

/* A walk from `dirfd` (borrowed until walk_free()), not yet begun. */
int walk_new(int dirfd, const struct walk_options *options, struct walk **out, struct err *err);

/* Pushes the first task; crew_run() then does the walk. */
void walk_start(struct walk *walk, struct crew *crew);

/* After the crew has ended: -1 and ERR_LIMIT where the walk ended early for its own reasons. */
int walk_end(const struct walk *walk, struct err *err);

/* After that: what could not be read or was too deep. */
size_t walk_skipped(const struct walk *walk);
void walk_free(struct walk *walk);

#endif
