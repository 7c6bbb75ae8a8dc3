#include "rootless.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <pwd.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "box.h"
#include "cleanup.h"
#include "err.h"
#include "program.h"
#include "site.h"
#include "slurp.h"

enum { FILE_MAX = 1024 * 1024 };

/* ---- which ids ---- */

/* "alice:100000:65536", or the user's number in place of the name. */
static bool is_ours(const char *line, const char *name, uid_t uid)
{
	size_t len = strcspn(line, ":");
	char number[16];

	snprintf(number, sizeof number, "%u", (unsigned)uid);
	return (strlen(number) == len && strncmp(line, number, len) == 0) ||
	       (name && strlen(name) == len && strncmp(line, name, len) == 0);
}

uint32_t rootless_range(const char *file)
{
	const struct passwd *user = getpwuid(getuid());
	AUTO_FREE char *text = slurp(file, FILE_MAX, NULL);

	for (const char *at = text; at && *at; at += strcspn(at, "\n"), at += *at == '\n') {
		unsigned first, count;
		if (is_ours(at, user ? user->pw_name : NULL, getuid()) &&
			sscanf(at + strcspn(at, ":"), ":%u:%u", &first, &count) == 2 &&
			count >= ID_RANGE)
			return first;
	}
	return 0;
}

/* ---- a new namespace ---- */

static int map(const char *program, pid_t pid, unsigned own, uint32_t first)
{
	char target[16], mine[16], from[16], count[16];
	int status;
	pid_t child = fork();

	if (child == 0) {
		snprintf(target, sizeof target, "%d", (int)pid);
		snprintf(mine, sizeof mine, "%u", own);
		snprintf(from, sizeof from, "%u", first);
		snprintf(count, sizeof count, "%d", ID_RANGE);
		execl(program, program, target, "0", mine, "1", "1", from, count, NULL);
		_exit(127);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

struct maps {
	char *newuidmap, *newgidmap;
	uint32_t uids, gids;
};

static void maps_release(struct maps *maps)
{
	free(maps->newuidmap);
	free(maps->newgidmap);
}

static int find_maps(struct maps *maps, struct err *err)
{
	maps->newuidmap = program_find("newuidmap");
	maps->newgidmap = program_find("newgidmap");
	if (!maps->newuidmap || !maps->newgidmap)
		return err_set(err, ERR_NOT_FOUND,
			"newuidmap is not here; an ordinary user needs it: apt-get install uidmap");
	maps->uids = rootless_range("/etc/subuid");
	maps->gids = rootless_range("/etc/subgid");
	if (!maps->uids || !maps->gids)
		return err_set(err, ERR_DENIED,
			"this user has no %d ids in /etc/subuid and /etc/subgid: usermod "
			"--add-subuids 100000-165535 --add-subgids 100000-165535 NAME",
			ID_RANGE);
	return 0;
}

/* The ids are set by a child that stayed outside, once it reads a byte. */
static int make_namespace(struct err *err)
{
	__attribute__((cleanup(maps_release))) struct maps maps = { .uids = 0 };
	uid_t uid = getuid();
	gid_t gid = getgid();
	pid_t self = getpid();
	int ends[2], status;

	if (find_maps(&maps, err) < 0)
		return -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "make a pipe");
	pid_t helper = fork();
	if (helper == 0) {
		char byte;
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) != 1 ||
			map(maps.newuidmap, self, uid, maps.uids) < 0 ||
			map(maps.newgidmap, self, gid, maps.gids) < 0);
	}
	close(ends[0]);
	bool made = helper > 0 && unshare(CLONE_NEWUSER) == 0;
	int failed = made ? 0 : err_sys(err, "make a user namespace");
	if (made && write(ends[1], "", 1) != 1)
		failed = err_sys(err, "map ids");
	close(ends[1]);
	if (helper > 0 && waitpid(helper, &status, 0) == helper && !failed && status != 0)
		failed = err_set(err, ERR_DENIED,
			"newuidmap refused to map the ids of /etc/subuid and /etc/subgid");
	return failed;
}

/* ---- the one that is there ---- */

/* Whether a process has the ids of our sandboxes, so that its pid is not somebody else's now. */
static bool has_our_ids(pid_t pid)
{
	char path[64];
	unsigned inside, first, count;

	snprintf(path, sizeof path, "/proc/%d/uid_map", (int)pid);
	AUTO_FREE char *map = slurp(path, 4096, NULL);
	return map && sscanf(map, "%u %u %u", &inside, &first, &count) == 3 && inside == 0 &&
	       first == rootless_range("/etc/subuid") && count == ID_RANGE;
}

/* The namespace that a sandbox's own one was made in. */
static int namespace_of(const char *dir)
{
	char path[64];
	uid_t owner;
	pid_t pid = box_await_pid(dir);

	if (pid <= 1 || !has_our_ids(pid))
		return -1;
	snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
	AUTO_CLOSE int inner = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int outer = inner < 0 ? -1 : ioctl(inner, NS_GET_PARENT);
	if (outer < 0 || ioctl(outer, NS_GET_OWNER_UID, &owner) < 0 || owner != getuid())
		return -1;
	return steal_fd(&outer);
}

static int enter_existing(const char *boxes)
{
	AUTO_CLOSEDIR DIR *dir = opendir(boxes);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		AUTO_FREE char *box = alloc_printf("%s/%s", boxes, entry->d_name);
		AUTO_CLOSE int outer = entry->d_name[0] == '.' ? -1 : namespace_of(box);
		if (outer >= 0 && setns(outer, CLONE_NEWUSER) == 0)
			return 0;
	}
	return -1;
}

int rootless_enter(const char *data_dir, struct err *err)
{
	AUTO_FREE char *boxes = alloc_printf("%s/sandboxes", data_dir);

	if (enter_existing(boxes) < 0 && make_namespace(err) < 0)
		return -1;
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(err, "be root in a user namespace");
	return 0;
}
