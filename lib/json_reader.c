#include "json_reader.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "utf8.h"

/* Digits that always fit into a json_int_t. */
enum { SURE_DIGITS = 18 };

struct reader {
	const char *text, *at, *end;
	const struct json_limits *limits;
	size_t depth;
	struct err *err;
};

/* The characters of a string: within the text, or `unescaped`, which the caller frees. */
struct characters {
	const char *bytes;
	size_t len;
	char *unescaped;
};

static json_t *read_value(struct reader *reader);

static void *malformed(const struct reader *reader, const char *what)
{
	err_set(reader->err, ERR_INVALID, "Parse error at byte %zu: %s",
		(size_t)(reader->at - reader->text), what);
	return NULL;
}

/* The next character behind white space, or NUL at the end (which no text may hold). */
static char peek(struct reader *reader)
{
	const char *at = reader->at;

	while (at < reader->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
		at++;
	reader->at = at;
	return at < reader->end ? *at : '\0';
}

/* ---- strings ---- */

/* Four hexadecimal digits, or -1. */
static int32_t hex4(const char *at, const char *end)
{
	int32_t value = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = at[i], low = (char)(c | 0x20);
		if (c >= '0' && c <= '9')
			value = value * 16 + (c - '0');
		else if (low >= 'a' && low <= 'f')
			value = value * 16 + (low - 'a' + 10);
		else
			return -1;
	}
	return value;
}

static char *put_utf8(char *out, int32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xC0 | (c >> 6));
		*out++ = (char)(0x80 | (c & 0x3F));
	} else if (c < 0x10000) {
		*out++ = (char)(0xE0 | (c >> 12));
		*out++ = (char)(0x80 | ((c >> 6) & 0x3F));
		*out++ = (char)(0x80 | (c & 0x3F));
	} else {
		*out++ = (char)(0xF0 | (c >> 18));
		*out++ = (char)(0x80 | ((c >> 12) & 0x3F));
		*out++ = (char)(0x80 | ((c >> 6) & 0x3F));
		*out++ = (char)(0x80 | (c & 0x3F));
	}
	return out;
}

/* The character of a \u escape, or of two that are a surrogate pair; `at` is behind the first u
 * and goes on behind the digits. -1 where there is none. */
static int32_t escaped_character(const char **at, const char *end)
{
	int32_t c = hex4(*at, end), low;

	if (c < 0 || (c >= 0xDC00 && c <= 0xDFFF))
		return -1;
	*at += 4;
	if (c < 0xD800 || c > 0xDBFF)
		return c;
	if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return -1;
	low = hex4(*at + 2, end);
	if (low < 0xDC00 || low > 0xDFFF)
		return -1;
	*at += 6;
	return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
}

/* Undoes the escapes from `at` to `end`; no escape is shorter than its character. The end of
 * what is written, or NULL with `*at` on the escape that is none. */
static char *unescape(const char **at, const char *end, char *out)
{
	static const char plain[256] = { ['"'] = '"',
		['\\'] = '\\',
		['/'] = '/',
		['b'] = '\b',
		['f'] = '\f',
		['n'] = '\n',
		['r'] = '\r',
		['t'] = '\t' };

	while (*at < end) {
		const char *slash = memchr(*at, '\\', (size_t)(end - *at));
		size_t n = (size_t)((slash ? slash : end) - *at);

		out = (char *)memcpy(out, *at, n) + n;
		*at += n;
		if (!slash)
			break;
		char kind = slash[1]; /* there is one: a quote at the latest */
		const char *rest = slash + 2;
		if (kind == 'u') {
			int32_t c = escaped_character(&rest, end);
			if (c < 0)
				return NULL;
			out = put_utf8(out, c);
		} else if (plain[(unsigned char)kind]) {
			*out++ = plain[(unsigned char)kind];
		} else {
			return NULL;
		}
		*at = rest;
	}
	return out;
}

/* Goes from the opening quote past the closing one. */
static bool read_characters(struct reader *reader, struct characters *out)
{
	const char *start = ++reader->at, *at = start;
	unsigned char all = 0, c = 0;
	bool escaped = false;

	for (; at < reader->end; at++) {
		c = (unsigned char)*at;
		if (c == '"' || c < 0x20)
			break;
		if (c == '\\') {
			escaped = true;
			if (at + 1 < reader->end)
				c = (unsigned char)*++at;
		}
		all |= c;
	}
	reader->at = at;
	if (at == reader->end)
		return malformed(reader, "the text ends within a string");
	if (c != '"')
		return malformed(reader, "a control character in a string has to be escaped");
	size_t len = (size_t)(at - start);
	if (len > reader->limits->string) {
		err_set(reader->err, ERR_LIMIT, "A string is longer than the %zu bytes allowed",
			reader->limits->string);
		return false;
	}
	size_t valid = all < 0x80 ? len : utf8_valid_prefix(start, len);
	if (valid < len) {
		reader->at = start + valid;
		return malformed(reader, "these bytes are no UTF-8");
	}
	*out = (struct characters){ .bytes = start, .len = len };
	if (escaped) {
		char *bytes = alloc_grow(NULL, len);
		reader->at = start;
		char *end = unescape(&reader->at, start + len, bytes);
		*out = (struct characters){ bytes, end ? (size_t)(end - bytes) : 0, bytes };
		if (!end)
			return malformed(reader, "no such escape, or half a surrogate pair");
	}
	reader->at = at + 1;
	return true;
}

static json_t *read_string(struct reader *reader)
{
	struct characters characters = { 0 };
	json_t *string = read_characters(reader, &characters)
				 ? json_stringn_nocheck(characters.bytes, characters.len)
				 : NULL;

	free(characters.unescaped);
	return string;
}

/* ---- numbers and words ---- */

static bool in_number(char c)
{
	return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E';
}

/* What is no short integer is left to jansson. */
static json_t *read_number(struct reader *reader)
{
	const char *at = reader->at;
	json_int_t integer = 0;
	size_t len = 0, digits = 0;

	for (; at + len < reader->end && in_number(at[len]); len++) {
		if (len > reader->limits->number)
			break;
		if (digits == len && digits < SURE_DIGITS && at[len] >= '0' && at[len] <= '9')
			integer = integer * 10 + (at[digits++] - '0');
	}
	if (len > reader->limits->number) {
		err_set(reader->err, ERR_LIMIT, "A number has more than the %zu characters allowed",
			reader->limits->number);
		return NULL;
	}
	bool simple = digits == len && (at[0] != '0' || len == 1);
	json_t *number =
		simple ? json_integer(integer) : json_loadb(at, len, JSON_DECODE_ANY, NULL);
	if (!number)
		return malformed(reader, "no number, or one out of range");
	reader->at += len;
	return number;
}

static json_t *read_word(struct reader *reader, const char *word, json_t *value)
{
	size_t len = strlen(word);

	if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, word, len) != 0)
		return malformed(reader, "a value is expected");
	reader->at += len;
	return value;
}

/* ---- objects and arrays ---- */

/* Past the comma or the closing bracket that has to follow an item; `*more` tells which. */
static bool end_item(struct reader *reader, char close, bool *more)
{
	char c = peek(reader);

	*more = c == ',';
	if (c != ',' && c != close)
		return malformed(
			reader, close == '}' ? "',' or '}' is expected" : "',' or ']' is expected");
	reader->at++;
	return true;
}

static bool read_member(struct reader *reader, json_t *object, struct characters *name)
{
	size_t members = json_object_size(object);

	if (peek(reader) != '"')
		return malformed(reader, "a name in quotes is expected");
	if (!read_characters(reader, name))
		return false;
	if (memchr(name->bytes, '\0', name->len))
		return malformed(reader, "a name holds a NUL");
	if (peek(reader) != ':')
		return malformed(reader, "':' is expected");
	reader->at++;
	json_t *value = read_value(reader);
	if (!value)
		return false;
	json_object_setn_new_nocheck(object, name->bytes, name->len, value);
	return json_object_size(object) > members || malformed(reader, "a name came twice");
}

static json_t *read_object(struct reader *reader)
{
	json_auto_t *object = json_object();
	bool more = true;

	reader->at++;
	if (peek(reader) == '}') {
		reader->at++;
		return steal_ptr(&object);
	}
	while (more) {
		struct characters name = { 0 };
		bool read = read_member(reader, object, &name);
		free(name.unescaped);
		if (!read || !end_item(reader, '}', &more))
			return NULL;
	}
	return steal_ptr(&object);
}

static json_t *read_array(struct reader *reader)
{
	json_auto_t *array = json_array();
	bool more = true;

	reader->at++;
	if (peek(reader) == ']') {
		reader->at++;
		return steal_ptr(&array);
	}
	while (more) {
		json_t *value = read_value(reader);
		if (!value || json_array_append_new(array, value) < 0 ||
			!end_item(reader, ']', &more))
			return NULL;
	}
	return steal_ptr(&array);
}

static json_t *read_nested(struct reader *reader)
{
	if (reader->depth == reader->limits->depth) {
		err_set(reader->err, ERR_LIMIT,
			"The message is nested deeper than the %zu levels allowed",
			reader->limits->depth);
		return NULL;
	}
	reader->depth++;
	json_t *value = *reader->at == '{' ? read_object(reader) : read_array(reader);
	reader->depth--;
	return value;
}

static json_t *read_value(struct reader *reader)
{
	char c = peek(reader);

	switch (c) {
	case '{':
	case '[':
		return read_nested(reader);
	case '"':
		return read_string(reader);
	case 't':
		return read_word(reader, "true", json_true());
	case 'f':
		return read_word(reader, "false", json_false());
	case 'n':
		return read_word(reader, "null", json_null());
	default:
		return in_number(c) ? read_number(reader)
				    : malformed(reader, "a value is expected");
	}
}

json_t *json_read(const char *text, size_t len, const struct json_limits *limits, struct err *err)
{
	struct reader reader = { text, text, text + len, limits, 0, err };
	char first = peek(&reader);

	if (first != '{' && first != '[')
		return malformed(&reader, "an object or an array is expected");
	json_auto_t *value = read_nested(&reader);
	if (value && (peek(&reader) || reader.at < reader.end))
		return malformed(&reader, "more text behind the end of the message");
	return steal_ptr(&value);
}
