#ifndef API_H
#define API_H

/*
 * The manager's HTTP API (docs/api.md). One table of routes (routes.c) has for each call its path,
 * what it takes and what it answers: the check of requests and the OpenAPI document come from
 * it. Both faces, flat and enveloped, share the handlers: they differ in how a reply is wrapped.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "key_set.h"
#include "provider.h"
#include "store/store.h"

struct buf;
struct err;
struct http_request;
struct manager;
struct sandbox;

/* ---- the table ---- */

enum field_type {
	FIELD_TEXT,
	FIELD_CONTENT, /* text of any length that a body may have */
	FIELD_INTEGER,
	FIELD_NUMBER,
	FIELD_BOOLEAN,
	FIELD_TEXT_MAP, /* an object of texts */
	FIELD_OBJECT,
	FIELD_NETWORK,
	FIELD_LIMITS,
	FIELD_SANDBOXES, /* in answers: an array of what `info` answers */
};

struct field {
	const char *name;
	const char *alias; /* another name that is taken for it, or NULL */
	const char *about;
	enum field_type type;
	bool required;
	int64_t min, max;  /* of a number, or of a text's characters */
	const char *one_of; /* "a|b": no other text */
};

enum route_flags {
	ROUTE_OPEN = 1 << 0,      /* needs no credential */
	ROUTE_FORM = 1 << 1,      /* its body is multipart/form-data, streamed */
	ROUTE_ALIAS = 1 << 2,     /* another way to a route that is documented already */
	ROUTE_QUERY = 1 << 3,     /* its fields come in the query, not in a body */
	ROUTE_SANDBOX = 1 << 4,   /* it is about one sandbox: `sandbox_id`, or {id} in the path */
	ROUTE_WHOLE = 1 << 5,     /* stands as it is, below no face */
	ROUTE_ENVELOPED = 1 << 6, /* in the enveloped face alone */
};

struct api_call;
typedef void api_fn(struct api_call *call);

struct route {
	const char *method, *path; /* below /sandboxes; {id} stands for a sandbox */
	unsigned flags;
	api_fn *run;
	const struct field *takes; /* up to one without a name; NULL: nothing */
	const struct field *answers;
	const char *name, *about; /* of the operation, for OpenAPI */
};

extern const struct route routes[]; /* up to one without a method */

/* ---- a call ---- */

struct api_call {
	struct manager *manager;
	struct http_request *request;
	const struct route *route;
	bool enveloped;
	char *owner; /* who asks */
	bool admin;
	char id[SANDBOX_ID_LEN + 1]; /* from the path */
	json_t *body;                /* checked, with the canonical names; {} where there is none */
	struct sandbox *sandbox;     /* held; for ROUTE_SANDBOX */
	bool waits;                  /* for its sandbox, in api_when_running() */
	bool over;                   /* answered meanwhile: freed when that ends */
	struct key_set_waiter for_keys; /* where it waits for them */
	void *own;                   /* the handler's; */
	void (*free_own)(void *own);
};

/* Of the request that http_new() was given: the only entry. */
void api_head(struct http_request *request, void *data);

/* Answers a request whose body is too large. */
void api_too_large(struct http_request *request, void *data);

/* ---- answers: each ends the call ---- */

/* 200 with `data` (taken over), to which `success` and, where there is one, `sandbox_id` are added. */
void api_reply(struct api_call *call, json_t *data, const char *message);

/* The same with another status: a 408 that has everything. */
void api_reply_status(struct api_call *call, unsigned status, json_t *data, const char *message);

/* Refuses by the code of an error (reply.c has the table). */
void api_fail(struct api_call *call, const struct err *err);

/* Refuses with a status and a stable code of its own. */
void api_refuse(struct api_call *call, unsigned status, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Ends a call whose request was answered by other means (a stream). */
void api_call_free(struct api_call *call);

/* The refusal of a request that became no call. */
void api_refuse_request(struct http_request *request, bool enveloped, unsigned status,
	const char *code, const char *detail);

/* ---- large JSON (heavy.c) ---- */

/* Takes over what was read; NULL: `err` says why nothing was. */
typedef void api_read_fn(struct api_call *call, json_t *body, const struct err *err);

/* Reads the bytes, which stay where they are until `fn` is called: at once, or later. */
void api_read_json(struct api_call *call, const char *bytes, size_t len, api_read_fn *fn);

/* Takes the text over; NULL: the manager is stopping. */
typedef void api_written_fn(struct api_call *call, char *text);

/* Writes what is large, taken over. */
void api_write_json(struct api_call *call, json_t *answer, api_written_fn *fn);

/* Answers 200 with `data` (taken over), which may be megabytes. */
void api_reply_large(struct api_call *call, json_t *data);

/* ---- fields ---- */

/*
 * Checks `body` against `fields` and makes `out` of it, with the canonical names; what is null is
 * absent, what is unknown is left out. -1: `problems` has a sentence that names each field.
 */
int fields_check(
	const struct field *fields, json_t *body, json_t **out, struct buf *problems);

/* Whether any of them is required: else there need be no body. */
bool fields_need(const struct field *fields);

/* The body of a GET, from its query; the same rules. */
json_t *fields_from_query(const struct field *fields, struct http_request *request);

/* A field of the checked body; NULL, 0 or false where it is absent. */
const char *call_text(const struct api_call *call, const char *name);
int64_t call_integer(const struct api_call *call, const char *name, int64_t missing);
bool call_flag(const struct api_call *call, const char *name);

/* ---- who may what ---- */

/* Finds and holds the sandbox that the call is about; false: the call was refused. */
bool api_find_sandbox(struct api_call *call);

/* Whether the caller may use that sandbox. */
bool api_may(const struct api_call *call, const struct sandbox *sandbox);

/* Lets a call that needs a running sandbox go on, or refuses it; resumes where it may. */
void api_when_running(struct api_call *call, api_fn *then);

/* What `create`, `connect` and `urls` answer; NULL with an error where it has no address. */
json_t *api_access(struct sandbox *sandbox, struct err *err);

/* Answers so; `data` is the call. For sandbox_change(). */
void api_reply_access(struct sandbox *sandbox, const struct err *err, void *data);

/* False: it was deleted, and the call was refused. */
bool api_exists(struct api_call *call);

/* The call's `on_timeout`. */
enum on_timeout api_on_timeout(const struct api_call *call, enum on_timeout missing);

/* What `info` answers. */
json_t *api_info(struct sandbox *sandbox);

/* "/files?path=…" for a path in a sandbox, which the caller frees. */
char *door_files_path(const char *path);

/* RFC 3339 in UTC, or null for 0. */
json_t *api_time(int64_t ms);

/* A text, or null for NULL. */
json_t *api_text(const char *text);

/* The OpenAPI 3.1 document, made from the table of routes. */
json_t *openapi_document(void);

/* ---- handlers ---- */

api_fn api_health, api_openapi, api_metrics, api_login;
api_fn api_create, api_connect, api_list, api_status, api_info_call, api_urls;
api_fn api_run_command, api_write_file, api_read_file, api_upload_file, api_download_file;
api_fn api_expose_port, api_set_timeout, api_pause, api_delete;

#endif
