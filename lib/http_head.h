#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

/*
 * The head of one HTTP/1.x message, for those who pass it on. Strict (RFC 9112, and less where
 * that leaves a choice): what two readers could take in two ways is refused, so whoever reads it
 * next sees the same message. Texts are borrowed from the bytes parsed, and not NUL-terminated.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;

enum { HTTP_FIELDS_MAX = 128 };

struct http_text {
	const char *at;
	size_t len;
};

struct http_field {
	struct http_text name, value; /* the value without blanks around it */
};

enum http_framing {
	HTTP_NO_LENGTH, /* a request has no body then, a response lasts until the end */
	HTTP_COUNTED,
	HTTP_CHUNKED,
};

struct http_head {
	struct http_text line; /* the first line, without its end */
	struct http_text method, target, host; /* of a request; the target in origin form, or "*" */
	unsigned status;                       /* of a response */
	unsigned minor;                        /* of the version: 0 or 1 */
	enum http_framing framing;
	uint64_t length;
	bool upgrade; /* Connection and Upgrade both ask for it */
	struct http_field fields[HTTP_FIELDS_MAX];
	size_t count;
	size_t size; /* in bytes, its empty line included */
};

/* 1 where the bytes begin with a whole head, 0 where more have to come, -1 (ERR_INVALID, or
 * ERR_LIMIT for too many fields) where it is refused, as early as that is seen. */
int http_head_request(const char *bytes, size_t len, struct http_head *out, struct err *err);
int http_head_response(const char *bytes, size_t len, struct http_head *out, struct err *err);

bool http_text_is(struct http_text text, const char *lower); /* in any case of letters */

/* The first field of this name (in lower case), or NULL. */
const struct http_field *http_head_field(const struct http_head *head, const char *lower);

/* Whether a field belongs to one connection alone and is not passed on (RFC 9110, section 7.6.1):
 * those known, and those that Connection names. */
bool http_head_is_hop(const struct http_head *head, const struct http_field *field);

/* ---- A body, as it passes ---- */

struct http_body {
	enum http_framing framing;
	uint64_t left; /* of it, or of a chunk */
	unsigned state, digits;
	bool done;
};

void http_body_init(struct http_body *body, const struct http_head *request);

/* How many of the bytes belong to the body; -1 where its chunks are malformed. Chunk extensions
 * and trailers are refused. */
ssize_t http_body_take(struct http_body *body, const char *bytes, size_t len);

#endif
