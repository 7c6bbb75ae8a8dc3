/*
 * Which path leads where, and what is asked of a request before it gets there: Host and Origin
 * always, the token except where a route is open.
 */
#include "routes.h"

#include <stdio.h>
#include <string.h>

#include "doors.h"
#include "endpoint.h"
#include "eras/sse_era.h"
#include "guard.h"
#include "http.h"
#include "pages.h"
#include "server.h"

enum route_flags {
	ROUTE_OPEN = 1 << 0, /* needs no token */
	ROUTE_JSON = 1 << 1, /* the body is JSON: no HTML form can send that */
};

typedef void route_fn(struct server *server, struct http_request *request);

struct route {
	const char *path;
	enum http_method method;
	unsigned flags;
	route_fn *run;
};

static const struct route routes[] = {
	{ "/mcp", HTTP_POST, ROUTE_JSON, endpoint_post },
	{ "/mcp", HTTP_GET, 0, endpoint_get },
	{ "/mcp", HTTP_DELETE, 0, endpoint_delete },
	{ "/sse", HTTP_GET, 0, sse_era_get },
	{ "/messages", HTTP_POST, ROUTE_JSON, sse_era_post },
	{ "/files", HTTP_GET, 0, door_files_get },
	{ "/files", HTTP_PUT, 0, door_files_put },
	{ "/exec", HTTP_POST, ROUTE_JSON, door_exec },
	{ "/activity", HTTP_GET, 0, door_activity },
	{ "/health", HTTP_GET, ROUTE_OPEN, pages_health },
	{ "/metrics", HTTP_GET, 0, pages_metrics },
};

/* The endpoint has three names, and none of them redirects: some clients do not follow. */
static const char *canonical(const char *path)
{
	return strcmp(path, "/") == 0 || strcmp(path, "/mcp/") == 0 ? "/mcp" : path;
}

static const struct route *find(const char *path, enum http_method method, bool *path_known)
{
	*path_known = false;
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		if (strcmp(routes[i].path, path) != 0)
			continue;
		*path_known = true;
		if (routes[i].method == method || (method == HTTP_HEAD && routes[i].method == HTTP_GET))
			return &routes[i];
	}
	return NULL;
}

static bool is_browser(struct http_request *request)
{
	const char *accept = http_header(request, "Accept");

	return http_method(request) == HTTP_GET && accept && strstr(accept, "text/html");
}

static void not_found(struct http_request *request)
{
	http_reply_text(request, 404, "text/plain", "Nothing is here: the MCP endpoint is /mcp.\n");
}

static void wrong_method(struct http_request *request, const char *path)
{
	static const char *const names[] = { [HTTP_GET] = "GET, HEAD", [HTTP_POST] = "POST",
		[HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE" };
	char allow[64] = "OPTIONS";

	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		size_t len = strlen(allow);

		if (strcmp(routes[i].path, path) == 0)
			snprintf(allow + len, sizeof allow - len, ", %s", names[routes[i].method]);
	}
	http_set_header(request, "Allow", allow);
	http_reply_text(request, 405, "text/plain", "That method is not for this path.\n");
}

static bool is_json(const char *type)
{
	size_t len = type ? strcspn(type, "; \t") : 0;

	return len == strlen("application/json") && strncasecmp(type, "application/json", len) == 0;
}

static void run(const struct route *route, struct server *server, struct http_request *request)
{
	if (route->flags & ROUTE_JSON && !is_json(http_header(request, "Content-Type")))
		http_reply_text(request, 415, "text/plain",
			"Send the message with Content-Type: application/json.\n");
	else
		route->run(server, request);
}

void routes_head(struct http_request *request, void *data)
{
	struct server *server = data;
	const char *path = http_path(request);
	bool known;
	const struct route *route = find(canonical(path), http_method(request), &known);

	if (!guard_origin(server->guard, request))
		return;
	if (http_method(request) == HTTP_OPTIONS)
		guard_preflight(server->guard, request);
	else if (strncmp(path, "/.well-known/", 13) == 0)
		not_found(request);
	else if (strcmp(path, "/") == 0 && is_browser(request))
		pages_index(server, request);
	else if ((route && route->flags & ROUTE_OPEN) || guard_token(server->guard, request)) {
		if (route)
			run(route, server, request);
		else if (known)
			wrong_method(request, canonical(path));
		else
			not_found(request);
	}
}
