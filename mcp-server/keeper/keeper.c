#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "family.h"
#include "job.h"
#include "loop.h"
#include "store.h"

enum {
	OUT_MAX = 256 * 1024,
	FDS_PER_JOB = 4, /* two pipes, two logs */
	FDS_SPARE = 128, /* everything else, and a start in progress */
};

/* ---- jobs ---- */

static struct job *job_at(const struct keeper *keeper, size_t i)
{
	return keeper->jobs.entries[i].value;
}

static uint64_t bytes_on_disk(const struct job *job)
{
	uint64_t bytes = 0;

	for (int i = 0; i < 2; i++) {
		const struct stream *stream = &job->streams[i];
		bytes += stream->bytes - (stream->dropped_to - stream->dropped_from);
	}
	return bytes;
}

static void drop_over(struct keeper *keeper)
{
	if (!keeper->over)
		return;
	keeper->over = false;
	for (size_t i = keeper->jobs.len; i > 0; i--) {
		struct job *job = job_at(keeper, i - 1);
		if (!job_is_over(job))
			continue;
		table_remove(&keeper->jobs, job->number);
		store_ended(keeper->store, job->number, bytes_on_disk(job));
		job_free(job);
	}
}

void keeper_look_at(struct keeper *keeper, struct job *job)
{
	(void)job;
	keeper->over = true;
}

static void on_child(int signo, void *data)
{
	struct keeper *keeper = data;
	bool orphan = false;
	struct rusage usage;
	int status;
	pid_t pid;

	(void)signo;
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		size_t i = 0;
		while (i < keeper->jobs.len &&
			(job_at(keeper, i)->pid != pid || job_at(keeper, i)->reaped))
			i++;
		if (i < keeper->jobs.len)
			job_exited(job_at(keeper, i), status, &usage);
		else
			orphan = true;
	}
	for (size_t i = 0; orphan && i < keeper->jobs.len; i++)
		job_orphan_exited(job_at(keeper, i));
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Kills all commands, or those in the foreground, in one go. */
static void kill_all(struct keeper *keeper, bool background)
{
	uint64_t *marks = alloc_array(keeper->jobs.len, sizeof *marks);
	size_t n = 0;

	for (size_t i = 0; i < keeper->jobs.len; i++) {
		struct job *job = job_at(keeper, i);
		if (!background && !job_belongs_to_server(job))
			continue;
		if (!job->reaped && job->pid > 0)
			kill(-job->pid, SIGKILL);
		marks[n++] = job->mark;
	}
	if (n > 0) {
		qsort(marks, n, sizeof *marks, ascending);
		family_kill(marks, n);
	}
	free(marks);
}

/* ---- the server ---- */

void keeper_news(struct keeper *keeper, struct job *job, unsigned news)
{
	if (!keeper->greeted)
		return;
	job->news |= news;
	if (job->in_news)
		return;
	job->in_news = true;
	job->next_news = NULL;
	*keeper->news_end = job;
	keeper->news_end = &job->next_news;
}

static void drop_server(struct keeper *keeper)
{
	if (keeper->server.fd < 0)
		return;
	loop_io_free(steal_ptr(&keeper->server_io));
	wire_release(&keeper->server);
	keeper->greeted = keeper->writing = false;
	while (keeper->news) {
		struct job *job = keeper->news;
		keeper->news = job->next_news;
		job->in_news = false;
	}
	keeper->news_end = &keeper->news;
	kill_all(keeper, false);
	for (size_t i = 0; i < keeper->jobs.len; i++)
		job_server_gone(job_at(keeper, i));
	keeper->over = true;
}

static int send_running(
	struct keeper *keeper, const struct job *job, enum wire_type type, struct err *err)
{
	struct wire_running running = { job->flags, job->pid, job->started_ms };
	AUTO_BUF struct buf body = BUF_INIT(WIRE_MESSAGE_MAX);

	buf_add(&body, &running, sizeof running);
	buf_add(&body, job->command, strlen(job->command) + 1);
	return wire_send(&keeper->server, type, job->number, &body, NULL, 0, err);
}

static int send_report(
	struct keeper *keeper, const struct job *job, enum wire_type type, struct err *err)
{
	struct wire_ended report;
	struct buf body = { (char *)&report, sizeof report, 0, sizeof report, false };

	job_report(job, &report);
	return wire_send(&keeper->server, type, job->number, &body, NULL, 0, err);
}

static int send_sizes(struct keeper *keeper, const struct job *job, struct err *err)
{
	struct wire_sizes sizes = { { job->streams[0].bytes, job->streams[1].bytes } };
	struct buf body = { (char *)&sizes, sizeof sizes, 0, sizeof sizes, false };

	return wire_send(&keeper->server, WIRE_GREW, job->number, &body, NULL, 0, err);
}

/* Tells one thing about the job. */
static int tell(struct keeper *keeper, struct job *job, struct err *err)
{
	unsigned first = job->news & -job->news;

	job->news &= ~first;
	switch ((enum job_news)first) {
	case JOB_SAY_RUNNING:
		return send_running(keeper, job, WIRE_RUNNING, err);
	case JOB_SAY_STARTED:
		return send_running(keeper, job, WIRE_STARTED, err);
	case JOB_SAY_GREW:
		return send_sizes(keeper, job, err);
	case JOB_SAY_DETACHED:
		return send_report(keeper, job, WIRE_DETACHED, err);
	case JOB_SAY_ENDED:
		keeper->over = true;
		return send_report(keeper, job, WIRE_ENDED, err);
	}
	return 0;
}

/* Tells news for as long as the server takes it; the rest stays with the jobs. */
static int tell_news(struct keeper *keeper, struct err *err)
{
	while (keeper->news && keeper->server.out.len == 0) {
		struct job *job = keeper->news;
		if (job->news) {
			if (tell(keeper, job, err) < 0)
				return -1;
			continue;
		}
		keeper->news = job->next_news;
		if (!keeper->news)
			keeper->news_end = &keeper->news;
		job->in_news = false;
	}
	bool writing = keeper->server.out.len > 0;
	if (writing == keeper->writing)
		return 0;
	keeper->writing = writing;
	return loop_io_set(keeper->server_io, writing ? EPOLLIN | EPOLLOUT : EPOLLIN, err);
}

static int greet(struct keeper *keeper, const struct wire_message *message, struct err *err)
{
	struct wire_hello hello;
	struct wire_welcome welcome = { .version = WIRE_VERSION };
	struct buf body = { (char *)&welcome, sizeof welcome, 0, sizeof welcome, false };

	if (wire_body(message, &hello, sizeof hello.version, NULL, err) < 0)
		return -1;
	if (hello.version == WIRE_VERSION) {
		if (wire_body(message, &hello, sizeof hello, NULL, err) < 0)
			return -1;
		keeper->greeted = true;
		keeper->nofile = hello.nofile;
		keeper->head_bytes = hello.head_bytes;
		/* what a waiting reader has not taken yet must not become a hole */
		keeper->tail_bytes =
			hello.tail_bytes > 2 * STREAM_WINDOW ? hello.tail_bytes : 2 * STREAM_WINDOW;
		store_set_limits(keeper->store, hello.keep_commands, hello.keep_bytes);
		for (size_t i = 0; i < keeper->jobs.len; i++)
			if (job_at(keeper, i)->phase != JOB_ENDED)
				welcome.running++;
	}
	if (wire_send(&keeper->server, WIRE_WELCOME, 0, &body, NULL, 0, err) < 0)
		return -1;
	for (size_t i = 0; i < keeper->jobs.len; i++)
		if (job_at(keeper, i)->phase != JOB_ENDED)
			keeper_news(keeper, job_at(keeper, i), JOB_SAY_RUNNING);
	return 0;
}

/* A command that there is no room for has failed like one that could not be started. */
static int refuse(struct keeper *keeper, uint64_t number, int sysno, struct err *err)
{
	struct wire_ended report = { .sysno = sysno };
	struct buf body = { (char *)&report, sizeof report, 0, sizeof report, false };

	return wire_send(&keeper->server, WIRE_ENDED, number, &body, NULL, 0, err);
}

static int start(struct keeper *keeper, struct wire_message *message, struct err *err)
{
	struct rlimit limit;

	if (message->head.number <= store_last(keeper->store))
		return err_set(err, ERR_INVALID, "a command's number is not new");
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
		keeper->jobs.len * FDS_PER_JOB + FDS_SPARE > limit.rlim_cur)
		return refuse(keeper, message->head.number, EMFILE, err);
	struct job *job = job_start(keeper, message, err);
	if (!job)
		return -1;
	table_insert(&keeper->jobs, job->number, job);
	return 0;
}

static int on_message(struct wire_message *message, void *data, struct err *err)
{
	struct keeper *keeper = data;
	struct job *job = table_find(&keeper->jobs, message->head.number);
	struct wire_sizes sizes;

	if (message->head.type == WIRE_HELLO)
		return greet(keeper, message, err);
	if (!keeper->greeted)
		return err_set(err, ERR_INVALID, "a message before the greeting");
	if (message->head.type == WIRE_START)
		return start(keeper, message, err);
	if (!job)
		return 0; /* it ended meanwhile */
	switch (message->head.type) {
	case WIRE_KILL:
		job_end(job);
		return 0;
	case WIRE_DETACH:
		job_detach(job);
		return 0;
	case WIRE_TAKEN:
		if (wire_body(message, &sizes, sizeof sizes, NULL, err) < 0)
			return -1;
		job_taken(job, &sizes);
		return 0;
	default:
		return err_set(
			err, ERR_INVALID, "a message of unknown type %u", message->head.type);
	}
}

static void on_server(unsigned events, void *data)
{
	struct keeper *keeper = data;

	if (wire_flush(&keeper->server, NULL) < 0 ||
		wire_receive(&keeper->server, on_message, keeper, NULL) != 0 ||
		(events & EPOLLERR) != 0)
		drop_server(keeper);
}

/* ---- being there ---- */

/* Whether the server's side is closed though no event has said so yet. */
static bool server_hung_up(const struct keeper *keeper)
{
	struct pollfd poll_fd = { .fd = keeper->server.fd, .events = POLLIN | POLLRDHUP };

	return poll(&poll_fd, 1, 0) > 0 && poll_fd.revents & (POLLHUP | POLLRDHUP | POLLERR);
}

static bool is_own_user(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

static void on_connection(unsigned events, void *data)
{
	struct keeper *keeper = data;
	AUTO_CLOSE int fd = accept4(keeper->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0 || !is_own_user(fd))
		return;
	if (keeper->server.fd >= 0 && server_hung_up(keeper))
		drop_server(keeper);
	if (keeper->server.fd >= 0)
		return; /* one at a time: the newcomer is turned away */
	int kept = steal_fd(&fd);
	wire_init(&keeper->server, kept, OUT_MAX);
	if (loop_io_new(keeper->loop, kept, EPOLLIN, on_server, keeper, &keeper->server_io, NULL) <
		0)
		drop_server(keeper);
}

static int end_of_turn(void *data)
{
	struct keeper *keeper = data;

	if (keeper->server.fd >= 0 && tell_news(keeper, NULL) < 0)
		drop_server(keeper);
	drop_over(keeper);
	if (keeper->jobs.len > 0)
		return -1;
	if (keeper->server.fd < 0 && keeper->listen_fd >= 0)
		on_connection(0, keeper); /* one may just be waiting */
	if (keeper->server.fd < 0 || keeper->listen_fd < 0)
		loop_stop(keeper->loop);
	return -1;
}

static void stop_listening(struct keeper *keeper)
{
	loop_io_free(steal_ptr(&keeper->listen_io));
	cleanup_close(&keeper->listen_fd);
	keeper->listen_fd = -1;
}

/* Whoever ends the keeper ends its commands: nothing runs unwatched. */
static void on_terminate(int signo, void *data)
{
	struct keeper *keeper = data;

	(void)signo;
	stop_listening(keeper);
	kill_all(keeper, true);
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int set_up(struct keeper *keeper, int state_fd, struct err *err)
{
	raise_descriptor_limit();
	/* Processes whose parent is gone become the keeper's children, and are reaped. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	keeper->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (keeper->null_fd < 0)
		return err_sys(err, "open /dev/null");
	if (loop_new(&keeper->loop, err) < 0 || store_open(state_fd, &keeper->store, err) < 0 ||
		loop_signal(keeper->loop, SIGCHLD, on_child, keeper, err) < 0 ||
		loop_signal(keeper->loop, SIGTERM, on_terminate, keeper, err) < 0 ||
		loop_signal(keeper->loop, SIGINT, on_terminate, keeper, err) < 0)
		return -1;
	loop_before_wait(keeper->loop, end_of_turn, keeper);
	return loop_io_new(keeper->loop, keeper->listen_fd, EPOLLIN, on_connection, keeper,
		&keeper->listen_io, err);
}

int keeper_run(int listen_fd, int state_fd, struct err *err)
{
	struct keeper keeper = { .null_fd = -1, .listen_fd = listen_fd, .server.fd = -1 };

	keeper.news_end = &keeper.news;
	int result = set_up(&keeper, state_fd, err);
	if (result == 0)
		result = loop_run(keeper.loop, err);
	drop_server(&keeper);
	for (size_t i = 0; i < keeper.jobs.len; i++)
		job_free(job_at(&keeper, i));
	table_release(&keeper.jobs);
	if (keeper.listen_fd >= 0)
		stop_listening(&keeper);
	store_free(keeper.store);
	loop_free(keeper.loop);
	cleanup_close(&keeper.null_fd);
	return result;
}
