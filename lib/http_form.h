#ifndef HTTP_FORM_H
#define HTTP_FORM_H

/*
 * A request's body as multipart/form-data (RFC 7578), in pieces as it comes: memory stays the same
 * whatever the size of a part. Loop thread.
 */
#include <stddef.h>
#include <stdint.h>

struct http_form;
struct http_request;

/* Some bytes of the part `name`, which begin at `offset` within it; `len` may be 0. -1 ends the
 * reading. */
typedef int http_form_fn(
	const char *name, const char *bytes, size_t len, uint64_t offset, void *data);

/* NULL where the request's Content-Type is no form with a boundary. */
struct http_form *http_form_new(struct http_request *request, http_form_fn *fn, void *data);
void http_form_free(struct http_form *form); /* NULL is allowed */

/* No more of the body comes: -1 where its last boundary is missing. Once. */
int http_form_end(struct http_form *form);

/* The next bytes of the body. -1 where it is malformed, or `fn` ended it. */
int http_form_feed(struct http_form *form, const char *bytes, size_t len);

#endif
