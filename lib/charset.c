#include "charset.h"

#include <stdint.h>
#include <string.h>

#include "buf.h"
#include "utf8.h"

/* Bytes 0x80..0x9F; those that Windows leaves open are C1 controls, as the WHATWG has it. */
static const uint16_t windows_1252[32] = {
	0x20AC,
	0x0081,
	0x201A,
	0x0192,
	0x201E,
	0x2026,
	0x2020,
	0x2021,
	0x02C6,
	0x2030,
	0x0160,
	0x2039,
	0x0152,
	0x008D,
	0x017D,
	0x008F,
	0x0090,
	0x2018,
	0x2019,
	0x201C,
	0x201D,
	0x2022,
	0x2013,
	0x2014,
	0x02DC,
	0x2122,
	0x0161,
	0x203A,
	0x0153,
	0x009D,
	0x017E,
	0x0178,
};

const char *charset_name(enum charset charset)
{
	static const char *const names[] = {
		[CHARSET_BINARY] = "binary",
		[CHARSET_UTF8] = "utf-8",
		[CHARSET_UTF16LE] = "utf-16le",
		[CHARSET_UTF16BE] = "utf-16be",
		[CHARSET_LATIN1] = "iso-8859-1",
		[CHARSET_WINDOWS_1252] = "windows-1252",
	};

	return names[charset];
}

size_t charset_unit(enum charset charset)
{
	return charset == CHARSET_UTF16LE || charset == CHARSET_UTF16BE ? 2 : 1;
}

static uint32_t unit_at(enum charset charset, const char *bytes)
{
	const unsigned char *s = (const unsigned char *)bytes;

	return charset == CHARSET_UTF16BE ? s[0] * 256u + s[1] : s[1] * 256u + s[0];
}

static bool is_high(uint32_t unit)
{
	return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low(uint32_t unit)
{
	return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* Controls that text files have: \b \t \n \v \f \r and escape. */
static bool is_text_control(uint32_t c)
{
	return (c >= '\b' && c <= '\r') || c == 0x1B;
}

/* ---- Detection ---- */

/* Without a mark: mostly Latin letters, in one order of bytes, and nothing that is no text. */
static bool looks_like_utf16(enum charset charset, const char *bytes, size_t len)
{
	size_t units = len / 2, latin = 0;
	uint32_t before = 0;

	for (size_t i = 0; i < units; i++) {
		uint32_t unit = unit_at(charset, bytes + 2 * i);
		if ((unit < 0x20 && !is_text_control(unit)) || unit >= 0xFFFE)
			return false;
		if (is_low(unit) != is_high(before))
			return false;
		latin += unit < 0x100;
		before = unit;
	}
	return units >= 4 && latin * 2 >= units;
}

enum charset charset_detect_part(const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;
	size_t good = 0, bad = 0, c1 = 0;

	for (size_t at = 0; at < len;) {
		size_t n = utf8_valid_prefix(bytes + at, len - at);
		for (size_t i = at; i < at + n; i++)
			good += s[i] >= 0xC0;
		at += n;
		if (at < len) {
			bad++;
			c1 += s[at] >= 0x80 && s[at] <= 0x9F;
		}
		at++;
	}
	/* A damaged text of ours has more whole characters than broken ones, Latin-1 has not. */
	if (bad == 0 || good >= bad)
		return CHARSET_UTF8;
	return c1 ? CHARSET_WINDOWS_1252 : CHARSET_LATIN1;
}

static bool has_strange_controls(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];
		if (c < 0x20 && !is_text_control(c))
			return true;
	}
	return false;
}

enum charset charset_detect(const char *head, size_t len, bool whole, size_t *bom)
{
	*bom = 0;
	if (len >= 3 && memcmp(head, "\xEF\xBB\xBF", 3) == 0) {
		*bom = 3;
		return CHARSET_UTF8;
	}
	if (len >= 4 &&
		(memcmp(head, "\xFF\xFE\0", 4) == 0 || memcmp(head, "\0\0\xFE\xFF", 4) == 0))
		return CHARSET_BINARY; /* UTF-32 */
	if (len >= 2 && (memcmp(head, "\xFF\xFE", 2) == 0 || memcmp(head, "\xFE\xFF", 2) == 0)) {
		*bom = 2;
		return head[0] == '\xFF' ? CHARSET_UTF16LE : CHARSET_UTF16BE;
	}
	if (memchr(head, '\0', len)) {
		if (whole && len % 2)
			return CHARSET_BINARY;
		return looks_like_utf16(CHARSET_UTF16LE, head, len)   ? CHARSET_UTF16LE
		       : looks_like_utf16(CHARSET_UTF16BE, head, len) ? CHARSET_UTF16BE
								      : CHARSET_BINARY;
	}
	if (!whole)
		len = utf8_floor(head, len);
	if (utf8_valid_prefix(head, len) == len)
		return CHARSET_UTF8;
	return has_strange_controls(head, len) ? CHARSET_BINARY : charset_detect_part(head, len);
}

/* ---- Decoding ---- */

size_t charset_floor(enum charset charset, const char *bytes, size_t len)
{
	if (charset == CHARSET_UTF8)
		return utf8_floor(bytes, len);
	if (charset_unit(charset) == 1)
		return len;
	len -= len % 2;
	return len >= 2 && is_high(unit_at(charset, bytes + len - 2)) ? len - 2 : len;
}

static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xC0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xE0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3F));
		out[2] = (char)(0x80 | (c & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3F));
	out[2] = (char)(0x80 | (c >> 6 & 0x3F));
	out[3] = (char)(0x80 | (c & 0x3F));
	return 4;
}

/* `out` has three bytes for each unit, which a pair of surrogates does not use up. */
static size_t decode_utf16(enum charset charset, const char *bytes, size_t len, char *out)
{
	size_t n = 0;

	for (size_t at = 0; at < len; at += 2) {
		uint32_t c = len - at < 2 ? 0xFFFD : unit_at(charset, bytes + at);
		uint32_t next = len - at < 4 ? 0 : unit_at(charset, bytes + at + 2);
		if (is_high(c) && is_low(next)) {
			c = 0x10000 + ((c - 0xD800) << 10) + (next - 0xDC00);
			at += 2;
		} else if (is_high(c) || is_low(c)) {
			c = 0xFFFD;
		}
		n += put_utf8(out + n, c);
	}
	return n;
}

static size_t decode_bytes(const char *bytes, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		uint32_t c = (unsigned char)bytes[i];
		if (c >= 0x80 && c <= 0x9F)
			c = windows_1252[c - 0x80];
		n += put_utf8(out + n, c);
	}
	return n;
}

static int repair_utf8(const char *bytes, size_t len, struct buf *out)
{
	for (size_t at = 0; at < len; at++) {
		size_t n = utf8_valid_prefix(bytes + at, len - at);
		buf_add(out, bytes + at, n);
		at += n;
		if (at < len)
			buf_add_text(out, "\xEF\xBF\xBD");
	}
	return out->over ? -1 : 0;
}

int charset_decode(enum charset charset, const char *bytes, size_t len, struct buf *out)
{
	enum { PART = 8192 };

	if (charset == CHARSET_UTF8 || charset == CHARSET_BINARY)
		return repair_utf8(bytes, len, out);
	while (len > 0) {
		char text[3 * PART];
		size_t part = len > PART ? charset_floor(charset, bytes, PART) : len;
		size_t n = charset_unit(charset) == 2 ? decode_utf16(charset, bytes, part, text)
						      : decode_bytes(bytes, part, text);
		if (buf_add(out, text, n) < 0)
			return -1;
		bytes += part;
		len -= part;
	}
	return 0;
}
