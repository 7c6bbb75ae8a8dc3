#ifndef PAGES_H
#define PAGES_H

/* The few answers that are not MCP. */

struct http_request;
struct server;

void pages_index(struct server *server, struct http_request *request);
void pages_health(struct server *server, struct http_request *request);
void pages_metrics(struct server *server, struct http_request *request);

#endif
