#include "http_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "loop.h"

enum { SWEEP_MS = 1000, LEAVE_MS = 300 /* for the last answers, at the end */ };

struct http {
	struct loop *loop;
	struct MHD_Daemon *daemon;
	struct http_options options;
	int listen_fd;
	char address[HTTP_ADDRESS_BYTES];
	uint16_t port;
	struct loop_io *io;
	struct loop_timer *sweep;
	struct http_connection *connections;
	struct http_request *requests;
	struct http_stats stats;
	bool run_soon, draining, closing;
	void (*idle)(void *data);
	void *idle_data;
};

/* ---- connections ---- */

static void name_client(struct http_connection *connection, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info->client_addr;

	if (address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
			connection->client, sizeof connection->client);
	else if (address->sa_family == AF_INET6)
		inet_ntop(AF_INET6,
			&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
			connection->client, sizeof connection->client);
}

/* The client closed its side, or the connection is gone. */
static void on_left(unsigned events, void *data)
{
	struct http_connection *connection = data;
	struct http_request *request = connection->request;

	connection->half_closed = true;
	connection->dead |= (events & (EPOLLHUP | EPOLLERR)) != 0;
	if (request && request->suspended)
		http_request_look(request);
	else if (!request || !request->body_done)
		shutdown(connection->fd, SHUT_RD); /* makes libmicrohttpd look again */
}

static void on_connection(void *data, struct MHD_Connection *mhd, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	struct http *http = data;
	struct http_connection *connection = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		connection = alloc_zero(sizeof *connection);
		connection->fd =
			MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		connection->deadline_ms =
			loop_now_ms(http->loop) + (int64_t)http->options.idle_s * 1000;
		name_client(connection, mhd);
		loop_io_new(http->loop, connection->fd, EPOLLRDHUP | EPOLLET, on_left, connection,
			&connection->watch, NULL);
		connection->next = http->connections;
		connection->link = &http->connections;
		if (connection->next)
			connection->next->link = &connection->next;
		http->connections = connection;
		http->stats.connections++;
		http->stats.active_connections++;
		*context = connection;
	} else if (connection) {
		*connection->link = connection->next;
		if (connection->next)
			connection->next->link = connection->link;
		http->stats.active_connections--;
		http_run_soon(http); /* where there was no room, MHD_run() listens again */
		loop_io_free(connection->watch);
		free(connection);
	}
}

void http_request_deadline(struct http_request *request, unsigned seconds)
{
	request->connection->deadline_ms =
		seconds ? loop_now_ms(request->http->loop) + (int64_t)seconds * 1000 : INT64_MAX;
}

void http_request_expect_left(struct http_request *request, size_t bytes)
{
	const struct http_options *options = &request->http->options;

	if (options->answer_rate == 0)
		return;
	request->connection->deadline_ms = loop_now_ms(request->http->loop) +
					   (int64_t)options->answer_s * 1000 +
					   (int64_t)bytes * 1000 / options->answer_rate;
}

/* Connections that dawdle over a head, a body or an answer: MHD's own time-out restarts at every
 * byte. */
static void sweep(void *data)
{
	struct http *http = data;
	int64_t now = loop_now_ms(http->loop);

	for (struct http_connection *c = http->connections; c; c = c->next) {
		if (c->deadline_ms <= now) {
			c->deadline_ms = INT64_MAX;
			shutdown(c->fd, SHUT_RDWR);
		}
	}
	loop_timer_set(http->sweep, SWEEP_MS);
}

/* ---- requests ---- */

static enum http_method method_of(const char *name)
{
	static const struct {
		const char *name;
		enum http_method method;
	} methods[] = { { "POST", HTTP_POST }, { "GET", HTTP_GET }, { "PUT", HTTP_PUT },
		{ "DELETE", HTTP_DELETE }, { "HEAD", HTTP_HEAD }, { "OPTIONS", HTTP_OPTIONS } };

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if (strcmp(name, methods[i].name) == 0)
			return methods[i].method;
	}
	return HTTP_OTHER;
}

static struct http_request *request_new(struct http *http, struct MHD_Connection *mhd,
	const char *path, const char *method)
{
	struct http_request *request = alloc_zero(sizeof *request);

	request->http = http;
	request->mhd = mhd;
	request->connection =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	request->connection->request = request;
	request->head = http->options.head;
	request->head_data = http->options.data;
	request->path = path;
	request->method_name = method;
	request->method = method_of(method);
	request->next = http->requests;
	request->link = &http->requests;
	if (request->next)
		request->next->link = &request->next;
	http->requests = request;
	http->stats.requests++;
	http->stats.active_requests++;
	return request;
}

static void request_free(struct http_request *request)
{
	struct http *http = request->http;

	*request->link = request->next;
	if (request->next)
		request->next->link = request->link;
	request->connection->request = NULL;
	buf_release(&request->body);
	for (size_t i = 0; i < request->header_count; i++) {
		free(request->headers[i].name);
		free(request->headers[i].value);
	}
	while (request->trimmed) {
		struct trimmed_value *next = request->trimmed->next;
		free(request->trimmed);
		request->trimmed = next;
	}
	if (request->response)
		MHD_destroy_response(request->response);
	free(request);
	http->stats.active_requests--;
	if (http->draining && !http->requests && http->idle)
		http->idle(http->idle_data);
}

/* Headers of which two are none: whoever looks at the first, and whoever looks at the last,
 * would serve different requests (RFC 9110, section 5.3; RFC 9112, section 6.3). */
static const char *const singular[] = { "Content-Length", "Transfer-Encoding", "Host",
	"Authorization", "Origin", "Content-Type" };

enum { SINGULAR = sizeof singular / sizeof singular[0], LENGTH = 0, CODING = 1 };

struct framing {
	unsigned seen[SINGULAR];
	const char *coding;
	bool doubled;
};

static enum MHD_Result look_at_header(void *data, enum MHD_ValueKind kind, const char *name,
	const char *value)
{
	struct framing *framing = data;

	(void)kind;
	for (size_t i = 0; i < SINGULAR; i++) {
		if ((name[0] | 0x20) != (singular[i][0] | 0x20) || strcasecmp(name, singular[i]) != 0)
			continue;
		framing->doubled |= framing->seen[i]++ > 0;
		if (i == CODING)
			framing->coding = value;
		break;
	}
	return MHD_YES;
}

/* Says why the request cannot be told from its surroundings; NULL where it can. A length beside
 * chunks is how requests are smuggled. */
static const char *ambiguity(struct http_request *request)
{
	struct framing framing = { .coding = "chunked" };

	MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, look_at_header, &framing);
	request->announces_body = framing.seen[LENGTH] || framing.seen[CODING];
	if (framing.doubled)
		return "A header that says one thing came twice.\n";
	if (framing.seen[LENGTH] && framing.seen[CODING])
		return "The length of the body is given in two ways.\n";
	if (strcasecmp(framing.coding, "chunked") != 0)
		return "Transfer-Encoding can be chunked only.\n";
	return NULL;
}

static enum MHD_Result queue_answer(struct http_request *request)
{
	struct MHD_Response *response = steal_ptr(&request->response);
	enum MHD_Result queued = MHD_queue_response(request->mhd, request->status, response);

	MHD_destroy_response(response);
	return queued;
}

static void call_head(struct http_request *request)
{
	request->head_pending = false;
	request->on_body_gone = NULL; /* of a head that waited */
	request->head(request, request->head_data);
}

static enum MHD_Result begin(struct http_request *request, bool nul_in_its_path)
{
	struct http *http = request->http;
	const char *problem =
		nul_in_its_path ? "The path holds a NUL character.\n" : ambiguity(request);

	http_request_deadline(request, http->options.idle_s);
	/* An answer in this first call ends the connection, so that the body need not be read;
	 * where there is none, the head can wait for the last call. */
	if (problem)
		http_reply_text(request, nul_in_its_path ? 404 : 400, "text/plain", problem);
	else if (request->announces_body)
		call_head(request);
	else
		request->head_pending = true;
	return request->response ? queue_answer(request) : MHD_YES;
}

static void take_piece(struct http_request *request, const char *bytes, size_t len)
{
	if (request->discarding || request->answered)
		return;
	if (request->piece) {
		http_request_deadline(request, request->http->options.idle_s);
		request->piece(request, bytes, len, request->body_data);
	} else if (request->in_memory && buf_add(&request->body, bytes, len) < 0) {
		http_reply_too_large(request);
	}
}

static void end_of_body(struct http_request *request)
{
	request->body_done = true;
	if (!request->answered)
		http_request_deadline(request, 0);
	if (request->head_pending && !request->answered)
		call_head(request);
	if (request->waits) {
		request->body_done = false;
		return;
	}
	if (!request->answered && request->on_body) {
		request->on_body_gone = NULL;
		request->on_body(request, request->body_data);
	}
}

/* Marks a request whose path holds a NUL: decoded, it would look like a shorter one. */
static char nul_in_path;

static void *on_uri(void *data, const char *uri, struct MHD_Connection *mhd)
{
	const char *nul = strstr(uri, "%00"), *query = strchr(uri, '?');

	(void)data, (void)mhd;
	return nul && (!query || nul < query) ? &nul_in_path : NULL;
}

static enum MHD_Result on_access(void *data, struct MHD_Connection *mhd, const char *path,
	const char *method, const char *version, const char *bytes, size_t *len, void **context)
{
	struct http_request *request = *context;

	(void)version;
	if (!request || *context == &nul_in_path) {
		bool nul = request;
		if (((struct http *)data)->closing) /* nobody would end it */
			return MHD_NO;
		*context = request = request_new(data, mhd, path, method);
		return begin(request, nul);
	}
	if (*len > 0 && request->head_pending && !request->waits && !request->answered)
		call_head(request); /* after a wait */
	/* Of a chunked body more may come at once: later. */
	if (*len > 0 && (request->paused || request->waits)) {
		http_request_sleep(request);
		return MHD_YES;
	}
	if (*len > 0) {
		take_piece(request, bytes, *len);
		*len = 0;
		if (request->paused)
			http_request_sleep(request);
		return MHD_YES;
	}
	if (!request->body_done && !request->waits)
		end_of_body(request);
	if (request->response)
		return queue_answer(request);
	http_request_sleep(request);
	return MHD_YES;
}

static void on_completed(void *data, struct MHD_Connection *mhd, void **context,
	enum MHD_RequestTerminationCode code)
{
	struct http_request *request = *context;

	(void)data, (void)mhd, (void)code;
	if (!request || *context == &nul_in_path)
		return;
	http_request_deadline(request, request->http->options.idle_s);
	if (request->connection->half_closed) /* it may not know yet: it looks again then */
		shutdown(request->connection->fd, SHUT_RD);
	if (request->on_body_gone)
		request->on_body_gone(request, request->body_data);
	if (request->stream)
		http_stream_forget_request(request->stream);
	request_free(request);
	*context = NULL;
}

/* ---- the daemon ---- */

unsigned http_body_seconds(const struct http *http)
{
	return http->options.body_s;
}

bool http_refuse_body(struct http_request *request)
{
	const struct http_options *options = &request->http->options;

	if (options->too_large)
		options->too_large(request, options->data);
	return options->too_large != NULL;
}

bool http_draining(const struct http *http)
{
	return http->draining;
}

void http_run_soon(struct http *http)
{
	http->run_soon = true;
}

void http_count_stream(struct http *http, int change)
{
	http->stats.active_streams += (size_t)change;
}

static void on_ready(unsigned events, void *data)
{
	(void)events;
	http_run_soon(data);
}

static int before_wait(void *data)
{
	struct http *http = data;
	MHD_UNSIGNED_LONG_LONG wait;

	if (http->run_soon) {
		http->run_soon = false;
		MHD_run(http->daemon);
	}
	if (http->run_soon)
		return 0;
	if (MHD_get_timeout(http->daemon, &wait) != MHD_YES)
		return -1;
	if (wait == 0)
		http->run_soon = true;
	return wait > SWEEP_MS ? SWEEP_MS : (int)wait;
}

/* What MHD has to say concerns single connections of strangers: not worth a line each. */
static void ignore_message(void *data, const char *format, va_list args)
{
	(void)data, (void)format, (void)args;
}

static int start_daemon(struct http *http, struct err *err)
{
	const struct http_options *o = &http->options;
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

	http->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_access, http,
		MHD_OPTION_EXTERNAL_LOGGER, ignore_message, NULL,
		MHD_OPTION_LISTEN_SOCKET, http->listen_fd,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
		MHD_OPTION_CONNECTION_LIMIT, o->connections_max,
		MHD_OPTION_CONNECTION_TIMEOUT, o->idle_s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, o->head_max,
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		MHD_OPTION_END);
	if (!http->daemon)
		return err_set(err, ERR_INTERNAL, "libmicrohttpd did not start");
	int fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	return loop_io_new(http->loop, fd, EPOLLIN, on_ready, http, &http->io, err);
}

int http_new(struct loop *loop, const struct http_options *options, struct http **out,
	struct err *err)
{
	struct http *http = alloc_zero(sizeof *http);

	http->loop = loop;
	http->options = *options;
	http->listen_fd = -1;
	http->sweep = loop_timer_new(loop, sweep, http);
	if (http_listen(options, &http->listen_fd, err) < 0 ||
		http_name_address(http->listen_fd, http->address, &http->port, err) < 0 ||
		start_daemon(http, err) < 0) {
		http_free(http);
		return -1;
	}
	loop_before_wait(loop, before_wait, http);
	loop_timer_set(http->sweep, SWEEP_MS);
	*out = http;
	return 0;
}

const char *http_address(const struct http *http)
{
	return http->address;
}

uint16_t http_port(const struct http *http)
{
	return http->port;
}

struct http_stats http_stats(const struct http *http)
{
	return http->stats;
}

void http_drain(struct http *http, void (*idle)(void *data), void *data)
{
	http->draining = true;
	http->idle = idle;
	http->idle_data = data;
	if (http->listen_fd >= 0 && MHD_quiesce_daemon(http->daemon) >= 0) {
		close(http->listen_fd);
		http->listen_fd = -1;
	}
	if (!http->requests)
		idle(data);
}

/* Whether all that is to be said is there, so that it only has to leave. */
static bool is_leaving(const struct http_request *request)
{
	bool queued = request->answered && !request->response;

	return (request->body_done || queued) &&
	       (!request->stream || http_stream_ended(request->stream));
}

static void cut(struct http_request *request)
{
	shutdown(request->connection->fd, SHUT_RDWR);
	if (request->stream)
		http_stream_cut(request->stream);
}

/* The loop does not turn any more. */
static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until they have left, or the time is over. */
static void let_leave(struct http *http)
{
	int fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	int64_t end = clock_ms() + LEAVE_MS, left;
	MHD_UNSIGNED_LONG_LONG wait;

	MHD_run(http->daemon);
	while (http->requests && (left = end - clock_ms()) > 0) {
		if (MHD_get_timeout(http->daemon, &wait) == MHD_YES && wait < (uint64_t)left)
			left = (int64_t)wait;
		poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, (int)left);
		MHD_run(http->daemon);
	}
}

/* libmicrohttpd panics where it is stopped with suspended connections. */
static void end_requests(struct http *http)
{
	http->idle = NULL;
	http->closing = true;
	for (struct http_request *request = http->requests; request; request = request->next) {
		if (!request->answered)
			http_reply_text(request, 503, "text/plain", "The server is stopping.\n");
		if (!is_leaving(request))
			cut(request);
	}
	let_leave(http);
	for (struct http_request *request = http->requests; request; request = request->next)
		cut(request);
	for (int i = 0; http->requests && i < 100; i++)
		MHD_run(http->daemon);
}

void http_free(struct http *http)
{
	if (!http)
		return;
	if (http->daemon) {
		loop_before_wait(http->loop, NULL, NULL);
		end_requests(http);
		loop_io_free(http->io);
		MHD_stop_daemon(http->daemon);
	} else {
		cleanup_close(&http->listen_fd);
	}
	loop_timer_free(http->sweep);
	free(http);
}
