#include "idmap.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "err.h"

enum { STACK = 8 * 1024 };

#ifdef __SANITIZE_THREAD__
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

/*
 * Waits to be killed, in the memory of the caller: system calls only. It must not outlive the
 * caller, should that be killed first.
 */
__attribute__((no_sanitize("address", "thread", "undefined"))) static int idle(void *data)
{
	const pid_t *parent = data;

	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	while (syscall(SYS_getppid) == *parent)
		syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
	return 0;
}

static int write_map(pid_t pid, const char *name, uint32_t first, uint32_t count)
{
	char path[64], text[64];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	int len = snprintf(text, sizeof text, "0 %u %u\n", first, count);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, (size_t)len) == len ? 0 : -1;
}

int idmap_open(uint32_t first, uint32_t count, int *fd, struct err *err)
{
	char stack[STACK] __attribute__((aligned(64)));
	char path[64];
	sigset_t all, before;
	pid_t self = getpid();
	int opened = -1;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = clone(idle, stack + sizeof stack, CLONE_NEWUSER | CLONE_VM | SIGCHLD, &self);
	if (pid > 0 && write_map(pid, "uid_map", first, count) == 0 &&
		write_map(pid, "gid_map", first, count) == 0) {
		snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
		opened = open(path, O_RDONLY | O_CLOEXEC);
	}
	int failed = opened < 0 ? err_sys(err, "make a user namespace") : 0;
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return -1;
	*fd = opened;
	return 0;
}
