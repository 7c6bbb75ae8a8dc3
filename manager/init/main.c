/*
 * sandbox-init: process 1 of a sandbox. Starts the program it is given, starts it again when it
 * ends, reaps what is orphaned, and hands SIGTERM on. Nothing else: when it ends, the kernel ends
 * every process of the sandbox.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	BACKOFF_MIN_MS = 50,
	BACKOFF_MAX_MS = 5000,
	STEADY_MS = 10000, /* a program that ran for so long starts anew without delay */
	LEAVE_MS = 2000,   /* what SIGTERM leaves to the program */
};

struct init {
	char **argv;
	sigset_t signals;
	pid_t child; /* 0: none runs */
	int64_t started_ms, start_at_ms, backoff_ms, leave_by_ms;
	bool leaving;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void start(struct init *init)
{
	pid_t pid = fork();

	if (pid == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setsid();
		execv(init->argv[0], init->argv);
		_exit(127);
	}
	init->started_ms = now_ms();
	init->child = pid > 0 ? pid : 0;
	if (pid < 0) /* the limit on processes is reached: later */
		init->start_at_ms = init->started_ms + BACKOFF_MAX_MS;
}

static void child_ended(struct init *init)
{
	int64_t now = now_ms();

	init->child = 0;
	if (now - init->started_ms >= STEADY_MS)
		init->backoff_ms = 0;
	init->start_at_ms = now + init->backoff_ms;
	init->backoff_ms = init->backoff_ms ? init->backoff_ms * 2 : BACKOFF_MIN_MS;
	if (init->backoff_ms > BACKOFF_MAX_MS)
		init->backoff_ms = BACKOFF_MAX_MS;
}

static void reap(struct init *init)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		if (pid == init->child)
			child_ended(init);
}

static void leave(struct init *init)
{
	if (init->leaving)
		return;
	init->leaving = true;
	init->leave_by_ms = now_ms() + LEAVE_MS;
	if (init->child > 0)
		kill(init->child, SIGTERM);
}

/* How long until there is something to do without a signal; -1: for ever. */
static int64_t wait_ms(const struct init *init)
{
	int64_t at = init->leaving ? init->leave_by_ms : init->start_at_ms;

	if (init->child && !init->leaving)
		return -1;
	return at > now_ms() ? at - now_ms() : 0;
}

static void run(struct init *init, int signal_fd)
{
	struct pollfd signalled = { .fd = signal_fd, .events = POLLIN };
	struct signalfd_siginfo info;

	for (;;) {
		if (!init->child && !init->leaving && init->start_at_ms <= now_ms())
			start(init);
		if (poll(&signalled, 1, (int)wait_ms(init)) < 0 && errno != EINTR)
			return;
		while (read(signal_fd, &info, sizeof info) == sizeof info)
			if (info.ssi_signo != SIGCHLD)
				leave(init);
		reap(init);
		if (init->leaving && (!init->child || init->leave_by_ms <= now_ms()))
			return;
	}
}

int main(int argc, char **argv)
{
	struct init init = { .argv = argv + 1 };

	if (argc < 2)
		return 2;
	prctl(PR_SET_NAME, "sandbox-init");
	sigemptyset(&init.signals);
	sigaddset(&init.signals, SIGCHLD);
	sigaddset(&init.signals, SIGTERM);
	sigaddset(&init.signals, SIGINT);
	sigprocmask(SIG_BLOCK, &init.signals, NULL);
	int signal_fd = signalfd(-1, &init.signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		return 1;
	run(&init, signal_fd);
	return 0;
}
