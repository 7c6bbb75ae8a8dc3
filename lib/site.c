#include "site.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "args.h"
#include "http.h"

enum { HOST_MAX = 256 };

/* ---- Host ---- */

/* The name in `host[:port]`, without the brackets of an IPv6 address; false where malformed. */
static bool split_host(const char *value, char name[HOST_MAX])
{
	bool bracket = value[0] == '[';
	const char *start = value + bracket;
	size_t len = strcspn(start, bracket ? "]" : ":");
	const char *rest = start + len;

	if (len == 0 || len >= HOST_MAX || (bracket && *rest++ != ']'))
		return false;
	if (*rest == ':' && strspn(rest + 1, "0123456789") == strlen(rest + 1))
		rest += strlen(rest);
	if (*rest)
		return false;
	memcpy(name, start, len);
	name[len] = '\0';
	return true;
}

static bool is_loopback(const char *name)
{
	struct in_addr v4;

	if (strcasecmp(name, "localhost") == 0 || strcmp(name, "::1") == 0)
		return true;
	return inet_pton(AF_INET, name, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

/* "*.example.com" stands for every name below, not for example.com itself. */
static bool host_matches(const char *pattern, const char *name)
{
	size_t len = strlen(name), tail = strlen(pattern);

	if (strncmp(pattern, "*.", 2) != 0)
		return strcasecmp(pattern, name) == 0;
	return len > tail - 1 && strcasecmp(name + len - (tail - 1), pattern + 1) == 0;
}

static bool host_allowed(const struct site *site, const char *value)
{
	char name[HOST_MAX];

	if (!value || !split_host(value, name))
		return false;
	if (is_loopback(name) || strcasecmp(name, site->host) == 0)
		return true;
	for (size_t i = 0; i < site->hosts->count; i++) {
		if (host_matches(site->hosts->items[i], name))
			return true;
	}
	return false;
}

/* ---- Origin ---- */

static bool own_origin(const char *origin, const char *host)
{
	if (strncasecmp(origin, "http://", 7) == 0)
		return strcasecmp(origin + 7, host) == 0;
	return strncasecmp(origin, "https://", 8) == 0 && strcasecmp(origin + 8, host) == 0;
}

static bool configured_origin(const struct site *site, const char *origin)
{
	for (size_t i = 0; i < site->origins->count; i++) {
		if (strcmp(site->origins->items[i], origin) == 0)
			return true;
	}
	return false;
}

/*
 * Browsers leave Origin out where a page loads a script or an image, and say by Fetch Metadata
 * that it is another site's. Following a link shows that site nothing.
 */
static bool loaded_by_stranger(struct http_request *request)
{
	const char *site = http_header(request, "Sec-Fetch-Site");
	const char *mode = http_header(request, "Sec-Fetch-Mode");

	return site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0 &&
	       (!mode || strcmp(mode, "navigate") != 0);
}

enum site_verdict site_check(const struct site *site, struct http_request *request)
{
	const char *host = http_header(request, "Host");
	const char *origin = http_header(request, "Origin");

	if (!host_allowed(site, host))
		return SITE_STRANGE_HOST;
	if (!origin)
		return loaded_by_stranger(request) ? SITE_STRANGE_ORIGIN : SITE_FINE;
	if (configured_origin(site, origin))
		return SITE_ALLOWED_ORIGIN;
	return own_origin(origin, host) ? SITE_FINE : SITE_STRANGE_ORIGIN;
}

void site_allow_origin(struct http_request *request, const char *exposed_headers)
{
	http_set_header(request, "Access-Control-Allow-Origin", http_header(request, "Origin"));
	http_set_header(request, "Access-Control-Expose-Headers", exposed_headers);
	http_set_header(request, "Vary", "Origin");
}

void site_preflight(
	struct http_request *request, const char *methods, const char *allowed_headers)
{
	http_set_header(request, "Allow", methods);
	http_set_header(request, "Access-Control-Allow-Methods", methods);
	http_set_header(request, "Access-Control-Allow-Headers", allowed_headers);
	http_set_header(request, "Access-Control-Max-Age", "600");
	http_reply(request, 204, NULL, NULL);
}
