#ifndef ERAS_SSE_H
#define ERAS_SSE_H

/*
 * HTTP+SSE of 2024-11-05, deprecated but still spoken: GET opens a stream whose first event
 * names the path to POST to; answers come on the stream. A connection is its own session.
 */

struct http_request;
struct server;
struct sse_links;

void sse_era_get(struct server *server, struct http_request *request);
void sse_era_post(struct server *server, struct http_request *request);

#endif
