#include "manager.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/api.h"
#include "auth/credentials.h"
#include "auth/throttle.h"
#include "config.h"
#include "err.h"
#include "fetch.h"
#include "gate/gate.h"
#include "http.h"
#include "key_set.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "provider.h"
#include "sandbox.h"
#include "store/store.h"
#include "worker.h"

enum {
	JOBS_MAX = 8192,
	LOGINS_MAX = 16, /* each costs 16 MB and tens of milliseconds: they wait for one another */
	HEAD_MAX = 16 * 1024,
	CONNECTIONS_MAX = 4000,
	IDLE_S = 75,
	BODY_S = 60,
	DRAIN_MS = 1200, /* of the two seconds that the end may take; */
	JOBS_MS = 300,   /* then this, for jobs that are nearly done */
	HOUSEKEEPING_MS = 60 * 1000,
	DELETED_KEEP_MS = 10 * 60 * 1000, /* so that deleting it twice is no error */
	KEYED_KEEP_MS = 25 * 3600 * 1000, /* longer than an Idempotency-Key is good for */
};

struct provider *manager_provider(const struct manager *manager, const char *name)
{
	for (size_t i = 0; i < manager->providers_len; i++) {
		if (strcmp(manager->providers[i]->name, name) == 0)
			return manager->providers[i];
	}
	return NULL;
}

struct sandbox *manager_sandbox(const struct manager *manager, const char *id)
{
	return strmap_find(&manager->by_id, id);
}

/* ---- the gate ---- */

static int gate_dial(const char *id, uint16_t port, int *fd, struct err *err, void *data)
{
	const struct sandbox *sandbox = manager_sandbox(data, id);

	if (!sandbox || sandbox->row.state != SANDBOX_RUNNING)
		return err_set(err, ERR_CONFLICT, "the sandbox does not run");
	return sandbox->provider->dial(sandbox->provider, id, port, fd, err);
}

static void gate_active(const char *id, void *data)
{
	struct sandbox *sandbox = manager_sandbox(data, id);

	if (sandbox)
		sandbox_touch(sandbox);
}

static void gate_wake(const char *id, void *data)
{
	struct sandbox *sandbox = manager_sandbox(data, id);

	if (sandbox && sandbox->row.auto_resume && sandbox->row.state == SANDBOX_PAUSED)
		sandbox_change(sandbox, CHANGE_RESUME, NULL, NULL);
}

static bool gate_known(const char *id, uint16_t port, void *data)
{
	const struct sandbox *sandbox = manager_sandbox(data, id);

	return sandbox && sandbox->gate && sandbox_exposes(sandbox, port);
}

static int open_gate(struct manager *manager, struct err *err)
{
	static const struct gate_events events = { gate_dial, gate_active, gate_wake, gate_known };
	const struct config *config = manager->config;

	manager->gate = gate_new(manager->loop, &events, manager);
	if (!config->domain)
		return 0;
	if (gate_serve_domain(manager->gate, config->domain_host, (uint16_t)config->domain_port,
		    config->domain, &manager->domain_port, err) < 0)
		return err_wrap(err, "--domain");
	return 0;
}

/* ---- who may ask ---- */

static bool is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
	       strcmp(host, "::1") == 0;
}

static int open_credentials(struct manager *manager, struct err *err)
{
	const struct config *config = manager->config;
	struct credentials_setup setup = {
		.api_keys = config->api_keys,
		.jwt_secret = config->jwt_secret,
		.data_dir = config->data_dir,
		.key_set = config->jwks_url != NULL,
		.audience = config->jwt_audience,
		.issuer = config->jwt_issuer,
	};

	if (credentials_new(&setup, &manager->credentials, err) < 0)
		return -1;
	if (credentials_open(manager->credentials) && !is_loopback(config->host))
		return err_set(err, ERR_INVALID,
			"--host %s lets others in: set SANDBOX_API_KEYS, SANDBOX_JWT_SECRET or "
			"SANDBOX_JWKS_URL, or stay on 127.0.0.1",
			config->host);
	manager->throttle = throttle_new();
	if (config->jwks_url)
		manager->key_set = key_set_new(manager, config->jwks_url);
	return 0;
}

/* ---- providers ---- */

static const struct {
	const char *name;
	provider_open_fn *open;
} known_providers[] = {
#define PROVIDER(name) { #name, provider_##name##_open },
#include "providers.def"
#undef PROVIDER
};

static int open_provider(struct manager *manager, const char *name, struct err *err)
{
	const struct config *config = manager->config;
	struct provider_setup setup = {
		.loop = manager->loop,
		.workers = manager->workers,
		.data_dir = config->data_dir,
		.oci_runtime = config->oci_runtime,
		.limits = config->limits,
		.pool_size = config->pool_size,
		.mcp_port = (uint16_t)config->mcp_port,
		.freeze_s = config->freeze,
	};

	if (manager_provider(manager, name))
		return 0;
	for (size_t i = 0; i < sizeof known_providers / sizeof known_providers[0]; i++) {
		if (strcmp(known_providers[i].name, name) != 0)
			continue;
		if (known_providers[i].open(
			    &setup, &manager->providers[manager->providers_len], err) < 0)
			return err_wrap(err, "provider %s", name);
		manager->providers_len++;
		return 0;
	}
	return err_set(err, ERR_INVALID, "there is no provider '%.32s'", name);
}

static int open_providers(struct manager *manager, struct err *err)
{
	const struct config *config = manager->config;

	if (config->providers.count >= PROVIDERS_MAX)
		return err_set(
			err, ERR_INVALID, "too many providers: %d at the most", PROVIDERS_MAX);
	if (open_provider(manager, config->provider, err) < 0)
		return -1;
	for (size_t i = 0; i < config->providers.count; i++) {
		if (open_provider(manager, config->providers.items[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the end ---- */

static void stop_loop(void *data)
{
	struct manager *manager = data;

	loop_stop(manager->loop);
}

static void on_ended(void *data)
{
	struct manager *manager = data;

	if (--manager->ending == 0)
		stop_loop(manager);
}

static void stop_providers(struct manager *manager)
{
	for (size_t i = 0; i < manager->providers_len; i++) {
		struct provider *provider = manager->providers[i];
		if (!provider->stop)
			continue;
		manager->ending++;
		provider->stop(provider, on_ended, manager);
	}
}

static void on_signal(int signo, void *data)
{
	struct manager *manager = data;

	log_event(LOG_INFO, "stopping", "signal", sigabbrev_np(signo), NULL);
	notify_state("STOPPING=1");
	if (manager->stopping || !manager->http) {
		stop_loop(manager);
		return;
	}
	manager->stopping = true;
	manager->deadline = loop_timer_new(manager->loop, stop_loop, manager);
	loop_timer_set(manager->deadline, DRAIN_MS);
	manager->ending = 1;
	stop_providers(manager);
	http_drain(manager->http, on_ended, manager);
}

/* ---- housekeeping ---- */

void manager_forget_deleted(struct manager *manager)
{
	struct sandbox *sandbox, *next;
	int64_t now = manager_now_ms();

	for (sandbox = TAILQ_FIRST(&manager->sandboxes); sandbox; sandbox = next) {
		next = TAILQ_NEXT(sandbox, link);
		if (sandbox->row.state != SANDBOX_DELETED || sandbox->holders > 0 ||
			sandbox_changing(sandbox) || sandbox->asking ||
			now - sandbox->row.deleted_ms <
				(sandbox->key ? KEYED_KEEP_MS : DELETED_KEEP_MS))
			continue;
		store_remove(manager->store, sandbox->row.id, NULL, NULL);
		sandbox_free(sandbox);
	}
}

static void on_housekeeping(void *data)
{
	struct manager *manager = data;
	struct sandbox *sandbox;

	manager_forget_deleted(manager);
	TAILQ_FOREACH(sandbox, &manager->sandboxes, link)
		sandbox_save(sandbox);
	loop_timer_set(manager->housekeeping, HOUSEKEEPING_MS);
}

/* ---- the beginning ---- */

int manager_make_data_dir(const char *dir, struct err *err)
{
	char path[4096];
	struct stat st;

	if (strlen(dir) >= sizeof path)
		return err_set(err, ERR_INVALID, "--data-dir is too long");
	for (size_t len = 1; len <= strlen(dir); len++) {
		if (dir[len] != '/' && dir[len] != '\0')
			continue;
		memcpy(path, dir, len);
		path[len] = '\0';
		if (mkdir(path, dir[len] ? 0755 : 0700) < 0 && stat(path, &st) < 0)
			return err_sys(err, "make the data directory %s", path);
	}
	if (chmod(dir, 0700) < 0)
		return err_sys(err, "make %s private", dir);
	return 0;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_http(struct manager *manager, struct err *err)
{
	const struct config *config = manager->config;
	struct http_options options = {
		.host = config->host,
		.port = (uint16_t)config->port,
		.head_max = HEAD_MAX,
		.connections_max = CONNECTIONS_MAX,
		.idle_s = IDLE_S,
		.body_s = BODY_S,
		.head = api_head,
		.too_large = api_too_large,
		.data = manager,
	};

	manager->site = (struct site){ config->host, &config->allow_hosts, &config->allow_origins };
	return http_new(manager->loop, &options, &manager->http, err);
}

static int watch_signals(struct manager *manager, struct err *err)
{
	if (loop_signal(manager->loop, SIGTERM, on_signal, manager, err) < 0)
		return -1;
	return loop_signal(manager->loop, SIGINT, on_signal, manager, err);
}

int manager_open(struct manager *manager, const struct config *config,
	void (*on_ready)(struct manager *manager), struct err *err)
{
	*manager = (struct manager){ .config = config, .on_ready = on_ready };
	TAILQ_INIT(&manager->sandboxes);
	raise_descriptor_limit();
	signal(SIGPIPE, SIG_IGN);
	umask(022); /* what is private says so; what a sandbox is shown must be readable */
	if (manager_make_data_dir(config->data_dir, err) < 0 || loop_new(&manager->loop, err) < 0 ||
		watch_signals(manager, err) < 0 ||
		store_open(manager->loop, config->database_url, &manager->store, err) < 0)
		return -1;
	manager->workers = worker_pool_new(manager->loop, (size_t)config->workers, JOBS_MAX);
	manager->logins = worker_pool_new(manager->loop, 1, LOGINS_MAX);
	manager->fetches = fetch_pool_new(manager->loop);
	if (open_credentials(manager, err) < 0 || open_gate(manager, err) < 0 ||
		open_providers(manager, err) < 0 || manager_load(manager, err) < 0 ||
		open_http(manager, err) < 0)
		return -1;
	manager->housekeeping = loop_timer_new(manager->loop, on_housekeeping, manager);
	loop_timer_set(manager->housekeeping, HOUSEKEEPING_MS);
	manager_reconcile(manager);
	return 0;
}

int manager_run(struct manager *manager, struct err *err)
{
	return loop_run(manager->loop, err);
}

/* Whoever asks for the end once more means it: nothing that follows needs the loop. */
static void die_by_signals(void)
{
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_UNBLOCK, &ends, NULL);
}

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * Every call gets its answer while there is somebody to take it: what runs is waited for a moment,
 * what waits is cancelled, and nothing comes back to a call afterwards. False: some jobs go on.
 */
static bool end_calls(struct manager *manager)
{
	int64_t deadline = clock_ms() + JOBS_MS;
	struct sandbox *sandbox;

	worker_pool_stop(manager->logins); /* of which one takes tens of milliseconds */
	bool ended = worker_pool_stop_by(manager->workers, deadline);
	loop_run_posts(manager->loop);
	TAILQ_FOREACH(sandbox, &manager->sandboxes, link)
		changes_drop(sandbox);
	fetch_pool_free(manager->fetches);
	store_flush(manager->store);
	return ended;
}

void manager_close(struct manager *manager, int status)
{
	struct sandbox *sandbox;

	manager->stopping = true;
	manager->closing = true;
	key_set_free(manager->key_set);
	manager->key_set = NULL;
	die_by_signals();
	bool ended = end_calls(manager);
	http_free(manager->http);
	gate_free(manager->gate);
	manager->gate = NULL;
	TAILQ_FOREACH(sandbox, &manager->sandboxes, link) {
		sandbox->gate = NULL;
		sandbox_save(sandbox);
	}
	store_close(manager->store);
	if (!ended) {
		/* A job may take a minute; what it leaves, the next start mends as after a crash.
		 */
		log_event(LOG_WARNING, "not waiting for what still runs", NULL);
		_exit(status);
	}
	while ((sandbox = TAILQ_FIRST(&manager->sandboxes)))
		sandbox_free(sandbox);
	for (size_t i = 0; i < manager->providers_len; i++)
		manager->providers[i]->free(manager->providers[i]);
	worker_pool_free(manager->logins);
	worker_pool_free(manager->workers);
	credentials_free(manager->credentials);
	throttle_free(manager->throttle);
	strmap_release(&manager->by_id);
	strmap_release(&manager->by_key);
	loop_timer_free(manager->deadline);
	loop_timer_free(manager->housekeeping);
	loop_free(manager->loop);
}
