#define _FILE_OFFSET_BITS 64
#include "grep_source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { MARK = 3, READ = 64 << 10, STEP = 4 << 10 };

static int64_t read_at(int fd, void *to, size_t room, int64_t at)
{
	ssize_t n;

	do
		n = pread(fd, to, room, at);
	while (n < 0 && errno == EINTR);
	return n;
}

enum grep_encoding grep_encoding_of(int fd)
{
	unsigned char mark[MARK];
	int64_t n = read_at(fd, mark, sizeof mark, 0);

	if (n >= 3 && memcmp(mark, "\xEF\xBB\xBF", 3) == 0)
		return GREP_UTF8_MARK;
	if (n >= 2 && mark[0] == 0xFF && mark[1] == 0xFE)
		return GREP_UTF16_LE;
	if (n >= 2 && mark[0] == 0xFE && mark[1] == 0xFF)
		return GREP_UTF16_BE;
	return GREP_BYTES;
}

void grep_source_init(struct grep_source *source, int fd, int64_t from, enum grep_encoding encoding)
{
	source->fd = fd;
	source->at = from;
	source->encoding = encoding;
	source->high = 0;
	source->odd = -1;
	if (encoding != GREP_BYTES && from == 0)
		source->at = encoding == GREP_UTF8_MARK ? 3 : 2;
}

static char *put(char *to, unsigned code)
{
	if (code < 0x80) {
		*to++ = (char)code;
		return to;
	}
	if (code < 0x800) {
		*to++ = (char)(0xC0 | code >> 6);
	} else {
		if (code < 0x10000) {
			*to++ = (char)(0xE0 | code >> 12);
		} else {
			*to++ = (char)(0xF0 | code >> 18);
			*to++ = (char)(0x80 | (code >> 12 & 0x3F));
		}
		*to++ = (char)(0x80 | (code >> 6 & 0x3F));
	}
	*to++ = (char)(0x80 | (code & 0x3F));
	return to;
}

enum { REPLACEMENT = 0xFFFD };

static char *put_unit(struct grep_source *source, char *to, unsigned unit)
{
	bool low = unit >= 0xDC00 && unit < 0xE000;

	if (source->high) {
		unsigned high = source->high;

		source->high = 0;
		if (low)
			return put(to, 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00));
		to = put(to, REPLACEMENT);
	}
	if (unit >= 0xD800 && unit < 0xDC00) {
		source->high = unit;
		return to;
	}
	return put(to, low ? REPLACEMENT : unit);
}

static int64_t read_utf16(struct grep_source *source, char *to)
{
	char *end = to;

	while (end == to) {
		int64_t n = read_at(source->fd, source->raw, sizeof source->raw, source->at);

		if (n < 0)
			return -1;
		if (n == 0) {
			if (source->odd >= 0 || source->high)
				end = put(end, REPLACEMENT);
			source->odd = -1;
			source->high = 0;
			break;
		}
		source->at += n;
		for (int64_t i = 0; i < n; i++) {
			unsigned a = (unsigned)source->odd, b = source->raw[i];

			if (source->odd < 0) {
				source->odd = source->raw[i];
				continue;
			}
			source->odd = -1;
			end = put_unit(source, end,
				source->encoding == GREP_UTF16_LE ? a | b << 8 : a << 8 | b);
		}
	}
	return end - to;
}

int64_t grep_source_read(struct grep_source *source, char *to, size_t room)
{
	if (source->encoding == GREP_UTF16_LE || source->encoding == GREP_UTF16_BE)
		return read_utf16(source, to);
	int64_t n = read_at(source->fd, to, room, source->at);
	if (n > 0)
		source->at += n;
	return n;
}

/* Behind the last newline from `from` up to `to`; -1 where there is none. */
static int64_t last_line(int fd, int64_t from, int64_t to)
{
	char step[STEP];

	while (to > from) {
		int64_t at = to - STEP > from ? to - STEP : from;
		int64_t n = read_at(fd, step, (size_t)(to - at), at);
		const char *newline = n > 0 ? memrchr(step, '\n', (size_t)n) : NULL;

		if (newline)
			return at + (newline - step) + 1;
		to = at;
	}
	return -1;
}

int64_t grep_binary_cut(int fd, int64_t nul)
{
	int64_t start = 0, room = READ; /* what its buffer holds, from a line on */
	int64_t end = MARK;             /* the first read is to see a byte order mark */

	while (nul >= end) {
		int64_t line = last_line(fd, start, end);

		if (line >= 0)
			start = line;
		else if (end - start == room)
			room *= 3; /* a long line: the buffer grows */
		end = start + room;
	}
	return start;
}
