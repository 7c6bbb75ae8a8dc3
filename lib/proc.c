#include "proc.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "family.h"

enum {
	CHILD_STACK = 16 * 1024,
	SIGNALS_CLASSIC = 31, /* real-time signals are ignored or caught by none of our daemons */
};

/* What runs in the child leaves its frames without returning from them. */
#define IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

#ifdef __SANITIZE_THREAD__
/* Its interceptor of clone() takes every child for a fork, and stops watching the parent. */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

/* ---- spawning ---- */

struct child {
	const struct proc_spec *spec;
	sigset_t mask;
	int sysno; /* why nothing was executed, or 0 */
};

/* Ignored signals stay ignored over exec; caught ones could run a handler before it. */
IN_CHILD static void default_signals(void)
{
	for (int signo = 1; signo <= SIGNALS_CLASSIC; signo++) {
		struct sigaction action;
		if (sigaction(signo, NULL, &action) < 0 || action.sa_handler == SIG_DFL)
			continue;
		action = (struct sigaction){ .sa_handler = SIG_DFL };
		sigaction(signo, &action, NULL);
	}
}

IN_CHILD static int set_limits(const struct proc_spec *spec)
{
	struct rlimit nofile;

	if (spec->mark)
		family_mark(spec->mark);
	if (!spec->nofile)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &nofile) < 0)
		return -1;
	nofile.rlim_cur = spec->nofile < nofile.rlim_max ? spec->nofile : nofile.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &nofile);
}

/* The numbers of the calls that take whole ids, where the plain ones are older. */
#ifdef SYS_setgroups32
enum { SETGROUPS = SYS_setgroups32, SETGID = SYS_setresgid32, SETUID = SYS_setresuid32 };
#else
enum { SETGROUPS = SYS_setgroups, SETGID = SYS_setresgid, SETUID = SYS_setresuid };
#endif

/* Not by libc: its functions would change the threads of the parent, too. */
IN_CHILD static int become(const struct proc_user *user)
{
	if (syscall(SETGROUPS, user->groups_len, user->groups) < 0 ||
		syscall(SETGID, user->gid, user->gid, user->gid) < 0)
		return -1;
	return (int)syscall(SETUID, user->uid, user->uid, user->uid);
}

IN_CHILD static int set_up(const struct proc_spec *spec)
{
	if (setsid() < 0 || set_limits(spec) < 0)
		return -1;
	for (size_t i = 0; i < spec->fds_len; i++)
		if (dup2(spec->fds[i], (int)i) < 0)
			return -1;
	if (close_range((unsigned)spec->fds_len, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0 &&
		errno != ENOSYS && errno != EINVAL)
		return -1;
	if (spec->cwd_fd >= 0 && fchdir(spec->cwd_fd) < 0)
		return -1;
	if (spec->before && spec->before(spec->before_data) < 0)
		return -1;
	return spec->user ? become(spec->user) : 0;
}

/* Runs in the parent's memory while the parent waits (as after vfork): system calls only. */
IN_CHILD static int run_child(void *data)
{
	struct child *child = data;
	const struct proc_spec *spec = child->spec;

	default_signals();
	if (set_up(spec) == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		for (size_t i = 0; i < spec->programs_len; i++)
			execve(spec->programs[i].path, spec->programs[i].argv, spec->envp);
	}
	child->sysno = errno ? errno : EINVAL;
	_exit(127);
}

int proc_spawn(const struct proc_spec *spec, pid_t *pid, struct err *err)
{
	char stack[CHILD_STACK] __attribute__((aligned(64)));
	struct child child = { .spec = spec };
	int dumpable = spec->user ? prctl(PR_GET_DUMPABLE) : 0;
	sigset_t all;

	for (size_t i = 0; i < spec->fds_len; i++)
		if (spec->fds[i] < (int)spec->fds_len)
			return err_set(err, ERR_INTERNAL,
				"descriptor %d is in the way of a child's", spec->fds[i]);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &child.mask);
	pid_t born =
		clone(run_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &child);
	int sysno = born < 0 ? errno : child.sysno;
	if (spec->user && dumpable == 1) /* the kernel took it from the memory that was shared */
		prctl(PR_SET_DUMPABLE, 1);
	pthread_sigmask(SIG_SETMASK, &child.mask, NULL);
	if (sysno) {
		if (born > 0)
			waitpid(born, NULL, 0);
		errno = sysno;
		return err_sys(err, "start %s", spec->programs[spec->programs_len - 1].path);
	}
	*pid = born;
	return 0;
}

int proc_pidfd(pid_t pid, int *fd, struct err *err)
{
	int opened = pidfd_open(pid, 0);

	if (opened < 0)
		return err_sys(err, "watch process %d", (int)pid);
	*fd = opened;
	return 0;
}
