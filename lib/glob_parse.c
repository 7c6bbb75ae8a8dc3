#include "glob_parse.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "err.h"
#include "glob.h"

enum { DEPTH_MAX = 32, SETS_MAX = 512 };

struct parser {
	const unsigned char *text;
	size_t len, at;
	struct glob_tokens *out;
	size_t branch[DEPTH_MAX + 1]; /* where the innermost branch of each depth begins */
	size_t depth;
	struct err *err;
};

static int fail(struct parser *p, size_t at, const char *what)
{
	return err_set(p->err, ERR_INVALID, "bad glob \"%.*s\" at character %zu: %s",
		(int)(p->len < 100 ? p->len : 100), (const char *)p->text, at + 1, what);
}

static void push(struct parser *p, enum glob_token_kind kind, unsigned char byte)
{
	struct glob_token *last = p->out->count ? &p->out->at[p->out->count - 1] : NULL;

	/* Two stars in a row match what one does. */
	if (kind == GLOB_STAR && last && last->kind == GLOB_STAR)
		return;
	p->out->at[p->out->count++] = (struct glob_token){ .kind = (uint8_t)kind, .byte = byte };
}

static int peek(const struct parser *p)
{
	return p->at < p->len ? p->text[p->at] : -1;
}

/* The length of the character that begins at `at`; stray bytes count as one each. */
static size_t char_len(const struct parser *p, size_t at)
{
	size_t n = 1;

	if (p->text[at] >= 0xC0)
		while (at + n < p->len && n < 4 && (p->text[at + n] & 0xC0) == 0x80)
			n++;
	return n;
}

/* Replaces the token before a double star, which stands for its slash; `a**` has none. */
static void double_star(struct parser *p, bool ends)
{
	struct glob_token *last = &p->out->at[p->out->count - 1];

	if (last->kind != GLOB_ANY_DIRS && last->kind != GLOB_REST)
		last->kind = ends ? GLOB_REST : GLOB_SOME_DIRS;
}

static void parse_star(struct parser *p)
{
	int before = p->at >= 2 ? p->text[p->at - 2] : -1;

	if (peek(p) != '*') {
		push(p, GLOB_STAR, 0);
		return;
	}
	p->at++;
	if (p->out->count == p->branch[p->depth]) {
		if (peek(p) >= 0 && peek(p) != '/') {
			push(p, GLOB_STAR, 0);
			return;
		}
		push(p, GLOB_ANY_DIRS, 0);
		p->at += p->at < p->len;
		return;
	}
	if (before != '/') {
		push(p, GLOB_STAR, 0);
		return;
	}
	int after = peek(p);
	if (after < 0 || (p->depth > 0 && (after == ',' || after == '}'))) {
		double_star(p, true);
	} else if (after == '/') {
		p->at++;
		double_star(p, false);
	} else {
		push(p, GLOB_STAR, 0);
	}
}

/*
 * A range over characters becomes one over bytes, as in globset: from the last byte of its
 * first character to the first byte of its last; the bytes around stand for themselves.
 */
static int add_range(struct parser *p, struct byteset *set, size_t from, size_t to)
{
	size_t from_len = char_len(p, from), to_len = char_len(p, to);

	if (from == to)
		to_len = 1, to = from + from_len - 1;
	unsigned char low = p->text[from + from_len - 1], high = p->text[to];

	if (low > high)
		return fail(p, from, "the range ends before it begins");
	for (size_t i = 0; i + 1 < from_len; i++)
		byteset_add(set, p->text[from + i]);
	for (size_t i = 1; i < to_len; i++)
		byteset_add(set, p->text[to + i]);
	for (unsigned c = low; c <= high; c++)
		byteset_add(set, (unsigned char)c);
	return 0;
}

/*
 * The members, up to the closing bracket. A `]` or `-` in the first place is a member, a `-` in
 * the last, too; [a-b-c] is a-c.
 */
static int parse_members(struct parser *p, struct byteset *set, size_t open)
{
	size_t first = p->at, from = 0, to = 0; /* the range that may still grow */
	bool dash = false;

	for (;;) {
		if (p->at >= p->len)
			return fail(p, open,
				"\"[\" has no \"]\" (for the character itself write [[] or \\[)");
		size_t at = p->at;
		p->at += char_len(p, at);
		if (p->text[at] == ']' && at > first)
			break;
		if (p->text[at] == '-' && at > first && !dash) {
			dash = true;
			continue;
		}
		if (!dash) {
			if (at > first && add_range(p, set, from, to) < 0)
				return -1;
			from = at;
		}
		to = at;
		dash = false;
	}
	if (dash)
		byteset_add(set, '-');
	return add_range(p, set, from, to);
}

static int parse_class(struct parser *p)
{
	size_t open = p->at - 1;
	struct glob_tokens *out = p->out;
	bool negated = peek(p) == '!' || peek(p) == '^';

	if (out->set_count == SETS_MAX)
		return err_set(p->err, ERR_LIMIT, "a glob may have %d classes", SETS_MAX);
	p->at += negated;
	out->sets = alloc_grow(out->sets, (out->set_count + 1) * sizeof *out->sets);
	struct byteset *set = &out->sets[out->set_count];
	*set = (struct byteset){ 0 };
	if (parse_members(p, set, open) < 0)
		return -1;
	if (negated)
		byteset_invert(set);
	push(p, GLOB_CLASS, 0);
	out->at[out->count - 1].set = (uint16_t)out->set_count++;
	return 0;
}

static int parse_brace(struct parser *p, unsigned char c)
{
	if (c == '{') {
		if (p->depth == DEPTH_MAX)
			return fail(p, p->at - 1, "braces are nested too deep");
		push(p, GLOB_OPEN, 0);
		p->depth++;
	} else if (p->depth == 0) {
		if (c == '}')
			return fail(p, p->at - 1, "\"}\" has no \"{\" before it");
		push(p, GLOB_LITERAL, ',');
		return 0;
	} else if (c == ',') {
		push(p, GLOB_OR, 0);
	} else {
		push(p, GLOB_CLOSE, 0);
		p->depth--;
		return 0;
	}
	p->branch[p->depth] = p->out->count;
	return 0;
}

static int parse_one(struct parser *p)
{
	unsigned char c = p->text[p->at++];

	switch (c) {
	case '?':
		push(p, GLOB_ANY, 0);
		return 0;
	case '*':
		parse_star(p);
		return 0;
	case '[':
		return parse_class(p);
	case '{':
	case '}':
	case ',':
		return parse_brace(p, c);
	case '\\':
		if (p->at == p->len)
			return fail(p, p->at - 1, "a backslash at the end escapes nothing");
		push(p, GLOB_LITERAL, p->text[p->at++]);
		return 0;
	default:
		push(p, GLOB_LITERAL, c);
		return 0;
	}
}

int glob_parse(const char *pattern, size_t len, struct glob_tokens *out, struct err *err)
{
	struct parser p = { .text = (const unsigned char *)pattern, .len = len, .err = err };

	if (len > GLOB_MAX)
		return err_set(err, ERR_LIMIT, "a glob may have %d bytes, this one has %zu",
			GLOB_MAX, len);
	*out = (struct glob_tokens){ .at = alloc_array(len + 1, sizeof *out->at) };
	p.out = out;
	while (p.at < p.len)
		if (parse_one(&p) < 0)
			return -1;
	if (p.depth > 0)
		return fail(&p, p.len, "\"{\" has no \"}\" (for the character itself write [{])");
	return 0;
}

void glob_tokens_release(struct glob_tokens *tokens)
{
	free(tokens->at);
	free(tokens->sets);
	*tokens = (struct glob_tokens){ 0 };
}
