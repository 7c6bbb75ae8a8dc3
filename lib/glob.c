#include "glob.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "glob_parse.h"

/*
 * A glob that is no plain literal runs as a nondeterministic automaton: the set of places
 * where a match may stand is moved on by each byte of the path, so nothing is tried twice.
 */
enum op_kind { OP_BYTE, OP_ANY, OP_NOT_SLASH, OP_SET, OP_SPLIT, OP_JUMP, OP_MATCH };

struct op {
	uint8_t kind, byte;
	uint16_t to, other; /* OP_SPLIT, OP_JUMP: where it goes on; OP_SET: `to` is its number */
};

enum { OPS_MAX = 4 * GLOB_MAX + 8 };

enum test {            /* how the literal decides */
	TEST_PATH,     /* equal to the path */
	TEST_NAME,     /* equal to the last component, or to the last ones */
	TEST_SUFFIX,   /* the path ends in it */
	TEST_PREFIX,   /* the last component begins with it */
	TEST_INFIX,    /* the last component contains it */
	TEST_AUTOMATON /* the path has to end in it, and then the automaton decides */
};

struct glob {
	enum test test;
	enum glob_shape shape;
	char *literal;
	size_t len;
	struct op *ops;
	size_t count;
	struct byteset *sets;
	size_t size;
};

/* ---- From tokens to the automaton ---- */

struct assembler {
	struct op *ops;
	size_t count;
};

static size_t emit(struct assembler *a, enum op_kind kind, size_t to, size_t other)
{
	a->ops[a->count] = (struct op){ (uint8_t)kind, 0, (uint16_t)to, (uint16_t)other };
	return a->count++;
}

static void emit_byte(struct assembler *a, uint8_t byte)
{
	a->ops[emit(a, OP_BYTE, 0, 0)].byte = byte;
}

/* Any number of `kind`. */
static void emit_loop(struct assembler *a, enum op_kind kind)
{
	emit(a, OP_SPLIT, a->count + 1, a->count + 3);
	emit(a, kind, 0, 0);
	emit(a, OP_JUMP, a->count - 2, 0);
}

/* Nothing, or anything that ends in a slash. */
static void emit_any_dirs(struct assembler *a)
{
	emit(a, OP_SPLIT, a->count + 1, a->count + 5);
	emit_loop(a, OP_ANY);
	emit_byte(a, '/');
}

static size_t assemble(struct assembler *a, const struct glob_tokens *t, size_t at, int depth);

/*
 * The branches of `{…}` from behind the brace; returns the index behind the closing one. An
 * empty branch does not count, and braces without any other stand for nothing.
 */
static size_t assemble_braces(
	struct assembler *a, const struct glob_tokens *t, size_t at, int depth)
{
	size_t last_jump = 0; /* the jumps out of the branches, chained until the end is known */
	bool jumped = false;

	for (;;) {
		size_t split = emit(a, OP_SPLIT, a->count + 1, 0), start = a->count;
		at = assemble(a, t, at, depth + 1);
		bool more = t->at[at++].kind == GLOB_OR;
		if (a->count == start) {
			a->count = split;
		} else {
			last_jump = emit(a, OP_JUMP, jumped ? last_jump : a->count, 0);
			jumped = true;
			a->ops[split].other = (uint16_t)a->count;
		}
		if (!more)
			break;
	}
	if (!jumped)
		return at;
	/* Where the last branch fails, there is no other: a byte set that is empty. */
	emit(a, OP_SET, 0, 0);
	for (size_t next;; last_jump = next) {
		next = a->ops[last_jump].to;
		a->ops[last_jump].to = (uint16_t)a->count;
		if (next == last_jump)
			return at;
	}
}

/* Up to the end, or to the `,` or `}` that ends the branch; returns its index. */
static size_t assemble(struct assembler *a, const struct glob_tokens *t, size_t at, int depth)
{
	while (at < t->count) {
		const struct glob_token *token = &t->at[at];

		if (token->kind == GLOB_OR || token->kind == GLOB_CLOSE)
			return at;
		at++;
		switch ((enum glob_token_kind)token->kind) {
		case GLOB_LITERAL:
			emit_byte(a, token->byte);
			break;
		case GLOB_ANY:
			emit(a, OP_NOT_SLASH, 0, 0);
			break;
		case GLOB_STAR:
			emit_loop(a, OP_NOT_SLASH);
			break;
		case GLOB_ANY_DIRS:
			emit_any_dirs(a);
			break;
		case GLOB_REST:
			emit_byte(a, '/');
			emit_loop(a, OP_ANY);
			break;
		case GLOB_SOME_DIRS:
			emit_byte(a, '/');
			emit_any_dirs(a);
			break;
		case GLOB_CLASS:
			emit(a, OP_SET, (size_t)token->set + 1, 0);
			break;
		case GLOB_OPEN:
			at = assemble_braces(a, t, at, depth);
			break;
		case GLOB_OR:
		case GLOB_CLOSE:
			break;
		}
	}
	return at;
}

static void make_automaton(struct glob *glob, const struct glob_tokens *t)
{
	struct assembler a = { .ops = alloc_array(OPS_MAX, sizeof *a.ops) };

	if (t->count == 1 && t->at[0].kind == GLOB_ANY_DIRS)
		emit_loop(&a, OP_ANY);
	else
		assemble(&a, t, 0, 0);
	emit(&a, OP_MATCH, 0, 0);
	glob->ops = alloc_grow(a.ops, a.count * sizeof *a.ops);
	glob->count = a.count;
	glob->sets = alloc_array(t->set_count + 1, sizeof *glob->sets);
	if (t->set_count > 0)
		memcpy(glob->sets + 1, t->sets, t->set_count * sizeof *t->sets);
	glob->size += a.count * sizeof *a.ops + (t->set_count + 1) * sizeof *t->sets;
}

/* ---- Literals ---- */

/* The literal tokens from `from` up to `to`; NULL where there are others. */
static char *literal_of(const struct glob_tokens *t, size_t from, size_t to)
{
	char *text = alloc_zero(to - from + 1);

	for (size_t i = from; i < to; i++) {
		if (t->at[i].kind != GLOB_LITERAL) {
			free(text);
			return NULL;
		}
		text[i - from] = (char)t->at[i].byte;
	}
	return text;
}

static bool is_extension(const char *literal, size_t len)
{
	return len > 1 && literal[0] == '.' && !memchr(literal + 1, '.', len - 1);
}

/* The tests that need no automaton; false where it takes one. */
static bool find_test(struct glob *glob, const struct glob_tokens *t)
{
	bool any_dirs = t->count > 0 && t->at[0].kind == GLOB_ANY_DIRS;
	size_t from = any_dirs, to = t->count;
	bool star_before = from < to && t->at[from].kind == GLOB_STAR;
	bool star_after = to > from + star_before && t->at[to - 1].kind == GLOB_STAR;

	from += star_before;
	to -= star_after;
	if (from >= to || (!any_dirs && (star_before || star_after)))
		return false;
	AUTO_FREE char *literal = literal_of(t, from, to);
	if (!literal)
		return false;
	bool slash = memchr(literal, '/', to - from) != NULL;
	if (slash && (star_before || star_after))
		return false;
	glob->len = to - from;
	if (star_after)
		glob->test = star_before ? TEST_INFIX : TEST_PREFIX;
	else if (star_before)
		glob->test = TEST_SUFFIX;
	else
		glob->test = any_dirs ? TEST_NAME : TEST_PATH;
	if (glob->test == TEST_PATH)
		glob->shape = GLOB_PATH;
	else if (glob->test == TEST_NAME && !slash)
		glob->shape = GLOB_NAME;
	else if (glob->test == TEST_SUFFIX && is_extension(literal, glob->len))
		glob->shape = GLOB_EXTENSION;
	glob->literal = steal_ptr(&literal);
	return true;
}

int glob_new(const char *pattern, size_t len, struct glob **out, struct err *err)
{
	struct glob_tokens tokens = { 0 };

	if (glob_parse(pattern, len, &tokens, err) < 0) {
		glob_tokens_release(&tokens);
		return -1;
	}
	struct glob *glob = alloc_zero(sizeof *glob);
	glob->shape = GLOB_OTHER;
	glob->size = sizeof *glob + len + 1;
	if (!find_test(glob, &tokens)) {
		size_t from = tokens.count;
		while (from > 0 && tokens.at[from - 1].kind == GLOB_LITERAL)
			from--;
		glob->test = TEST_AUTOMATON;
		glob->literal = literal_of(&tokens, from, tokens.count);
		glob->len = tokens.count - from;
		make_automaton(glob, &tokens);
	}
	glob_tokens_release(&tokens);
	*out = glob;
	return 0;
}

void glob_free(struct glob *glob)
{
	if (!glob)
		return;
	free(glob->literal);
	free(glob->ops);
	free(glob->sets);
	free(glob);
}

/* ---- Matching ---- */

/* The places to go on from; a bit for each place that is in the list already. */
struct places {
	uint16_t list[OPS_MAX];
	uint64_t seen[OPS_MAX / 64 + 1];
	size_t count;
};

static void places_clear(struct places *places, size_t ops)
{
	memset(places->seen, 0, (ops / 64 + 1) * sizeof *places->seen);
	places->count = 0;
}

static void places_add(struct places *places, size_t at)
{
	uint64_t bit = 1ULL << (at & 63);

	if (places->seen[at / 64] & bit)
		return;
	places->seen[at / 64] |= bit;
	places->list[places->count++] = (uint16_t)at;
}

/* Moves every place in `from` over byte `c` (or, where c < 0, over the end) into `to`. */
static bool step(const struct glob *glob, struct places *from, struct places *to, int c)
{
	for (size_t i = 0; i < from->count; i++) {
		size_t at = from->list[i];
		const struct op *op = &glob->ops[at];

		switch ((enum op_kind)op->kind) {
		case OP_SPLIT:
			places_add(from, op->to);
			places_add(from, op->other);
			continue;
		case OP_JUMP:
			places_add(from, op->to);
			continue;
		case OP_MATCH:
			if (c < 0)
				return true;
			continue;
		case OP_BYTE:
			if (c == op->byte)
				places_add(to, at + 1);
			continue;
		case OP_NOT_SLASH:
			if (c >= 0 && c != '/')
				places_add(to, at + 1);
			continue;
		case OP_ANY:
			if (c >= 0)
				places_add(to, at + 1);
			continue;
		case OP_SET:
			if (c >= 0 && byteset_has(&glob->sets[op->to], (unsigned char)c))
				places_add(to, at + 1);
			continue;
		}
	}
	return false;
}

static bool run(const struct glob *glob, const char *path, size_t len)
{
	struct places a, b, *from = &a, *to = &b;

	places_clear(from, glob->count);
	places_add(from, 0);
	for (size_t i = 0; i < len; i++) {
		places_clear(to, glob->count);
		step(glob, from, to, (unsigned char)path[i]);
		if (to->count == 0)
			return false;
		struct places *swap = from;
		from = to;
		to = swap;
	}
	return step(glob, from, to, -1);
}

static const char *last_name(const char *path, size_t *len)
{
	const char *slash = memrchr(path, '/', *len);

	if (!slash)
		return path;
	*len -= (size_t)(slash + 1 - path);
	return slash + 1;
}

bool glob_match(const struct glob *glob, const char *path, size_t len)
{
	size_t want = glob->len;

	if (len < want)
		return false;
	switch (glob->test) {
	case TEST_PATH:
		return len == want && memcmp(path, glob->literal, want) == 0;
	case TEST_NAME:
		return memcmp(path + len - want, glob->literal, want) == 0 &&
		       (len == want || path[len - want - 1] == '/');
	case TEST_SUFFIX:
		return memcmp(path + len - want, glob->literal, want) == 0;
	case TEST_PREFIX:
		path = last_name(path, &len);
		return len >= want && memcmp(path, glob->literal, want) == 0;
	case TEST_INFIX:
		path = last_name(path, &len);
		return memmem(path, len, glob->literal, want) != NULL;
	case TEST_AUTOMATON:
		return memcmp(path + len - want, glob->literal, want) == 0 && run(glob, path, len);
	}
	return false;
}

enum glob_shape glob_shape(const struct glob *glob)
{
	return glob->shape;
}

const char *glob_literal(const struct glob *glob, size_t *len)
{
	*len = glob->len;
	return glob->literal;
}

size_t glob_size(const struct glob *glob)
{
	return glob->size;
}
