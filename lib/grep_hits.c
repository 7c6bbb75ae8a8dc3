#include "grep_hits.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "grep_source.h"
#include "utf8.h"

enum { TEXTS_MAX = 256 << 20 };

void grep_hits_init(struct grep_hits *hits)
{
	*hits = (struct grep_hits){ .nul = -1 };
	buf_init(&hits->texts, TEXTS_MAX);
}

void grep_hits_release(struct grep_hits *hits)
{
	free(hits->lines);
	buf_release(&hits->texts);
	grep_hits_init(hits);
}

static void add_line(struct grep_hits *hits, struct grep_line line)
{
	if (hits->count == hits->cap) {
		hits->cap = hits->cap ? 2 * hits->cap : 8;
		hits->lines = alloc_grow(hits->lines, hits->cap * sizeof *hits->lines);
	}
	hits->lines[hits->count++] = line;
	hits->matches += line.is_match;
}

/* Drops the lines from index `count` on. */
static void cut_hits(struct grep_hits *hits, size_t count)
{
	for (size_t i = count; i < hits->count; i++)
		hits->matches -= hits->lines[i].is_match;
	hits->count = count;
}

void grep_join(struct grep_hits *hits, struct grep_hits *next)
{
	for (size_t i = 0; i < next->count; i++) {
		struct grep_line line = next->lines[i];
		size_t text = hits->texts.len;

		if (buf_add(&hits->texts, next->texts.data + line.text, line.len) < 0)
			break;
		line.number += hits->line_count;
		line.text = text;
		add_line(hits, line);
	}
	hits->line_count += next->line_count;
	hits->too_hard += next->too_hard;
	hits->binary_match |= next->binary_match;
	if (hits->nul < 0)
		hits->nul = next->nul;
	grep_hits_release(next);
}

/* The part of a long line that is shown, with marks where it goes on. */
static void add_text(struct buf *texts, const char *line, size_t len, size_t match)
{
	static const char mark[] = "…";
	size_t from = 0, to = len;

	if (len > GREP_SHOWN_MAX) {
		if (match > GREP_SHOWN_MAX / 2)
			from = utf8_floor(line, match - GREP_SHOWN_MAX / 4);
		to = from + GREP_SHOWN_MAX < len ? from + utf8_floor(line + from, GREP_SHOWN_MAX)
						 : len;
	}
	if (from > 0)
		buf_add(texts, mark, sizeof mark - 1);
	buf_add(texts, line + from, to - from);
	if (to < len)
		buf_add(texts, mark, sizeof mark - 1);
}

bool grep_hits_add(
	struct grep_hits *hits, const char *text, size_t len, size_t match, struct grep_line line)
{
	line.text = hits->texts.len;
	add_text(&hits->texts, text, len, match);
	if (hits->texts.over)
		return false;
	line.len = hits->texts.len - line.text;
	add_line(hits, line);
	return true;
}

void grep_end(const struct grep_options *options, int fd, struct grep_hits *hits)
{
	size_t keep = 0, matches = hits->matches;
	int64_t cut = hits->nul;

	if (hits->nul < 0)
		return;
	if (options->named)
		cut = hits->nul < GREP_HEAD ? 0 : hits->nul;
	else if (grep_encoding_of(fd) == GREP_BYTES)
		cut = grep_binary_cut(fd, hits->nul);
	while (keep < hits->count && hits->lines[keep].offset < cut)
		keep++;
	cut_hits(hits, keep);
	hits->binary_match |= hits->matches < matches;
}
