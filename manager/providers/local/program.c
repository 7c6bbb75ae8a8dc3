#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "cleanup.h"
#include "err.h"
#include "proc.h"

enum {
	FIRST_FREE_FD = 16, /* above all that a program gets */
	KILLED_MS = 2000,   /* a killed process is gone by then, or never */
};

static const char search_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

char *program_find(const char *name)
{
	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? alloc_text(name) : NULL;
	for (const char *at = search_path; *at;) {
		size_t len = strcspn(at, ":");
		AUTO_FREE char *path = alloc_printf("%.*s/%s", (int)len, at, name);
		if (access(path, X_OK) == 0)
			return steal_ptr(&path);
		at += len + (at[len] == ':');
	}
	return NULL;
}

/* ---- starting ---- */

/* Descriptors of a child, each above those that it gets. */
struct ends {
	int fds[3 + PROGRAM_KEEP_MAX];
	size_t len;
};

static int end_add(struct ends *ends, int fd)
{
	int high = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD) : -1;

	if (high < 0)
		return -1;
	ends->fds[ends->len++] = high;
	return 0;
}

static void ends_close(struct ends *ends)
{
	for (size_t i = 0; i < ends->len; i++)
		close(ends->fds[i]);
}

/* The workers run at a lower priority; what they start for a sandbox should not. */
static int prepare(void *data)
{
	const struct program *program = data;

	setpriority(PRIO_PROCESS, 0, 0);
	return program->before ? program->before(program->before_data) : 0;
}

static int spawn(const struct program *program, const int io[3], pid_t *pid, struct err *err)
{
	__attribute__((cleanup(ends_close))) struct ends ends = { .len = 0 };
	char path[sizeof search_path + 5], procs[] = "GOMAXPROCS=2";
	AUTO_FREE char *more = program->env ? alloc_text(program->env) : NULL;
	char *envp[] = { path, procs, more, NULL };
	/* execve(2) takes char *const *, and changes nothing. */
	union {
		const char *const *given;
		char *const *taken;
	} argv = { program->argv };
	struct proc_program executed = { program->path, argv.taken };
	struct program copy = *program;

	snprintf(path, sizeof path, "PATH=%s", search_path);
	for (int i = 0; i < 3; i++)
		if (end_add(&ends, io[i]) < 0)
			return err_sys(err, "start %s", program->argv[0]);
	for (int i = 0; i < PROGRAM_KEEP_MAX; i++)
		if (program->keep[i] > 0 && end_add(&ends, program->keep[i]) < 0)
			return err_sys(err, "start %s", program->argv[0]);
	struct proc_spec spec = {
		.programs = &executed,
		.programs_len = 1,
		.envp = envp,
		.fds = ends.fds,
		.fds_len = ends.len,
		.cwd_fd = -1,
		.before = prepare,
		.before_data = &copy,
	};
	return proc_spawn(&spec, pid, err);
}

int program_start(const struct program *program, int *pidfd, pid_t *pid, struct err *err)
{
	AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int io[] = { null_fd, null_fd, null_fd };

	if (spawn(program, io, pid, err) < 0)
		return -1;
	if (proc_pidfd(*pid, pidfd, err) == 0)
		return 0;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	return -1;
}

/* ---- running ---- */

struct run {
	struct pollfd fds[3]; /* its end, its output, its complaints */
	struct buf *into[3];
};

static void read_some(struct pollfd *from, struct buf *into)
{
	char chunk[4096];
	ssize_t n = read(from->fd, chunk, sizeof chunk);

	if (n > 0)
		buf_add(into, chunk, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		from->fd = -1;
}

/* Reads until the process ends; false where it takes too long. */
static bool attend(struct run *run, int64_t timeout_ms)
{
	int64_t until = now_ms() + timeout_ms;

	for (;;) {
		int64_t left = until - now_ms();
		int ready = poll(run->fds, 3, left > 0 ? (int)left : 0);
		if (ready == 0)
			return false;
		for (int i = 1; i < 3; i++)
			if (ready > 0 && run->fds[i].fd >= 0 && run->fds[i].revents)
				read_some(&run->fds[i], run->into[i]);
		if (ready > 0 && run->fds[0].revents)
			break;
	}
	for (int i = 1; i < 3; i++)
		for (size_t seen = SIZE_MAX; run->fds[i].fd >= 0 && seen != run->into[i]->len;) {
			seen = run->into[i]->len;
			read_some(&run->fds[i], run->into[i]);
		}
	return true;
}

static int open_pipe(struct buf *into, int null_fd, int ends[2], struct err *err)
{
	if (!into) {
		ends[1] = fcntl(null_fd, F_DUPFD_CLOEXEC, 0);
		return ends[1] < 0 ? err_sys(err, "open /dev/null") : 0;
	}
	if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		return err_sys(err, "make a pipe");
	return 0;
}

static int open_input(const char *text, int null_fd, int *out, struct err *err)
{
	AUTO_CLOSE int fd =
		text ? memfd_create("input", MFD_CLOEXEC) : fcntl(null_fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(err, "make an input");
	if (text && (write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
			    lseek(fd, 0, SEEK_SET) < 0))
		return err_sys(err, "write an input");
	*out = steal_fd(&fd);
	return 0;
}

static int last_line(const struct buf *text, const char **line)
{
	size_t end = text && text->data ? text->len : 0;

	while (end > 0 && (text->data[end - 1] == '\n' || text->data[end - 1] == '\r'))
		end--;
	size_t start = end;
	while (start > 0 && text->data[start - 1] != '\n')
		start--;
	*line = end ? text->data + start : "";
	return (int)(end - start);
}

static int judge(const struct program *program, int status, struct err *err)
{
	const char *line;
	int len = last_line(program->complaints, &line);
	const char *name = program->argv[0];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (len > 0)
		return err_set(err, ERR_IO, "%s: %.*s", name, len, line);
	if (WIFSIGNALED(status))
		return err_set(err, ERR_IO, "%s was ended by signal %d", name, WTERMSIG(status));
	return err_set(err, ERR_IO, "%s ended with exit code %d", name, WEXITSTATUS(status));
}

static int wait_for(const struct program *program, pid_t pid, struct run *run, struct err *err)
{
	int status;
	AUTO_CLOSE int pidfd = -1;
	bool ended = proc_pidfd(pid, &pidfd, err) == 0;

	run->fds[0] = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	if (ended)
		ended = attend(run, program->timeout_ms);
	if (!ended) {
		kill(-pid, SIGKILL);
		poll(run->fds, 1, KILLED_MS);
	}
	if (waitpid(pid, &status, ended ? 0 : WNOHANG) != pid || !ended)
		return err_set(err, ERR_TIMEOUT, "%s took longer than %lld ms and was ended",
			program->argv[0], (long long)program->timeout_ms);
	return judge(program, status, err);
}

int program_run(const struct program *program, struct err *err)
{
	AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int in = -1;
	int out[2] = { -1, -1 }, complaints[2] = { -1, -1 };
	pid_t pid;
	int result = -1;

	if (open_input(program->input, null_fd, &in, err) == 0 &&
		open_pipe(program->output, null_fd, out, err) == 0 &&
		open_pipe(program->complaints, null_fd, complaints, err) == 0) {
		int io[] = { in, out[1], complaints[1] };
		result = spawn(program, io, &pid, err);
	}
	cleanup_close(&out[1]);
	cleanup_close(&complaints[1]);
	if (result == 0) {
		struct run run = { .into = { NULL, program->output, program->complaints } };
		run.fds[1] = (struct pollfd){ .fd = out[0], .events = POLLIN };
		run.fds[2] = (struct pollfd){ .fd = complaints[0], .events = POLLIN };
		result = wait_for(program, pid, &run, err);
	}
	cleanup_close(&out[0]);
	cleanup_close(&complaints[0]);
	return result;
}
