/*
 * A manager that is killed at any moment leaves sandboxes that the next one knows, and nothing
 * else: each case kills one a little later, and lets the next clean up.
 */
#include "local_talk.h"
#include "scratch.h"
#include "test.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

enum { STEP_MS = 9, LAST_MS = 270 };

static struct scratch scratch;

/* Changes one sandbox for ever, through every state. */
static void live(void)
{
	static struct kit_calls calls;
	struct kit kit;

	MUST(kit_open(&kit, scratch.dir, 0));
	for (;;) {
		struct provider *provider = kit.provider;
		calls.len = calls.ended = 0;
		const char *id = kit_make(&kit, &calls, "host")->id;
		kit_await(&kit, &calls);
		provider->pause(provider, id, false, kit_done, kit_call(&kit, &calls, id));
		kit_await(&kit, &calls);
		provider->pause(provider, id, true, kit_done, kit_call(&kit, &calls, id));
		kit_await(&kit, &calls);
		provider->resume(provider, id, kit_done, kit_call(&kit, &calls, id));
		kit_await(&kit, &calls);
		kit_remove(&kit, &calls, id);
		kit_await(&kit, &calls);
	}
}

static void kill_one_after(int ms)
{
	pid_t pid = fork();

	MUST(pid);
	if (pid == 0) {
		live();
		_exit(0);
	}
	poll(NULL, 0, ms);
	MUST(kill(pid, SIGKILL));
	MUST(waitpid(pid, NULL, 0));
}

struct found {
	char ids[16][SANDBOX_ID_LEN + 1];
	enum provider_state states[16];
	size_t len;
};

static void on_each(const char *id, const struct provider_answer *answer, void *data)
{
	struct found *found = data;

	if (found->len == 16)
		return;
	found->states[found->len] = answer->state;
	snprintf(found->ids[found->len++], sizeof found->ids[0], "%s", id);
}

static void on_listed(const struct err *err, void *data)
{
	(void)data;
	CHECK(!err);
}

static int entries(const char *dir)
{
	DIR *open_dir = opendir(dir);
	struct dirent *entry;
	int n = 0;

	while (open_dir && (entry = readdir(open_dir)))
		n += entry->d_name[0] != '.';
	if (open_dir)
		closedir(open_dir);
	return n;
}

static bool in_file(const char *path, const char *text)
{
	char line[8192];
	FILE *file = fopen(path, "re");
	bool found = false;

	while (file && !found && fgets(line, sizeof line, file))
		found = strstr(line, text);
	if (file)
		fclose(file);
	return found;
}

/* Processes that name the sandbox, or are in its control groups. */
static int processes_of(const char *id)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int n = 0;

	while (dir && (entry = readdir(dir))) {
		char path[300];
		if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name))
			continue;
		snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
		bool named = in_file(path, id);
		snprintf(path, sizeof path, "/proc/%s/cgroup", entry->d_name);
		bool inside = in_file(path, id);
		snprintf(path, sizeof path, "/proc/%s/status", entry->d_name);
		n += (named || inside) && !in_file(path, "State:\tZ");
	}
	if (dir)
		closedir(dir);
	return n;
}

static int groups_of(const char *id)
{
	DIR *dir = opendir("/sys/fs/cgroup");
	struct dirent *entry;
	char path[512];
	int n = 0;

	snprintf(path, sizeof path, "/sys/fs/cgroup/sandbox/%s", id);
	n += access(path, F_OK) == 0;
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s/sandbox/%s", entry->d_name, id);
		n += access(path, F_OK) == 0;
	}
	if (dir)
		closedir(dir);
	return n;
}

static int devices_here(void)
{
	int n = 0;

	for (int i = 0; i < 256; i++) {
		char path[64];
		snprintf(path, sizeof path, "/sys/block/loop%d/loop/backing_file", i);
		n += in_file(path, scratch.dir);
	}
	return n;
}

/* Processes that run this very program, beside this one: none of the killed may be left. */
static int copies_of_us(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	struct stat self, other;
	int n = 0;

	MUST(stat("/proc/self/exe", &self));
	while (dir && (entry = readdir(dir))) {
		char path[300];
		snprintf(path, sizeof path, "/proc/%s/exe", entry->d_name);
		if (strspn(entry->d_name, "0123456789") == strlen(entry->d_name) &&
			atol(entry->d_name) != getpid() && stat(path, &other) == 0)
			n += other.st_ino == self.st_ino && other.st_dev == self.st_dev;
	}
	if (dir)
		closedir(dir);
	return n;
}

/* What the next manager finds runs, or can run again, or is nothing. */
static void find_and_remove(void)
{
	static struct kit_calls calls;
	struct found found = { .len = 0 };
	struct kit kit;

	calls.len = calls.ended = 0;
	MUST(kit_open(&kit, scratch.dir, 0));
	kit_await_idle(&kit);
	kit.provider->list(kit.provider, on_each, on_listed, &found);
	CHECK(found.len <= 1);
	for (size_t i = 0; i < found.len; i++) {
		const char *id = found.ids[i];
		if (found.states[i] != PROVIDER_GONE) {
			struct kit_call *call = kit_call(&kit, &calls, id);
			kit.provider->resume(kit.provider, id, kit_done, call);
			kit_await(&kit, &calls);
			CHECK_INT(call->err.code, 0);
			CHECK_INT(talk_code(&kit, id, "true"), 0);
		}
		const struct kit_call *removed = kit_remove(&kit, &calls, id);
		kit_await(&kit, &calls);
		CHECK_INT(removed->err.code, 0);
		CHECK_INT(processes_of(id), 0);
		CHECK_INT(groups_of(id), 0);
	}
	CHECK_INT(entries("sandboxes"), 0);
	CHECK_INT(entries("oci"), 0);
	CHECK_INT(devices_here(), 0);
	CHECK_INT(copies_of_us(), 0);
	kit_close(&kit);
}

static void loses_and_leaves_nothing_whenever_it_is_killed(void)
{
	if (geteuid() != 0) {
		printf("Bail out! sandboxes are made by root: run this test as root\n");
		exit(99);
	}
	scratch = scratch_enter();
	struct kit kit; /* the template is made once, not in what is killed */
	MUST(kit_open(&kit, scratch.dir, 0));
	kit_await_idle(&kit);
	kit_close(&kit);
	for (int ms = 0; ms < LAST_MS && test_failures == 0; ms += STEP_MS) {
		kill_one_after(ms);
		find_and_remove();
		if (test_failures)
			printf("# when it was killed after %d ms\n", ms);
	}
	scratch_leave(&scratch);
}

/* A request that was under way is asked again by the next manager, with the same id. */
static void makes_a_sandbox_again_of_which_a_part_is_there(void)
{
	static struct kit_calls calls;
	struct kit kit;
	char id[SANDBOX_ID_LEN + 1];

	scratch = scratch_enter();
	kit_new_id(id);
	for (int ms = 20; ms <= 120 && test_failures == 0; ms += 25) {
		pid_t pid = fork();
		MUST(pid);
		if (pid == 0) {
			MUST(kit_open(&kit, scratch.dir, 0));
			kit_await_idle(&kit);
			kit_make_from(&kit, &calls, &(struct provider_spec){ .id = id });
			loop_run(kit.loop, NULL);
			_exit(0);
		}
		poll(NULL, 0, ms);
		MUST(kill(pid, SIGKILL));
		MUST(waitpid(pid, NULL, 0));
		MUST(kit_open(&kit, scratch.dir, 0));
		const struct kit_call *made =
			kit_make_from(&kit, &calls, &(struct provider_spec){ .id = id });
		kit_await(&kit, &calls);
		CHECK_INT(made->answer.state, PROVIDER_RUNNING);
		CHECK_INT(talk_code(&kit, id, "true"), 0);
		kit_remove(&kit, &calls, id);
		kit_await(&kit, &calls);
		kit_close(&kit);
		CHECK_INT(entries("sandboxes"), 0);
	}
	scratch_leave(&scratch);
}

TESTS(CASE(loses_and_leaves_nothing_whenever_it_is_killed),
	CASE(makes_a_sandbox_again_of_which_a_part_is_there))
