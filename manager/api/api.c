/*
 * What every call goes through: Host and Origin, the route, who asks, the body and its fields, the
 * sandbox and whose it is. Then its handler runs.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "auth/credentials.h"
#include "buf.h"
#include "cleanup.h"
#include "err.h"
#include "http.h"
#include "key_set.h"
#include "log.h"
#include "manager.h"
#include "sandbox.h"
#include "site.h"

enum {
	BODY_MAX = 32 * 1024 * 1024, /* write-file's content, escaped */
	PROBLEMS_MAX = 1000,
	METHODS_BYTES = 64,
};

#define FLAT "/sandboxes"
#define ENVELOPED "/agent/sandboxes/sandboxes"

/* ---- the route ---- */

/* Whether `path` is the pattern's; {id} takes one component. */
static bool path_matches(const char *pattern, const char *path, char *id)
{
	*id = '\0';
	for (; *pattern; pattern++, path++) {
		if (strncmp(pattern, "{id}", 4) == 0) {
			size_t len = strcspn(path, "/");

			if (len == 0)
				return false;
			/* A longer one is nobody's: it is cut, and not found. */
			memcpy(id, path, len < SANDBOX_ID_LEN ? len : SANDBOX_ID_LEN);
			id[len < SANDBOX_ID_LEN ? len : SANDBOX_ID_LEN] = '\0';
			if (len > SANDBOX_ID_LEN)
				id[0] = '?';
			path += len - 1;
			pattern += 3;
		} else if (*pattern != *path) {
			return false;
		}
	}
	return *path == '\0' || (*path == '/' && path[1] == '\0');
}

/* What follows a face's base path, or NULL. */
static const char *below(const char *path, const char *base)
{
	size_t len = strlen(base);

	return strncmp(path, base, len) == 0 && (path[len] == '/' || path[len] == '\0') ? path + len
											: NULL;
}

/* What a route's path stands against: below a face, or the whole. NULL: it cannot be meant. */
static const char *subject_of(const struct route *route, const char *path, bool *enveloped)
{
	const char *rest = below(path, ENVELOPED);

	*enveloped = rest != NULL;
	return route->flags & ROUTE_WHOLE ? path : rest ? rest : below(path, FLAT);
}

/* Whether a path is a route's by its letters alone: then it is nobody's id. */
static bool is_literal(const char *path)
{
	char id[SANDBOX_ID_LEN + 1];
	bool ignored;

	for (const struct route *route = routes; route->method; route++) {
		const char *subject = subject_of(route, path, &ignored);

		if (subject && !strstr(route->path, "{id}") &&
			path_matches(route->path, subject, id))
			return true;
	}
	return false;
}

static const struct route *find_route(
	const char *method, const char *path, bool *enveloped, char *id)
{
	bool literal = is_literal(path);

	for (const struct route *route = routes; route->method; route++) {
		const char *subject = subject_of(route, path, enveloped);

		if (!subject || (literal && strstr(route->path, "{id}")) ||
			!path_matches(route->path, subject, id))
			continue;
		if (strcmp(route->method, method) == 0 ||
			(strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0))
			return route;
	}
	return NULL;
}

/* The methods that a path has, as Allow lists them; "OPTIONS" alone where there is no such path. */
static void list_methods(const char *path, char out[METHODS_BYTES])
{
	static const char *const methods[] = { "GET", "POST", "DELETE" };
	char id[SANDBOX_ID_LEN + 1];
	size_t len = (size_t)snprintf(out, METHODS_BYTES, "OPTIONS");
	bool ignored;

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if (find_route(methods[i], path, &ignored, id))
			len += (size_t)snprintf(out + len, METHODS_BYTES - len, ", %s", methods[i]);
	}
}

static void no_route(struct http_request *request)
{
	bool enveloped = below(http_path(request), ENVELOPED) != NULL;
	char methods[METHODS_BYTES];

	list_methods(http_path(request), methods);
	if (strcmp(methods, "OPTIONS") == 0) {
		api_refuse_request(request, enveloped, 404, "not_found",
			"There is no such call: see /openapi.json");
		return;
	}
	http_set_header(request, "Allow", methods);
	api_refuse_request(request, enveloped, 405, "method_not_allowed",
		"That method is not for this path: see /openapi.json");
}

static void preflight(struct http_request *request)
{
	char methods[METHODS_BYTES];

	list_methods(http_path(request), methods);
	site_preflight(request, methods,
		"Authorization, Content-Type, Accept, Idempotency-Key, X-API-Key, X-Request-ID");
}

/* ---- the call ---- */

void api_call_free(struct api_call *call)
{
	if (call->free_own)
		call->free_own(call->own);
	call->free_own = NULL;
	if (call->waits) {
		call->over = true;
		return;
	}
	if (call->sandbox)
		sandbox_release(call->sandbox);
	json_decref(call->body);
	free(call->owner);
	free(call);
}

bool api_may(const struct api_call *call, const struct sandbox *sandbox)
{
	return call->admin || (sandbox->row.owner && strcmp(call->owner, sandbox->row.owner) == 0);
}

bool api_find_sandbox(struct api_call *call)
{
	const char *id = *call->id ? call->id : call_text(call, "sandbox_id");
	struct sandbox *sandbox = manager_sandbox(call->manager, id);

	if (!sandbox) {
		api_refuse(call, 404, "not_found",
			"There is no sandbox of that id: create one with POST " FLAT "/create");
		return false;
	}
	if (!api_may(call, sandbox)) {
		api_refuse(call, 403, "forbidden", "That sandbox belongs to another user");
		return false;
	}
	call->sandbox = sandbox;
	sandbox_hold(sandbox);
	return true;
}

static void take_fields(struct api_call *call, json_t *body)
{
	AUTO_BUF struct buf problems = BUF_INIT(PROBLEMS_MAX);

	if (fields_check(call->route->takes, body, &call->body, &problems) < 0) {
		api_refuse(call, 422, "invalid_fields", "%s", problems.data);
		return;
	}
	if (call->route->flags & ROUTE_SANDBOX && !api_find_sandbox(call))
		return;
	call->route->run(call);
}

static void on_read(struct api_call *call, json_t *read, const struct err *err)
{
	json_auto_t *body = read;

	if (err && err->code == ERR_CANCELLED)
		api_fail(call, err);
	else if (err && err->code == ERR_LIMIT)
		api_refuse(call, 413, "too_large", "%s", err->msg);
	else if (err)
		api_refuse(call, 400, "malformed", "The body is no JSON: %s", err->msg);
	else if (!json_is_object(body))
		api_refuse(call, 400, "malformed", "The body has to be a JSON object");
	else
		take_fields(call, body);
}

static void on_body(struct http_request *request, void *data)
{
	size_t len;
	const char *bytes = http_body(request, &len);

	if (len > 0)
		api_read_json(data, bytes, len, on_read);
	else
		on_read(data, json_object(), NULL);
}

static void on_body_gone(struct http_request *request, void *data)
{
	(void)request;
	api_call_free(data);
}

static bool is_type(struct http_request *request, const char *wanted)
{
	const char *type = http_header(request, "Content-Type");
	size_t len = type ? strcspn(type, "; \t") : 0;

	return len == strlen(wanted) && strncasecmp(type, wanted, len) == 0;
}

/* No form of a web page can send JSON; where nothing is taken, nothing may be sent as one either.
 */
static bool right_type(struct api_call *call)
{
	const char *wanted =
		call->route->flags & ROUTE_FORM ? "multipart/form-data" : "application/json";

	if (is_type(call->request, wanted) ||
		((!fields_need(call->route->takes) || call->route->flags & ROUTE_QUERY) &&
			!http_header(call->request, "Content-Type")))
		return true;
	api_refuse(
		call, 415, "unsupported_media_type", "Send the body with Content-Type: %s", wanted);
	return false;
}

static void start(struct api_call *call)
{
	const struct route *route = call->route;

	if (!call->manager->ready && strcmp(route->path, "/health") != 0) {
		http_set_header(call->request, "Retry-After", "1");
		api_refuse(call, 503, "not_ready", "The manager is starting: try again soon");
	} else if (strcmp(route->method, "POST") == 0 && !right_type(call)) {
		return;
	} else if (route->flags & ROUTE_QUERY) {
		json_auto_t *body = fields_from_query(route->takes, call->request);

		take_fields(call, body);
	} else if (route->flags & ROUTE_FORM || strcmp(route->method, "GET") == 0) {
		json_auto_t *body = json_object();

		if (route->flags & ROUTE_FORM)
			route->run(call);
		else
			take_fields(call, body);
	} else {
		http_read_body(call->request, BODY_MAX, on_body, on_body_gone, call);
	}
}

/* ---- who asks ---- */

static void on_keys(struct http_request *request, void *data);

static void on_keys_gone(struct http_request *request, void *data)
{
	struct api_call *call = data;

	(void)request;
	key_set_leave(call->manager, &call->for_keys);
	api_call_free(call);
}

/* Whether a newer key set is on its way, which may have the token's key. */
static bool wait_for_keys(struct api_call *call)
{
	call->for_keys.request = call->request;
	if (!key_set_wait(call->manager, &call->for_keys))
		return false;
	http_wait(call->request, on_keys, on_keys_gone, call);
	return true;
}

/* False: the request was refused, or waits. */
static bool identify(struct api_call *call)
{
	struct http_request *request = call->request;
	struct credentials_request asked = {
		.authorization = http_header(request, "Authorization"),
		.api_key = http_header(request, "X-API-Key"),
		.always = call->enveloped,
		.now_s = manager_now_ms() / 1000,
	};
	struct identity who;
	struct err err;

	if (call->route->flags & ROUTE_OPEN)
		return true;
	enum credentials_verdict verdict =
		credentials_check(call->manager->credentials, &asked, &who, &err);
	if (verdict == CREDENTIALS_STALE && wait_for_keys(call))
		return false;
	if (verdict == CREDENTIALS_FINE && http_header_count(request, "Authorization") <= 1) {
		call->owner = alloc_text(who.owner);
		call->admin = who.admin;
		return true;
	}
	http_set_header(request, "WWW-Authenticate", "Bearer");
	api_refuse(call, 401, "unauthorized", "%s",
		verdict == CREDENTIALS_FINE ? "Send one Authorization header, not several"
					    : err.msg);
	return false;
}

static void on_keys(struct http_request *request, void *data)
{
	(void)request;
	if (identify(data))
		start(data);
}

void api_too_large(struct http_request *request, void *data)
{
	(void)data;
	api_refuse_request(request, below(http_path(request), ENVELOPED) != NULL, 413, "too_large",
		"The body is larger than 32 MiB: send files by upload-file");
}

/* Of the client's own making, so that it finds its request in the log. */
static void echo_request_id(struct http_request *request, const char *path)
{
	const char *id = http_header(request, "X-Request-ID");

	if (!id || strlen(id) > 128 ||
		id[strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr"
			      "stuvwxyz0123456789-_.:")])
		return;
	http_set_header(request, "X-Request-ID", id);
	log_event(LOG_INFO, "request", "id", id, "method", http_method_name(request), "path", path,
		NULL);
}

/* False: the request was refused. */
static bool check_site(struct manager *manager, struct http_request *request)
{
	switch (site_check(&manager->site, request)) {
	case SITE_FINE:
		return true;
	case SITE_ALLOWED_ORIGIN:
		site_allow_origin(request, "X-Request-ID, Retry-After");
		return true;
	case SITE_STRANGE_HOST:
		api_refuse_request(request, false, 403, "host_not_allowed",
			"This manager does not answer to that host name: start it with --allow-host "
			"NAME");
		return false;
	case SITE_STRANGE_ORIGIN:
		break;
	}
	api_refuse_request(request, false, 403, "origin_not_allowed",
		"Pages of that origin may not use this manager: start it with --allow-origin ORIGIN");
	return false;
}

void api_head(struct http_request *request, void *data)
{
	struct manager *manager = data;
	char id[SANDBOX_ID_LEN + 1];
	bool enveloped;

	if (!check_site(manager, request))
		return;
	if (http_method(request) == HTTP_OPTIONS) {
		preflight(request);
		return;
	}
	echo_request_id(request, http_path(request));
	const struct route *route =
		find_route(http_method_name(request), http_path(request), &enveloped, id);
	if (!route) {
		no_route(request);
		return;
	}
	struct api_call *call = alloc_zero(sizeof *call);
	*call = (struct api_call){
		.manager = manager,
		.request = request,
		.route = route,
		.enveloped = enveloped,
	};
	memcpy(call->id, id, sizeof id);
	if (identify(call))
		start(call);
}
