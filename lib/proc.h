#ifndef PROC_H
#define PROC_H

/*
 * Child processes, spawned without copying the parent's memory. Descriptors, signals and
 * limits of the parent do not leak into them. Any thread.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct proc_program {
	const char *path; /* as execve(2) takes it */
	char *const *argv;
};

struct proc_user {
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* the supplementary ones */
	size_t groups_len;
};

struct proc_spec {
	const struct proc_program *programs; /* the first that can be executed is */
	size_t programs_len;
	char *const *envp;
	const int *fds; /* become 0, 1, 2 …; each is at least `fds_len`; nothing else is inherited */
	size_t fds_len;
	int cwd_fd;      /* a directory (O_PATH will do), or -1: the caller's */
	uint64_t mark;   /* see family.h; 0: the caller's own */
	uint64_t nofile; /* soft limit of open files; 0: the caller's own */

	/*
	 * Called in the child before it runs the program, or NULL: system calls only, in the
	 * caller's memory, while its thread waits. -1 with errno: the program is not run.
	 */
	int (*before)(void *data);
	void *before_data;

	const struct proc_user *user; /* NULL: the caller's; others are for root only */
};

/*
 * Starts a process in a session and group of its own, with default signal handling, an empty
 * signal mask and the directory `cwd_fd`. Returns once it runs the program: a program that
 * cannot be executed is an error here (err->sysno), not an exit code. The caller reaps `pid`.
 */
int proc_spawn(const struct proc_spec *spec, pid_t *pid, struct err *err);

/* A descriptor for a process that the caller has not reaped yet. */
int proc_pidfd(pid_t pid, int *fd, struct err *err);

#endif
