/* Every call of the API: what it takes and what it answers. */
#include "api.h"

enum { ID_MAX = 64, NAME_MAX = 256, PATH_BYTES = 4096, YEAR_S = 366 * 86400 };

/* clang-format off */
static const char provider_names[] = ""
#define PROVIDER(name) "|" #name
#include "providers.def"
#undef PROVIDER
	;

#define TEXT(most) .type = FIELD_TEXT, .max = (most)
#define INTEGER(low, high) .type = FIELD_INTEGER, .min = (low), .max = (high)
#define SANDBOX_ID_FIELD \
	{ "sandbox_id", NULL, "the sandbox", TEXT(ID_MAX), .required = true, .min = 1 }
#define PATH_FIELD \
	{ "path", "file_path", "a path in the sandbox; relative ones start in /workspace", \
	  TEXT(PATH_BYTES), .required = true, .min = 1 }

static const struct field nothing[] = { { 0 } };
static const struct field only_id[] = { SANDBOX_ID_FIELD, { 0 } };

static const struct field create_takes[] = {
	{ "user_id", NULL, "a label of yours, stored and returned", TEXT(NAME_MAX), .required = true, .min = 1 },
	{ "template_id", "sandbox_template_id", "what the sandbox is made from", TEXT(NAME_MAX) },
	{ "provider", NULL, "who makes it", TEXT(NAME_MAX), .one_of = provider_names + 1 },
	{ "timeout", "timeout_seconds", "seconds without activity until on_timeout happens", INTEGER(1, YEAR_S) },
	{ "on_timeout", NULL, "what happens then", TEXT(16), .one_of = "pause|delete" },
	{ "auto_resume", NULL, "whether traffic resumes it when it is paused", .type = FIELD_BOOLEAN },
	{ "metadata", NULL, "labels of yours, stored and returned", .type = FIELD_TEXT_MAP },
	{ "envs", NULL, "environment variables of everything inside", .type = FIELD_TEXT_MAP },
	{ "network", NULL, "\"internet\", \"none\" or {\"allow\": [host or CIDR]}", .type = FIELD_NETWORK },
	{ "limits", NULL, "memory_mb, cpus, pids, disk_mb", .type = FIELD_LIMITS },
	{ 0 },
};

#define ACCESS_FIELDS \
	{ "provider", NULL, "who made it", TEXT(0), .required = true }, \
	{ "provider_sandbox_id", NULL, "what the provider calls it", TEXT(0), .required = true }, \
	{ "status", NULL, "running, paused …", TEXT(0), .required = true }, \
	{ "mcp_url", NULL, "the tool server: MCP at /, /mcp and /mcp/", TEXT(0), .required = true }, \
	{ "mcp_token", NULL, "its bearer token", TEXT(0), .required = true }, \
	{ "vscode_url", NULL, "the editor: a complete link, fresh in each reply", TEXT(0), .required = true }

static const struct field access_answers[] = {
	ACCESS_FIELDS,
	{ "expires_at", NULL, "when it is paused or deleted unless it is used", TEXT(0), .required = true },
	{ 0 },
};

static const struct field list_takes[] = {
	{ "user_id", NULL, "only those with this label", TEXT(NAME_MAX) },
	{ "status", NULL, "only those in this state", TEXT(16),
	  .one_of = "creating|running|paused|deleting|deleted|error" },
	{ "limit", NULL, "how many at the most", INTEGER(1, 1000) },
	{ "cursor", NULL, "next_cursor of the reply before", TEXT(ID_MAX) },
	{ 0 },
};
static const struct field list_answers[] = {
	{ "sandboxes", NULL, "in the order of their creation", .type = FIELD_SANDBOXES, .required = true },
	{ "next_cursor", NULL, "where the next ones begin; null at the end", TEXT(0) },
	{ 0 },
};

static const struct field status_answers[] = {
	{ "status", NULL, "running, paused …: the provider's truth", TEXT(0), .required = true },
	{ "provider_sandbox_id", NULL, "what the provider calls it", TEXT(0) },
	{ 0 },
};

static const struct field info_answers[] = {
	{ "provider", NULL, "who made it", TEXT(0), .required = true },
	{ "provider_sandbox_id", NULL, "what the provider calls it", TEXT(0) },
	{ "user_id", NULL, "your label", TEXT(0) },
	{ "owner", NULL, "whose it is", TEXT(0) },
	{ "template_id", NULL, "what it was made from", TEXT(0) },
	{ "status", NULL, "running, paused …", TEXT(0), .required = true },
	{ "created_at", NULL, "RFC 3339", TEXT(0), .required = true },
	{ "started_at", NULL, "RFC 3339: when it ran last from the start or a pause", TEXT(0) },
	{ "last_activity_at", NULL, "RFC 3339", TEXT(0) },
	{ "expires_at", NULL, "RFC 3339", TEXT(0) },
	{ "metadata", NULL, "your labels", .type = FIELD_TEXT_MAP },
	{ 0 },
};

static const struct field url_answers[] = {
	{ "mcp_url", NULL, "the tool server", TEXT(0), .required = true },
	{ "vscode_url", NULL, "the editor", TEXT(0), .required = true },
	{ "mcp_token", NULL, "the tool server's bearer token", TEXT(0), .required = true },
	{ 0 },
};

static const struct field run_takes[] = {
	SANDBOX_ID_FIELD,
	{ "command", "cmd", "for the shell", .type = FIELD_CONTENT, .required = true, .min = 1 },
	{ "background", NULL, "answer at once, and let it run", .type = FIELD_BOOLEAN },
	{ "timeout", "timeout_seconds", "seconds until it is ended", INTEGER(1, 86400) },
	{ "cwd", NULL, "where it starts; /workspace", TEXT(PATH_BYTES) },
	{ "envs", NULL, "more environment variables", .type = FIELD_TEXT_MAP },
	{ "user", NULL, "who runs it; user", TEXT(64) },
	{ 0 },
};
static const struct field run_answers[] = {
	{ "output", NULL, "stdout, then stderr", TEXT(0), .required = true },
	{ "stdout", NULL, "what it printed", TEXT(0) },
	{ "stderr", NULL, "its complaints", TEXT(0) },
	{ "exit_code", NULL, "128 + N where signal N ended it", .type = FIELD_INTEGER },
	{ "timed_out", NULL, "whether it was ended by `timeout`", .type = FIELD_BOOLEAN },
	{ "truncated", NULL, "whether the middle of a long output is missing", .type = FIELD_BOOLEAN },
	{ "pid", NULL, "of a command in the background", .type = FIELD_INTEGER },
	{ "message", NULL, "how it went, in words", TEXT(0), .required = true },
	{ 0 },
};

static const struct field write_takes[] = {
	SANDBOX_ID_FIELD,
	PATH_FIELD,
	{ "content", NULL, "the whole file; may be empty", .type = FIELD_CONTENT, .required = true },
	{ 0 },
};
static const struct field bytes_answers[] = {
	{ "bytes", NULL, "the size of the file", .type = FIELD_INTEGER, .required = true },
	{ 0 },
};
static const struct field path_takes[] = { SANDBOX_ID_FIELD, PATH_FIELD, { 0 } };
static const struct field content_answers[] = {
	{ "content", NULL, "the whole file", TEXT(0), .required = true },
	{ 0 },
};

static const struct field port_takes[] = {
	SANDBOX_ID_FIELD,
	{ "port", NULL, "a TCP port inside", INTEGER(1, 65535), .required = true },
	{ 0 },
};
static const struct field port_answers[] = {
	{ "url", NULL, "where the port is reached", TEXT(0), .required = true },
	{ 0 },
};

static const struct field timeout_takes[] = {
	SANDBOX_ID_FIELD,
	{ "timeout", "timeout_seconds", "seconds without activity from now on", INTEGER(1, YEAR_S), .required = true },
	{ "on_timeout", NULL, "what happens then", TEXT(16), .one_of = "pause|delete" },
	{ 0 },
};
static const struct field timeout_answers[] = {
	{ "expires_at", NULL, "RFC 3339", TEXT(0), .required = true },
	{ 0 },
};
static const struct field pause_takes[] = {
	{ "cold", NULL, "end its processes at once, and keep its files alone", .type = FIELD_BOOLEAN },
	{ 0 },
};
static const struct field pause_answers[] = {
	{ "status", NULL, "paused", TEXT(0), .required = true },
	{ 0 },
};

static const struct field login_takes[] = {
	{ "username", NULL, "who", TEXT(NAME_MAX), .required = true, .min = 1 },
	{ "password", NULL, "the password", TEXT(1024), .required = true, .min = 1 },
	{ 0 },
};
static const struct field login_answers[] = {
	{ "access_token", NULL, "a JWT", TEXT(0), .required = true },
	{ "token_type", NULL, "bearer", TEXT(0), .required = true },
	{ 0 },
};

enum { ABOUT_ONE = ROUTE_SANDBOX, BY_QUERY = ROUTE_SANDBOX | ROUTE_QUERY };

const struct route routes[] = {
	{ "GET", "/health", ROUTE_OPEN | ROUTE_WHOLE, api_health, nothing, nothing, "health", "Whether the manager answers" },
	{ "GET", "/openapi.json", ROUTE_OPEN | ROUTE_WHOLE, api_openapi, nothing, nothing, "openapi", "This document" },
	{ "GET", "/metrics", ROUTE_WHOLE, api_metrics, nothing, nothing, "metrics", "Figures, as Prometheus reads them" },
	{ "POST", "/api/v1/auth/login/swagger", ROUTE_OPEN | ROUTE_WHOLE | ROUTE_QUERY, api_login, login_takes, login_answers, "login", "Takes a name and a password for a token" },
	{ "POST", "/create", 0, api_create, create_takes, access_answers, "create", "Creates a sandbox" },
	{ "POST", "/connect", ABOUT_ONE, api_connect, only_id, access_answers, "connect", "Resumes a sandbox where it is paused, and restarts its idle clock" },
	{ "GET", "", ROUTE_QUERY, api_list, list_takes, list_answers, "list", "Lists sandboxes" },
	{ "GET", "/status", BY_QUERY | ROUTE_ALIAS, api_status, only_id, status_answers, "status_by_query", "" },
	{ "GET", "/{id}/status", ABOUT_ONE, api_status, nothing, status_answers, "status", "How a sandbox is" },
	{ "GET", "/{id}/info", ABOUT_ONE, api_info_call, nothing, info_answers, "info", "All about a sandbox" },
	{ "GET", "/{id}/urls", ABOUT_ONE, api_urls, nothing, url_answers, "urls", "Where a sandbox is reached" },
	{ "POST", "/run-command", ABOUT_ONE, api_run_command, run_takes, run_answers, "run_command", "Runs a command; streams with Accept: text/event-stream" },
	{ "POST", "/run-cmd", ABOUT_ONE | ROUTE_ALIAS, api_run_command, run_takes, run_answers, "run_cmd", "" },
	{ "POST", "/write-file", ABOUT_ONE, api_write_file, write_takes, bytes_answers, "write_file", "Writes a text file" },
	{ "POST", "/read-file", ABOUT_ONE, api_read_file, path_takes, content_answers, "read_file", "Reads a text file" },
	{ "POST", "/upload-file", ROUTE_FORM, api_upload_file, path_takes, bytes_answers, "upload_file", "Writes a file of any size and kind" },
	{ "POST", "/download-file", ABOUT_ONE, api_download_file, path_takes, nothing, "download_file", "Reads a file of any size and kind" },
	{ "POST", "/expose-port", ABOUT_ONE, api_expose_port, port_takes, port_answers, "expose_port", "Opens a way to a port inside" },
	{ "POST", "/timeout", ABOUT_ONE, api_set_timeout, timeout_takes, timeout_answers, "timeout", "Sets the idle time" },
	{ "POST", "/schedule-timeout", ABOUT_ONE | ROUTE_ALIAS, api_set_timeout, timeout_takes, timeout_answers, "schedule_timeout", "" },
	{ "POST", "/{id}/pause", ABOUT_ONE, api_pause, pause_takes, pause_answers, "pause", "Pauses a sandbox: it keeps its files and, for a while, its memory" },
	{ "DELETE", "/{id}", ABOUT_ONE, api_delete, nothing, nothing, "delete", "Deletes a sandbox; twice is no error" },
	{ "POST", "/delete", ABOUT_ONE | ROUTE_ALIAS, api_delete, only_id, nothing, "delete_by_body", "" },
	{ 0 },
};
/* clang-format on */
