#ifndef JSON_BODY_H
#define JSON_BODY_H

/*
 * Bodies that are JSON: read whole, within the configured limits, and parsed where that keeps
 * nobody waiting: a small one at once, a large one on a worker. Loop thread only.
 */
#include <jansson.h>

#include "http.h"

struct err;
struct server;

/* Takes ownership of `body`; NULL: `err` says why there is none. The request is unanswered. */
typedef void json_body_fn(
	struct http_request *request, json_t *body, const struct err *err, void *data);

/*
 * In `head` only: collects the body and calls `fn`, or `gone` (which may be NULL) where it never
 * came whole. The request must not be answered before either.
 */
void json_body_read(struct server *server, struct http_request *request, json_body_fn *fn,
	http_fn *gone, void *data);

#endif
