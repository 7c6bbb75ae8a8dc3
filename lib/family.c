#include "family.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"

/*
 * The mark is the limit RLIMIT_LOCKS. The kernel has not enforced it since Linux 2.4.25, but
 * every fork and exec hands it on, prlimit(2) reads it from outside, and an unprivileged
 * process cannot raise it again.
 */
static const int mark_resource = RLIMIT_LOCKS;

enum { ROUNDS_QUIET = 3, ROUNDS_MAX = 100, STAT_MAX = 1024, LIMITS_MAX = 4096 };

/* Called where memory is shared with a waiting parent: see proc.c. */
__attribute__((no_sanitize("address", "thread", "undefined"))) void family_mark(uint64_t mark)
{
	struct rlimit limit = { mark, mark };

	setrlimit(mark_resource, &limit);
}

struct member {
	pid_t pid, parent, group;
	uint64_t born; /* in clock ticks: tells it from a later process of the same pid */
	bool ours;
};

struct members {
	struct member *all; /* by pid */
	size_t len, cap;
};

/* ---- looking at one process ---- */

/* The first `len` - 1 bytes of /proc/PID/NAME. */
static bool read_proc(pid_t pid, const char *name, char *text, size_t len)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, len - 1);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* False where it is gone or a zombie. */
static bool look(pid_t pid, struct member *member)
{
	char text[STAT_MAX], state;
	int parent, group;
	unsigned long long born;

	if (!read_proc(pid, "stat", text, sizeof text))
		return false;
	const char *rest = strrchr(text, ')'); /* the name before it may hold anything */
	if (!rest || sscanf(rest,
			     ") %c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
			     "%*d %*d %*d %*d %llu",
			     &state, &parent, &group, &born) != 4)
		return false;
	if (state == 'Z' || state == 'X')
		return false;
	*member = (struct member){ .pid = pid, .parent = parent, .group = group, .born = born };
	return true;
}

/* For a set-user-ID program, whose limits prlimit() does not show to us. */
static uint64_t mark_from_file(pid_t pid)
{
	static const char line[] = "Max file locks";
	char text[LIMITS_MAX];

	if (kill(pid, 0) < 0 || !read_proc(pid, "limits", text, sizeof text))
		return 0;
	const char *found = strstr(text, line);
	return found ? strtoull(found + sizeof line - 1, NULL, 10) : 0;
}

static uint64_t mark_of(pid_t pid)
{
	struct rlimit limit;

	if (prlimit(pid, mark_resource, NULL, &limit) == 0)
		return limit.rlim_cur;
	return errno == EPERM ? mark_from_file(pid) : 0;
}

static int compare_marks(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* ---- looking at all ---- */

static int compare_pids(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static struct member *find(const struct members *members, pid_t pid)
{
	struct member key = { .pid = pid };

	return members->len == 0 ? NULL
				 : bsearch(&key, members->all, members->len, sizeof *members->all,
					   compare_pids);
}

static void add(struct members *members, const struct member *member)
{
	if (members->len == members->cap) {
		members->cap = members->cap ? members->cap * 2 : 256;
		members->all = alloc_grow(members->all, members->cap * sizeof *members->all);
	}
	members->all[members->len++] = *member;
}

/* The pidfd pins the process, then it is checked that it is the one that was looked at. */
static void signal_one(const struct member *member, int signo)
{
	struct member now;
	AUTO_CLOSE int fd = pidfd_open(member->pid, 0);

	if (fd >= 0 && look(member->pid, &now) && now.born == member->born)
		pidfd_send_signal(fd, signo, NULL, 0);
}

/* One look at all processes. */
struct round {
	const uint64_t *marks;
	size_t len;
	int signo;                    /* 0: none */
	pid_t except;                 /* a process group, or 0 */
	const struct members *before; /* those that it had found are left alone; or NULL */
	struct members now;
	size_t found;
};

static void reach(struct round *round, struct member *member)
{
	const struct member *old = round->before ? find(round->before, member->pid) : NULL;

	member->ours = true;
	if (old && old->ours && old->born == member->born)
		return;
	if (round->except && member->group == round->except)
		return;
	round->found++;
	if (round->signo != 0)
		signal_one(member, round->signo);
}

static void list_all(struct members *members)
{
	AUTO_CLOSEDIR DIR *dir = opendir("/proc");
	const struct dirent *entry;
	pid_t self = getpid();

	while (dir && (entry = readdir(dir))) {
		struct member member = { .pid = (pid_t)strtol(entry->d_name, NULL, 10) };
		if (member.pid > 0 && member.pid != self)
			add(members, &member);
	}
	if (members->len > 0)
		qsort(members->all, members->len, sizeof *members->all, compare_pids);
}

/* The latest first: one that forks and exits all the time is gone a moment later. */
static void reach_marked(struct round *round)
{
	for (size_t i = round->now.len; i > 0; i--) {
		struct member *member = &round->now.all[i - 1];
		if (!look(member->pid, member))
			continue;
		uint64_t mark = mark_of(member->pid);
		if (bsearch(&mark, round->marks, round->len, sizeof mark, compare_marks))
			reach(round, member);
	}
}

/* A family within the family has marks of its own, but its founder's parent is one of ours. */
static void reach_descendants(struct round *round)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < round->now.len; i++) {
			struct member *member = &round->now.all[i];
			if (member->ours || member->parent == 0)
				continue;
			const struct member *parent = find(&round->now, member->parent);
			if (!parent || !parent->ours)
				continue;
			reach(round, member);
			more = true;
		}
	}
}

static void run_round(struct round *round)
{
	list_all(&round->now);
	reach_marked(round);
	reach_descendants(round);
}

size_t family_signal(const uint64_t *marks, size_t len, pid_t except, int signo)
{
	struct round round = { .marks = marks, .len = len, .signo = signo, .except = except };

	run_round(&round);
	free(round.now.all);
	return round.found;
}

/* A single round may miss one that forks just then: several in a row have to find nobody new. */
static struct members stop_all(const uint64_t *marks, size_t len)
{
	struct members stopped = { 0 };
	int quiet = 0;

	for (int rounds = 0; quiet < ROUNDS_QUIET && rounds < ROUNDS_MAX; rounds++) {
		struct round round = {
			.marks = marks, .len = len, .signo = SIGSTOP, .before = &stopped
		};
		run_round(&round);
		quiet = round.found == 0 ? quiet + 1 : 0;
		free(stopped.all);
		stopped = round.now;
	}
	return stopped;
}

void family_kill(const uint64_t *marks, size_t len)
{
	struct members stopped = stop_all(marks, len);

	for (size_t i = 0; i < stopped.len; i++)
		if (stopped.all[i].ours)
			signal_one(&stopped.all[i], SIGKILL);
	free(stopped.all);
}
