#include "keeper_link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "loop.h"
#include "proc.h"

enum {
	OUT_MAX = 16 * 1024 * 1024, /* starts that the keeper has not taken yet */
	WELCOME_MS = 1000,          /* an old keeper that is silent for longer is left alone */
	LEAVE_MS = 1000,
	GONE_MS = 100,
	FIRST_FREE_FD = 10, /* above all that the keeper gets */
	BACKLOG = 4,
};

static const char socket_name[] = "keeper.sock";

struct keeper_link {
	struct loop *loop;
	int state_fd;
	struct keeper_link_options options;
	char *keeper_path;

	struct wire wire; /* fd -1: not connected */
	struct loop_io *io;
	bool welcomed, writing;
	uint32_t version; /* the keeper's */

	pid_t pid; /* of the keeper, where it is a child of ours; 0: not */
	int pidfd;
	struct loop_io *pidfd_io;
};

/* ---- the connection ---- */

static void disconnect(struct keeper_link *link)
{
	loop_io_free(steal_ptr(&link->io));
	if (link->wire.fd >= 0)
		wire_release(&link->wire);
	link->welcomed = link->writing = false;
}

static void lose(struct keeper_link *link, const struct err *why)
{
	disconnect(link);
	link->options.lost(why, link->options.data);
}

static int on_message(struct wire_message *message, void *data, struct err *err)
{
	struct keeper_link *link = data;
	struct wire_welcome welcome;

	if (message->head.type != WIRE_WELCOME)
		return link->options.message(message, link->options.data, err);
	if (wire_body(message, &welcome, sizeof welcome, NULL, err) < 0)
		return -1;
	link->version = welcome.version;
	link->welcomed = true;
	return 0;
}

static void watch_for_room(struct keeper_link *link)
{
	bool writing = link->wire.out.len > 0;

	if (!link->io || writing == link->writing)
		return;
	link->writing = writing;
	loop_io_set(link->io, writing ? EPOLLIN | EPOLLOUT : EPOLLIN, NULL);
}

static void on_socket(unsigned events, void *data)
{
	struct keeper_link *link = data;
	struct err err;

	(void)events;
	int result = wire_receive(&link->wire, on_message, link, &err);
	if (result == 0)
		result = wire_flush(&link->wire, &err);
	if (result > 0)
		err_set(&err, ERR_IO, "the process that runs the commands has ended; try again");
	if (result != 0)
		lose(link, &err);
	else
		watch_for_room(link);
}

static void socket_address(const struct keeper_link *link, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", link->state_fd,
		socket_name);
}

static int connect_to_keeper(struct keeper_link *link, struct err *err)
{
	struct sockaddr_un address;
	struct ucred peer;
	socklen_t len = sizeof peer;
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	socket_address(link, &address);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return err_sys(err, "connect to the keeper");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != geteuid())
		return err_set(err, ERR_DENIED, "the keeper belongs to another user");
	wire_init(&link->wire, steal_fd(&fd), OUT_MAX);
	link->options.hello.version = WIRE_VERSION;
	struct buf body = { (char *)&link->options.hello, sizeof link->options.hello, 0,
		sizeof link->options.hello, false };
	if (wire_send(&link->wire, WIRE_HELLO, 0, &body, NULL, 0, err) < 0) {
		disconnect(link);
		return -1;
	}
	return 0;
}

static int watch(struct keeper_link *link, struct err *err)
{
	if (loop_io_new(link->loop, link->wire.fd, EPOLLIN, on_socket, link, &link->io, err) < 0) {
		disconnect(link);
		return -1;
	}
	watch_for_room(link);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool await_welcome(struct keeper_link *link)
{
	int64_t until = now_ms() + WELCOME_MS;

	while (!link->welcomed) {
		struct pollfd socket_ready = { .fd = link->wire.fd, .events = POLLIN };
		int64_t left = until - now_ms();
		if (left <= 0 || poll(&socket_ready, 1, (int)left) <= 0 ||
			wire_receive(&link->wire, on_message, link, NULL) != 0)
			return link->welcomed;
	}
	return true;
}

/*
 * Takes over the keeper of an earlier server; false where there is none to be had. One that is
 * silent, or of another version, is left alone: start() takes its socket's name, nobody finds it
 * any more, and it leaves when its background commands have ended.
 */
static bool adopt(struct keeper_link *link)
{
	if (connect_to_keeper(link, NULL) < 0)
		return false;
	if (await_welcome(link) && link->version == WIRE_VERSION)
		return watch(link, NULL) == 0;
	disconnect(link);
	return false;
}

/* ---- the process ---- */

static void on_keeper_exit(unsigned events, void *data)
{
	struct keeper_link *link = data;

	(void)events;
	if (link->pid == 0 || waitpid(link->pid, NULL, WNOHANG) != link->pid)
		return;
	link->pid = 0;
	loop_io_free(steal_ptr(&link->pidfd_io));
	cleanup_close(&link->pidfd);
	link->pidfd = -1;
}

static void await_exit(struct keeper_link *link, int ms)
{
	struct pollfd exited = { .fd = link->pidfd, .events = POLLIN };

	if (link->pid == 0)
		return;
	poll(&exited, 1, ms);
	on_keeper_exit(0, link);
}

static int listen_there(struct keeper_link *link, int *out, struct err *err)
{
	struct sockaddr_un address;
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	socket_address(link, &address);
	if (unlinkat(link->state_fd, socket_name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "remove the old %s", socket_name);
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
		bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
		listen(fd, BACKLOG) < 0)
		return err_sys(err, "listen on %s", socket_name);
	*out = steal_fd(&fd);
	return 0;
}

static int spawn(struct keeper_link *link, int listen_fd, struct err *err)
{
	AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int null_high = fcntl(null_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	AUTO_CLOSE int listen_high = fcntl(listen_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	AUTO_CLOSE int state_high = fcntl(link->state_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	char name[] = "sandbox-keeper";
	char *argv[] = { name, NULL };
	struct proc_program program = { link->keeper_path, argv };
	/* Not the server's standard error: whoever reads that would wait for the keeper's end. */
	int fds[] = { null_high, null_high, null_high, listen_high, state_high };

	if (null_high < 0 || listen_high < 0 || state_high < 0)
		return err_sys(err, "start the keeper");
	struct proc_spec spec = {
		.programs = &program,
		.programs_len = 1,
		.envp = environ,
		.fds = fds,
		.fds_len = sizeof fds / sizeof *fds,
		.cwd_fd = -1,
	};
	if (proc_spawn(&spec, &link->pid, err) < 0)
		return -1;
	if (proc_pidfd(link->pid, &link->pidfd, err) < 0)
		return -1;
	return loop_io_new(
		link->loop, link->pidfd, EPOLLIN, on_keeper_exit, link, &link->pidfd_io, err);
}

static int start(struct keeper_link *link, struct err *err)
{
	AUTO_CLOSE int listen_fd = -1;

	await_exit(link, GONE_MS); /* it closed its socket, so it is all but gone */
	if (link->pid != 0)
		return err_set(
			err, ERR_IO, "the process that runs the commands is ending; try again");
	/* Connected first: a keeper that finds nobody there leaves again. */
	if (listen_there(link, &listen_fd, err) < 0 || connect_to_keeper(link, err) < 0)
		return -1;
	if (spawn(link, listen_fd, err) < 0) {
		disconnect(link);
		return -1;
	}
	return watch(link, err);
}

static char *keeper_beside_us(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	const char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;

	return alloc_printf(
		"%.*s/sandbox-keeper", slash ? (int)(slash - path) : 1, slash ? path : ".");
}

int keeper_link_open(struct loop *loop, int state_fd, const struct keeper_link_options *options,
	struct keeper_link **out, struct err *err)
{
	struct keeper_link *link = alloc_zero(sizeof *link);

	*link = (struct keeper_link){ .loop = loop,
		.state_fd = state_fd,
		.options = *options,
		.keeper_path = options->keeper_path ? alloc_text(options->keeper_path)
						    : keeper_beside_us(),
		.wire.fd = -1,
		.pidfd = -1 };
	if (!adopt(link) && start(link, err) < 0) {
		keeper_link_free(link, false);
		return -1;
	}
	*out = link;
	return 0;
}

void keeper_link_free(struct keeper_link *link, bool wait)
{
	if (!link)
		return;
	disconnect(link);
	if (wait)
		await_exit(link, LEAVE_MS);
	loop_io_free(link->pidfd_io);
	cleanup_close(&link->pidfd);
	free(link->keeper_path);
	free(link);
}

int keeper_link_ready(struct keeper_link *link, struct err *err)
{
	if (link->wire.fd >= 0 || adopt(link))
		return 0;
	return start(link, err);
}

int keeper_link_send(struct keeper_link *link, enum wire_type type, uint64_t number,
	const struct buf *body, const int *fds, size_t fds_len, struct err *err)
{
	if (link->wire.fd < 0)
		return err_set(err, ERR_IO, "the keeper is gone");
	int result = wire_send(&link->wire, type, number, body, fds, fds_len, err);
	watch_for_room(link);
	return result;
}
