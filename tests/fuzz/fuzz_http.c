/* Any bytes on a connection: an answer or an end, and the server goes on. Nobody has the token,
 * so nothing but the head, the routes and the guard is reached. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "http.h"
#include "loop.h"

#include "server_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_answer(unsigned events, void *data)
{
	struct loop *loop = data;

	(void)events;
	loop_stop(loop);
}

/* Reads until the server closes; false where it has more to say later. */
static void drain(int fd, struct loop *loop)
{
	char bytes[4096];
	struct loop_io *io;
	ssize_t n;

	if (loop_io_new(loop, fd, EPOLLIN | EPOLLRDHUP, on_answer, loop, &io, NULL) < 0)
		abort();
	do {
		loop_run(loop, NULL);
		n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
	} while (n > 0);
	loop_io_free(io);
}

/* Closed connections keep their ports for a minute: each new one comes from another address. */
static void bind_somewhere(int fd)
{
	static uint32_t next;
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x7F010001 + next++ % 0xFFFF) };
	int on = 1;

	MUST(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on));
	MUST(bind(fd, (struct sockaddr *)&address, sizeof address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct server *server;
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	server = server ? server : kit_server("a-token-of-more-than-sixteen-characters");
	address.sin_port = htons(http_port(server->http));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(fd);
	bind_somewhere(fd);
	MUST(connect(fd, (struct sockaddr *)&address, sizeof address));
	if (size > 0 && send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size) {
		MUST(shutdown(fd, SHUT_WR));
		drain(fd, server->workspace.loop);
	}
	close(fd);
	return 0;
}
