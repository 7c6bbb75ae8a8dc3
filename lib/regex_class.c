#include "regex_class.h"

#include <ctype.h>
#include <string.h>

enum { END = -1 };

static int look(const struct regex_parser *p, size_t ahead)
{
	return p->at + ahead < p->len ? p->text[p->at + ahead] : END;
}

bool regex_fold(struct byteset *set)
{
	for (int c = 'a'; c <= 'z'; c++) {
		bool lower = byteset_has(set, (unsigned char)c);
		bool upper = byteset_has(set, (unsigned char)toupper(c));

		if (!lower && !upper)
			continue;
		if (c == 'k' || c == 's') /* the Kelvin sign, the long s */
			return false;
		byteset_add(set, (unsigned char)c);
		byteset_add(set, (unsigned char)toupper(c));
	}
	return true;
}

/* ---- Escapes ---- */

/* Behind \x: up to two digits, or any number in braces. */
static bool parse_hex(struct regex_parser *p, unsigned *code)
{
	bool braces = look(p, 0) == '{';
	size_t max = braces ? 6 : 2, n = 0;

	*code = 0;
	p->at += braces;
	for (; n < max && look(p, 0) != END && isxdigit(look(p, 0)); n++, p->at++) {
		int c = tolower(look(p, 0));
		*code = *code * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	if (!braces)
		return true;
	return n > 0 && look(p, 0) == '}' && p->at++;
}

/* Behind \p or \P: one letter, or a name in braces. */
static bool skip_property(struct regex_parser *p)
{
	if (look(p, 0) != '{')
		return look(p, 0) != END && isalpha(look(p, 0)) && p->at++;
	const unsigned char *end = memchr(p->text + p->at, '}', p->len - p->at);
	/* A name that is negated already has no other case of the letter to turn to. */
	if (!end || look(p, 1) == '^')
		return false;
	p->at = (size_t)(end + 1 - p->text);
	return true;
}

static bool control_code(int c, unsigned *code)
{
	static const char letters[] = "aefnrt", codes[] = "\a\x1B\f\n\r\t";
	const char *at = c ? strchr(letters, c) : NULL;

	if (!at)
		return false;
	*code = (unsigned char)codes[at - letters];
	return true;
}

enum regex_escape regex_escape(struct regex_parser *p, unsigned *code)
{
	int c = look(p, 1);

	if (c == END || c >= 0x80)
		return REGEX_UNKNOWN;
	p->at += 2;
	if (!isalnum(c)) {
		*code = (unsigned)c;
		return REGEX_CODE;
	}
	if (control_code(c, code))
		return REGEX_CODE;
	switch (c) {
	case 'x':
		return parse_hex(p, code) ? REGEX_CODE : REGEX_UNKNOWN;
	case 'b':
	case 'B':
		return REGEX_ASSERTION;
	case 'A':
	case 'z':
	case 'Z':
	case 'G':
	case 'K':
		p->by_line = true;
		return REGEX_ASSERTION;
	case 's':
	case 'v':
	case 'D':
	case 'H':
	case 'W':
		return REGEX_TYPE;
	case 'p':
	case 'P':
		return skip_property(p) ? REGEX_TYPE : REGEX_UNKNOWN;
	case 'S':
	case 'V':
	case 'd':
	case 'h':
	case 'w':
	case 'N':
		return c == 'N' && look(p, 0) == '{' ? REGEX_UNKNOWN : REGEX_LINE_TYPE;
	case 'R':
	case 'X':
		p->by_line = true;
		return REGEX_LINE_TYPE;
	default:
		return REGEX_UNKNOWN;
	}
}

/* ---- Classes ---- */

struct members {
	struct byteset set;
	bool ascii;   /* the set is all of it */
	bool negated; /* then no newline is in it, whatever the members are */
};

static void add_range(struct regex_parser *p, struct members *members, unsigned low, unsigned high)
{
	if (low <= '\n' && '\n' <= high)
		p->by_line |= !members->negated;
	if (high >= 0x80)
		members->ascii = false;
	for (unsigned c = low; c <= high && c < 0x80; c++)
		byteset_add(&members->set, (unsigned char)c);
}

/* [:name:] */
static bool parse_posix(struct regex_parser *p, struct members *members)
{
	static const char *const safe[] = { "alpha", "digit", "alnum", "upper", "lower", "punct",
		"graph", "print", "word", "xdigit", "blank" };
	size_t start = p->at, n = 0;
	bool known = false;

	if (look(p, 0) != '[' || look(p, 1) != ':')
		return false;
	while (look(p, 2 + n) != END && (isalpha(look(p, 2 + n)) || look(p, 2 + n) == '^'))
		n++;
	if (look(p, 2 + n) != ':' || look(p, 3 + n) != ']')
		return false;
	for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
		known |= strlen(safe[i]) == n && memcmp(safe[i], p->text + p->at + 2, n) == 0;
	p->by_line |= !known && !members->negated;
	members->ascii = false;
	p->at += n + 4;
	buf_add(&p->out, p->text + start, n + 4);
	return true;
}

/* What \s is but a newline, member by member: pcre2pattern(3), PCRE2_UCP. */
static const char blanks[] = "\\h\\p{Z}\\x0B\\f\\r\\x85";

/* An escape in a class; true where it is one character, `code`. */
static bool parse_member_escape(struct regex_parser *p, struct members *members, unsigned *code)
{
	size_t start = p->at;
	int letter = look(p, 1);

	if (letter == 'b') {
		p->at += 2;
		*code = '\b';
		buf_add_text(&p->out, "\\b");
		return true;
	}
	enum regex_escape kind = regex_escape(p, code);
	if (kind == REGEX_UNKNOWN || kind == REGEX_ASSERTION || letter == 'R' || letter == 'X' ||
		letter == 'N') {
		p->lost = true;
		return false;
	}
	if (letter == 's' && !members->negated) {
		buf_add_text(&p->out, blanks);
		members->ascii = false;
		return false;
	}
	buf_add(&p->out, p->text + start, p->at - start);
	if (kind == REGEX_CODE)
		return true;
	p->by_line |= kind == REGEX_TYPE && !members->negated;
	members->ascii = false;
	return false;
}

/* One member that is a character, or a set of them (false). */
static bool parse_member(struct regex_parser *p, struct members *members, unsigned *code)
{
	int c = look(p, 0);

	if (c == '\\')
		return parse_member_escape(p, members, code);
	if (parse_posix(p, members))
		return false;
	p->at++;
	buf_add_char(&p->out, (char)c);
	*code = (unsigned)c;
	if (c < 0x80)
		return true;
	while (look(p, 0) != END && (look(p, 0) & 0xC0) == 0x80)
		buf_add_char(&p->out, (char)p->text[p->at++]);
	return true;
}

static void parse_item(struct regex_parser *p, struct members *members)
{
	unsigned low, high;

	if (!parse_member(p, members, &low))
		return;
	high = low;
	if (look(p, 0) == '-' && look(p, 1) != ']' && look(p, 1) != END) {
		p->at++;
		buf_add_char(&p->out, '-');
		if (!parse_member(p, members, &high)) {
			/* [a-\d]: the hyphen is a member. */
			add_range(p, members, '-', '-');
			high = low;
		}
	}
	add_range(p, members, low, high);
}

bool regex_class(struct regex_parser *p, struct byteset *set)
{
	struct members members = { .ascii = true };

	p->at++;
	buf_add_char(&p->out, '[');
	if (look(p, 0) == '^') {
		p->at++;
		members.negated = true;
		buf_add_text(&p->out, "^\\n");
	}
	if (look(p, 0) == ']') {
		p->at++;
		buf_add_text(&p->out, "\\]");
		byteset_add(&members.set, ']');
	}
	while (!p->lost && look(p, 0) != ']') {
		if (look(p, 0) == END)
			p->lost = true;
		else
			parse_item(p, &members);
	}
	p->at += p->at < p->len;
	buf_add_char(&p->out, ']');
	*set = members.set;
	byteset_remove(set, '\n'); /* no line has one */
	if (p->lost || members.negated || !members.ascii || byteset_count(set) == 0)
		return false;
	return !p->caseless || regex_fold(set);
}
