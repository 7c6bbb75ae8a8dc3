/* How commands end: by themselves, by their time, by request, with the server, with the keeper. */
#include "commands.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "command_kit.h"
#include "test.h"

/* ---- by themselves ---- */

static void ends_when_the_shell_does_and_leaves_daemons_alone(void)
{
	struct kit kit;

	kit_open(&kit);
	kit_run(&kit, "sleep 1000 & echo $! > ../pid; echo done");
	int pid = kit_pid_in("pid");
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "done\n");
	CHECK_INT(kit.last.result.exit_code, 0);
	CHECK(kit.last.result.duration_ms < 10 * 1000);
	CHECK(kit_process_lives(pid));
	kill(pid, SIGKILL);
	kit_close(&kit);
}

static void still_drains_what_daemons_write_later(void)
{
	struct kit kit;
	char path[300];

	kit_open(&kit);
	MUST(mkfifo("gate", 0600));
	kit_run(&kit, "{ cat ../gate; yes | head -c 300000; echo late; } & echo first");
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "first\n");
	int gate = open("gate", O_WRONLY | O_CLOEXEC);
	MUST(write(gate, "opened\n", 7));
	close(gate);
	snprintf(path, sizeof path, "%s/status", kit.last.log_dir);
	kit_file_with(path, "\"stdout\":{\"bytes\":300018");
	kit_close(&kit);
}

/* ---- by their time ---- */

static void ends_the_whole_family_when_its_time_is_over(void)
{
	struct kit kit;

	kit_open(&kit);
	kit_run_spec(&kit,
		(struct command_spec){ .timeout_ms = 300,
			.command =
				"sleep 1000 & echo $! > ../child;"
				"setsid sleep 1000 & echo $! > ../session;"
				"(env -i setsid sh -c 'echo $$ > ../orphan; exec sleep 1000' < /dev/null > /dev/null 2>&1 &);"
				"(trap '' TERM; setsid sh -c 'echo $$ > ../deaf; while :; do sleep 1; done' &);"
				"echo before; sleep 1000" });
	CHECK(kit.last.result.timed_out);
	CHECK(!kit.last.result.running);
	CHECK_INT(kit.last.result.signo, SIGTERM);
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "before\n");
	CHECK(!kit_process_lives(kit_pid_in("child")));
	CHECK(!kit_process_lives(kit_pid_in("session")));
	CHECK(!kit_process_lives(kit_pid_in("orphan")));
	CHECK(!kit_process_lives(kit_pid_in("deaf")));
	kit_close(&kit);
}

static void gives_two_seconds_to_clean_up(void)
{
	struct kit kit;

	kit_open(&kit);
	kit_run_spec(&kit,
		(struct command_spec){ .timeout_ms = 200,
			.command =
				"trap 'echo cleaned; exit 9' TERM; echo ready; while :; do sleep 0.01; done" });
	CHECK(kit.last.result.timed_out);
	CHECK_INT(kit.last.result.exit_code, 9);
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "ready\ncleaned\n");
	kit_run_spec(&kit, (struct command_spec){ .timeout_ms = 200,
				   .command = "trap '' TERM; while :; do sleep 0.01; done" });
	CHECK_INT(kit.last.result.signo, SIGKILL);
	CHECK(kit.last.result.duration_ms >= 2200);
	kit_close(&kit);
}

/* Whether some process has `word` in its command line. */
static bool anybody_has(const char *word)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	char path[300], line[256] = "";
	bool found = false;

	while (!found && (entry = readdir(dir))) {
		snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof line);
		found = n > 0 && memmem(line, (size_t)n, word, strlen(word));
		if (fd >= 0)
			close(fd);
	}
	closedir(dir);
	return found;
}

static void catches_a_process_that_runs_away_all_the_time(void)
{
	struct kit kit;
	char name[32], script[128];
	bool seen = false;

	kit_open(&kit);
	/* it never lives for long: a successor in another session takes over */
	snprintf(name, sizeof name, "runaway-%d", getpid());
	snprintf(script, sizeof script,
		"trap '' TERM\n[ -d state ] || exit\nsetsid sh %s &\n", name);
	scratch_text(name, script);
	snprintf(script, sizeof script, "cd ..; sh %s; sleep 1000", name);
	kit_run_spec(&kit, (struct command_spec){ .timeout_ms = 300, .command = script });
	CHECK(kit.last.result.timed_out);
	for (int i = 0; i < 50; i++)
		seen = seen || anybody_has(name);
	CHECK(!seen);
	kit_close(&kit);
}

static void goes_on_in_the_background_if_asked(void)
{
	struct kit kit;
	char path[300];

	kit_open(&kit);
	MUST(mkfifo("gate", 0600));
	kit_run_spec(&kit, (struct command_spec){ .timeout_ms = 200,
				   .background_on_timeout = true,
				   .command = "echo early; cat ../gate; exit 6" });
	CHECK(kit.last.result.timed_out);
	CHECK(kit.last.result.running);
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "early\n");
	CHECK_INT(commands_running(kit.commands), 1);
	struct command_info info;
	CHECK_INT(commands_list(kit.commands, &info, 1), 1);
	CHECK(info.background);
	CHECK_INT(info.pid, kit.last.pid);
	int gate = open("gate", O_WRONLY | O_CLOEXEC);
	MUST(write(gate, "late\n", 5));
	close(gate);
	snprintf(path, sizeof path, "%s/status", kit.last.log_dir);
	const char *status = kit_file_with(path, "\"state\":\"exited\"");
	CHECK(strstr(status, "\"exit_code\":6") != NULL);
	CHECK(strstr(status, "\"background\":true") != NULL);
	snprintf(path, sizeof path, "%s/stdout", kit.last.log_dir);
	CHECK_TEXT(kit_file_with(path, "late"), "early\nlate\n");
	kit_run(&kit, "true"); /* the end was told before this one's */
	CHECK_INT(commands_running(kit.commands), 0);
	kit_close(&kit);
}

/* ---- by request ---- */

static void ends_when_it_is_cancelled(void)
{
	struct kit kit;
	struct outcome outcome;

	kit_open(&kit);
	struct command *command = kit_start(&kit,
		(struct command_spec){ .command = "echo $$ > ../pid; sleep 1000; echo not here" },
		&kit_events, &outcome);
	int pid = kit_pid_in("pid");
	command_cancel(command);
	kit_finish(&kit, &outcome);
	CHECK(!outcome.failed);
	CHECK_INT(outcome.result.signo, SIGTERM);
	CHECK(!outcome.result.timed_out);
	CHECK(!kit_process_lives(pid));
	kit_close(&kit);
}

static void ends_when_its_owner_gives_it_up(void)
{
	struct kit kit;
	struct outcome outcome;

	kit_open(&kit);
	struct command *command = kit_start(&kit,
		(struct command_spec){ .command = "echo $$ > ../pid; exec sleep 1000" },
		&kit_events, &outcome);
	int pid = kit_pid_in("pid");
	command_free(command);
	CHECK(kit_process_ends(pid));
	CHECK(!outcome.ended);
	kit_close(&kit);
}

/* ---- with the server ---- */

/* In a process of its own: starts commands, then waits to be killed. */
static void be_a_server(const struct kit *kit, int ready)
{
	static struct outcome outcomes[3];
	struct kit server = { .options = kit->options, .state_fd = kit->state_fd };
	static const char *const lines[] = {
		"echo $$ > ../foreground; sleep 1000 & echo $! > ../child;"
		"setsid sleep 1000 & echo $! > ../session;"
		"(env -i setsid sh -c 'echo $$ > ../orphan; exec sleep 1000' &); sleep 1000",
		"echo $$ > ../background; echo begun; cat ../gate; exit 5",
		"echo $$ > ../detached; cat ../gate2",
	};

	MUST(loop_new(&server.loop, NULL));
	server.patience = loop_timer_new(server.loop, kit_lost_patience, NULL);
	kit_attach(&server);
	for (int i = 0; i < 3; i++)
		kit_start(&server,
			(struct command_spec){ .command = lines[i],
				.background = i == 1,
				.timeout_ms = i == 2 ? 50 : 0,
				.background_on_timeout = i == 2 },
			&kit_events, &outcomes[i]);
	while (!outcomes[1].started || !outcomes[2].ended)
		kit_turn(&server);
	MUST(write(ready, outcomes[1].log_dir, sizeof outcomes[1].log_dir));
	kit_turn(&server);
}

static pid_t start_server(const struct kit *kit, char log_dir[256])
{
	int ready[2];

	MUST(pipe2(ready, O_CLOEXEC));
	fflush(stdout);
	pid_t pid = fork();
	MUST(pid);
	if (pid == 0) {
		be_a_server(kit, ready[1]);
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], log_dir, 256) != 256) {
		printf("Bail out! the server did not start its commands\n");
		exit(99);
	}
	close(ready[0]);
	return pid;
}

static void outlives_a_killed_server_only_in_the_background(void)
{
	struct kit kit;
	char log_dir[256], path[300];
	struct command_info infos[5];
	int status;

	kit_open(&kit);
	commands_close(kit.commands);
	MUST(mkfifo("gate", 0600));
	MUST(mkfifo("gate2", 0600));
	pid_t server = start_server(&kit, log_dir);
	int foreground = kit_pid_in("foreground"), child = kit_pid_in("child");
	int session = kit_pid_in("session"), orphan = kit_pid_in("orphan");
	int background = kit_pid_in("background"), detached = kit_pid_in("detached");
	kill(server, SIGKILL);
	MUST(waitpid(server, &status, 0));

	CHECK(kit_process_ends(foreground));
	CHECK(kit_process_ends(child));
	CHECK(kit_process_ends(session));
	CHECK(kit_process_ends(orphan));
	CHECK(kit_process_lives(background));
	CHECK(kit_process_lives(detached));

	kit_attach(&kit); /* the next server finds both, and runs new ones beside them */
	kit_run(&kit, "echo new");
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "new\n");
	CHECK_INT(commands_list(kit.commands, infos, 5), 2);
	CHECK(infos[0].background && infos[1].background);
	CHECK_INT(infos[0].pid, background);
	CHECK_INT(infos[1].pid, detached);
	CHECK(strncmp(infos[0].command, "echo $$ > ../background;", 24) == 0);

	int gate = open("gate", O_WRONLY | O_CLOEXEC);
	MUST(write(gate, "after\n", 6));
	close(gate);
	snprintf(path, sizeof path, "%s/status", log_dir);
	CHECK(strstr(kit_file_with(path, "\"state\":\"exited\""), "\"exit_code\":5") != NULL);
	snprintf(path, sizeof path, "%s/stdout", log_dir);
	CHECK_TEXT(kit_file_with(path, "after"), "begun\nafter\n");
	kill(detached, SIGKILL);
	while (commands_running(kit.commands) > 0)
		kit_run(&kit, "true");
	kit_close(&kit);
}

static void ends_with_a_server_that_closes(void)
{
	struct kit kit;
	struct outcome outcome;

	kit_open(&kit);
	kit_start(&kit, (struct command_spec){ .command = "echo $$ > ../pid; exec sleep 1000" },
		&kit_events, &outcome);
	int pid = kit_pid_in("pid");
	commands_close(kit.commands);
	CHECK(kit_process_ends(pid));
	CHECK(outcome.ended);
	kit_attach(&kit);
	kit_close(&kit);
}

/* ---- with the keeper ---- */

static int keeper_pid(const struct kit *kit)
{
	char path[300];

	snprintf(path, sizeof path, "%s/status", kit->last.log_dir);
	const char *status = kit_file_with(path, "keeper_pid");
	return (int)strtol(strstr(status, "\"keeper_pid\":") + 13, NULL, 10);
}

static void tells_when_the_keeper_is_lost_and_starts_another(void)
{
	struct kit kit;
	struct outcome outcome;
	char path[300];

	kit_open(&kit);
	kit_run(&kit, "true");
	int keeper = keeper_pid(&kit);
	kit_start(&kit,
		(struct command_spec){ .background = true,
			.command = "trap '' PIPE; echo $$ > ../background; exec sleep 1000" },
		&kit_events, &outcome);
	kit_turn(&kit);
	CHECK(outcome.started);
	snprintf(path, sizeof path, "%s/status", outcome.log_dir);
	struct outcome fore;
	kit_start(&kit, (struct command_spec){ .command = "echo $$ > ../pid; exec sleep 1000" },
		&kit_events, &fore);
	int pid = kit_pid_in("pid"), background = kit_pid_in("background");
	kill(keeper, SIGKILL);
	kit_finish(&kit, &fore);
	CHECK(fore.failed);
	CHECK_INT(fore.err.code, ERR_IO);
	CHECK_INT(commands_running(kit.commands), 0);

	kit_run(&kit, "echo again");
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "again\n");
	CHECK(keeper_pid(&kit) != keeper);
	CHECK(kit_process_ends(pid)); /* the new one ends what nobody waits for any more */
	CHECK(kit_process_lives(background));
	kit_file_with(path, "\"state\":\"lost\"");
	kill(background, SIGKILL);
	kit_close(&kit);
}

static void takes_everything_along_when_the_keeper_is_told_to_end(void)
{
	struct kit kit;
	struct outcome outcome;

	kit_open(&kit);
	kit_run(&kit, "true");
	kit_start(&kit,
		(struct command_spec){
			.background = true, .command = "echo $$ > ../pid; exec sleep 1000" },
		&kit_events, &outcome);
	int pid = kit_pid_in("pid");
	kill(keeper_pid(&kit), SIGTERM);
	CHECK(kit_process_ends(pid));
	while (commands_running(kit.commands) > 0)
		kit_turn(&kit);
	kit_close(&kit);
}

static void leaves_no_keeper_behind(void)
{
	struct kit kit;

	kit_open(&kit);
	kit_run(&kit, "true");
	int keeper = keeper_pid(&kit);
	commands_close(kit.commands);
	CHECK(!kit_process_lives(keeper));
	CHECK_INT(waitpid(-1, NULL, WNOHANG), -1); /* no child, not even a dead one */
	kit_attach(&kit);
	kit_close(&kit);
}

TESTS(CASE(ends_when_the_shell_does_and_leaves_daemons_alone),
	CASE(still_drains_what_daemons_write_later),
	CASE(ends_the_whole_family_when_its_time_is_over), CASE(gives_two_seconds_to_clean_up),
	CASE(catches_a_process_that_runs_away_all_the_time),
	CASE(goes_on_in_the_background_if_asked), CASE(ends_when_it_is_cancelled),
	CASE(ends_when_its_owner_gives_it_up),
	CASE(outlives_a_killed_server_only_in_the_background), CASE(ends_with_a_server_that_closes),
	CASE(tells_when_the_keeper_is_lost_and_starts_another),
	CASE(takes_everything_along_when_the_keeper_is_told_to_end), CASE(leaves_no_keeper_behind))
