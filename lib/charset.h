#ifndef CHARSET_H
#define CHARSET_H

/*
 * The encodings that text files come in: told apart by a byte-order mark or by what the bytes
 * look like, and turned into UTF-8. Pure functions.
 */
#include <stdbool.h>
#include <stddef.h>

struct buf;

enum charset {
	CHARSET_BINARY, /* no text at all */
	CHARSET_UTF8,
	CHARSET_UTF16LE,
	CHARSET_UTF16BE,
	CHARSET_LATIN1, /* ISO 8859-1: none of 0x80..0x9F is there */
	CHARSET_WINDOWS_1252,
};

enum { CHARSET_HEAD_BYTES = 8192 }; /* as much of a file as a detection should see */

/* The name in IANA's registry, in small letters. */
const char *charset_name(enum charset charset);

/*
 * Of a file from its first bytes; `whole` where these are all of it. `bom` is the length of the
 * byte-order mark. A NUL makes a file binary unless it looks like UTF-16.
 */
enum charset charset_detect(const char *head, size_t len, bool whole, size_t *bom);

/* Of a part of a file that was detected as UTF-8 so far: what is not may be Latin-1. */
enum charset charset_detect_part(const char *bytes, size_t len);

/* Bytes in which newlines count: 2 for UTF-16, else 1. */
size_t charset_unit(enum charset charset);

/* The largest length <= `len` that does not cut a character. */
size_t charset_floor(enum charset charset, const char *bytes, size_t len);

/* Appends as UTF-8, U+FFFD for what is no character; -1 where it does not fit. */
int charset_decode(enum charset charset, const char *bytes, size_t len, struct buf *out);

#endif
