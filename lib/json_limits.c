#include "json_limits.h"

#include <stdbool.h>
#include <string.h>

#include "err.h"

/* The length of the string that begins behind a quote: up to the closing one, or the end. */
static size_t string_length(const char *text, size_t len)
{
	size_t at = 0;

	while (at < len) {
		const char *quote = memchr(text + at, '"', len - at);
		size_t end = quote ? (size_t)(quote - text) : len, slashes = 0;
		while (slashes < end && text[end - 1 - slashes] == '\\')
			slashes++;
		if (!quote || slashes % 2 == 0)
			return end;
		at = end + 1;
	}
	return len;
}

static bool in_number(char c)
{
	return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E';
}

int json_limits_check(const struct json_limits *limits, const char *text, size_t len,
	struct err *err)
{
	size_t depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '"') {
			size_t n = string_length(text + i + 1, len - i - 1);
			if (n > limits->string)
				return err_set(err, ERR_LIMIT,
					"A string is longer than the %zu bytes allowed",
					limits->string);
			i += n + 1;
		} else if (c == '{' || c == '[') {
			if (++depth > limits->depth)
				return err_set(err, ERR_LIMIT,
					"The message is nested deeper than the %zu levels allowed",
					limits->depth);
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		} else if ((c >= '0' && c <= '9') || c == '-') {
			size_t n = 1;
			while (i + n < len && in_number(text[i + n]))
				n++;
			if (n > limits->number)
				return err_set(err, ERR_LIMIT,
					"A number has more than the %zu characters allowed",
					limits->number);
			i += n - 1;
		}
	}
	return 0;
}
