#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "bundle.h"
#include "cgroup.h"
#include "cleanup.h"
#include "dial.h"
#include "disk.h"
#include "err.h"
#include "idmap.h"
#include "network.h"
#include "proc.h"
#include "runtime.h"
#include "site.h"
#include "slurp.h"
#include "stage.h"
#include "template.h"
#include "tree.h"

enum {
	LOCK_MS = 45 * 1000,   /* longer than any step of the runtime may take */
	ANSWER_MS = 20 * 1000, /* until the tool server listens */
	END_MS = 10 * 1000,
	BOOT_ID_LEN = 36,
};

void live_release(struct live *live)
{
	cleanup_close(&live->init);
	cleanup_close(&live->helper);
	*live = (struct live)LIVE_NONE;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static char *box_dir(const struct site *site, const char *id)
{
	return alloc_printf("%s/%s", site->boxes, id);
}

bool box_remains(const struct site *site, const char *id)
{
	AUTO_FREE char *dir = box_dir(site, id);

	return access(dir, F_OK) == 0 || errno != ENOENT;
}

/* ---- the lock ---- */

static int lock(const char *dir, int *out, struct err *err)
{
	AUTO_FREE char *path = alloc_printf("%s/lock", dir);
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int64_t until = now_ms() + LOCK_MS;

	if (fd < 0)
		return err_sys(err, "open %s", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(err, "lock %s", path);
		if (now_ms() > until)
			return err_set(err, ERR_TIMEOUT,
				"another process has been at work on %s for %d s", dir,
				LOCK_MS / 1000);
		poll(NULL, 0, 5);
	}
	*out = steal_fd(&fd);
	return 0;
}

/* ---- its first process ---- */

/* Field 22 of /proc/<pid>/stat, which with the boot's id tells processes of one pid apart. */
static long long start_time(pid_t pid)
{
	char path[64];
	int field = 2;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	AUTO_FREE char *text = slurp(path, 4096, NULL);
	char *at = text ? strrchr(text, ')') : NULL;
	while (at && field < 22) {
		at = strchr(at + 1, ' ');
		field++;
	}
	return at ? strtoll(at, NULL, 10) : -1;
}

static void boot_id(char out[BOOT_ID_LEN + 1])
{
	AUTO_FREE char *text = slurp("/proc/sys/kernel/random/boot_id", 64, NULL);

	snprintf(out, BOOT_ID_LEN + 1, "%s", text ? text : "?");
}

static int write_init(const char *dir, pid_t pid, struct err *err)
{
	char boot[BOOT_ID_LEN + 1];

	boot_id(boot);
	AUTO_FREE char *path = alloc_printf("%s/init", dir);
	AUTO_FREE char *text = alloc_printf("%d %lld %s\n", (int)pid, start_time(pid), boot);
	return tree_write(path, text, 0600, 0, err);
}

/* The pidfd of the process that is written down, or -1 where it is no more. */
static int find_init(const char *dir)
{
	char boot[BOOT_ID_LEN + 1], then[BOOT_ID_LEN + 1] = "";
	int pid;
	long long started;

	boot_id(boot);
	AUTO_FREE char *path = alloc_printf("%s/init", dir);
	AUTO_FREE char *text = slurp(path, 256, NULL);
	if (!text || sscanf(text, "%d %lld %36s", &pid, &started, then) != 3 ||
		strcmp(boot, then) != 0 || pid <= 1)
		return -1;
	AUTO_CLOSE int fd = pidfd_open(pid, 0);
	if (fd < 0 || start_time(pid) != started)
		return -1;
	return steal_fd(&fd);
}

static pid_t read_pid(const char *dir, const char *file)
{
	AUTO_FREE char *path = alloc_printf("%s/%s", dir, file);
	AUTO_FREE char *text = slurp(path, 256, NULL);

	return text ? (pid_t)strtol(text, NULL, 10) : -1;
}

pid_t box_await_pid(const char *dir)
{
	AUTO_CLOSE int lock_fd = -1;

	if (lock(dir, &lock_fd, NULL) < 0)
		return -1;
	pid_t pid = read_pid(dir, "init");
	return pid > 1 ? pid : read_pid(dir, "pid"); /* the runtime's word */
}

static bool has_ended(int pidfd)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	return poll(&end, 1, 0) > 0;
}

void box_find(const struct site *site, const char *id, struct live *live)
{
	AUTO_FREE char *dir = box_dir(site, id);
	AUTO_CLOSE int init = find_init(dir);

	*live = (struct live)LIVE_NONE;
	if (init < 0 || has_ended(init))
		return;
	live->init = steal_fd(&init);
	live->helper = network_find_helper(id);
}

/* ---- ending ---- */

/* Its first process is forgotten before it is killed, lest it be taken for one that lives. */
static int end_processes(
	const struct site *site, const char *id, const char *dir, int init, struct err *err)
{
	struct pollfd end = { .fd = init, .events = POLLIN };
	AUTO_FREE char *path = alloc_printf("%s/init", dir);

	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, "remove %s", path);
	if (init < 0) { /* what may be left is killed below; frozen it would not die */
		if (cgroup_frozen(&site->cgroups, id))
			cgroup_freeze(&site->cgroups, id, false, NULL);
		return 0;
	}
	/* All of its pid namespace goes with it; what is frozen dies when it thaws. */
	pidfd_send_signal(init, SIGKILL, NULL, 0);
	if (site->cgroups.freezer)
		cgroup_freeze(&site->cgroups, id, false, NULL);
	if (poll(&end, 1, END_MS) == 0)
		return err_set(err, ERR_TIMEOUT, "the processes of %s do not end", id);
	return 0;
}

static int stop(const struct site *site, const char *id, const char *dir, int lock_fd,
	struct live *live, struct err *err)
{
	struct live found = LIVE_NONE;
	AUTO_FREE char *disk = alloc_printf("%s/disk.img", dir);

	if (live->init < 0) { /* perhaps an earlier manager's */
		box_find(site, id, &found);
		found.helper = found.helper >= 0 ? found.helper : network_find_helper(id);
	} else {
		found = *live;
		*live = (struct live)LIVE_NONE;
	}
	network_stop(found.helper);
	found.helper = -1;
	int result = end_processes(site, id, dir, found.init, err);
	live_release(&found);
	live_release(live);
	if (result < 0 || runtime_delete(site, id, dir, lock_fd, err) < 0 ||
		cgroup_remove(&site->cgroups, id, err) < 0)
		return -1;
	return disk_await_free(disk, err);
}

int box_stop(const struct site *site, const char *id, struct live *live, struct err *err)
{
	AUTO_FREE char *dir = box_dir(site, id);
	AUTO_CLOSE int lock_fd = -1;

	if (lock(dir, &lock_fd, err) < 0)
		return -1;
	return stop(site, id, dir, lock_fd, live, err);
}

/* What names the sandbox goes last: until then it can be found and removed. */
static int remove_files(const char *dir, struct err *err)
{
	static const char *const first[] = { "disk.img", "disk.img.new", "token", "token.new",
		"resolv", "resolv.new", "hosts", "hosts.new", "config.json", "config.json.new",
		"pid", ".pid", "init", "init.new", "runtime.log", "lock" };

	for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
		AUTO_FREE char *path = alloc_printf("%s/%s", dir, first[i]);
		if (tree_remove(path, err) < 0)
			return -1;
	}
	return tree_remove(dir, err);
}

/* From here on it is nothing that could run again, whatever of it is still there. Where that cannot
 * be written (a full disk) it is removed all the same. */
static void forget_made(const char *dir)
{
	struct record record = { 0 };

	if (record_load(dir, &record, NULL) < 0)
		return;
	if (record.made) {
		record.made = false;
		record_save(&record, dir, NULL);
	}
	record_release(&record);
}

int box_remove(const struct site *site, const char *id, struct live *live, struct err *err)
{
	AUTO_FREE char *dir = box_dir(site, id);
	AUTO_CLOSE int lock_fd = -1;

	if (access(dir, F_OK) < 0 && errno == ENOENT) {
		live_release(live);
		return 0;
	}
	if (lock(dir, &lock_fd, err) < 0 || stop(site, id, dir, lock_fd, live, err) < 0)
		return -1;
	forget_made(dir);
	return remove_files(dir, err);
}

/* ---- starting ---- */

/* Whether the tool server takes connections yet: 1, 0 or -1. */
static int try_port(const struct site *site, int init, struct err *err)
{
	AUTO_CLOSE int fd = -1;
	int sysno = 0;
	socklen_t len = sizeof sysno;

	if (has_ended(init))
		return err_set(err, ERR_IO, "the sandbox ended as soon as it was started");
	if (dial(init, site->port, &fd, NULL) < 0)
		return 0;
	struct pollfd connected = { .fd = fd, .events = POLLOUT };
	if (poll(&connected, 1, 100) <= 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &sysno, &len) < 0)
		return 0;
	return sysno == 0;
}

static int await_answer(const struct site *site, int init, struct err *err)
{
	int64_t until = now_ms() + ANSWER_MS;

	while (now_ms() < until) {
		int answered = try_port(site, init, err);
		if (answered != 0)
			return answered < 0 ? -1 : 0;
		poll(NULL, 0, 2);
	}
	return err_set(err, ERR_TIMEOUT, "the tool server does not answer on port %u", site->port);
}

/* The container, whose first process waits. */
static int create(const struct site *site, const struct record *record, const char *dir,
	int lock_fd, struct live *live, pid_t *pid, struct err *err)
{
	__attribute__((cleanup(template_release))) struct template template = { .layers_len = 0 };
	AUTO_FREE char *disk = alloc_printf("%s/disk.img", dir);
	AUTO_FREE char *token = alloc_printf("%s/token", dir);
	AUTO_FREE char *resolv = alloc_printf("%s/resolv", dir);
	AUTO_FREE char *hosts = alloc_printf("%s/hosts", dir);
	AUTO_CLOSE int idmap = -1;
	AUTO_CLOSE int loop = -1;
	char device[32];
	uint32_t first = site_first_id(site, record->slot);

	if (template_find(site, record->template, &template, err) < 0 ||
		network_write_files(record, dir, err) < 0 ||
		bundle_write(site, record, dir, err) < 0 ||
		(!site->rootless && idmap_open(first, ID_RANGE, &idmap, err) < 0) ||
		(!site->rootless && disk_attach(disk, &loop, device, err) < 0))
		return -1;
	struct stage stage = { .dir = site->stage,
		.device = site->rootless ? NULL : device,
		.disk = disk,
		.layers_len = template.layers_len,
		.usr_mask = template.usr_mask,
		.tools = site->tools,
		.token = token,
		.resolv = resolv,
		.hosts = record->network == NETWORK_ALLOW ? hosts : NULL,
		.idmap = idmap,
		.first = first };
	for (int i = 0; i < template.layers_len; i++)
		stage.layers[i] = template.layers[i];
	if (runtime_create(site, record->id, dir, &stage, lock_fd, pid, err) < 0)
		return -1;
	return proc_pidfd(*pid, &live->init, err);
}

/* Lets it run. The network and the tool server come up side by side, behind the rules. */
static int let_go(const struct site *site, const struct record *record, const char *dir,
	int lock_fd, pid_t pid, struct live *live, struct err *err)
{
	int ready;

	if (network_start(site, record, pid, &live->helper, &ready, err) < 0)
		return -1;
	if (network_set_rules(site, record, live->init, err) < 0 ||
		runtime_start(site, record->id, dir, lock_fd, err) < 0) {
		cleanup_close(&ready);
		return -1;
	}
	return network_await(ready, err) < 0 ? -1 : await_answer(site, live->init, err);
}

static int start(const struct site *site, const struct record *record, const char *dir, int lock_fd,
	struct live *out, struct err *err)
{
	struct live live = LIVE_NONE;
	struct err dropped;
	pid_t pid;

	if (create(site, record, dir, lock_fd, &live, &pid, err) == 0 &&
		let_go(site, record, dir, lock_fd, pid, &live, err) == 0 &&
		write_init(dir, pid, err) == 0) { /* from here on it counts as running */
		*out = live;
		return 0;
	}
	stop(site, record->id, dir, lock_fd, &live, &dropped);
	return -1;
}

int box_start(
	const struct site *site, const struct record *record, struct live *live, struct err *err)
{
	AUTO_FREE char *dir = box_dir(site, record->id);
	AUTO_CLOSE int lock_fd = -1;
	struct live old = LIVE_NONE;

	if (lock(dir, &lock_fd, err) < 0 || stop(site, record->id, dir, lock_fd, &old, err) < 0)
		return -1;
	return start(site, record, dir, lock_fd, live, err);
}

static int make_files(const struct site *site, const struct record *record, const char *dir,
	const char *token, struct err *err)
{
	AUTO_FREE char *disk = alloc_printf("%s/disk.img", dir);
	AUTO_FREE char *token_path = alloc_printf("%s/token", dir);
	AUTO_FREE char *line = alloc_printf("%s\n", token);

	if (access(disk, F_OK) < 0 && disk_make(site, disk, record->limits.disk_mb, err) < 0)
		return -1;
	return tree_write(token_path, line, 0400, site_first_id(site, record->slot) + USER_ID, err);
}

int box_make(const struct site *site, struct record *record, const char *token, struct live *live,
	struct err *err)
{
	AUTO_FREE char *dir = box_dir(site, record->id);
	AUTO_CLOSE int lock_fd = -1;
	struct live made = LIVE_NONE;

	bool fresh = mkdir(dir, 0700) == 0;
	if (!fresh && errno != EEXIST)
		return err_sys(err, "make %s", dir);
	if (lock(dir, &lock_fd, err) < 0 ||
		(!fresh && stop(site, record->id, dir, lock_fd, &made, err) < 0))
		return -1;
	record->made = false;
	if (record_save(record, dir, err) == 0 && make_files(site, record, dir, token, err) == 0 &&
		start(site, record, dir, lock_fd, &made, err) == 0) {
		record->made = true;
		if (record_save(record, dir, err) == 0) {
			*live = made;
			return 0;
		}
	}
	struct err dropped;
	if (stop(site, record->id, dir, lock_fd, &made, &dropped) == 0)
		remove_files(dir, &dropped);
	return -1;
}

int box_claim(const struct site *site, struct record *record, struct err *err)
{
	AUTO_FREE char *dir = box_dir(site, record->id);

	record->pooled = false;
	return record_save(record, dir, err);
}

int box_connect(const struct site *site, const struct record *record, int *helper, struct err *err)
{
	AUTO_FREE char *dir = box_dir(site, record->id);
	AUTO_CLOSE int lock_fd = -1;
	AUTO_CLOSE int init = -1;
	int started, ready;

	if (lock(dir, &lock_fd, err) < 0)
		return -1;
	init = find_init(dir);
	if (init < 0 || has_ended(init))
		return err_set(err, ERR_CONFLICT, "sandbox %s does not run", record->id);
	if (network_start(site, record, read_pid(dir, "init"), &started, &ready, err) < 0)
		return -1;
	if (network_await(ready, err) < 0) {
		network_stop(started);
		return -1;
	}
	*helper = started;
	return 0;
}
