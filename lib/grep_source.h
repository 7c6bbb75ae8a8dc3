#ifndef GREP_SOURCE_H
#define GREP_SOURCE_H

/* The bytes of a file as UTF-8, whatever byte order mark it begins with. For grep.c. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum grep_encoding { GREP_BYTES, GREP_UTF8_MARK, GREP_UTF16_LE, GREP_UTF16_BE };

struct grep_source {
	int fd;
	int64_t at; /* of the next byte to read */
	enum grep_encoding encoding;
	unsigned high; /* UTF-16: the first half of a pair, waiting for the other; or 0 */
	int odd;       /* UTF-16: the first byte of a unit, waiting for the other; or -1 */
	unsigned char raw[16 << 10];
};

/* What the file begins with. */
enum grep_encoding grep_encoding_of(int fd);

void grep_source_init(struct grep_source *source, int fd, int64_t from,
	enum grep_encoding encoding);

/* Reads up to `room` (at least 64 KiB) bytes; 0 at the end, -1 on an error. */
int64_t grep_source_read(struct grep_source *source, char *to, size_t room);

/*
 * How much of a binary file ripgrep looks at: it reads 64 KiB at a time behind what is left of
 * the last line (but 3 bytes the first time), and drops the read in which the first NUL is, at
 * `nul`.
 */
int64_t grep_binary_cut(int fd, int64_t nul);

#endif
