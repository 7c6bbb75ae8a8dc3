#ifndef JSON_READER_H
#define JSON_READER_H

/*
 * JSON text to jansson's values, in one pass that keeps the limits on the way: what is over one
 * is never built. As strict as RFC 8259 allows: UTF-8 only, no two members of one name, no lone
 * surrogates; a NUL may be in a string, not in a name. Any thread.
 */
#include <jansson.h>
#include <stddef.h>

struct err;

struct json_limits {
	size_t depth;  /* of objects and arrays in one another */
	size_t string; /* bytes between the quotes, escapes as they stand */
	size_t number; /* characters */
};

/* The object or the array that the text is (new reference), or NULL: ERR_LIMIT names the limit,
 * ERR_INVALID the byte where the text goes wrong. */
json_t *json_read(const char *text, size_t len, const struct json_limits *limits, struct err *err);

#endif
