#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "scratch.h"
#include "test.h"

static char sh[] = "sh", dash_c[] = "-c";

/* What a shell line writes; its standard output and error are one pipe. */
static const char *output(struct proc_spec spec, const char *line, int *status)
{
	static char text[4096];
	char *argv[] = { sh, dash_c, (char *)(uintptr_t)line, NULL };
	struct proc_program program = { "/bin/sh", argv };
	size_t len = 0;
	int ends[2];
	pid_t pid;
	ssize_t n;

	MUST(pipe2(ends, O_CLOEXEC));
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fds[] = { null_fd, ends[1], ends[1] };
	spec.programs = &program;
	spec.programs_len = 1;
	spec.envp = environ;
	spec.fds = fds;
	spec.fds_len = 3;
	MUST(proc_spawn(&spec, &pid, NULL));
	close(ends[1]);
	while ((n = read(ends[0], text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(ends[0]);
	close(null_fd);
	MUST(waitpid(pid, status, 0));
	return text;
}

static void runs_a_program_and_lets_the_caller_reap_it(void)
{
	int status;

	CHECK_TEXT(output((struct proc_spec){ .cwd_fd = -1 }, "echo hello; exit 3", &status),
		"hello\n");
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 3);
}

static void takes_the_first_program_that_can_be_executed(void)
{
	char *first[] = { sh, NULL }, exit_4[] = "exit 4", *second[] = { sh, dash_c, exit_4, NULL };
	struct proc_program programs[] = { { "/none/such", first }, { "/bin/sh", second } };
	struct proc_spec spec = {
		.programs = programs, .programs_len = 2, .envp = environ, .cwd_fd = -1
	};
	pid_t pid;
	int status;

	MUST(proc_spawn(&spec, &pid, NULL));
	MUST(waitpid(pid, &status, 0));
	CHECK_INT(WEXITSTATUS(status), 4);
}

static void reports_what_cannot_be_executed_and_leaves_no_child(void)
{
	char *argv[] = { sh, NULL };
	struct proc_program program = { "/none/such", argv };
	struct proc_spec spec = {
		.programs = &program, .programs_len = 1, .envp = environ, .cwd_fd = -1
	};
	struct err err;
	pid_t pid = 77;

	CHECK_INT(proc_spawn(&spec, &pid, &err), -1);
	CHECK_INT(err.sysno, ENOENT);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	CHECK(strstr(err.msg, "/none/such") != NULL);
	CHECK_INT(pid, 77);
	CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
	CHECK_INT(errno, ECHILD);
}

static void reports_a_directory_that_is_none(void)
{
	char *argv[] = { sh, NULL };
	struct proc_program program = { "/bin/sh", argv };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct proc_spec spec = {
		.programs = &program, .programs_len = 1, .envp = environ, .cwd_fd = fd
	};
	struct err err;
	pid_t pid;

	CHECK_INT(proc_spawn(&spec, &pid, &err), -1);
	CHECK_INT(err.sysno, ENOTDIR);
	close(fd);
}

static void refuses_descriptors_that_would_be_overwritten(void)
{
	char *argv[] = { sh, NULL };
	struct proc_program program = { "/bin/sh", argv };
	int fds[] = { 1, 0 };
	struct proc_spec spec = { .programs = &program,
		.programs_len = 1,
		.envp = environ,
		.fds = fds,
		.fds_len = 2,
		.cwd_fd = -1 };
	struct err err;
	pid_t pid;

	CHECK_INT(proc_spawn(&spec, &pid, &err), -1);
	CHECK_INT(err.code, ERR_INTERNAL);
}

static void gives_the_child_a_session_a_directory_and_limits(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	int status, dir = open(".", O_PATH | O_CLOEXEC);
	char want[64];

	snprintf(want, sizeof want, "%s\n", scratch.dir);
	CHECK_TEXT(output((struct proc_spec){ .cwd_fd = dir }, "pwd -P", &status), want);
	CHECK_TEXT(output((struct proc_spec){ .cwd_fd = -1, .nofile = 99 }, "ulimit -Sn", &status),
		"99\n");
	CHECK_TEXT(output((struct proc_spec){ .cwd_fd = -1 },
			   "set -- $(cut -d' ' -f 1,5,6 /proc/$$/stat);"
			   "[ $1 = $2 ] && [ $1 = $3 ] && echo own",
			   &status),
		"own\n");
	close(dir);
}

static void on_signal(int signo)
{
	(void)signo;
}

static void hides_the_parents_descriptors_and_signals(void)
{
	sigset_t set, old;
	int status;

	MUST(dup2(1, 50)); /* without O_CLOEXEC */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, &old);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, on_signal);
	CHECK_TEXT(output((struct proc_spec){ .cwd_fd = -1 },
			   "[ -e /proc/$$/fd/50 ] && echo leaked;"
			   "exec sed -n '/^Sig[BIC]/p' /proc/self/status",
			   &status),
		"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
		"SigCgt:\t0000000000000000\n");
	sigset_t now;
	sigprocmask(SIG_SETMASK, &old, &now);
	CHECK_INT(sigismember(&now, SIGUSR2), 1); /* the parent's own mask is as it was */
	CHECK_INT(sigismember(&now, SIGTERM), 0);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
	close(50);
}

static void watches_a_process(void)
{
	char *argv[] = { sh, dash_c, (char[]){ "kill -STOP $$" }, NULL };
	struct proc_program program = { "/bin/sh", argv };
	struct proc_spec spec = {
		.programs = &program, .programs_len = 1, .envp = environ, .cwd_fd = -1
	};
	pid_t pid;
	int fd;

	MUST(proc_spawn(&spec, &pid, NULL));
	MUST(proc_pidfd(pid, &fd, NULL));
	struct pollfd ended = { .fd = fd, .events = POLLIN };
	CHECK_INT(poll(&ended, 1, 0), 0);
	kill(pid, SIGKILL);
	CHECK_INT(poll(&ended, 1, 60 * 1000), 1);
	MUST(waitpid(pid, NULL, 0));
	close(fd);
}

static void becomes_another_user_where_it_is_root(void)
{
	const gid_t groups[] = { 4242, 4243 };
	const struct proc_user user = { 12345, 54321, groups, 2 };
	struct proc_spec spec = { .cwd_fd = -1, .user = &user };
	int status, dumpable = prctl(PR_GET_DUMPABLE);

	if (geteuid() == 0) {
		CHECK_TEXT(output(spec, "grep -E '^(Uid|Gid|Groups|CapEff):' /proc/self/status",
				   &status),
			"Uid:\t12345\t12345\t12345\t12345\n"
			"Gid:\t54321\t54321\t54321\t54321\n"
			"Groups:\t4242 4243 \nCapEff:\t0000000000000000\n");
	} else {
		char *argv[] = { sh, NULL };
		struct proc_program program = { "/bin/sh", argv };
		struct err err;
		pid_t pid;
		spec.programs = &program;
		spec.programs_len = 1;
		CHECK_INT(proc_spawn(&spec, &pid, &err), -1);
		CHECK_INT(err.sysno, EPERM);
	}
	CHECK_INT(prctl(PR_GET_DUMPABLE), dumpable);
}

TESTS(CASE(runs_a_program_and_lets_the_caller_reap_it),
	CASE(takes_the_first_program_that_can_be_executed),
	CASE(reports_what_cannot_be_executed_and_leaves_no_child),
	CASE(reports_a_directory_that_is_none), CASE(refuses_descriptors_that_would_be_overwritten),
	CASE(gives_the_child_a_session_a_directory_and_limits),
	CASE(hides_the_parents_descriptors_and_signals), CASE(watches_a_process),
	CASE(becomes_another_user_where_it_is_root))
