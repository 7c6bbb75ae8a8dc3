/* The life of local sandboxes: real ones, so it needs root and what the engine needs. */
#include "local_talk.h"
#include "scratch.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>

static struct scratch scratch;
static struct kit kit;

static void open_kit(void)
{
	if (geteuid() != 0) {
		printf("Bail out! sandboxes are made by root: run this test as root\n");
		exit(99);
	}
	if (!scratch.dir[0]) {
		scratch = scratch_enter();
		MUST(chmod(scratch.dir, 0700));
	}
	MUST(kit_open(&kit, scratch.dir, 0));
}

/* A sandbox that is there; NULL where it could not be made, which has been said then. */
static struct kit_call *make(struct kit_calls *calls, const struct provider_spec *spec)
{
	struct kit_call *call = kit_make_from(&kit, calls, spec);

	kit_await(&kit, calls);
	CHECK_INT(call->err.code, 0);
	CHECK_INT(call->answer.state, PROVIDER_RUNNING);
	return call;
}

static void drop(struct kit_calls *calls, const char *id)
{
	struct kit_call *call = kit_remove(&kit, calls, id);

	kit_await(&kit, calls);
	CHECK_INT(call->err.code, 0);
	CHECK_INT(call->answer.state, PROVIDER_GONE);
}

typedef void kit_change(struct provider *provider, const char *id, struct kit_call *call);

static void resume(struct provider *provider, const char *id, struct kit_call *call)
{
	provider->resume(provider, id, kit_done, call);
}

static void freeze(struct provider *provider, const char *id, struct kit_call *call)
{
	provider->pause(provider, id, false, kit_done, call);
}

static void cool(struct provider *provider, const char *id, struct kit_call *call)
{
	provider->pause(provider, id, true, kit_done, call);
}

static const struct kit_call *change(struct kit_calls *calls, const char *id, kit_change *to)
{
	struct kit_call *call = kit_call(&kit, calls, id);

	to(kit.provider, id, call);
	kit_await(&kit, calls);
	CHECK_INT(call->err.code, 0);
	return call;
}

static enum provider_state state_of(const char *id)
{
	struct kit_calls calls = { .len = 0 };
	struct kit_call *call = kit_call(&kit, &calls, id);

	kit.provider->status(kit.provider, id, kit_done, call);
	kit_await(&kit, &calls);
	return call->answer.state;
}

/* ---- */

static void runs_commands_as_its_user_and_as_root(void)
{
	static struct kit_calls calls;
	char out[256];

	open_kit();
	const char *id = make(&calls, &(struct provider_spec){ 0 })->id;
	CHECK_INT(talk_output(&kit, id, "id -u; pwd; echo $HOME", out, sizeof out), 0);
	CHECK_TEXT(out, "1000\n/workspace\n/home/user\n");
	CHECK_INT(talk_output(&kit, id, "sudo id -u", out, sizeof out), 0);
	CHECK_TEXT(out, "0\n");
	CHECK_INT(talk_code(&kit, id, "touch a && sudo touch /usr/bin/b && sudo apt --version"), 0);
	CHECK_INT(access("/usr/bin/b", F_OK), -1);
	drop(&calls, id);
	kit_close(&kit);
}

static void has_the_programs_that_agents_use(void)
{
	static const char *const programs[] = { "bash", "curl", "git", "python", "python3", "rg",
		"tmux" };
	static struct kit_calls calls;

	open_kit();
	const char *id = make(&calls, &(struct provider_spec){ 0 })->id;
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		char command[64], on_host[64];
		bool python = strcmp(programs[i], "python") == 0;
		snprintf(on_host, sizeof on_host, "/usr/bin/%s", python ? "python3" : programs[i]);
		snprintf(command, sizeof command, "command -v %s && %s %s", programs[i],
			programs[i], strcmp(programs[i], "tmux") == 0 ? "-V" : "--version");
		CHECK_INT(talk_code(&kit, id, command), access(on_host, X_OK) == 0 ? 0 : 127);
	}
	drop(&calls, id);
	kit_close(&kit);
}

static void gives_each_its_own_address_and_files(void)
{
	static struct kit_calls calls;
	char out[64];

	open_kit();
	const struct kit_call *a = make(&calls, &(struct provider_spec){ 0 });
	const struct kit_call *b = make(&calls, &(struct provider_spec){ 0 });
	CHECK(strcmp(a->address, b->address) != 0);
	CHECK_INT(strncmp(a->address, "127.83.", 7), 0);
	CHECK_INT(talk_code(&kit, a->id, "echo a > /workspace/it; echo a > /tmp/it"), 0);
	CHECK_INT(talk_code(&kit, b->id, "test -e /workspace/it -o -e /tmp/it"), 1);
	CHECK_INT(talk_output(&kit, a->id, "cat /tmp/it", out, sizeof out), 0);
	drop(&calls, a->id);
	drop(&calls, b->id);
	kit_close(&kit);
}

static void hands_the_variables_of_the_request_to_commands(void)
{
	static struct kit_calls calls;
	json_auto_t *envs = json_pack("{s:s, s:s}", "GREETING", "hello there", "HOME", "/tmp");
	json_auto_t *taken = json_pack("{s:s}", "SANDBOX_MCP_TOKEN", "x");
	char out[64];

	open_kit();
	const char *id = make(&calls, &(struct provider_spec){ .envs = envs })->id;
	CHECK_INT(talk_output(&kit, id, "echo $GREETING $HOME", out, sizeof out), 0);
	CHECK_TEXT(out, "hello there /tmp\n");
	drop(&calls, id);
	const struct kit_call *refused =
		kit_make_from(&kit, &calls, &(struct provider_spec){ .envs = taken });
	kit_await(&kit, &calls);
	CHECK_INT(refused->err.code, ERR_INVALID);
	kit_close(&kit);
}

static void refuses_a_template_that_is_not_there(void)
{
	static struct kit_calls calls;

	open_kit();
	const struct kit_call *call = kit_make(&kit, &calls, "no-such");
	kit_await(&kit, &calls);
	CHECK_INT(call->err.code, ERR_NOT_FOUND);
	CHECK(strstr(call->err.msg, "no-such"));
	CHECK_INT(state_of(call->id), PROVIDER_GONE);
	kit_close(&kit);
}

static void freezes_and_goes_on_where_it_was(void)
{
	static struct kit_calls calls;
	char first[64], second[64];

	open_kit();
	const char *id = make(&calls, &(struct provider_spec){ 0 })->id;
	CHECK_INT(talk_code(&kit, id,
			  "(while :; do echo . >> /tmp/ticks; sleep 0.01; done) "
			  ">/dev/null 2>&1 & echo $! > /tmp/pid; sleep 0.1"),
		0);
	CHECK_INT(change(&calls, id, freeze)->answer.state, PROVIDER_PAUSED);
	CHECK_INT(state_of(id), PROVIDER_PAUSED);
	const struct kit_call *resumed = change(&calls, id, resume);
	CHECK_INT(resumed->answer.state, PROVIDER_RUNNING);
	CHECK(!resumed->answer.restarted);
	CHECK_INT(talk_output(&kit, id, "wc -l < /tmp/ticks", first, sizeof first), 0);
	CHECK_INT(talk_code(&kit, id,
			  "n=$(wc -l < /tmp/ticks); until [ $(wc -l < /tmp/ticks) -gt $n ]; "
			  "do sleep 0.01; done"),
		0);
	CHECK_INT(talk_output(&kit, id, "wc -l < /tmp/ticks", second, sizeof second), 0);
	CHECK(atol(second) > atol(first));
	drop(&calls, id);
	kit_close(&kit);
}

static void keeps_files_but_no_processes_when_cold(void)
{
	static struct kit_calls calls;
	char out[64];

	open_kit();
	const struct kit_call *made = make(&calls, &(struct provider_spec){ 0 });
	const char *id = made->id;
	CHECK_INT(talk_code(&kit, id, "echo kept > note; sudo sh -c 'echo kept > /etc/note'"), 0);
	CHECK_INT(change(&calls, id, cool)->answer.state, PROVIDER_COLD);
	CHECK_INT(state_of(id), PROVIDER_COLD);
	int fd;
	CHECK_INT(kit.provider->dial(kit.provider, id, KIT_PORT, &fd, NULL), -1);
	const struct kit_call *again = change(&calls, id, resume);
	CHECK(again->answer.restarted);
	CHECK_TEXT(again->address, made->address);
	CHECK_INT(talk_output(&kit, id, "cat note /etc/note", out, sizeof out), 0);
	CHECK_TEXT(out, "kept\nkept\n");
	drop(&calls, id);
	kit_close(&kit);
}

/* What it leaves on its disk is read by the runtime and the tool server when it starts again. */
static void is_led_nowhere_by_what_it_left(void)
{
	static struct kit_calls calls;
	char out[256];

	open_kit();
	const char *id = make(&calls, &(struct provider_spec){ 0 })->id;
	CHECK_INT(talk_code(&kit, id,
			  "sudo sh -c 'mv /home/user /home/old; ln -s ../../../../.. /home/user; "
			  "ln -sf /proc/1/root/etc/shadow /etc/passwd'; true"),
		0);
	CHECK_INT(change(&calls, id, cool)->answer.state, PROVIDER_COLD);
	struct kit_call *call = kit_call(&kit, &calls, id);
	kit.provider->resume(kit.provider, id, kit_done, call);
	kit_await(&kit, &calls);
	/* It may have broken itself: then it says so, and the engine is as it was. */
	if (call->err.code == 0) {
		CHECK_INT(talk_output(
				  &kit, id, "ls -a /home/user/ | head -3; id -u", out, sizeof out),
			0);
		CHECK(!strstr(out, "lost+found"));
	} else {
		CHECK_INT(state_of(id), PROVIDER_COLD);
	}
	drop(&calls, id);
	kit_close(&kit);
}

static void goes_from_frozen_to_cold_and_back(void)
{
	static struct kit_calls calls;

	open_kit();
	const char *id = make(&calls, &(struct provider_spec){ 0 })->id;
	CHECK_INT(change(&calls, id, freeze)->answer.state, PROVIDER_PAUSED);
	CHECK_INT(change(&calls, id, cool)->answer.state, PROVIDER_COLD);
	CHECK(change(&calls, id, resume)->answer.restarted);
	CHECK_INT(talk_code(&kit, id, "true"), 0);
	CHECK_INT(change(&calls, id, freeze)->answer.state, PROVIDER_PAUSED);
	drop(&calls, id);
	kit_close(&kit);
}

static void starts_the_tool_server_again_when_it_dies(void)
{
	static struct kit_calls calls;

	open_kit();
	const char *id = make(&calls, &(struct provider_spec){ 0 })->id;
	CHECK_INT(talk_code(&kit, id, "setsid sh -c 'sleep 0.2; pkill -9 -f argv0' & :"), 0);
	CHECK_INT(talk_code(&kit, id, "sudo cat /proc/1/task/1/children > /tmp/before"), 0);
	/* The port is closed for a moment: the call that ends it is answered by nobody. */
	for (int tries = 0, code = 1; code != 0 && tries < 200; tries++) {
		poll(NULL, 0, 50);
		int fd;
		if (kit.provider->dial(kit.provider, id, KIT_PORT, &fd, NULL) < 0)
			continue;
		struct pollfd ready = { .fd = fd, .events = POLLOUT };
		int sysno = ECONNREFUSED;
		socklen_t len = sizeof sysno;
		if (poll(&ready, 1, 1000) > 0)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &sysno, &len);
		close(fd);
		if (sysno == 0)
			code = talk_code(&kit, id, "! cmp -s /tmp/before /proc/1/task/1/children");
	}
	CHECK_INT(talk_code(&kit, id, "! cmp -s /tmp/before /proc/1/task/1/children"), 0);
	drop(&calls, id);
	kit_close(&kit);
}

static void runs_on_while_its_manager_is_away(void)
{
	static struct kit_calls calls;
	char out[64];

	open_kit();
	const struct kit_call *made = make(&calls, &(struct provider_spec){ 0 });
	CHECK_INT(talk_code(&kit, made->id, "sleep 1000 > /dev/null 2>&1 & echo $! > pid"), 0);
	kit_close(&kit);
	open_kit();
	CHECK_INT(state_of(made->id), PROVIDER_RUNNING);
	CHECK_INT(talk_output(&kit, made->id, "ps -o comm= -p $(cat pid)", out, sizeof out), 0);
	CHECK_TEXT(out, "sleep\n");
	drop(&calls, made->id);
	kit_close(&kit);
}

static void is_cold_when_its_first_process_ends(void)
{
	static struct kit_calls calls;

	open_kit();
	const char *id = make(&calls, &(struct provider_spec){ 0 })->id;
	int fd;
	MUST(kit.provider->dial(kit.provider, id, KIT_PORT, &fd, NULL));
	close(fd);
	talk_code(&kit, id, "kill -TERM 1; sleep 5");
	for (int i = 0; i < 500 && state_of(id) == PROVIDER_RUNNING; i++)
		poll(NULL, 0, 10);
	CHECK_INT(state_of(id), PROVIDER_COLD);
	CHECK(change(&calls, id, resume)->answer.restarted);
	CHECK_INT(talk_code(&kit, id, "true"), 0);
	drop(&calls, id);
	kit_close(&kit);
}

static void keeps_prepared_ones_and_hands_them_out(void)
{
	static struct kit_calls calls;
	const struct provider_spec want = { .network = NETWORK_INTERNET };
	char id[SANDBOX_ID_LEN + 1], token[SANDBOX_TOKEN_LEN + 1];

	open_kit();
	kit_close(&kit);
	MUST(kit_open(&kit, scratch.dir, 2));
	for (int64_t ready = 0; ready < 2;) {
		kit_await_idle(&kit);
		json_t *figures = kit.provider->figures(kit.provider);
		ready = json_integer_value(json_object_get(figures, "pool_ready"));
		json_decref(figures);
	}
	CHECK(!kit.provider->reserve(
		kit.provider, &(struct provider_spec){ .network = NETWORK_NONE }, id, token));
	CHECK(kit.provider->reserve(kit.provider, &want, id, token));
	CHECK_INT(strlen(token), SANDBOX_TOKEN_LEN);
	struct provider_spec spec = want;
	spec.id = id;
	spec.token = token;
	const struct kit_call *made = make(&calls, &spec);
	CHECK(made->ended_ms - made->started_ms < 50);
	kit_await_idle(&kit);
	kit_close(&kit);
	/* What nobody was given goes, what was given stays. */
	open_kit();
	kit_await_idle(&kit);
	CHECK_INT(state_of(id), PROVIDER_RUNNING);
	json_t *figures = kit.provider->figures(kit.provider);
	CHECK_INT(json_integer_value(json_object_get(figures, "sandboxes")), 1);
	json_decref(figures);
	drop(&calls, id);
	kit_close(&kit);
}

/* The process whose first argument is the helper's name; 0: none. */
static pid_t find_helper(const char *id)
{
	char name[64], path[300], line[64];
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	snprintf(name, sizeof name, "slirp4netns:%s", id);
	while (dir && !found && (entry = readdir(dir))) {
		snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
		FILE *file = fopen(path, "re");
		if (file && fgets(line, sizeof line, file) && strcmp(line, name) == 0)
			found = (pid_t)atol(entry->d_name);
		if (file)
			fclose(file);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void gives_a_sandbox_another_helper_when_its_own_ends(void)
{
	static struct kit_calls calls;
	char before[64], after[64];

	open_kit();
	const char *id = make(&calls, &(struct provider_spec){ 0 })->id;
	CHECK_INT(
		talk_output(&kit, id, "cat /sys/class/net/tap0/address", before, sizeof before), 0);
	kit_run_for(&kit, 1100); /* one that ends sooner is not replaced */
	pid_t first = find_helper(id);
	CHECK(first > 0);
	MUST(kill(first, SIGKILL));
	for (int i = 0; i < 500 && (find_helper(id) == first || find_helper(id) == 0); i++)
		kit_run_for(&kit, 10);
	kit_await_idle(&kit);
	CHECK(find_helper(id) > 0);
	CHECK_INT(talk_output(&kit, id, "cat /sys/class/net/tap0/address", after, sizeof after), 0);
	CHECK(strcmp(before, after) != 0);
	drop(&calls, id);
	kit_close(&kit);
}

static void destroys_what_is_not_there(void)
{
	static struct kit_calls calls;
	char id[SANDBOX_ID_LEN + 1];

	open_kit();
	kit_new_id(id);
	drop(&calls, id);
	kit_close(&kit);
}

/* ---- */

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

/* What the kernel has of our directory: mounts, loop devices. */
static int mentions(const char *command)
{
	FILE *list = fopen(command, "re");
	char line[PATH_MAX];
	int n = 0;

	while (list && fgets(line, sizeof line, list))
		n += strstr(line, scratch.dir) != NULL;
	if (list)
		fclose(list);
	return n;
}

static void leaves_nothing_behind(void)
{
	CHECK_INT(entries("sandboxes"), 0);
	CHECK_INT(entries("oci"), 0);
	CHECK_INT(mentions("/proc/self/mountinfo"), 0);
	for (int i = 0; i < 256; i++) {
		char path[64];
		snprintf(path, sizeof path, "/sys/block/loop%d/loop/backing_file", i);
		CHECK_INT(mentions(path), 0);
	}
	scratch_leave(&scratch);
}

TESTS(CASE(runs_commands_as_its_user_and_as_root), CASE(has_the_programs_that_agents_use),
	CASE(gives_each_its_own_address_and_files),
	CASE(hands_the_variables_of_the_request_to_commands),
	CASE(refuses_a_template_that_is_not_there), CASE(freezes_and_goes_on_where_it_was),
	CASE(keeps_files_but_no_processes_when_cold), CASE(is_led_nowhere_by_what_it_left),
	CASE(goes_from_frozen_to_cold_and_back), CASE(starts_the_tool_server_again_when_it_dies),
	CASE(runs_on_while_its_manager_is_away), CASE(is_cold_when_its_first_process_ends),
	CASE(keeps_prepared_ones_and_hands_them_out),
	CASE(gives_a_sandbox_another_helper_when_its_own_ends), CASE(destroys_what_is_not_there),
	CASE(leaves_nothing_behind))
