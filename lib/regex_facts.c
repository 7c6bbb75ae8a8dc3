#include "regex_facts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "err.h"
#include "regex_class.h"
#include "literal_set.h"

/*
 * A descent along the grammar of pcre2pattern(3). A part of the pattern is `exact` where it
 * matches just the strings of a set; otherwise `need` may hold strings of which one is in each
 * of its matches. Parts in a row join their sets as long as they are exact; where they are not,
 * what was joined so far competes to be the need of the whole.
 */
struct part {
	struct literal_set exact, need;
};

static struct part parse_choice(struct regex_parser *p);

static void part_release(struct part *part)
{
	literal_set_release(&part->exact);
	literal_set_release(&part->need);
}

static struct part nothing(void)
{
	return (struct part){ .exact = literal_set_empty() };
}

/* ---- Literals ---- */

static struct part place(struct byteset set)
{
	return (struct part){ .exact = literal_set_place(&set) };
}

/* A character as it is; without case only where no other character but its case is equal. */
static struct part literal_char(struct regex_parser *p, unsigned char c)
{
	struct byteset set = { 0 };

	byteset_add(&set, c);
	if (!p->caseless)
		return place(set);
	return regex_fold(&set) ? place(set) : (struct part){ 0 };
}

/* ---- Escapes ---- */

static struct part parse_escape(struct regex_parser *p)
{
	size_t start = p->at;
	unsigned code;

	switch (regex_escape(p, &code)) {
	case REGEX_CODE:
		buf_add(&p->out, p->text + start, p->at - start);
		if (code == '\n')
			p->newline = start + 1;
		if (code >= 0x80)
			return (struct part){ 0 };
		return literal_char(p, (unsigned char)code);
	case REGEX_ASSERTION:
		buf_add(&p->out, p->text + start, p->at - start);
		p->asserts = true;
		return nothing();
	case REGEX_TYPE: /* a type that may hold a newline: all of it but that */
		buf_add_text(&p->out, "[^");
		buf_add_char(&p->out, '\\');
		buf_add_char(&p->out, (char)(p->text[start + 1] ^ 0x20));
		buf_add(&p->out, p->text + start + 2, p->at - start - 2);
		buf_add_text(&p->out, "\\n]");
		return (struct part){ 0 };
	case REGEX_LINE_TYPE:
		buf_add(&p->out, p->text + start, p->at - start);
		return (struct part){ 0 };
	case REGEX_UNKNOWN:
		break;
	}
	p->lost = true;
	return (struct part){ 0 };
}

/* ---- Groups ---- */

static bool starts(const struct regex_parser *p, const char *text)
{
	size_t n = strlen(text);

	return p->len - p->at >= n && memcmp(p->text + p->at, text, n) == 0;
}

/* What follows `(`: 0 a group, 1 a look around, 2 options for the rest, -1 not understood. */
static int parse_group_head(struct regex_parser *p)
{
	static const char *const looks[] = { "?=", "?!", "?<=", "?<!" };

	if (p->at < p->len && p->text[p->at] == '*')
		return -1;
	if (p->at >= p->len || p->text[p->at] != '?')
		return 0;
	for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
		if (starts(p, looks[i])) {
			p->at += strlen(looks[i]);
			p->by_line = true;
			return 1;
		}
	if (starts(p, "?:") || starts(p, "?|") || starts(p, "?>")) {
		p->by_line |= p->text[p->at + 1] == '>';
		p->at += 2;
		return 0;
	}
	if (starts(p, "?<") || starts(p, "?P<") || starts(p, "?'")) {
		p->at += starts(p, "?P<") ? 3 : 2;
		while (p->at < p->len && (isalnum(p->text[p->at]) || p->text[p->at] == '_'))
			p->at++;
		if (p->at >= p->len || !strchr(">'", p->text[p->at]))
			return -1;
		p->at++;
		return 0;
	}
	bool on = true;
	for (p->at++; p->at < p->len && !strchr(":)", p->text[p->at]); p->at++) {
		if (p->text[p->at] == '-')
			on = false;
		else if (p->text[p->at] == 'i')
			p->caseless = on;
		else if (p->text[p->at] != 'm' || !on)
			return -1;
	}
	if (p->at >= p->len)
		return -1;
	return p->text[p->at++] == ')' ? 2 : 0;
}

static struct part parse_group(struct regex_parser *p)
{
	bool caseless = p->caseless;
	size_t start = p->at++;
	int head = parse_group_head(p);

	if (head < 0) {
		p->lost = true;
		return (struct part){ 0 };
	}
	buf_add(&p->out, p->text + start, p->at - start);
	if (head == 2)
		return nothing();
	struct part part = parse_choice(p);
	p->caseless = caseless;
	if (p->lost || p->at >= p->len || p->text[p->at] != ')') {
		p->lost = true;
		return part;
	}
	p->at++;
	buf_add_char(&p->out, ')');
	if (head == 0)
		return part;
	p->asserts = true;
	part_release(&part);
	return nothing();
}

/* ---- Repetition ---- */

struct count {
	unsigned min, max; /* UINT32_MAX: any number */
};

static bool parse_number(struct regex_parser *p, unsigned *number)
{
	size_t start = p->at;

	*number = 0;
	while (p->at < p->len && isdigit(p->text[p->at]) && p->at - start < 6)
		*number = *number * 10 + (unsigned)(p->text[p->at++] - '0');
	return p->at > start;
}

/* {n}, {n,} or {n,m}; anything else is no repetition, and the brace a character. */
static bool parse_braces(struct regex_parser *p, struct count *count)
{
	size_t start = p->at++;

	if (parse_number(p, &count->min)) {
		count->max = count->min;
		if (p->at < p->len && p->text[p->at] == ',') {
			p->at++;
			if (!parse_number(p, &count->max))
				count->max = UINT32_MAX;
		}
		if (p->at < p->len && p->text[p->at] == '}') {
			p->at++;
			return true;
		}
	}
	p->at = start;
	return false;
}

static bool parse_count(struct regex_parser *p, struct count *count)
{
	size_t start = p->at;

	*count = (struct count){ 0, UINT32_MAX };
	if (p->at >= p->len)
		return false;
	switch (p->text[p->at]) {
	case '*':
		p->at++;
		break;
	case '+':
		count->min = 1;
		p->at++;
		break;
	case '?':
		count->max = 1;
		p->at++;
		break;
	case '{':
		if (!parse_braces(p, count))
			return false;
		break;
	default:
		return false;
	}
	if (p->at < p->len && p->text[p->at] == '+')
		p->by_line = true; /* keeps what it took, a newline behind the line, too */
	if (p->at < p->len && strchr("?+", p->text[p->at]))
		p->at++;
	buf_add(&p->out, p->text + start, p->at - start);
	return true;
}

static struct part repeat(struct part part, struct count count)
{
	struct literal_set set = part.exact;

	if (set.count && count.min == count.max && count.min >= 1 && count.min <= LITERAL_MAX) {
		struct literal_set many = literal_set_empty();
		unsigned n = 0;

		while (n < count.min && literal_set_append(&many, &set))
			n++;
		if (n == count.min) {
			part_release(&part);
			return (struct part){ .exact = many };
		}
		literal_set_release(&many);
	}
	if (set.count && count.min == 0 && count.max == 1) {
		struct literal_set none = literal_set_empty();

		if (literal_set_join(&part.exact, &none)) {
			literal_set_release(&none);
			return part;
		}
		literal_set_release(&none);
	}
	if (count.min == 0) {
		part_release(&part);
	} else if (part.exact.count) {
		part.need = part.exact;
		part.exact = (struct literal_set){ 0 };
	}
	return part;
}

/* ---- Sequences and choices ---- */

static struct part parse_atom(struct regex_parser *p)
{
	unsigned char c = p->text[p->at];
	struct byteset set;

	switch (c) {
	case '\\':
		return parse_escape(p);
	case '(':
		return parse_group(p);
	case '[':
		return regex_class(p, &set) ? place(set) : (struct part){ 0 };
	case '.':
	case '^':
	case '$':
		p->at++;
		buf_add_char(&p->out, (char)c);
		if (c == '.')
			return (struct part){ 0 };
		p->asserts = true;
		return nothing();
	default:
		p->at++;
		buf_add_char(&p->out, (char)c);
		if (c == '\n')
			p->newline = p->at;
		break;
	}
	if (c < 0x80)
		return literal_char(p, c);
	/* The bytes of one character: a repetition is of all of them. */
	struct part part = nothing();
	size_t start = p->at - 1;
	while (p->at < p->len && (p->text[p->at] & 0xC0) == 0x80)
		buf_add_char(&p->out, (char)p->text[p->at++]);
	for (size_t i = start; i < p->at && i - start < 4; i++)
		byteset_add(&part.exact.at->at[part.exact.at->len++], p->text[i]);
	if (p->caseless)
		part_release(&part);
	return part;
}

static struct part parse_sequence(struct regex_parser *p)
{
	struct literal_set run = literal_set_empty(), best = { 0 };
	bool exact = true;

	while (!p->lost && p->at < p->len && p->text[p->at] != '|' && p->text[p->at] != ')') {
		struct part part = parse_atom(p);
		struct count count;

		if (!p->lost && parse_count(p, &count))
			part = repeat(part, count);
		if (part.exact.count && literal_set_append(&run, &part.exact)) {
			part_release(&part);
			continue;
		}
		exact = false;
		literal_set_prefer(&best, &run);
		literal_set_prefer(&best, &part.need);
		run = part.exact.count ? part.exact : literal_set_empty();
	}
	if (exact)
		return (struct part){ .exact = run };
	literal_set_prefer(&best, &run);
	return (struct part){ .need = best };
}

static struct part parse_choice(struct regex_parser *p)
{
	struct part all = parse_sequence(p);

	while (!p->lost && p->at < p->len && p->text[p->at] == '|') {
		p->at++;
		buf_add_char(&p->out, '|');
		struct part one = parse_sequence(p);
		bool exact = all.exact.count && one.exact.count;
		struct literal_set *into = all.exact.count ? &all.exact : &all.need;
		const struct literal_set *more = one.exact.count ? &one.exact : &one.need;

		if (!into->count || !more->count || !literal_set_join(into, more)) {
			part_release(&all);
		} else if (!exact && into == &all.exact) {
			all.need = all.exact;
			all.exact = (struct literal_set){ 0 };
		}
		part_release(&one);
	}
	return all;
}

int regex_facts_init(
	struct regex_facts *facts, const char *pattern, size_t len, bool caseless, struct err *err)
{
	struct regex_parser p = {
		.text = (const unsigned char *)pattern, .len = len, .caseless = caseless
	};

	*facts = (struct regex_facts){ 0 };
	buf_init(&p.out, 16 * len + 64);
	struct part part = parse_choice(&p);
	p.lost |= p.at < len || p.out.over;
	facts->text = p.out;
	facts->by_line = p.lost || p.by_line;
	if (p.newline && !p.lost) {
		part_release(&part);
		regex_facts_release(facts);
		return err_set(err, ERR_INVALID,
			"bad pattern at byte %zu: it asks for a newline, but files are searched "
			"line by line: search for the text of one of the lines",
			p.newline);
	}
	struct literal_set *best = part.exact.count ? &part.exact : &part.need;
	if (!p.lost && literal_set_useful(best)) {
		facts->exact = best == &part.exact && !p.asserts;
		facts->literals = best->at;
		facts->count = best->count;
		*best = (struct literal_set){ 0 };
	}
	part_release(&part);
	return 0;
}

void regex_facts_release(struct regex_facts *facts)
{
	free(facts->literals);
	buf_release(&facts->text);
	*facts = (struct regex_facts){ 0 };
}
