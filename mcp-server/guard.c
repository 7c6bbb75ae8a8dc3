#include "guard.h"

#include <stdlib.h>
#include <strings.h>

#include "alloc.h"
#include "buf.h"
#include "http.h"
#include "secret.h"
#include "site.h"

struct guard {
	struct secret *secret;
	struct site site;
};

struct guard *guard_new(struct secret *secret, const char *host,
	const struct option_list *allow_hosts, const struct option_list *allow_origins)
{
	struct guard *guard = alloc_zero(sizeof *guard);

	*guard = (struct guard){ secret, { host, allow_hosts, allow_origins } };
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

bool guard_origin(struct guard *guard, struct http_request *request)
{
	switch (site_check(&guard->site, request)) {
	case SITE_FINE:
		return true;
	case SITE_ALLOWED_ORIGIN:
		site_allow_origin(request, "Mcp-Session-Id");
		return true;
	case SITE_STRANGE_HOST:
		refuse(request, 403, "host_not_allowed",
			"This server does not answer to that host name: start it with --allow-host "
			"NAME");
		return false;
	case SITE_STRANGE_ORIGIN:
		break;
	}
	refuse(request, 403, "origin_not_allowed",
		"Pages of that origin may not use this server: start it with --allow-origin "
		"ORIGIN");
	return false;
}

void guard_preflight(struct guard *guard, struct http_request *request)
{
	(void)guard;
	site_preflight(request, "GET, POST, PUT, DELETE, OPTIONS",
		"Authorization, Content-Type, Accept, Last-Event-ID, MCP-Protocol-Version, "
		"Mcp-Session-Id, Mcp-Method, Mcp-Name");
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
