/* The socket that a server listens on. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "err.h"
#include "http_impl.h"

enum { BACKLOG = 4096 };

int http_listen(const struct http_options *options, int *out, struct err *err)
{
	const char *host = options->host;
	char port[8];
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;

	snprintf(port, sizeof port, "%u", options->port);
	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return err_set(err, ERR_INVALID,
			"'%s' is not an IP address: use 127.0.0.1, 0.0.0.0, ::1 or one of this "
			"machine's",
			host);
	AUTO_CLOSE int fd =
		socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;
	int failed = fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
		     bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0;
	freeaddrinfo(found);
	if (failed && errno == EADDRINUSE)
		return err_set(err, ERR_CONFLICT,
			"port %u on %s is in use: choose another with --port (0: any free one)",
			options->port, host);
	if (failed)
		return err_sys(err, "listen on %s port %u", host, options->port);
	*out = steal_fd(&fd);
	return 0;
}

int http_name_address(
	int fd, char out[HTTP_ADDRESS_BYTES], uint16_t *out_port, struct err *err)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof address;
	char host[INET6_ADDRSTRLEN], port[8];

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0 ||
		getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return err_sys(err, "read the address of the socket");
	*out_port = (uint16_t)strtoul(port, NULL, 10);
	snprintf(out, HTTP_ADDRESS_BYTES,
		address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}
