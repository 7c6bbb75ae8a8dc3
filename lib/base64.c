#include "base64.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "buf.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int add(struct buf *out, const unsigned char *in, size_t len, const char *alphabet, bool pad)
{
	size_t rest = len % 3, size = len / 3 * 4 + (rest ? (pad ? 4 : rest + 1) : 0);
	char *p = buf_reserve(out, size);

	if (!p)
		return -1;
	for (size_t i = 0; i + 3 <= len; i += 3) {
		uint32_t bits = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
		*p++ = alphabet[bits >> 18];
		*p++ = alphabet[bits >> 12 & 63];
		*p++ = alphabet[bits >> 6 & 63];
		*p++ = alphabet[bits & 63];
	}
	if (rest) {
		uint32_t bits = (uint32_t)in[len - rest] << 16;
		if (rest == 2)
			bits |= (uint32_t)in[len - 1] << 8;
		*p++ = alphabet[bits >> 18];
		*p++ = alphabet[bits >> 12 & 63];
		if (rest == 2)
			*p++ = alphabet[bits >> 6 & 63];
		for (size_t i = rest; pad && i < 3; i++)
			*p++ = '=';
	}
	buf_commit(out, size);
	return 0;
}

int base64_add(struct buf *out, const void *bytes, size_t len)
{
	return add(out, bytes, len, standard, true);
}

int base64url_add(struct buf *out, const void *bytes, size_t len)
{
	return add(out, bytes, len, url, false);
}

static int value_of(char c, const char *alphabet)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == alphabet[62] ? 62 : c == alphabet[63] ? 63 : -1;
}

static int decode(struct buf *out, const char *text, size_t len, const char *alphabet)
{
	size_t size = len / 4 * 3 + (len % 4 ? len % 4 - 1 : 0);
	uint32_t bits = 0;
	unsigned have = 0;

	if (len % 4 == 1)
		return -1;
	char *p = buf_reserve(out, size);
	if (!p)
		return -1;
	for (size_t i = 0; i < len; i++) {
		int value = value_of(text[i], alphabet);
		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			*p++ = (char)(bits >> have);
		}
	}
	if (bits & ((1U << have) - 1))
		return -1;
	buf_commit(out, size);
	return 0;
}

int base64_decode(struct buf *out, const char *text, size_t len)
{
	if (len % 4)
		return -1;
	if (len > 0 && text[len - 1] == '=')
		len -= text[len - 2] == '=' ? 2 : 1;
	return decode(out, text, len, standard);
}

int base64url_decode(struct buf *out, const char *text, size_t len)
{
	return decode(out, text, len, url);
}
