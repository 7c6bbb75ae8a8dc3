#ifndef SITE_H
#define SITE_H

/*
 * Which names a server answers to, and whose web pages may use it: Host, Origin and Fetch
 * Metadata of a request. So no page can drive a server on loopback, whatever name it gives
 * itself (DNS rebinding). Pure functions of what the request says.
 */
#include <stdbool.h>

struct http_request;
struct option_list;

struct site {
	const char *host; /* the address that the server was told to listen on */
	const struct option_list *hosts;   /* more names; "*.example.com" is every name below */
	const struct option_list *origins; /* of pages that may use it, exactly */
};

enum site_verdict {
	SITE_FINE,
	SITE_ALLOWED_ORIGIN, /* another site's page that may: its answers need CORS headers */
	SITE_STRANGE_HOST,
	SITE_STRANGE_ORIGIN,
};

/* Loopback names and `host` are always answered; a page's own server is its own origin. */
enum site_verdict site_check(const struct site *site, struct http_request *request);

/* Sets the CORS headers for the request's allowed origin, with what scripts may see of answers. */
void site_allow_origin(struct http_request *request, const char *exposed_headers);

/* Answers a CORS preflight (Fetch standard); all may be asked for by an allowed origin. */
void site_preflight(
	struct http_request *request, const char *methods, const char *allowed_headers);

#endif
