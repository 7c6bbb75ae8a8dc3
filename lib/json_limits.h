#ifndef JSON_LIMITS_H
#define JSON_LIMITS_H

/* A look at JSON text before it is parsed: how deep, how long its strings and numbers. */
#include <stddef.h>

struct err;

struct json_limits {
	size_t depth, string, number;
};

/* 0 where the text keeps the limits; it may still be malformed. ERR_LIMIT names what is over. */
int json_limits_check(const struct json_limits *limits, const char *text, size_t len,
	struct err *err);

#endif
