#ifndef GUARD_H
#define GUARD_H

/*
 * Who may talk to the server: Host and Origin of every request, then the bearer token. So no
 * web page can drive a server on loopback, whatever name it gives itself (DNS rebinding).
 */
#include <stdbool.h>

struct guard;
struct http_request;
struct option_list;
struct secret;

struct guard *guard_new(struct secret *secret, const char *host,
	const struct option_list *allow_hosts, const struct option_list *allow_origins);
void guard_free(struct guard *guard);

/* Checks Host and Origin, and sets CORS headers for an allowed origin. False: 403 was sent. */
bool guard_origin(struct guard *guard, struct http_request *request);

/* Checks the token. False: 401 or 503 was sent. */
bool guard_token(struct guard *guard, struct http_request *request);

/* Answers an OPTIONS request (fetch standard, CORS preflight). */
void guard_preflight(struct guard *guard, struct http_request *request);

#endif
