#include "http_head.h"

/* Where in a chunked body (RFC 9112, section 7.1) the next byte stands. */
enum { SIZE, SIZE_LF, DATA, DATA_CR, DATA_LF, END_CR, END_LF };

enum { DIGITS_MAX = 15 };

void http_body_init(struct http_body *body, const struct http_head *request)
{
	*body = (struct http_body){ .framing = request->framing, .left = request->length };
	body->done = body->framing != HTTP_CHUNKED && body->left == 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int take_size(struct http_body *body, char c)
{
	int digit = hex_digit(c);

	if (digit >= 0 && body->digits < DIGITS_MAX) {
		body->left = body->left << 4 | (uint64_t)digit;
		body->digits++;
		return 0;
	}
	body->state = SIZE_LF;
	return c == '\r' && body->digits > 0 ? 0 : -1;
}

/* One byte of what stands between the chunks. */
static int take_byte(struct http_body *body, char c)
{
	switch (body->state) {
	case SIZE:
		return take_size(body, c);
	case SIZE_LF:
		body->state = body->left > 0 ? DATA : END_CR;
		body->digits = 0;
		return c == '\n' ? 0 : -1;
	case DATA_CR:
		body->state = DATA_LF;
		return c == '\r' ? 0 : -1;
	case DATA_LF:
		body->state = SIZE;
		return c == '\n' ? 0 : -1;
	case END_CR:
		body->state = END_LF;
		return c == '\r' ? 0 : -1;
	default:
		body->done = true;
		return c == '\n' ? 0 : -1;
	}
}

ssize_t http_body_take(struct http_body *body, const char *bytes, size_t len)
{
	size_t at = 0;

	while (at < len && !body->done) {
		bool data = body->framing == HTTP_COUNTED || body->state == DATA;
		if (!data) {
			if (take_byte(body, bytes[at++]) < 0)
				return -1;
			continue;
		}
		size_t some = body->left < len - at ? (size_t)body->left : len - at;
		body->left -= some;
		at += some;
		if (body->left == 0 && body->framing == HTTP_COUNTED)
			body->done = true;
		else if (body->left == 0)
			body->state = DATA_CR;
	}
	return (ssize_t)at;
}
