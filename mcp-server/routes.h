#ifndef ROUTES_H
#define ROUTES_H

struct http_request;

/* The head of a request came in (http.h): checks who asks, finds the route. `data` is the
 * struct server. */
void routes_head(struct http_request *request, void *data);

#endif
