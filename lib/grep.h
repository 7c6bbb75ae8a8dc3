#ifndef GREP_H
#define GREP_H

/*
 * Searches one file for the lines that match a pattern, in bounded memory: block by block, with
 * large reads, never by mapping (a file that shrinks would be a signal). What ripgrep finds:
 *
 * - A NUL makes a file binary. Of one met on a walk, the lines before the 64 KiB read in which
 *   ripgrep meets the first NUL count, none behind. Of one that was named, none count where a
 *   NUL is in the first 64 KiB; else those before the first line shown that has one.
 * - UTF-16 with a byte order mark is read as such; that of UTF-8 is left out.
 * - A line ends at "\n" only. One longer than GREP_LINE_MAX is searched in pieces of that size.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

struct grep;
struct regex;

enum {
	GREP_LINE_MAX = 16 << 20, /* bytes that are searched as one line */
	GREP_SHOWN_MAX = 2000,    /* bytes of a line that are kept: those around the match */
};

struct grep_options {
	struct regex *regex;  /* borrowed */
	size_t context;       /* lines before and after a match */
	size_t matches_max;   /* a file is searched until it has one more */
	size_t texts_max;     /* or until its lines take so many bytes; 0: no limit but memory's */
	bool named;           /* the file was named, not met */
	bool (*interrupted)(void *data); /* ends the search; may be NULL */
	void *data;
};

struct grep_line {
	uint64_t number; /* from 1 */
	int64_t offset;  /* in the file */
	size_t text, len; /* in the texts */
	bool is_match;   /* else a line of context */
};

struct grep_hits {
	struct grep_line *lines;
	size_t count, cap, matches;
	struct buf texts;
	uint64_t line_count; /* lines that begin in what was searched */
	int64_t nul;         /* where the first NUL was met; -1: nowhere */
	bool binary_match;   /* a binary file has matches that are not among the lines */
	size_t too_hard;     /* lines that were given up: the pattern backtracks too much there */
};

void grep_hits_init(struct grep_hits *hits);
void grep_hits_release(struct grep_hits *hits);

/* Buffers for one thread. */
struct grep *grep_new(const struct grep_options *options);
void grep_free(struct grep *grep);

/*
 * Searches what `fd` has open, from its start; or, of a large file, the lines that begin from
 * byte `from` up to before `to`, counted from there: then without context, encodings and the
 * rule on NULs, which grep_join() sees to. -1 where it cannot be read.
 */
int grep_file(struct grep *grep, int fd, struct grep_hits *hits);
int grep_range(struct grep *grep, int fd, int64_t from, int64_t to, struct grep_hits *hits);

/* Whether grep_range() would do for the file. */
bool grep_can_split(const struct grep_options *options, int fd);

/* Appends the hits of the range that follows, and releases them. */
void grep_join(struct grep_hits *hits, struct grep_hits *next);

/* Leaves out what does not count in a binary file: after the last range. */
void grep_end(const struct grep_options *options, int fd, struct grep_hits *hits);

#endif
