#ifndef ENDPOINT_H
#define ENDPOINT_H

/* The MCP endpoint over Streamable HTTP: POST, and GET and DELETE of the older eras. */

struct http_request;
struct server;

void endpoint_post(struct server *server, struct http_request *request);
void endpoint_get(struct server *server, struct http_request *request);
void endpoint_delete(struct server *server, struct http_request *request);

#endif
