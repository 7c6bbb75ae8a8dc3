#include "grep.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "grep_hits.h"
#include "grep_source.h"
#include "literals.h"
#include "regex.h"

enum {
	BLOCK = 128 << 10,       /* bytes of one read: they stay in the second-level cache */
	CONTEXT_BYTES = 1 << 20, /* of lines kept in case that a match follows */
	TRIALS = 64,             /* candidates of a filter before it is judged, */
	WORTH = 96,              /* and bytes that it has to save with each wrong one */
};

struct grep {
	struct grep_options options;
	struct regex_scratch *scratch;
	struct grep_source source;
	const struct literals *literals;
	bool exact;
	bool by_line; /* give the pattern one line at a time */

	/*
	 * The block: what has been searched and is kept as context, then what has not. A read
	 * goes to a page's beginning, which the kernel fills fastest, at `storage` + `head`;
	 * what is left of the block before is put in front of it.
	 */
	char *storage, *bytes;
	size_t head, len;
	int64_t offset;  /* of the block in the file */
	size_t searched; /* up to here */
	size_t shown;    /* up to here, nothing may be shown any more */
	size_t counted;  /* up to here, lines are counted: `number` is that of the next */
	uint64_t number;
	size_t after_left; /* lines that still follow a match as context */

	size_t candidates, wrong; /* of the filter, in this file */
	size_t passed;            /* bytes that it has passed over */
	bool filter;              /* the literals are used */
	struct grep_hits *hits;
	bool done; /* there is enough, or it was interrupted */
};

/* ---- Lines of a block ---- */

static size_t line_start(const struct grep *grep, size_t at)
{
	const char *newline = memrchr(grep->bytes + grep->searched, '\n', at - grep->searched);

	return newline ? (size_t)(newline + 1 - grep->bytes) : grep->searched;
}

/* Where the line ends: at its newline, or at the end of what there is. */
static size_t line_end(const struct grep *grep, size_t at, size_t end)
{
	const char *newline = memchr(grep->bytes + at, '\n', end - at);

	return newline ? (size_t)(newline - grep->bytes) : end;
}

static void count_to(struct grep *grep, size_t at)
{
	if (at > grep->counted) {
		grep->number += count_byte(grep->bytes + grep->counted, at - grep->counted, '\n');
		grep->counted = at;
	}
}

/* Takes the line from `start` to `end` among the hits. */
static void show(struct grep *grep, size_t start, size_t end, size_t match, bool is_match)
{
	struct grep_hits *hits = grep->hits;
	const char *line = grep->bytes + start;

	const char *nul =
		grep->options.named && hits->nul < 0 ? memchr(line, '\0', end - start) : NULL;
	if (nul)
		hits->nul = grep->offset + (nul - grep->bytes);
	if (grep->options.named && hits->nul >= 0) {
		hits->binary_match = true;
		grep->done = true;
		return;
	}
	count_to(grep, start);
	if (!grep_hits_add(hits, line, end - start, match - start,
		    (struct grep_line){ .number = grep->number,
			    .offset = grep->offset + (int64_t)start,
			    .is_match = is_match })) {
		grep->done = true;
		return;
	}
	grep->shown = end < grep->len ? end + 1 : end;
}

/* Lines that follow the last match, up to `to`. */
static void show_after(struct grep *grep, size_t to)
{
	while (grep->after_left > 0 && !grep->done) {
		size_t start = grep->shown;

		if (start >= to)
			return;
		grep->after_left--;
		show(grep, start, line_end(grep, start, to), start, false);
	}
}

/* The start of the line that is `count` lines before the one at `at`, but not before `from`. */
static size_t lines_before(const struct grep *grep, size_t at, size_t from, size_t count)
{
	while (count-- > 0 && at > from) {
		const char *newline = memrchr(grep->bytes + from, '\n', at - 1 - from);

		at = newline ? (size_t)(newline + 1 - grep->bytes) : from;
	}
	return at;
}

static void show_before(struct grep *grep, size_t start)
{
	for (size_t at = lines_before(grep, start, grep->shown, grep->options.context);
		at < start && !grep->done;) {
		size_t end = line_end(grep, at, start);

		show(grep, at, end, at, false);
		at = end + 1;
	}
}

static void found(struct grep *grep, size_t start, size_t end, size_t match)
{
	if (grep->options.context > 0) {
		show_after(grep, start);
		show_before(grep, start);
	}
	if (!grep->done)
		show(grep, start, end, match > start ? match : start, true);
	grep->after_left = grep->options.context;
	if (grep->hits->matches > grep->options.matches_max)
		grep->done = true;
	if (grep->options.texts_max && grep->hits->texts.len > grep->options.texts_max)
		grep->done = true;
}

/* ---- Searching a block ---- */

/* Whether the line matches; counts it where that cannot be told. */
static bool matches(struct grep *grep, size_t start, size_t end, size_t *at)
{
	const char *line = grep->bytes + start;
	size_t offset = 0;

	switch (regex_find(grep->options.regex, grep->scratch, line, end - start, 0,
		regex_text_of(line, end - start), &offset)) {
	case REGEX_YES:
		*at = start + offset;
		return true;
	case REGEX_TOO_HARD:
		grep->hits->too_hard++;
		return false;
	case REGEX_INTERRUPTED:
		grep->done = true;
		return false;
	case REGEX_NO:
		break;
	}
	return false;
}

static bool interrupted(struct grep *grep)
{
	if (grep->options.interrupted && grep->options.interrupted(grep->options.data))
		grep->done = true;
	return grep->done;
}

/* Each line from `searched` up to `to` by itself. */
static void search_lines(struct grep *grep, size_t to)
{
	size_t lines = 0;

	while (grep->searched < to && !grep->done) {
		size_t start = grep->searched, end = line_end(grep, start, to), at;

		if ((++lines & 0xFFF) == 0 && interrupted(grep))
			return;
		if (matches(grep, start, end, &at))
			found(grep, start, end, at);
		grep->searched = end < to ? end + 1 : to;
	}
}

/* The lines in which a literal of the pattern occurs; stops where that does not pay. */
static void search_candidates(struct grep *grep, size_t to)
{
	while (grep->searched < to && !grep->done && grep->filter) {
		const char *hit = literals_find(
			grep->literals, grep->bytes + grep->searched, grep->bytes + to);
		size_t at = hit ? (size_t)(hit - grep->bytes) : to;

		grep->passed += at - grep->searched;
		if (!hit) {
			grep->searched = to;
			return;
		}
		size_t start = line_start(grep, at), end = line_end(grep, at, to);
		if (grep->exact || matches(grep, start, end, &at))
			found(grep, start, end, at);
		else
			grep->wrong++;
		if (++grep->candidates >= TRIALS && grep->wrong > grep->candidates / 2 &&
			grep->passed / grep->candidates < WORTH && !grep->by_line)
			grep->filter = false;
		grep->searched = end < to ? end + 1 : to;
	}
}

/* All lines at once. */
static void search_block(struct grep *grep, size_t to)
{
	size_t from = grep->searched, at;
	const char *bytes = grep->bytes + from;
	enum regex_text text = regex_text_of(bytes, to - from);

	if (text == REGEX_BYTES) {
		search_lines(grep, to);
		return;
	}
	while (grep->searched < to && !grep->done) {
		switch (regex_find(grep->options.regex, grep->scratch, bytes, to - from,
			grep->searched - from, text, &at)) {
		case REGEX_YES:
			break;
		case REGEX_NO:
			grep->searched = to;
			return;
		case REGEX_TOO_HARD:
			search_lines(grep, to);
			return;
		case REGEX_INTERRUPTED:
			grep->done = true;
			return;
		}
		at += from;
		/* Behind the last newline there is no line. */
		if (at == to && grep->bytes[to - 1] == '\n') {
			grep->searched = to;
			return;
		}
		size_t start = line_start(grep, at), end = line_end(grep, at, to);
		found(grep, start, end, at);
		grep->searched = end < to ? end + 1 : to;
	}
}

/* Searches up to `to`, the end of a line or of the file. */
static void search(struct grep *grep, size_t to)
{
	if (grep->filter)
		search_candidates(grep, to);
	if (grep->searched < to && !grep->done) {
		if (grep->by_line)
			search_lines(grep, to);
		else
			search_block(grep, to);
	}
	if (!grep->done)
		show_after(grep, to);
	interrupted(grep);
}

/* ---- Reading ---- */

/* Leaves the block from byte `from` on before the place of the next read. */
static void keep_from(struct grep *grep, size_t from)
{
	size_t len = grep->len - from;
	char *old = grep->storage;

	if (!old || len > grep->head) {
		while (grep->head < len || grep->head == 0)
			grep->head = grep->head ? 2 * grep->head : BLOCK;
		grep->storage = alloc_pages(grep->head + BLOCK + LITERALS_PAD);
	}
	char *to = grep->storage + grep->head - len;
	if (len > 0)
		memmove(to, grep->bytes + from, len);
	if (old != grep->storage)
		free(old);
	grep->bytes = to;
	grep->len = len;
}

/* Drops from the block what will not be shown any more. */
static void roll(struct grep *grep)
{
	size_t keep = grep->searched;

	if (grep->options.context > 0 && keep > 0) {
		size_t from = keep > CONTEXT_BYTES ? keep - CONTEXT_BYTES : 0;
		keep = lines_before(grep, keep, from, grep->options.context + 1);
	}
	count_to(grep, keep);
	keep_from(grep, keep);
	grep->offset += (int64_t)keep;
	grep->searched -= keep;
	grep->shown = grep->shown > keep ? grep->shown - keep : 0;
	grep->counted -= keep;
}

/* Looks for the NUL that ends the search in the bytes just read; true where it has one. */
static bool meets_nul(struct grep *grep, size_t n)
{
	const char *new = grep->bytes + grep->len;
	int64_t at = grep->offset + (int64_t)grep->len;

	if (grep->options.named) {
		if (at >= GREP_HEAD || grep->hits->nul >= 0)
			return false;
		const char *nul =
			memchr(new, '\0', (size_t)at + n > GREP_HEAD ? GREP_HEAD - (size_t)at : n);
		if (nul)
			grep->hits->nul = at + (nul - new);
		return false;
	}
	const char *nul = memchr(new, '\0', n);
	if (!nul)
		return false;
	grep->hits->nul = at + (nul - new);
	grep->len += (size_t)(nul - new);
	return true;
}

static void start(struct grep *grep, struct grep_hits *hits, int64_t offset)
{
	grep->len = grep->searched = grep->shown = grep->counted = 0;
	keep_from(grep, 0);
	grep->after_left = grep->candidates = grep->wrong = grep->passed = 0;
	grep->offset = offset;
	grep->number = 1;
	grep->filter = grep->literals != NULL;
	grep->done = false;
	grep->hits = hits;
}

/* How far the block can be searched: to the end of its last line. */
static size_t whole_lines(const struct grep *grep)
{
	const char *newline =
		memrchr(grep->bytes + grep->searched, '\n', grep->len - grep->searched);

	if (newline)
		return (size_t)(newline + 1 - grep->bytes);
	return grep->len - grep->searched >= GREP_LINE_MAX ? grep->len : grep->searched;
}

/* Reads one block more; 1 at the end of what is to be searched. */
static int read_block(struct grep *grep)
{
	int64_t n = grep_source_read(&grep->source, grep->bytes + grep->len, BLOCK);
	bool end = n <= 0 || meets_nul(grep, (size_t)n);

	if (n < 0)
		return -1;
	if (!end)
		grep->len += (size_t)n;
	/* PCRE2 looks behind the end where a character is cut off there. */
	memset(grep->bytes + grep->len, '\n', 4);
	return end;
}

int grep_file(struct grep *grep, int fd, struct grep_hits *hits)
{
	int end = 0;

	start(grep, hits, 0);
	grep_source_init(&grep->source, fd, 0, grep_encoding_of(fd));
	while (!end && !grep->done) {
		end = read_block(grep);
		if (end < 0)
			return -1;
		size_t to = end ? grep->len : whole_lines(grep);
		if (to > grep->searched)
			search(grep, to);
		roll(grep);
	}
	return 0;
}

/* Whether a line begins at `from`. */
static bool begins_line(int fd, int64_t from)
{
	char before;

	return from == 0 || (pread(fd, &before, 1, from - 1) == 1 && before == '\n');
}

/* Goes to the first line that begins in the block; false where none does. */
static bool skip_first_line(struct grep *grep)
{
	size_t end = line_end(grep, 0, grep->len);
	bool found = end < grep->len;

	grep->searched = grep->shown = grep->counted = found ? end + 1 : end;
	roll(grep);
	return found;
}

int grep_range(struct grep *grep, int fd, int64_t from, int64_t to, struct grep_hits *hits)
{
	bool begun = begins_line(fd, from);
	int end = 0;

	start(grep, hits, from);
	grep_source_init(&grep->source, fd, from, GREP_BYTES);
	while (!end && !grep->done) {
		end = read_block(grep);
		if (end < 0)
			return -1;
		if (!begun) {
			begun = skip_first_line(grep);
			if (!begun)
				continue;
		}
		if (grep->offset + (int64_t)grep->searched >= to)
			break;
		size_t lines = end ? grep->len : whole_lines(grep);
		if (grep->offset + (int64_t)lines >= to) {
			/* The last line of the range: up to where the next range begins. */
			size_t last = line_end(grep, (size_t)(to - 1 - grep->offset), lines);
			lines = last < lines ? last + 1 : lines;
			end = 1;
		}
		if (lines > grep->searched)
			search(grep, lines);
		count_to(grep, grep->searched);
		roll(grep);
	}
	hits->line_count = grep->number - 1;
	return 0;
}

bool grep_can_split(const struct grep_options *options, int fd)
{
	return options->context == 0 && grep_encoding_of(fd) == GREP_BYTES;
}

struct grep *grep_new(const struct grep_options *options)
{
	struct grep *grep = alloc_zero(sizeof *grep);

	grep->options = *options;
	grep->scratch = regex_scratch_new(options->interrupted, options->data);
	grep->literals = regex_literals(options->regex, &grep->exact);
	grep->by_line = regex_by_line(options->regex);
	return grep;
}

void grep_free(struct grep *grep)
{
	if (!grep)
		return;
	regex_scratch_free(grep->scratch);
	free(grep->storage);
	free(grep);
}
