#include "server.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "call_impl.h"
#include "catalog.h"
#include "commands.h"
#include "config.h"
#include "err.h"
#include "guard.h"
#include "http.h"
#include "listeners.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "path.h"
#include "post.h"
#include "routes.h"
#include "secret.h"
#include "session.h"
#include "sse.h"
#include "stdio_transport.h"
#include "watch.h"
#include "worker.h"

enum { COMMENT_MS = 15 * 1000, IDLE_S = 120, BODY_S = 60, DRAIN_MS = 1500, JOBS_MAX = 4096 };

static int open_roots(struct server *server, struct err *err)
{
	const struct config *config = server->config;
	struct path_roots *roots = path_roots_new();

	server->workspace.roots = roots;
	if (path_roots_add(roots, config->workspace, 0, err) < 0)
		return err_wrap(err, "--workspace");
	for (size_t i = 0; i < config->roots.count; i++) {
		if (path_roots_add(roots, config->roots.items[i], 0, err) < 0)
			return err_wrap(err, "--root");
	}
	return 0;
}

/* Streams and commands need descriptors; commands get the old limit back, which is returned. */
static uint64_t raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	rlim_t old = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return old;
}

/* What commands wrote can be read like any file. */
static int open_commands(struct server *server, uint64_t nofile, struct err *err)
{
	struct workspace *workspace = &server->workspace;
	struct commands_options options = {
		.state_fd = server->state.fd,
		.state_dir = server->state.path,
		.running_max = (size_t)server->config->commands_max,
		.nofile = nofile,
	};

	if (commands_open(workspace->loop, &options, &workspace->commands, err) < 0)
		return -1;
	return path_roots_add(workspace->roots, commands_dir(workspace->commands),
		PATH_ROOT_READ_ONLY, err);
}

static int open_http(struct server *server, struct err *err)
{
	const struct config *config = server->config;
	struct http_options options = {
		.host = config->host,
		.port = (uint16_t)config->port,
		.head_max = (size_t)config->header_max,
		.connections_max = (unsigned)config->connections_max,
		.idle_s = IDLE_S,
		.body_s = BODY_S,
		.answer_s = (unsigned)config->answer_s,
		.answer_rate = (unsigned)config->answer_rate,
		.head = routes_head,
		.data = server,
	};

	if (config->stdio)
		return stdio_open(server, &server->stdio, err);
	server->guard = guard_new(server->secret, config->host, &config->allow_hosts,
		&config->allow_origins);
	return http_new(server->workspace.loop, &options, &server->http, err);
}

/* ---- the end ---- */

static void stop_loop(void *data)
{
	struct server *server = data;

	loop_stop(server->workspace.loop);
}

static void on_signal(int signo, void *data)
{
	struct server *server = data;

	log_event(LOG_INFO, "stopping", "signal", sigabbrev_np(signo), NULL);
	notify_state("STOPPING=1");
	listeners_end(server);
	if (server->stopping || !server->http) {
		stop_loop(server);
		return;
	}
	server->stopping = true;
	server->deadline = loop_timer_new(server->workspace.loop, stop_loop, server);
	loop_timer_set(server->deadline, DRAIN_MS);
	http_drain(server->http, stop_loop, server);
}

static int watch_signals(struct server *server, struct err *err)
{
	struct loop *loop = server->workspace.loop;

	if (loop_signal(loop, SIGTERM, on_signal, server, err) < 0)
		return -1;
	return loop_signal(loop, SIGINT, on_signal, server, err);
}

/* ---- the beginning ---- */

int server_open(struct server *server, const struct config *config, struct err *err)
{
	struct workspace *workspace = &server->workspace;

	*server = (struct server){ .config = config };
	uint64_t nofile = raise_descriptor_limit();
	signal(SIGPIPE, SIG_IGN);
	if (state_open(&server->state, config->state_dir, config->workspace, err) < 0 ||
		loop_new(&workspace->loop, err) < 0 || watch_signals(server, err) < 0 ||
		open_roots(server, err) < 0 ||
		open_commands(server, nofile, err) < 0 ||
		secret_new(config->token, config->token_file, server->state.fd, &server->secret,
			err) < 0 ||
		catalog_new(path_root_name(workspace->roots, 0), &server->catalog, err) < 0)
		return -1;
	workspace->pool = worker_pool_new(workspace->loop, (size_t)config->workers, JOBS_MAX);
	workspace->result_max = (size_t)config->result_max;
	workspace->commands_max = (size_t)config->commands_max;
	server->sessions = sessions_new(server->secret, server->state.fd,
		(size_t)config->sessions_max);
	server->watcher = watcher_new(workspace);
	server->listeners = listeners_new(server, server->watcher);
	server->streams = sse_hub_new(workspace->loop, COMMENT_MS, (size_t)config->queue_max);
	return open_http(server, err);
}

int server_run(struct server *server, struct err *err)
{
	return loop_run(server->workspace.loop, err);
}

void server_touch(struct server *server)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	server->last_activity_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void server_close(struct server *server)
{
	server->stopping = true;
	/* First all that has an answer to give, while there is somebody to give it to. */
	calls_cancel(server, NULL);
	worker_pool_stop(server->workspace.pool);
	commands_close(server->workspace.commands);
	stdio_close(server->stdio);
	sessions_free(server->sessions);
	http_free(server->http);
	posts_close(server);
	listeners_free(server->listeners);
	worker_pool_free(server->workspace.pool);
	watcher_free(server->watcher);
	sse_hub_free(server->streams);
	guard_free(server->guard);
	catalog_free(server->catalog);
	secret_free(server->secret);
	path_roots_free(server->workspace.roots);
	loop_timer_free(server->deadline);
	loop_free(server->workspace.loop);
	state_close(&server->state);
}
