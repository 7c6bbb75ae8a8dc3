#ifndef GATE_KIT_H
#define GATE_KIT_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"
#include "gate.h"
#include "loop.h"
#include "test.h"

/*
 * A gate whose sandbox is a listener of this process: `inside`. Clients are sockets of this
 * process, too; the loop runs in short turns while a case waits for what it wants to see.
 */
static struct loop *loop;
static struct gate *gate;
static struct gate_sandbox *sandbox;
static int inside; /* listens; what the sandbox's port 6060 is */
static uint16_t inside_port, outside_port;
static int dials, actives, wakes;
static const char ID[] = "abcdefghij0123456789";
static char address[sizeof "127.83.255.255"]; /* of this process, so that several may run */

enum { PORT = 6060, PATIENCE_MS = 10 * 1000 };

static inline int socket_at(const char *host, uint16_t port, bool listening)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int yes = 1;

	inet_pton(AF_INET, host, &at.sin_addr);
	if (listening) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
		CHECK_INT(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
		CHECK_INT(listen(fd, 100), 0);
	} else if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0) {
		CHECK_INT(errno, EINPROGRESS);
	}
	return fd;
}

static inline uint16_t port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t size = sizeof at;

	getsockname(fd, (struct sockaddr *)&at, &size);
	return ntohs(at.sin_port);
}

static inline int dial(const char *id, uint16_t port, int *fd, struct err *err, void *data)
{
	(void)data;
	CHECK_TEXT(id, ID);
	dials++;
	if (port != PORT)
		return err_set(err, ERR_IO, "no such port inside");
	*fd = socket_at("127.0.0.1", inside_port, false);
	return 0;
}

static inline void active(const char *id, void *data)
{
	(void)data;
	CHECK_TEXT(id, ID);
	actives++;
}

static inline void wake(const char *id, void *data)
{
	(void)data;
	CHECK_TEXT(id, ID);
	wakes++;
}

static inline bool known(const char *id, uint16_t port, void *data)
{
	(void)data;
	return strcmp(id, ID) == 0 && port == PORT;
}

static const struct gate_events events = {
	.dial = dial, .active = active, .wake = wake, .known = known
};

/* ---- turns of the loop ---- */

static inline int bound(void *data)
{
	(void)data;
	return 1;
}

static inline void stop(void *data)
{
	(void)data;
	loop_stop(loop);
}

static inline void turn(void)
{
	loop_post(loop, stop, NULL);
	CHECK_INT(loop_run(loop, NULL), 0);
}

/* Turns until `what` is true; a case that waits for too long has failed. */
#define UNTIL(what)                                               \
	do {                                                      \
		int64_t until_ = loop_now_ms(loop) + PATIENCE_MS; \
		while (!(what) && loop_now_ms(loop) < until_)     \
			turn();                                   \
		CHECK(what);                                      \
	} while (0)

/* Everything that is on its way on this machine has arrived after some turns. */
static inline void settle(void)
{
	for (int i = 0; i < 20; i++)
		turn();
}

static inline void start(void)
{
	dials = actives = wakes = 0;
	snprintf(address, sizeof address, "127.83.%d.%d", getpid() >> 8 & 255, getpid() & 255);
	CHECK_INT(loop_new(&loop, NULL), 0);
	loop_before_wait(loop, bound, NULL);
	gate = gate_new(loop, &events, NULL);
	CHECK_INT(gate_add(gate, ID, address, &sandbox, NULL), 0);
	CHECK_INT(gate_open_port(sandbox, PORT, &outside_port, NULL), 0);
	inside = socket_at("127.0.0.1", 0, true);
	inside_port = port_of(inside);
}

static inline void end(void)
{
	gate_free(gate);
	loop_free(loop);
	close(inside);
}

/* ---- clients, and what stands inside ---- */

static inline int join(void)
{
	return socket_at(address, outside_port, false);
}

static int fd_inside;

static inline bool came_in(void)
{
	fd_inside = accept4(inside, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return fd_inside >= 0;
}

static inline int arrive(void)
{
	int64_t until = loop_now_ms(loop) + PATIENCE_MS;

	while (!came_in() && loop_now_ms(loop) < until)
		turn();
	CHECK(fd_inside >= 0);
	return fd_inside;
}

static inline void say(int fd, const char *text)
{
	size_t sent = 0;

	while (sent < strlen(text)) {
		ssize_t n = send(fd, text + sent, strlen(text) - sent, MSG_NOSIGNAL);
		if (n > 0)
			sent += (size_t)n;
		else if (errno != EAGAIN && errno != ENOTCONN)
			break;
		else
			turn();
	}
	CHECK_INT(sent, strlen(text));
}

/* What recv() gives once it gives something: a count, 0 for the end, or -errno. */
static inline ssize_t hear_some(int fd, char *bytes, size_t size)
{
	int64_t until = loop_now_ms(loop) + PATIENCE_MS;
	ssize_t n;

	while ((n = recv(fd, bytes, size, 0)) < 0 && errno == EAGAIN && loop_now_ms(loop) < until)
		turn();
	return n < 0 ? -errno : n;
}

static inline void hear(int fd, const char *text)
{
	char bytes[4096];
	size_t have = 0;

	while (have < strlen(text)) {
		ssize_t n = hear_some(fd, bytes + have, strlen(text) - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	bytes[have] = '\0';
	CHECK_TEXT(bytes, text);
}

static inline ssize_t hear_end(int fd)
{
	char byte;

	return hear_some(fd, &byte, 1);
}

static inline bool silent(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

static inline void reset(int fd)
{
	const struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
}

#endif
