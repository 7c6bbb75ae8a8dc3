#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "err.h"
#include "slurp.h"

#define MOUNT "/sys/fs/cgroup"

enum {
	THAW_EVERY = 50, SETTLE_MS = 5000, /* how long freezing and dying may take */
	CGROUP2_MAGIC = 0x63677270,
	SMALL_FILE = 64 * 1024,
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = strstr(list, word); at; at = strstr(at + len, word))
		if ((at == list || at[-1] == ' ') &&
			(at[len] == ' ' || at[len] == '\n' || !at[len]))
			return true;
	return false;
}

void cgroups_probe(struct cgroups *out)
{
	struct statfs fs;

	*out = (struct cgroups){ .kind = CGROUP_NONE };
	out->hybrid = statfs(MOUNT "/unified", &fs) == 0 && fs.f_type == CGROUP2_MAGIC;
	if (statfs(MOUNT, &fs) == 0 && fs.f_type == CGROUP2_MAGIC) {
		AUTO_FREE char *list = slurp(MOUNT "/cgroup.controllers", SMALL_FILE, NULL);
		if (!list || access(MOUNT, W_OK) < 0)
			return;
		out->kind = CGROUP_V2;
		out->memory = out->swap = has_word(list, "memory");
		out->cpu = has_word(list, "cpu");
		out->pids = has_word(list, "pids");
		out->devices = out->freezer = true;
		return;
	}
	out->memory = access(MOUNT "/memory/tasks", W_OK) == 0;
	out->swap = access(MOUNT "/memory/memory.memsw.limit_in_bytes", W_OK) == 0;
	out->cpu = access(MOUNT "/cpu/cpu.cfs_quota_us", W_OK) == 0;
	out->pids = access(MOUNT "/pids/tasks", W_OK) == 0;
	out->devices = access(MOUNT "/devices/devices.allow", W_OK) == 0;
	out->freezer = access(MOUNT "/freezer/tasks", W_OK) == 0;
	if (out->memory || out->cpu || out->pids || out->devices || out->freezer)
		out->kind = CGROUP_V1;
}

/* "/sys/fs/cgroup[/freezer]/sandbox/<id>/<file>" */
static void name_file(char out[PATH_MAX], const struct cgroups *cgroups, const char *controller,
	const char *id, const char *file)
{
	if (cgroups->kind == CGROUP_V2)
		snprintf(out, PATH_MAX, MOUNT "/sandbox/%s/%s", id, file);
	else
		snprintf(out, PATH_MAX, MOUNT "/%s/sandbox/%s/%s", controller, id, file);
}

static int write_file(const char *path, const char *text)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) >= 0 ? 0 : -1;
}

static bool file_has(const struct cgroups *cgroups, const char *id, const char *v1, const char *v2,
	const char *text)
{
	char path[PATH_MAX], have[256];

	name_file(path, cgroups, "freezer", id, cgroups->kind == CGROUP_V2 ? v2 : v1);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, have, sizeof have - 1) : -1;
	if (n <= 0)
		return false;
	have[n] = '\0';
	return strstr(have, text);
}

bool cgroup_frozen(const struct cgroups *cgroups, const char *id)
{
	return file_has(cgroups, id, "freezer.self_freezing", "cgroup.freeze", "1");
}

/* Whether all of them have stopped, or go on. */
static bool has_settled(const struct cgroups *cgroups, const char *id, bool frozen)
{
	if (cgroups->kind == CGROUP_V2)
		return file_has(
			cgroups, id, NULL, "cgroup.events", frozen ? "frozen 1" : "frozen 0");
	return file_has(cgroups, id, "freezer.state", NULL, frozen ? "FROZEN" : "THAWED");
}

/* A v1 group can stay half frozen where a process was born meanwhile: it is told again, and now and
 * then let go, as runc does. */
static void tell_again(const char *path, bool frozen, int turn)
{
	if (frozen && turn % THAW_EVERY == 0)
		write_file(path, "THAWED");
	write_file(path, frozen ? "FROZEN" : "THAWED");
}

static int settle(const struct cgroups *cgroups, const char *id, const char *path, bool frozen)
{
	int64_t until = now_ms() + SETTLE_MS;

	for (int turn = 1; now_ms() < until; turn++) {
		if (has_settled(cgroups, id, frozen))
			return 0;
		poll(NULL, 0, 1);
		if (cgroups->kind != CGROUP_V2)
			tell_again(path, frozen, turn);
	}
	errno = ETIMEDOUT;
	return -1;
}

int cgroup_freeze(const struct cgroups *cgroups, const char *id, bool frozen, struct err *err)
{
	bool v2 = cgroups->kind == CGROUP_V2;
	const char *words[] = { v2 ? "0" : "THAWED", v2 ? "1" : "FROZEN" };
	char path[PATH_MAX];

	if (!cgroups->freezer)
		return err_set(err, ERR_CONFLICT,
			"this machine has no freezer for a sandbox: pause it cold");
	name_file(path, cgroups, v2 ? NULL : "freezer", id, v2 ? "cgroup.freeze" : "freezer.state");
	if (write_file(path, words[frozen]) == 0 && settle(cgroups, id, path, frozen) == 0)
		return 0;
	err_sys(err, "%s the processes of %s", frozen ? "freeze" : "thaw", id);
	if (frozen)
		write_file(path, words[0]); /* never half of them */
	return -1;
}

int64_t cgroup_memory(const struct cgroups *cgroups, const char *id)
{
	char path[PATH_MAX];

	name_file(path, cgroups, "memory", id,
		cgroups->kind == CGROUP_V2 ? "memory.current" : "memory.usage_in_bytes");
	AUTO_FREE char *text = slurp(path, SMALL_FILE, NULL);
	return text && *text ? strtoll(text, NULL, 10) : -1;
}

/* ---- removing ---- */

/* Processes of it that are left, e.g. of a runtime that was killed; each gets SIGKILL. */
static void kill_members(const char *dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/cgroup.kill", dir);
	if (write_file(path, "1") == 0)
		return;
	snprintf(path, sizeof path, "%s/cgroup.procs", dir);
	AUTO_FREE char *list = slurp(path, 16 * SMALL_FILE, NULL);
	for (char *at = list; at && *at;) {
		long pid = strtol(at, &at, 10);
		if (pid > 1)
			kill((pid_t)pid, SIGKILL);
		at += *at == '\n';
	}
}

static bool gone(const char *dir)
{
	return rmdir(dir) == 0 || errno == ENOENT || errno == ENOTDIR;
}

/* Groups that were made inside: a sandbox cannot, but a runtime might. */
static void remove_below(const char *dir)
{
	AUTO_CLOSEDIR DIR *open_dir = opendir(dir);
	struct dirent *entry;

	while (open_dir && (entry = readdir(open_dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			unlinkat(dirfd(open_dir), entry->d_name, AT_REMOVEDIR);
}

static int remove_group(const char *dir)
{
	if (gone(dir))
		return 0;
	for (int64_t until = now_ms() + SETTLE_MS; now_ms() < until; poll(NULL, 0, 2)) {
		kill_members(dir);
		remove_below(dir);
		if (gone(dir))
			return 0;
	}
	return -1;
}

int cgroup_remove(const struct cgroups *cgroups, const char *id, struct err *err)
{
	char dir[PATH_MAX];

	if (cgroups->kind == CGROUP_NONE)
		return 0;
	if (cgroups->kind == CGROUP_V2) {
		snprintf(dir, sizeof dir, MOUNT "/sandbox/%s", id);
		return remove_group(dir) < 0 ? err_sys(err, "remove %s", dir) : 0;
	}
	AUTO_CLOSEDIR DIR *mounts = opendir(MOUNT);
	struct dirent *entry;
	while (mounts && (entry = readdir(mounts))) {
		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
			continue;
		snprintf(dir, sizeof dir, MOUNT "/%s/sandbox/%s", entry->d_name, id);
		if (remove_group(dir) < 0)
			return err_sys(err, "remove %s", dir);
	}
	return 0;
}
