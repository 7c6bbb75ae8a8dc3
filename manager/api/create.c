/* POST /sandboxes/create. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

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

enum { KEY_MAX = 255, KEY_GOOD_MS = 24 * 3600 * 1000 };

/* ---- what is random, and what is not ---- */

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
		.memory_mb = (int64_t)json_number_value(json_object_get(asked, "memory_mb")),
		.disk_mb = (int64_t)json_number_value(json_object_get(asked, "disk_mb")),
		.pids = (int64_t)json_number_value(json_object_get(asked, "pids")),
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
	return strcmp(provider->name, "local") == 0 && e2b && strcmp(e2b, template) == 0 ? NULL
											 : template;
}

static void fill_row(struct api_call *call, const struct provider *provider, const char *key,
	struct sandbox_row *row)
{
	const struct config *config = call->manager->config;
	int64_t now = manager_now_ms();
	int64_t timeout_s = call_integer(call, "timeout", config->default_timeout);

	if (timeout_s > config->max_timeout)
		timeout_s = config->max_timeout;
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
		.on_timeout = api_on_timeout(call, ON_TIMEOUT_PAUSE),
		.auto_resume = call_flag(call, "auto_resume"),
		.timeout_ms = timeout_s * 1000,
		.created_ms = now,
		.started_ms = now,
		.active_ms = now,
		.expires_ms = now + timeout_s * 1000,
	};
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
	return own < manager->config->sandboxes_max_owner
		       ? NULL
		       : "You have as many sandboxes as one owner may have: delete some";
}

static void on_created(struct sandbox *sandbox, const struct err *err, void *data)
{
	if (err && err->code == ERR_NOT_FOUND)
		api_refuse(data, 422, "invalid_fields", "'template_id': %s", err->msg);
	else
		api_reply_access(sandbox, err, data);
}

static void on_repeated(struct sandbox *sandbox, const struct err *err, void *data)
{
	struct api_call *call = data;

	if (!err || err->code != ERR_NOT_FOUND) {
		api_reply_access(sandbox, err, data);
	} else if (sandbox->key) {
		api_refuse(call, 404, "not_found",
			"The sandbox that this Idempotency-Key made was deleted: use a new key");
	} else {
		http_set_header(call->request, "Retry-After", "1");
		api_refuse(call, 409, "conflict",
			"The create with this Idempotency-Key failed: try again");
	}
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
	sandbox_change(sandbox, CHANGE_RESUME, on_repeated, call);
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
	sandbox_change(sandbox, CHANGE_CREATE, on_created, call);
}

void api_create(struct api_call *call)
{
	const char *key = http_header(call->request, "Idempotency-Key");
	const char *name = call_text(call, "provider");
	struct provider *provider =
		name ? manager_provider(call->manager, name) : call->manager->providers[0];
	const char *over;

	if (key && !right_key(key)) {
		api_refuse(call, 400, "malformed",
			"Idempotency-Key takes 1 to %d visible ASCII characters", KEY_MAX);
		return;
	}
	if (!provider) {
		api_refuse(
			call, 422, "invalid_fields", "'provider' is none that this manager uses");
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
