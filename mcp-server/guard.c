#include "guard.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "args.h"
#include "buf.h"
#include "http.h"
#include "secret.h"

enum { HOST_MAX = 256 };

struct guard {
	struct secret *secret;
	const char *host; /* the address that the server was told to listen on */
	const struct option_list *hosts, *origins;
};

struct guard *guard_new(struct secret *secret, const char *host,
	const struct option_list *allow_hosts, const struct option_list *allow_origins)
{
	struct guard *guard = alloc_zero(sizeof *guard);

	*guard = (struct guard){ secret, host, allow_hosts, allow_origins };
	return guard;
}

void guard_free(struct guard *guard)
{
	free(guard);
}

static void refuse(struct http_request *request, unsigned status, const char *error,
	const char *sentence)
{
	struct buf body;

	buf_init(&body, 1024);
	buf_addf(&body, "{\"success\":false,\"detail\":\"%s\",\"error\":\"%s\"}", sentence, error);
	http_reply(request, status, "application/json", &body);
}

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

static bool host_allowed(const struct guard *guard, const char *value)
{
	char name[HOST_MAX];

	if (!value || !split_host(value, name))
		return false;
	if (is_loopback(name) || strcasecmp(name, guard->host) == 0)
		return true;
	for (size_t i = 0; i < guard->hosts->count; i++) {
		if (host_matches(guard->hosts->items[i], name))
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

static bool configured_origin(const struct guard *guard, const char *origin)
{
	for (size_t i = 0; i < guard->origins->count; i++) {
		if (strcmp(guard->origins->items[i], origin) == 0)
			return true;
	}
	return false;
}

/*
 * Browsers leave Origin out where a page loads a script or an image, and say by Fetch Metadata
 * that it is another site's. Following a link shows that site nothing.
 */
static bool loaded_by_stranger(const struct http_request *request)
{
	const char *site = http_header(request, "Sec-Fetch-Site");
	const char *mode = http_header(request, "Sec-Fetch-Mode");

	return site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0 &&
	       (!mode || strcmp(mode, "navigate") != 0);
}

static void refuse_origin(struct http_request *request)
{
	refuse(request, 403, "origin_not_allowed",
		"Pages of that origin may not use this server: start it with --allow-origin "
		"ORIGIN");
}

bool guard_origin(struct guard *guard, struct http_request *request)
{
	const char *host = http_header(request, "Host");
	const char *origin = http_header(request, "Origin");

	if (!host_allowed(guard, host)) {
		refuse(request, 403, "host_not_allowed",
			"This server does not answer to that host name: start it with --allow-host "
			"NAME");
		return false;
	}
	if (!origin && loaded_by_stranger(request)) {
		refuse_origin(request);
		return false;
	}
	if (!origin)
		return true;
	bool configured = configured_origin(guard, origin);
	if (!configured && !own_origin(origin, host)) {
		refuse_origin(request);
		return false;
	}
	if (configured) {
		http_set_header(request, "Access-Control-Allow-Origin", origin);
		http_set_header(request, "Access-Control-Expose-Headers", "Mcp-Session-Id");
		http_set_header(request, "Vary", "Origin");
	}
	return true;
}

void guard_preflight(struct guard *guard, struct http_request *request)
{
	(void)guard;
	http_set_header(request, "Allow", "GET, POST, PUT, DELETE, OPTIONS");
	http_set_header(request, "Access-Control-Allow-Methods", "GET, POST, PUT, DELETE");
	http_set_header(request, "Access-Control-Allow-Headers",
		"Authorization, Content-Type, Accept, Last-Event-ID, MCP-Protocol-Version, "
		"Mcp-Session-Id, Mcp-Method, Mcp-Name");
	http_set_header(request, "Access-Control-Max-Age", "600");
	http_reply(request, 204, NULL, NULL);
}

/* ---- the token ---- */

bool guard_token(struct guard *guard, struct http_request *request)
{
	if (!secret_guarded(guard->secret))
		return true;
	if (!secret_ready(guard->secret)) {
		http_set_header(request, "Retry-After", "1");
		refuse(request, 503, "not_ready", "The sandbox has no token yet: try again soon");
		return false;
	}
	/* RFC 6750, section 2.1; the scheme's name is case-insensitive (RFC 9110, section 11.1). */
	const char *value = http_header(request, "Authorization");
	if (value && strncasecmp(value, "Bearer ", 7) == 0 &&
		secret_matches(guard->secret, value + 7))
		return true;
	http_set_header(request, "WWW-Authenticate", "Bearer");
	refuse(request, 401, "unauthorized",
		"Send the sandbox's token in the header: Authorization: Bearer TOKEN");
	return false;
}
