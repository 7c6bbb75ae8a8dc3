/*
 * A gate without the manager, for the comparison with the straight way: port 6060 of its one
 * sandbox is a port of this machine.
 *
 *		gate_driver ADDRESS PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "err.h"
#include "gate.h"
#include "loop.h"

static uint16_t upstream;

static int dial(const char *id, uint16_t port, int *fd, struct err *err, void *data)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons(upstream),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int made = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)id, (void)port, (void)data;
	if (made < 0 ||
		(connect(made, (struct sockaddr *)&at, sizeof at) < 0 && errno != EINPROGRESS))
		return err_sys(err, "connect");
	*fd = made;
	return 0;
}

static void ignore(const char *id, void *data)
{
	(void)id, (void)data;
}

static bool known(const char *id, uint16_t port, void *data)
{
	(void)id, (void)data;
	return port == 6060;
}

int main(int argc, char **argv)
{
	static const struct gate_events events = {
		.dial = dial, .active = ignore, .wake = ignore, .known = known
	};
	struct gate_sandbox *sandbox;
	struct loop *loop;
	struct err err;
	uint16_t port;

	if (argc < 3)
		return 2;
	upstream = (uint16_t)strtoul(argv[2], NULL, 10);
	if (loop_new(&loop, &err) < 0)
		return 1;
	struct gate *gate = gate_new(loop, &events, NULL);
	if (gate_add(gate, "abcdefghij0123456789", argv[1], &sandbox, &err) < 0 ||
		gate_open_port(sandbox, 6060, &port, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	printf("listening on http://%s:%u\n", argv[1], port);
	fflush(stdout);
	return loop_run(loop, &err) < 0;
}
