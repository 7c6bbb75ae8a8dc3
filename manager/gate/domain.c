#include "gate_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "loop.h"

/*
 * A request's life: its head is read, its Host gives the sandbox and the port, a connection there
 * takes it over. Or it gets a page of ours: then what the client still sends is read and dropped
 * for a moment, since closing at once would reset the connection under the page.
 */
enum {
	HEAD_MS = 10 * 1000,
	REQUESTS_MAX = 1024, /* that are not routed yet, or say farewell */
};

struct domain {
	struct gate *gate;
	char *name;
	struct gate_listener *listener;
	struct domain_request *requests;
	size_t count;
};

struct domain_request {
	struct domain *domain;
	int client;
	struct loop_io *io;
	struct loop_timer *timer;
	struct buf bytes, first; /* received; to be sent first */
	struct exchange exchange;
	struct domain_request *next, **link; /* while it is the listener's */
};

/* ---- the listener's requests ---- */

static void join(struct domain_request *request)
{
	struct domain *domain = request->domain;

	request->next = domain->requests;
	request->link = &domain->requests;
	if (request->next)
		request->next->link = &request->next;
	domain->requests = request;
	domain->count++;
}

static void part(struct domain_request *request)
{
	if (!request->link)
		return;
	*request->link = request->next;
	if (request->next)
		request->next->link = request->link;
	request->link = NULL;
	request->domain->count--;
}

static void unwatch(struct domain_request *request)
{
	loop_io_free(request->io);
	request->io = NULL;
	loop_timer_stop(request->timer);
}

void domain_request_free(struct domain_request *request)
{
	part(request);
	unwatch(request);
	loop_timer_free(request->timer);
	cleanup_close(&request->client);
	buf_release(&request->bytes);
	buf_release(&request->first);
	buf_release(&request->exchange.answer);
	free(request);
}

static void on_farewell(unsigned events, void *data)
{
	struct domain_request *request = data;
	char bytes[16 * 1024];
	ssize_t n = recv(request->client, bytes, sizeof bytes, MSG_DONTWAIT);

	(void)events;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		domain_request_free(request);
}

/* Sends a page and frees the request, at once or after the farewell. */
static void refuse(struct domain_request *request, unsigned status)
{
	AUTO_BUF struct buf page = BUF_INIT(4096);

	unwatch(request);
	exchange_add_page(&page, status);
	if (send(request->client, page.data, page.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ||
		shutdown(request->client, SHUT_WR) < 0 ||
		loop_io_new(request->domain->gate->loop, request->client, EPOLLIN, on_farewell,
			request, &request->io, NULL) < 0) {
		domain_request_free(request);
		return;
	}
	buf_release(&request->bytes);
	buf_release(&request->first);
	loop_timer_set(request->timer, FAREWELL_MS);
}

/* ---- where it goes ---- */

/* {port}-{id}.{domain}, and a port behind it, which is the listener's or its front's. */
static struct gate_sandbox *find_sandbox(
	const struct domain *domain, struct http_text host, uint16_t *port)
{
	char name[256];
	size_t len = 0;
	char *rest = NULL;

	for (; len < host.len && host.at[len] != ':'; len++) {
		if (len == sizeof name - 1)
			return NULL;
		char c = host.at[len];
		name[len] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	name[len] = '\0';
	if (name[0] < '1' || name[0] > '9')
		return NULL;
	unsigned long number = strtoul(name, &rest, 10);
	char *dot = strchr(name, '.');
	if (!dot || number > UINT16_MAX || *rest != '-' || strcmp(dot + 1, domain->name) != 0)
		return NULL;
	*port = (uint16_t)number;
	return gate_find(domain->gate, rest + 1, (size_t)(dot - rest - 1));
}

/* The other side's address, as text, and whether that is this machine. */
static bool name_peer(int fd, char *text, size_t size)
{
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof peer;
	const struct sockaddr_in *v4 = (const void *)&peer;
	const struct sockaddr_in6 *v6 = (const void *)&peer;

	getpeername(fd, (struct sockaddr *)&peer, &len);
	if (peer.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, text, (socklen_t)size);
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	}
	inet_ntop(AF_INET, &v4->sin_addr, text, (socklen_t)size);
	return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* Makes what is sent first: the head anew, and what has come of the body. */
static int prepare(struct domain_request *request, const struct http_head *head)
{
	char peer[INET6_ADDRSTRLEN];
	bool trusted = name_peer(request->client, peer, sizeof peer);
	const char *rest = request->bytes.data + head->size;
	size_t len = request->bytes.len - head->size;
	ssize_t n = 0;

	exchange_init(&request->exchange, head);
	buf_init(&request->first, (size_t)3 * HEAD_MAX);
	if (len > 0)
		n = exchange_request(rest, len, &request->exchange);
	if (n < 0 || exchange_add_request(&request->first, head, peer, trusted) < 0 ||
		buf_add(&request->first, rest, (size_t)n) < 0)
		return -1;
	buf_release(&request->bytes);
	return 0;
}

static void route(struct domain_request *request, const struct http_head *head)
{
	struct domain *domain = request->domain;
	struct gate *gate = domain->gate;
	uint16_t port;
	struct gate_sandbox *sandbox = find_sandbox(domain, head->host, &port);

	if (!sandbox || !gate->events->known(sandbox->id, port, gate->data)) {
		refuse(request, 404);
	} else if (prepare(request, head) < 0) {
		refuse(request, 400);
	} else {
		unwatch(request);
		part(request);
		gate_conn_new(sandbox, port, steal_fd(&request->client), request);
	}
}

/* ---- its head ---- */

static void on_head(unsigned events, void *data)
{
	struct domain_request *request = data;
	struct buf *bytes = &request->bytes;
	struct http_head head;
	struct err err;
	char *room = buf_reserve(bytes, HEAD_MAX / 2);

	(void)events;
	ssize_t n = recv(request->client, room, HEAD_MAX / 2, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		domain_request_free(request);
		return;
	}
	buf_commit(bytes, (size_t)n);
	int whole = http_head_request(bytes->data, bytes->len, &head, &err);
	if (whole < 0)
		refuse(request, err.code == ERR_LIMIT ? 431 : 400);
	else if (whole == 1 ? head.size > HEAD_MAX : bytes->len >= HEAD_MAX)
		refuse(request, 431);
	else if (whole == 1)
		route(request, &head);
}

static void on_late(void *data)
{
	struct domain_request *request = data;

	if (request->bytes.len > 0)
		refuse(request, 408);
	else
		domain_request_free(request);
}

static void on_request(int fd, void *data)
{
	struct domain *domain = data;
	struct loop *loop = domain->gate->loop;

	if (domain->count >= REQUESTS_MAX) {
		gate_reset(fd);
		return;
	}
	struct domain_request *request = alloc_zero(sizeof *request);
	*request = (struct domain_request){ .domain = domain, .client = fd };
	buf_init(&request->bytes, (size_t)2 * HEAD_MAX);
	request->timer = loop_timer_new(loop, on_late, request);
	join(request);
	if (loop_io_new(loop, fd, EPOLLIN, on_head, request, &request->io, NULL) < 0)
		domain_request_free(request);
	else
		loop_timer_set(request->timer, HEAD_MS);
}

/* ---- its connection ---- */

void domain_request_refuse(struct domain_request *request, int client, unsigned status)
{
	request->client = client;
	join(request);
	refuse(request, status);
}

int domain_request_pass(struct domain_request *request, struct splice *splice)
{
	struct exchange *exchange = &request->exchange;

	exchange->splice = splice;
	splice_filter(splice, SPLICE_UP, exchange_request, exchange);
	splice_filter(splice, SPLICE_DOWN, exchange_answer, exchange);
	int put = splice_put(splice, SPLICE_UP, request->first.data, request->first.len);
	buf_release(&request->first);
	return put;
}

/* ---- the listener ---- */

void domain_free(struct domain *domain)
{
	if (!domain)
		return;
	gate_listener_free(domain->listener);
	while (domain->requests)
		domain_request_free(domain->requests);
	free(domain->name);
	free(domain);
}

static int listen_at(struct domain *domain, const char *host, uint16_t port, struct err *err)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *address;
	char service[8];

	snprintf(service, sizeof service, "%u", port);
	if (getaddrinfo(host, service, &hints, &address) != 0)
		return err_set(err, ERR_INVALID, "%s is not an address", host);
	int done = gate_listen(domain->gate, address->ai_addr, address->ai_addrlen, on_request,
		domain, &domain->listener, err);
	freeaddrinfo(address);
	return done < 0 ? err_wrap(err, "serve domain at %s port %u", host, port) : 0;
}

int gate_serve_domain(struct gate *gate, const char *host, uint16_t port, const char *name,
	uint16_t *out, struct err *err)
{
	struct domain *domain = alloc_zero(sizeof *domain);
	struct sockaddr_in6 address; /* whose port stands where that of IPv4 does */
	socklen_t size = sizeof address;

	*domain = (struct domain){ .gate = gate, .name = alloc_text(name) };
	for (char *c = domain->name; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
	if (listen_at(domain, host, port, err) < 0) {
		domain_free(domain);
		return -1;
	}
	getsockname(domain->listener->fd, (struct sockaddr *)&address, &size);
	*out = ntohs(address.sin6_port);
	domain_free(gate->domain);
	gate->domain = domain;
	return 0;
}
