#ifndef BASE64_H
#define BASE64_H

/* Base64 of RFC 4648, section 4 (standard alphabet, padded) and 5 (for URLs, unpadded). */
#include <stddef.h>

struct buf;

/* Appends the encoding of `bytes`; -1 where it does not fit. */
int base64_add(struct buf *out, const void *bytes, size_t len);
int base64url_add(struct buf *out, const void *bytes, size_t len);

/*
 * Appends what `text` stands for. Strict: whole groups, padding as the form has it, no other
 * characters, no bits left over; -1 (`out` unchanged) otherwise.
 */
int base64_decode(struct buf *out, const char *text, size_t len);
int base64url_decode(struct buf *out, const char *text, size_t len);

#endif
