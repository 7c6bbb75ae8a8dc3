#include "utf8.h"

#include <stdint.h>
#include <string.h>

#include "buf.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
	CHUNK = 4096,   /* input bytes for which the room is checked once */
	GROWTH = 6,     /* the longest escape of one byte: \u0000 */
	OVERSHOOT = 32, /* a character across the chunk's end, and a vector stored whole */
	CHUNK_ROOM = GROWTH * CHUNK + OVERSHOOT,
};

static const char replacement[] = "\xEF\xBF\xBD";

/* What follows the backslash; 'u' stands for a \u escape, 0 for a byte that passes. */
static const char escapes[256] = {
	[0x00] = 'u',
	[0x01] = 'u',
	[0x02] = 'u',
	[0x03] = 'u',
	[0x04] = 'u',
	[0x05] = 'u',
	[0x06] = 'u',
	[0x07] = 'u',
	[0x08] = 'b',
	[0x09] = 't',
	[0x0A] = 'n',
	[0x0B] = 'u',
	[0x0C] = 'f',
	[0x0D] = 'r',
	[0x0E] = 'u',
	[0x0F] = 'u',
	[0x10] = 'u',
	[0x11] = 'u',
	[0x12] = 'u',
	[0x13] = 'u',
	[0x14] = 'u',
	[0x15] = 'u',
	[0x16] = 'u',
	[0x17] = 'u',
	[0x18] = 'u',
	[0x19] = 'u',
	[0x1A] = 'u',
	[0x1B] = 'u',
	[0x1C] = 'u',
	[0x1D] = 'u',
	[0x1E] = 'u',
	[0x1F] = 'u',
	['"'] = '"',
	['\\'] = '\\',
};

static bool is_continuation(unsigned char byte)
{
	return (byte & 0xC0) == 0x80;
}

/* The rare leads whose second byte has a narrower range (RFC 3629, section 4). */
static bool is_second(unsigned char lead, unsigned char byte)
{
	switch (lead) {
	case 0xE0:
		return byte >= 0xA0 && byte <= 0xBF;
	case 0xED:
		return byte >= 0x80 && byte <= 0x9F;
	case 0xF0:
		return byte >= 0x90 && byte <= 0xBF;
	case 0xF4:
		return byte >= 0x80 && byte <= 0x8F;
	default:
		return is_continuation(byte);
	}
}

/*
 * Length of the character at `s`, of which `len` > 0 bytes are there: 0 where it is none,
 * more than `len` where only its end is missing.
 */
static inline size_t character_at(const unsigned char *s, size_t len)
{
	unsigned char lead = s[0];

	if (lead < 0x80)
		return 1;
	if (lead > 0xE0 && lead < 0xED && len > 2) /* most of the world's writing */
		return ((int)is_continuation(s[1]) & (int)is_continuation(s[2])) ? 3 : 0;
	if (lead < 0xC2 || lead > 0xF4)
		return 0;
	if (len > 1 && !is_second(lead, s[1]))
		return 0;
	if (lead < 0xE0)
		return 2;
	if (len > 2 && !is_continuation(s[2]))
		return 0;
	if (lead < 0xF0)
		return 3;
	return len > 3 && !is_continuation(s[3]) ? 0 : 4;
}

static uint64_t load_word(const void *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof word);
	return word;
}

static size_t ascii_prefix(const unsigned char *s, size_t len)
{
	size_t n = 0;

	for (; len - n >= 32; n += 32) {
		uint64_t any = load_word(s + n) | load_word(s + n + 8) | load_word(s + n + 16) |
			       load_word(s + n + 24);
		if (any & 0x8080808080808080u)
			break;
	}
	while (n < len && s[n] < 0x80)
		n++;
	return n;
}

size_t utf8_valid_prefix(const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;
	size_t n = 0;

	while (n < len) {
		if (s[n] < 0x80) {
			n += ascii_prefix(s + n, len - n);
			continue;
		}
		size_t width = character_at(s + n, len - n);
		if (width == 0 || width > len - n)
			break;
		n += width;
	}
	return n;
}

/* How many bytes at the end begin a character of which the rest is missing. */
static size_t cut_bytes(const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;

	for (size_t n = 1; n <= 3 && n <= len; n++) {
		if (is_continuation(s[len - n]))
			continue;
		return character_at(s + len - n, n) > n ? n : 0;
	}
	return 0;
}

bool utf8_cut_at_end(const char *bytes, size_t len)
{
	size_t cut = cut_bytes(bytes, len);

	return cut > 0 && utf8_valid_prefix(bytes, len) == len - cut;
}

size_t utf8_floor(const char *bytes, size_t len)
{
	return len - cut_bytes(bytes, len);
}

/*
 * Copies bytes that pass unchanged, as many as there are at the start, and returns their
 * number. May write up to 16 bytes more than it counts.
 */
static size_t copy_plain(char *out, const unsigned char *in, size_t len)
{
	size_t n = 0;

#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
	const __m128i space = _mm_set1_epi8(' ');

	for (; len - n >= 16; n += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(in + n));
		/* Signed: bytes from 0x80 up are less than a space, too. */
		__m128i special = _mm_or_si128(_mm_cmplt_epi8(v, space),
			_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));
		unsigned mask = (unsigned)_mm_movemask_epi8(special);

		_mm_storeu_si128((__m128i *)(void *)(out + n), v);
		if (mask)
			return n + (size_t)__builtin_ctz(mask);
	}
#else
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;

	for (; len - n >= 8; n += 8) {
		uint64_t v = load_word(in + n);
		uint64_t quote = v ^ ones * '"', backslash = v ^ ones * '\\';
		/* Zero bytes of the two differences and bytes under 0x20 borrow into their top. */
		uint64_t special = (quote - ones) | (backslash - ones) | (v - ones * ' ') | v;

		if (special & tops)
			break;
		memcpy(out + n, &v, sizeof v);
	}
#endif
	for (; n < len && in[n] < 0x80 && !escapes[in[n]]; n++)
		out[n] = (char)in[n];
	return n;
}

static char *put_escape(char *out, unsigned char byte)
{
	static const char hex[] = "0123456789abcdef";

	out[0] = '\\';
	out[1] = escapes[byte];
	if (out[1] != 'u')
		return out + 2;
	memcpy(out + 2, "00", 2);
	out[4] = hex[byte >> 4];
	out[5] = hex[byte & 15];
	return out + 6;
}

/*
 * Escapes from `*in` up to `stop`; a character that begins before it is taken whole, so `*in`
 * ends up to three bytes past it. `out` has CHUNK_ROOM bytes; returns how many were written.
 */
static size_t escape_chunk(
	char *out, const unsigned char **in, const unsigned char *stop, const unsigned char *end)
{
	char *start = out;
	const unsigned char *s = *in;

	while (s < stop) {
		size_t n = copy_plain(out, s, (size_t)(stop - s));
		out += n;
		s += n;
		if (s >= stop)
			break;
		if (*s < 0x80) {
			out = put_escape(out, *s++);
			continue;
		}
		do {
			n = character_at(s, (size_t)(end - s));
			if (n == 0 || n > (size_t)(end - s)) {
				memcpy(out, replacement, 3);
				out += 3;
				s++;
				continue;
			}
			if (end - s >= 4) /* a constant length: no call */
				memcpy(out, s, 4);
			else
				memcpy(out, s, n);
			out += n;
			s += n;
		} while (s < stop && *s >= 0x80);
	}
	*in = s;
	return (size_t)(out - start);
}

int utf8_add_json_part(struct buf *buf, const char *bytes, size_t len)
{
	const unsigned char *in = (const unsigned char *)bytes, *end = in + len;
	size_t before = buf->len, likely = len + len / 16 + CHUNK_ROOM;

	/* One allocation for all, where it is allowed and worth it. */
	if (len > CHUNK && !buf->over && buf->max - buf->len >= likely)
		buf_reserve(buf, likely);
	while (in < end) {
		size_t step = (size_t)(end - in) < CHUNK ? (size_t)(end - in) : CHUNK;
		size_t room = GROWTH * step + OVERSHOOT;

		if (!buf->over && buf->max - buf->len >= room) {
			char *out = buf_reserve(buf, room);
			buf_commit(buf, escape_chunk(out, &in, in + step, end));
			continue;
		}
		/* Near the maximum only the exact size decides. */
		char scratch[CHUNK_ROOM];
		size_t n = escape_chunk(scratch, &in, in + step, end);
		if (buf_add(buf, scratch, n) < 0) {
			buf_truncate(buf, before);
			return -1;
		}
	}
	return buf->over ? -1 : 0;
}

int utf8_add_json(struct buf *buf, const char *bytes, size_t len)
{
	size_t before = buf->len;

	buf_add_char(buf, '"');
	utf8_add_json_part(buf, bytes, len);
	buf_add_char(buf, '"');
	if (!buf->over)
		return 0;
	buf_truncate(buf, before);
	return -1;
}

/* The bytes with U+FFFD for each one that belongs to no character. */
static json_t *repaired(const char *bytes, size_t len)
{
	AUTO_BUF struct buf text = BUF_INIT(3 * len);

	while (len > 0) {
		size_t n = utf8_valid_prefix(bytes, len);

		buf_add(&text, bytes, n);
		if (n < len) {
			buf_add(&text, replacement, 3);
			n++;
		}
		bytes += n;
		len -= n;
	}
	return json_stringn_nocheck(text.data, text.len);
}

json_t *utf8_json(const char *bytes, size_t len)
{
	if (utf8_valid_prefix(bytes, len) == len)
		return json_stringn_nocheck(bytes, len);
	return repaired(bytes, len);
}

size_t utf8_json_size(const char *bytes, size_t len)
{
	size_t size = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c < 0x20)
			size += 6;
		else if (c == '"' || c == '\\')
			size += 2;
		else
			size += c < 0x80 ? 1 : 3;
	}
	return size;
}
