/* Calls that make, keep and end sandboxes. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "alloc.h"
#include "api.h"
#include "base64.h"
#include "buf.h"
#include "cleanup.h"
#include "config.h"
#include "err.h"
#include "http.h"
#include "manager.h"
#include "sandbox.h"
#include "ticket.h"

enum { KEY_MAX = 255, LIST_DEFAULT = 100, KEY_GOOD_MS = 24 * 3600 * 1000 };

/* ---- what answers are made of ---- */

json_t *api_time(int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char text[48], whole[32];
	struct tm tm;

	if (ms == 0)
		return json_null();
	gmtime_r(&seconds, &tm);
	strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof text, "%s.%03dZ", whole, (int)(ms % 1000));
	return json_string(text);
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *urls(struct sandbox *sandbox, struct err *err)
{
	const struct config *config = sandbox->manager->config;
	AUTO_FREE char *mcp = sandbox_url(sandbox, (uint16_t)config->mcp_port, err);
	AUTO_FREE char *code = mcp ? sandbox_url(sandbox, (uint16_t)config->code_port, err) : NULL;

	if (!code)
		return NULL;
	AUTO_FREE char *ticket = ticket_new(sandbox->row.token, manager_now_ms() / 1000);
	AUTO_FREE char *link = alloc_printf("%s/?ticket=%s", code, ticket);
	return json_pack("{s:s, s:s, s:s}", "mcp_url", mcp, "mcp_token", sandbox->row.token,
		"vscode_url", link);
}

json_t *api_access(struct sandbox *sandbox, struct err *err)
{
	const struct sandbox_row *row = &sandbox->row;
	json_t *access = urls(sandbox, err);

	if (!access)
		return NULL;
	json_object_set_new(access, "provider", text_or_null(row->provider));
	json_object_set_new(access, "provider_sandbox_id", text_or_null(row->provider_id));
	json_object_set_new(access, "status", json_string(sandbox_state_name(row->state)));
	json_object_set_new(access, "expires_at", api_time(row->expires_ms));
	return access;
}

json_t *api_info(struct sandbox *sandbox)
{
	const struct sandbox_row *row = &sandbox->row;
	json_t *metadata = row->metadata ? json_loads(row->metadata, 0, NULL) : NULL;

	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
		"sandbox_id", row->id, "provider", text_or_null(row->provider),
		"provider_sandbox_id", text_or_null(row->provider_id), "owner",
		text_or_null(row->owner), "user_id", text_or_null(row->user_id), "template_id",
		text_or_null(row->template_id), "status", sandbox_state_name(row->state),
		"created_at", api_time(row->created_ms), "started_at", api_time(row->started_ms),
		"last_activity_at", api_time(row->active_ms), "expires_at",
		api_time(row->state == SANDBOX_DELETED ? 0 : row->expires_ms), "metadata",
		metadata ? metadata : json_object(), "error", text_or_null(row->problem));
}

/* ---- create ---- */

static void random_bytes(void *bytes, size_t len)
{
	if (getrandom(bytes, len, 0) != (ssize_t)len)
		abort();
}

/* Each of the 36 characters as likely as any other: 252 is the largest multiple of 36 in a byte. */
static void make_id(char id[SANDBOX_ID_LEN + 1])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	size_t len = 0;

	while (len < SANDBOX_ID_LEN) {
		unsigned char byte;

		random_bytes(&byte, 1);
		if (byte < 252)
			id[len++] = letters[byte % 36];
	}
	id[len] = '\0';
}

static void make_token(char token[SANDBOX_TOKEN_LEN + 1])
{
	AUTO_BUF struct buf text = BUF_INIT(SANDBOX_TOKEN_LEN + 1);
	unsigned char bytes[32];

	random_bytes(bytes, sizeof bytes);
	base64url_add(&text, bytes, sizeof bytes);
	memcpy(token, text.data, SANDBOX_TOKEN_LEN);
	token[SANDBOX_TOKEN_LEN] = '\0';
	explicit_bzero(bytes, sizeof bytes);
	explicit_bzero(text.data, text.len);
}

/* The same request has the same hash, however its members are ordered. */
static char *hash_of(const json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	struct buf out;

	buf_init(&out, 2 * EVP_MAX_MD_SIZE);
	if (!text || !EVP_Digest(text, strlen(text), digest, &len, EVP_sha256(), NULL))
		abort();
	base64url_add(&out, digest, len);
	free(text);
	return buf_steal(&out, NULL);
}

static char *text_of(const json_t *value)
{
	return value && !json_is_null(value) ? json_dumps(value, JSON_COMPACT) : NULL;
}

static char *copy_or_null(const char *text)
{
	return text ? alloc_text(text) : NULL;
}

static void read_network(struct sandbox_row *row, const json_t *network)
{
	const char *text = json_string_value(network);

	row->network = NETWORK_INTERNET;
	if (text && strcmp(text, "none") == 0)
		row->network = NETWORK_NONE;
	if (json_is_object(network)) {
		row->network = NETWORK_ALLOW;
		row->allow = text_of(json_object_get(network, "allow"));
	}
}

static void read_limits(struct sandbox_limits *limits, const json_t *asked)
{
	*limits = (struct sandbox_limits){
		.memory_mb = json_integer_value(json_object_get(asked, "memory_mb")),
		.disk_mb = json_integer_value(json_object_get(asked, "disk_mb")),
		.pids = json_integer_value(json_object_get(asked, "pids")),
		.cpu_millis = (int64_t)(json_number_value(json_object_get(asked, "cpus")) * 1000),
	};
}

/* E2B's name of the template, configured here, is this machine's default one. */
static const char *template_of(const struct api_call *call, const struct provider *provider)
{
	const char *template = call_text(call, "template_id");
	const char *e2b = call->manager->config->e2b_template;

	if (!template || !*template)
		return NULL;
	return strcmp(provider->name, "local") == 0 && e2b && strcmp(e2b, template) == 0 ? NULL :
											   template;
}

static enum on_timeout read_on_timeout(const struct api_call *call, enum on_timeout missing)
{
	const char *text = call_text(call, "on_timeout");

	if (!text)
		return missing;
	return strcmp(text, "delete") == 0 ? ON_TIMEOUT_DELETE : ON_TIMEOUT_PAUSE;
}

static void fill_row(struct api_call *call, const struct provider *provider, const char *key,
	struct sandbox_row *row)
{
	const struct config *config = call->manager->config;
	int64_t now = manager_now_ms();

	*row = (struct sandbox_row){
		.state = SANDBOX_CREATING,
		.provider = alloc_text(provider->name),
		.owner = alloc_text(call->owner),
		.user_id = copy_or_null(call_text(call, "user_id")),
		.template_id = copy_or_null(template_of(call, provider)),
		.metadata = text_of(json_object_get(call->body, "metadata")),
		.envs = text_of(json_object_get(call->body, "envs")),
		.idempotency_key = copy_or_null(key),
		.idempotency_hash = key ? hash_of(call->body) : NULL,
		.on_timeout = read_on_timeout(call, ON_TIMEOUT_PAUSE),
		.auto_resume = call_flag(call, "auto_resume"),
		.timeout_ms = call_integer(call, "timeout", config->default_timeout) * 1000,
		.created_ms = now,
		.started_ms = now,
		.active_ms = now,
		.expires_ms = now + config->default_timeout * 1000,
	};
	if (row->timeout_ms > config->max_timeout * 1000)
		row->timeout_ms = config->max_timeout * 1000;
	read_network(row, json_object_get(call->body, "network"));
	read_limits(&row->limits, json_object_get(call->body, "limits"));
}

/* Why this owner may have no more; NULL: it may. */
static const char *quota(const struct api_call *call)
{
	const struct manager *manager = call->manager;
	const struct sandbox *sandbox;
	int64_t own = 0;

	if ((int64_t)manager->alive >= manager->config->sandboxes_max)
		return "There are as many sandboxes as this manager may have: delete some, or raise "
		       "--max-sandboxes";
	TAILQ_FOREACH(sandbox, &manager->sandboxes, link)
		own += sandbox->row.state != SANDBOX_DELETED && api_may(call, sandbox) &&
		       strcmp(sandbox->row.owner, call->owner) == 0;
	return own < manager->config->sandboxes_max_owner ?
		       NULL :
		       "You have as many sandboxes as one owner may have: delete some";
}

static void reply_access(struct sandbox *sandbox, const struct err *err, void *data)
{
	struct api_call *call = data;
	struct err why;
	json_t *access = err ? NULL : api_access(sandbox, &why);

	if (access)
		api_reply(call, access, NULL);
	else
		api_fail(call, err ? err : &why);
}

/* The sandbox that the same key made before; false: none, or the call was refused. */
static bool repeat(struct api_call *call, const char *key)
{
	AUTO_FREE char *name = alloc_printf("%s %s", call->owner, key);
	AUTO_FREE char *hash = hash_of(call->body);
	struct sandbox *sandbox = strmap_find(&call->manager->by_key, name);

	if (sandbox && manager_now_ms() - sandbox->row.created_ms > KEY_GOOD_MS) {
		sandbox_forget_key(sandbox);
		sandbox = NULL;
	}
	if (!sandbox)
		return false;
	if (strcmp(hash, sandbox->row.idempotency_hash) != 0) {
		api_refuse(call, 422, "idempotency_key_reused",
			"That Idempotency-Key was used for another request: use a new one");
		return true;
	}
	call->sandbox = sandbox;
	sandbox_hold(sandbox);
	/* Behind the create, where that is still under way; it never makes a second one. */
	sandbox_change(sandbox, CHANGE_RESUME, reply_access, call);
	return true;
}

static bool right_key(const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < len; i++) {
		if (key[i] <= ' ' || key[i] > '~')
			return false;
	}
	return len > 0 && len <= KEY_MAX;
}

static void make(struct api_call *call, struct provider *provider, const char *key)
{
	struct sandbox_row row;
	struct provider_spec spec;
	struct spec_json json;
	struct sandbox *sandbox;

	fill_row(call, provider, key, &row);
	const struct sandbox wanted = { .manager = call->manager, .row = row };
	sandbox_spec(&wanted, &spec, &json);
	if (!provider->reserve || !provider->reserve(provider, &spec, row.id, row.token)) {
		make_id(row.id);
		make_token(row.token);
	}
	spec_json_release(&json);
	sandbox = sandbox_new(call->manager, provider, &row);
	call->sandbox = sandbox;
	sandbox_hold(sandbox);
	sandbox_change(sandbox, CHANGE_CREATE, reply_access, call);
}

void api_create(struct api_call *call)
{
	const char *key = http_header(call->request, "Idempotency-Key");
	const char *name = call_text(call, "provider");
	struct provider *provider = name ? manager_provider(call->manager, name) :
					   call->manager->providers[0];
	const char *over;

	if (key && !right_key(key)) {
		api_refuse(call, 400, "malformed",
			"Idempotency-Key takes 1 to %d visible ASCII characters", KEY_MAX);
		return;
	}
	if (!provider) {
		api_refuse(call, 422, "invalid_fields",
			"'provider' is none that this manager uses");
		return;
	}
	if (key && repeat(call, key))
		return;
	over = quota(call);
	if (over) {
		http_set_header(call->request, "Retry-After", "60");
		api_refuse(call, 429, "quota", "%s", over);
		return;
	}
	make(call, provider, key);
}

/* ---- connect, pause, delete ---- */

void api_connect(struct api_call *call)
{
	sandbox_change(call->sandbox, CHANGE_RESUME, reply_access, call);
}

static void on_paused(struct sandbox *sandbox, const struct err *err, void *data)
{
	struct api_call *call = data;

	if (err)
		api_fail(call, err);
	else
		api_reply(call,
			json_pack("{s:s}", "status", sandbox_state_name(sandbox->row.state)),
			"Sandbox paused");
}

void api_pause(struct api_call *call)
{
	sandbox_change(call->sandbox, CHANGE_PAUSE, on_paused, call);
}

static void on_deleted(struct sandbox *sandbox, const struct err *err, void *data)
{
	struct api_call *call = data;

	(void)sandbox;
	if (err)
		api_fail(call, err);
	else
		api_reply(call, NULL, "Sandbox deleted");
}

void api_delete(struct api_call *call)
{
	sandbox_change(call->sandbox, CHANGE_DELETE, on_deleted, call);
}

/* ---- looking ---- */

static bool exists(struct api_call *call)
{
	if (call->sandbox->row.state != SANDBOX_DELETED)
		return true;
	api_refuse(call, 404, "not_found", "That sandbox was deleted");
	return false;
}

static void on_status(const struct provider_answer *answer, const struct err *err, void *data)
{
	struct api_call *call = data;
	struct sandbox *sandbox = call->sandbox;

	if (err) {
		api_fail(call, err);
		return;
	}
	sandbox_believe(sandbox, answer);
	api_reply(call,
		json_pack("{s:s, s:o}", "status", sandbox_state_name(sandbox->row.state),
			"provider_sandbox_id", text_or_null(sandbox->row.provider_id)),
		NULL);
}

/* While a change is under way the provider's word is about to change: then it is the row's. */
void api_status(struct api_call *call)
{
	struct sandbox *sandbox = call->sandbox;
	struct provider *provider = sandbox->provider;

	if (!exists(call))
		return;
	if (sandbox_changing(sandbox) || sandbox->row.state == SANDBOX_DELETING) {
		api_reply(call,
			json_pack("{s:s, s:o}", "status", sandbox_state_name(sandbox->row.state),
				"provider_sandbox_id", text_or_null(sandbox->row.provider_id)),
			NULL);
		return;
	}
	provider->status(provider, sandbox->row.id, on_status, call);
}

void api_info_call(struct api_call *call)
{
	struct sandbox *sandbox = call->sandbox;
	struct provider *provider = sandbox->provider;

	if (!exists(call))
		return;
	json_t *info = api_info(sandbox);
	if (provider->info)
		json_object_set_new(info, "isolation", provider->info(provider, sandbox->row.id));
	json_object_set_new(info, "cold", json_boolean(sandbox->row.cold));
	json_object_set_new(info, "restarted", json_boolean(sandbox->restarted));
	api_reply(call, info, NULL);
}

void api_urls(struct api_call *call)
{
	struct err err;

	if (!exists(call))
		return;
	json_t *answer = urls(call->sandbox, &err);
	if (answer)
		api_reply(call, answer, NULL);
	else
		api_fail(call, &err);
}

void api_expose_port(struct api_call *call)
{
	struct err err;

	if (!exists(call))
		return;
	AUTO_FREE char *url =
		sandbox_url(call->sandbox, (uint16_t)call_integer(call, "port", 0), &err);
	if (!url) {
		api_fail(call, &err);
		return;
	}
	sandbox_save(call->sandbox);
	api_reply(call, json_pack("{s:s}", "url", url), NULL);
}

void api_set_timeout(struct api_call *call)
{
	struct sandbox *sandbox = call->sandbox;
	const struct config *config = call->manager->config;
	int64_t timeout = call_integer(call, "timeout", 0);

	if (!exists(call))
		return;
	if (timeout > config->max_timeout)
		timeout = config->max_timeout;
	sandbox_set_timeout(sandbox, timeout * 1000, read_on_timeout(call, sandbox->row.on_timeout));
	sandbox_save(sandbox);
	api_reply(call, json_pack("{s:o}", "expires_at", api_time(sandbox->row.expires_ms)),
		"Timeout set");
}

/* ---- list ---- */

static bool is_wanted(const struct api_call *call, const struct sandbox *sandbox)
{
	const char *user = call_text(call, "user_id"), *status = call_text(call, "status");
	const struct sandbox_row *row = &sandbox->row;

	return api_may(call, sandbox) && row->state != SANDBOX_DELETED &&
	       (!user || (row->user_id && strcmp(user, row->user_id) == 0)) &&
	       (!status || strcmp(status, sandbox_state_name(row->state)) == 0);
}

void api_list(struct api_call *call)
{
	const char *cursor = call_text(call, "cursor");
	int64_t left = call_integer(call, "limit", LIST_DEFAULT);
	struct sandbox *sandbox = cursor ? manager_sandbox(call->manager, cursor) :
					   TAILQ_FIRST(&call->manager->sandboxes);
	json_t *list = json_array(), *next = json_null();

	if (cursor && (!sandbox || !api_may(call, sandbox))) {
		json_decref(list);
		api_refuse(call, 422, "invalid_fields",
			"'cursor' is none of ours any more: list from the start");
		return;
	}
	for (; sandbox; sandbox = TAILQ_NEXT(sandbox, link)) {
		if (!is_wanted(call, sandbox))
			continue;
		if (left-- == 0) {
			next = json_string(sandbox->row.id);
			break;
		}
		json_array_append_new(list, api_info(sandbox));
	}
	api_reply(call, json_pack("{s:o, s:o}", "sandboxes", list, "next_cursor", next), NULL);
}

/* ---- for the calls that need it to run ---- */

struct waiting {
	struct api_call *call;
	api_fn *then;
};

static void on_runs(struct sandbox *sandbox, const struct err *err, void *data)
{
	struct waiting *waiting = data;
	struct api_call *call = waiting->call;
	api_fn *then = waiting->then;

	(void)sandbox;
	free(waiting);
	if (err)
		api_fail(call, err);
	else
		then(call);
}

void api_when_running(struct api_call *call, api_fn *then)
{
	struct sandbox *sandbox = call->sandbox;
	struct waiting *waiting;

	if (!exists(call))
		return;
	if (sandbox->row.state == SANDBOX_RUNNING && !sandbox_changing(sandbox)) {
		then(call);
		return;
	}
	if (sandbox->row.state == SANDBOX_PAUSED && !sandbox->row.auto_resume &&
		!sandbox_changing(sandbox)) {
		api_refuse(call, 409, "paused",
			"The sandbox is paused: resume it with POST /sandboxes/connect");
		return;
	}
	waiting = alloc_zero(sizeof *waiting);
	*waiting = (struct waiting){ call, then };
	sandbox_change(sandbox, CHANGE_RESUME, on_runs, waiting);
}
