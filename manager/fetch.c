#include "fetch.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "err.h"
#include "loop.h"

enum {
	CONNECT_MS = 10000,
	SEND_MAX_BYTES = 1024 * 1024, /* of a streamed body that wait */
	IDLE_CONNECTIONS_MAX = 256,
	IDLE_S = 60, /* an unused connection is kept for this long */
	HEADER_BYTES_MAX = 64 * 1024,
};

struct fetch_pool {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer;
	struct loop_timer *soon; /* fires where something was asked for outside of libcurl */
	struct curl_slist *here; /* a dialled name is never looked up */
	TAILQ_HEAD(, fetch) fetches;
	int depth; /* inside libcurl: it must not be entered again */
	bool asked;
};

struct fetch {
	struct fetch_pool *pool;
	CURL *easy;
	curl_socket_t fd; /* that libcurl waits for; -1: none */
	struct curl_slist *headers;
	struct fetch_events events;
	void *data;
	int (*dial)(int *fd, struct err *err, void *data);
	void *dial_data;
	struct err dial_err;
	bool told_head, cancelled, send_ended, send_paused, resume;
	size_t header_bytes;
	struct buf sending;
	char problem[CURL_ERROR_SIZE];
	TAILQ_ENTRY(fetch) link;
};

struct fetch_socket {
	struct fetch_pool *pool;
	struct loop_io *io;
	curl_socket_t fd;
};

/* Resets the connection: of one that is merely closed, the other side cannot know for a while
 * that nobody waits for the rest. */
static void reset(const struct fetch *fetch)
{
	const struct linger at_once = { .l_onoff = 1 };

	if (fetch->fd >= 0)
		setsockopt(fetch->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static void fetch_free(struct fetch *fetch)
{
	if (fetch->cancelled)
		reset(fetch);
	TAILQ_REMOVE(&fetch->pool->fetches, fetch, link);
	curl_multi_remove_handle(fetch->pool->multi, fetch->easy);
	curl_easy_cleanup(fetch->easy);
	curl_slist_free_all(fetch->headers);
	buf_release(&fetch->sending);
	free(fetch);
}

static void tell_head(struct fetch *fetch)
{
	curl_off_t length = -1;
	long status = 0;

	if (fetch->told_head)
		return;
	fetch->told_head = true;
	curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(fetch->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (fetch->events.head)
		fetch->events.head(fetch, (unsigned)status, length, fetch->data);
}

/* ---- what libcurl asks of the loop ---- */

static enum err_code code_of(CURLcode code)
{
	if (code == CURLE_OPERATION_TIMEDOUT)
		return ERR_TIMEOUT;
	if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
		return ERR_INVALID;
	return ERR_IO;
}

static void end(struct fetch *fetch, CURLcode code)
{
	struct err err;

	if (code == CURLE_OK)
		tell_head(fetch); /* an answer without a body */
	if (code != CURLE_OK && fetch->dial_err.code)
		err = fetch->dial_err;
	else if (code != CURLE_OK)
		err_set(&err, code_of(code), "%s",
			*fetch->problem ? fetch->problem : curl_easy_strerror(code));
	fetch->events.end(fetch, code == CURLE_OK ? NULL : &err, fetch->data);
}

static void look_at_ended(struct fetch_pool *pool)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(pool->multi, &left))) {
		struct fetch *fetch;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
		if (!fetch->cancelled)
			end(fetch, code);
		fetch_free(fetch);
	}
}

static void look_at_asked(struct fetch_pool *pool)
{
	struct fetch *fetch, *next;

	for (fetch = TAILQ_FIRST(&pool->fetches); fetch; fetch = next) {
		next = TAILQ_NEXT(fetch, link);
		if (fetch->cancelled) {
			fetch_free(fetch);
		} else if (fetch->resume) {
			fetch->resume = false;
			pool->depth++;
			curl_easy_pause(fetch->easy, CURLPAUSE_CONT);
			pool->depth--;
		}
	}
}

/* What came of it, and what was asked for while libcurl was running its callbacks. */
static void catch_up(struct fetch_pool *pool)
{
	do {
		pool->asked = false;
		look_at_ended(pool);
		look_at_asked(pool);
	} while (pool->asked);
}

static void drive(struct fetch_pool *pool, curl_socket_t fd, int events)
{
	int running;

	pool->depth++;
	curl_multi_socket_action(pool->multi, fd, events, &running);
	pool->depth--;
	catch_up(pool);
}

static void on_socket(unsigned events, void *data)
{
	struct fetch_socket *socket = data;
	int flags = 0;

	if (events & (EPOLLIN | EPOLLHUP))
		flags |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		flags |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		flags |= CURL_CSELECT_ERR;
	drive(socket->pool, socket->fd, flags);
}

static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	struct fetch_pool *pool = data;
	struct fetch_socket *socket = socket_data;
	unsigned events = 0;
	struct fetch *fetch;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &fetch);
	if (fetch) /* else it is libcurl's own, which closes an idle connection */
		fetch->fd = what == CURL_POLL_REMOVE ? -1 : fd;
	if (what == CURL_POLL_REMOVE) {
		if (socket)
			loop_io_free(socket->io);
		free(socket);
		curl_multi_assign(pool->multi, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	if (socket)
		return loop_io_set(socket->io, events, NULL);
	socket = alloc_zero(sizeof *socket);
	*socket = (struct fetch_socket){ .pool = pool, .fd = fd };
	if (loop_io_new(pool->loop, fd, events, on_socket, socket, &socket->io, NULL) < 0) {
		free(socket);
		return -1;
	}
	curl_multi_assign(pool->multi, fd, socket);
	return 0;
}

static void on_timer(void *data)
{
	drive(data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_soon(void *data)
{
	catch_up(data);
}

static int timer_changed(CURLM *multi, long delay_ms, void *data)
{
	struct fetch_pool *pool = data;

	(void)multi;
	if (delay_ms < 0)
		loop_timer_stop(pool->timer);
	else
		loop_timer_set(pool->timer, delay_ms);
	return 0;
}

struct fetch_pool *fetch_pool_new(struct loop *loop)
{
	struct fetch_pool *pool = alloc_zero(sizeof *pool);

	curl_global_init(CURL_GLOBAL_DEFAULT);
	pool->loop = loop;
	pool->timer = loop_timer_new(loop, on_timer, pool);
	pool->soon = loop_timer_new(loop, on_soon, pool);
	pool->here = curl_slist_append(NULL, "::127.0.0.1:");
	pool->multi = curl_multi_init();
	TAILQ_INIT(&pool->fetches);
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, timer_changed);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS_MAX);
	return pool;
}

/* Of what was sent nobody here knows how far it got. */
static void end_early(struct fetch *fetch)
{
	static const struct err never_sent = { ERR_CANCELLED, 0, "the manager is stopping" },
				sent = { ERR_IO, 0,
					"the manager stopped while this was under way: it may have "
					"been done, so look before you try again" };
	long bytes = 0;

	curl_easy_getinfo(fetch->easy, CURLINFO_REQUEST_SIZE, &bytes);
	fetch->events.end(fetch, bytes > 0 ? &sent : &never_sent, fetch->data);
}

void fetch_pool_free(struct fetch_pool *pool)
{
	struct fetch *fetch;

	if (!pool)
		return;
	while ((fetch = TAILQ_FIRST(&pool->fetches))) {
		if (!fetch->cancelled)
			end_early(fetch);
		fetch_free(fetch);
	}
	curl_multi_cleanup(pool->multi);
	curl_slist_free_all(pool->here);
	loop_timer_free(pool->timer);
	loop_timer_free(pool->soon);
	free(pool);
}

/* ---- one request ---- */

static size_t on_header(char *line, size_t size, size_t count, void *data)
{
	struct fetch *fetch = data;

	(void)line;
	fetch->header_bytes += size * count;
	return fetch->header_bytes > HEADER_BYTES_MAX ? 0 : size * count;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
	struct fetch *fetch = data;

	if (fetch->cancelled)
		return 0;
	tell_head(fetch);
	if (fetch->cancelled)
		return 0;
	if (fetch->events.piece && !fetch->events.piece(fetch, bytes, size * count, fetch->data))
		return fetch->cancelled ? 0 : CURL_WRITEFUNC_PAUSE;
	return fetch->cancelled ? 0 : size * count;
}

static size_t on_send(char *room, size_t size, size_t count, void *data)
{
	struct fetch *fetch = data;
	size_t len = fetch->sending.len;

	if (fetch->cancelled)
		return CURL_READFUNC_ABORT;
	if (len == 0 && !fetch->send_ended) {
		fetch->send_paused = true;
		return CURL_READFUNC_PAUSE;
	}
	if (len > size * count)
		len = size * count;
	if (len > 0)
		memcpy(room, fetch->sending.data, len);
	buf_consume(&fetch->sending, len);
	if (fetch->events.room && !fetch->send_ended)
		fetch->events.room(fetch, fetch->data);
	return len;
}

static curl_socket_t on_open(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct fetch *fetch = data;
	int fd;

	(void)purpose;
	(void)address;
	if (fetch->cancelled)
		return CURL_SOCKET_BAD;
	return fetch->dial(&fd, &fetch->dial_err, fetch->dial_data) < 0 ? CURL_SOCKET_BAD : fd;
}

/* The dialled socket is connected, or about to be: libcurl must not connect it once more. */
static int on_socket_made(void *data, curl_socket_t fd, curlsocktype purpose)
{
	(void)data;
	(void)fd;
	(void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static void set_body(struct fetch *fetch, const struct fetch_spec *spec)
{
	CURL *easy = fetch->easy;

	if (spec->streamed) {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
		curl_easy_setopt(easy, CURLOPT_READDATA, fetch);
		if (spec->body_size >= 0)
			curl_easy_setopt(
				easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)spec->body_size);
	} else if (spec->body || strcmp(spec->method, "POST") == 0 ||
		   strcmp(spec->method, "PUT") == 0) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)spec->body_len);
		curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, spec->body ? spec->body : "");
	}
	if (strcmp(spec->method, "GET") != 0)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, spec->method);
}

static void set_headers(struct fetch *fetch, const struct fetch_spec *spec)
{
	for (size_t i = 0; i < FETCH_HEADERS_MAX && spec->headers[i]; i++)
		fetch->headers = curl_slist_append(fetch->headers, spec->headers[i]);
	fetch->headers = curl_slist_append(fetch->headers, "Expect:");
	curl_easy_setopt(fetch->easy, CURLOPT_HTTPHEADER, fetch->headers);
}

static void set_limits(CURL *easy, const struct fetch_spec *spec)
{
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
		(long)(spec->connect_ms ? spec->connect_ms : CONNECT_MS));
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)spec->total_ms);
	if (spec->silence_ms) {
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(spec->silence_ms / 1000));
	}
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_S);
}

struct fetch *fetch_start(struct fetch_pool *pool, const struct fetch_spec *spec,
	const struct fetch_events *events, void *data)
{
	struct fetch *fetch = alloc_zero(sizeof *fetch);
	CURL *easy = curl_easy_init();

	fetch->fd = -1;
	if (!easy)
		abort();
	fetch->pool = pool;
	fetch->easy = easy;
	fetch->events = *events;
	fetch->data = data;
	fetch->dial = spec->dial;
	fetch->dial_data = spec->dial_data;
	buf_init(&fetch->sending, SEND_MAX_BYTES);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
	curl_easy_setopt(easy, CURLOPT_URL, spec->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->problem);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
	set_body(fetch, spec);
	set_headers(fetch, spec);
	set_limits(easy, spec);
	if (spec->dial) {
		curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
		curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fetch);
		curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
		curl_easy_setopt(easy, CURLOPT_CONNECT_TO, pool->here);
	}
	TAILQ_INSERT_TAIL(&pool->fetches, fetch, link);
	curl_multi_add_handle(pool->multi, easy);
	return fetch;
}

/* libcurl may be the caller, and must not be entered again: then it is done when that returns. */
static void ask(struct fetch_pool *pool)
{
	pool->asked = true;
	if (pool->depth == 0)
		loop_timer_set(pool->soon, 0);
}

void fetch_cancel(struct fetch *fetch)
{
	if (!fetch)
		return;
	fetch->cancelled = true;
	ask(fetch->pool);
}

void fetch_resume(struct fetch *fetch)
{
	fetch->resume = true;
	ask(fetch->pool);
}

void fetch_send(struct fetch *fetch, const void *bytes, size_t len)
{
	if (buf_add(&fetch->sending, bytes, len) < 0)
		return;
	if (fetch->send_paused) {
		fetch->send_paused = false;
		fetch_resume(fetch);
	}
}

void fetch_send_end(struct fetch *fetch)
{
	fetch->send_ended = true;
	if (fetch->send_paused) {
		fetch->send_paused = false;
		fetch_resume(fetch);
	}
}

size_t fetch_queued(const struct fetch *fetch)
{
	return fetch->sending.len;
}

const char *fetch_header(struct fetch *fetch, const char *name)
{
	struct curl_header *header;

	return curl_easy_header(fetch->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK
		       ? header->value
		       : NULL;
}
