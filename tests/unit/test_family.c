#include "family.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"
#include "scratch.h"
#include "test.h"

/* Starts a shell line as a family of its own; the line writes a byte when it is ready. */
static pid_t found(uint64_t mark, const char *line)
{
	static char sh[] = "sh", dash_c[] = "-c";
	char *argv[] = { sh, dash_c, (char *)(uintptr_t)line, NULL }, byte;
	struct proc_program program = { "/bin/sh", argv };
	int ready[2];
	pid_t pid;

	MUST(pipe2(ready, O_CLOEXEC));
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[] = { null_fd, ready[1], null_fd };
	struct proc_spec spec = { .programs = &program,
		.programs_len = 1,
		.envp = environ,
		.fds = fds,
		.fds_len = 3,
		.cwd_fd = -1,
		.mark = mark };
	MUST(proc_spawn(&spec, &pid, NULL));
	close(ready[1]);
	close(null_fd);
	if (read(ready[0], &byte, 1) != 1) {
		printf("Bail out! the family did not start\n");
		_exit(99);
	}
	close(ready[0]);
	return pid;
}

static size_t count(uint64_t mark)
{
	return family_signal(&mark, 1, 0, 0);
}

/* Orphans are children of this process, since it is a subreaper. */
static void reap_orphans(void)
{
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/* Dying takes a moment; each of its members ends up as a child of this process. */
static void await_end(uint64_t mark)
{
	while (count(mark) > 0)
		MUST(waitpid(-1, NULL, 0));
}

static const char sleepers[] =
	"sleep 1000 & (setsid sleep 1000 &); (env -i setsid sleep 1000 &); echo; exec sleep 1000";

static void counts_all_descendants_and_nobody_else(void)
{
	uint64_t mark = 1000;

	found(1000, sleepers);
	found(999, sleepers);
	CHECK_INT(count(1000), 4);
	CHECK_INT(count(999), 4);
	CHECK_INT(count(998), 0);
	CHECK_INT(family_signal((uint64_t[]){ 999, 1000 }, 2, 0, 0), 8);
	family_kill(&mark, 1);
	await_end(1000);
	CHECK_INT(count(999), 4);
	family_kill((uint64_t[]){ 999 }, 1);
	await_end(999);
	reap_orphans();
}

static void signals_every_member(void)
{
	uint64_t mark = 1000;

	found(mark, sleepers);
	CHECK_INT(family_signal(&mark, 1, 0, SIGTERM), 4);
	await_end(mark);
	reap_orphans();
}

static void leaves_a_group_alone(void)
{
	uint64_t mark = 1000;
	pid_t pid = found(mark, sleepers);

	while (family_signal(&mark, 1, pid, 0) < 2)
		sched_yield(); /* two are on their way into sessions of their own */
	CHECK_INT(family_signal(&mark, 1, pid, SIGTERM), 2);
	CHECK_INT(kill(-pid, SIGTERM), 0);
	await_end(mark);
	reap_orphans();
}

static void does_not_count_zombies(void)
{
	uint64_t mark = 1000;
	pid_t pid = found(mark, "echo; kill -STOP $$");
	int fd = pidfd_open(pid, 0);
	struct pollfd ended = { .fd = fd, .events = POLLIN };

	CHECK_INT(count(mark), 1);
	kill(pid, SIGKILL);
	CHECK_INT(poll(&ended, 1, 60 * 1000), 1);
	CHECK_INT(count(mark), 0);
	MUST(waitpid(pid, NULL, 0));
	close(fd);
}

static void kills_a_family_within_the_family(void)
{
	uint64_t outer = 1000;
	/* ulimit -x is the mark: whoever founds a family within a family lowers it */
	found(outer, "bash -c 'ulimit -x 5; setsid sleep 1000 & echo; wait'");

	CHECK_INT(count(5), 2);
	family_kill(&outer, 1);
	await_end(5);
	await_end(outer);
	reap_orphans();
}

static void kills_the_deaf_and_the_stopped(void)
{
	uint64_t mark = 1000;
	pid_t pid =
		found(mark, "trap '' TERM; sh -c 'kill -STOP $$' & echo; while :; do wait; done");
	int status;

	family_kill(&mark, 1);
	MUST(waitpid(pid, &status, 0));
	CHECK_INT(WTERMSIG(status), SIGKILL);
	await_end(mark);
	reap_orphans();
}

static void adopts_orphans(void)
{
	CHECK_INT(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
}

TESTS(CASE(adopts_orphans), CASE(counts_all_descendants_and_nobody_else),
	CASE(signals_every_member), CASE(leaves_a_group_alone), CASE(does_not_count_zombies),
	CASE(kills_a_family_within_the_family), CASE(kills_the_deaf_and_the_stopped))
