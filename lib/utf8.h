#ifndef UTF8_H
#define UTF8_H

/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing past U+10FFFF. */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct buf;

/* The number of leading bytes that are whole, valid characters; `len` where all are. */
size_t utf8_valid_prefix(const char *bytes, size_t len);

/* Whether valid_prefix stopped at a character that is merely cut off by the end. */
bool utf8_cut_at_end(const char *bytes, size_t len);

/* The largest length <= `len` that does not cut a character. */
size_t utf8_floor(const char *bytes, size_t len);

/* Appends a JSON string literal, quotes included; each invalid byte becomes U+FFFD. */
int utf8_add_json(struct buf *out, const char *bytes, size_t len);

/* The same without the quotes, to build one string of several parts. */
int utf8_add_json_part(struct buf *out, const char *bytes, size_t len);

/* At most how many bytes utf8_add_json_part() adds. */
size_t utf8_json_size(const char *bytes, size_t len);

/* A JSON string value (new reference); each invalid byte becomes U+FFFD. */
json_t *utf8_json(const char *bytes, size_t len);

#endif
