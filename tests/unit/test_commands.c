#include "commands.h"

#include <errno.h>

#include "command_kit.h"
#include "test.h"

static void returns_what_a_command_wrote_and_how_it_ended(void)
{
	struct kit kit;

	kit_open(&kit);
	kit_run(&kit, "echo out; echo err >&2; exit 3");
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "out\n");
	CHECK_TEXT(kit.last.text[COMMAND_STDERR], "err\n");
	CHECK_INT(kit.last.result.exit_code, 3);
	CHECK_INT(kit.last.result.signo, 0);
	CHECK_INT(kit.last.result.logs[0].bytes, 4);
	CHECK(!kit.last.result.timed_out);
	CHECK(kit.last.result.max_rss_bytes > 100 * 1024);
	CHECK_INT(commands_running(kit.commands), 0);
	kit_close(&kit);
}

static void tells_a_missing_program_as_a_shell_does(void)
{
	struct kit kit;

	kit_open(&kit);
	kit_run(&kit, "no-such-program --at all");
	CHECK_INT(kit.last.result.exit_code, 127);
	CHECK(strstr(kit.last.text[COMMAND_STDERR], "no-such-program") != NULL);
	kit_run(&kit, "./state-is-no-program");
	CHECK_INT(kit.last.result.exit_code, 127);
	kit_run(&kit, "/");
	CHECK_INT(kit.last.result.exit_code, 126);
	kit_close(&kit);
}

static void tells_the_signal_that_ended_a_command(void)
{
	struct kit kit;

	kit_open(&kit);
	kit_run(&kit, "kill -SEGV $$");
	CHECK_INT(kit.last.result.signo, SIGSEGV);
	CHECK_INT(kit.last.result.exit_code, 128 + SIGSEGV);
	CHECK_TEXT(command_signal_name(SIGSEGV), "SIGSEGV");
	kit_close(&kit);
}

static void leaves_the_same_in_the_status_file(void)
{
	struct kit kit;
	char path[300];

	kit_open(&kit);
	kit_run(&kit, "printf abc; exit 7");
	snprintf(path, sizeof path, "%s/status", kit.last.log_dir);
	const char *status = kit_file_with(path, "\n");
	CHECK(strstr(status, "\"state\":\"exited\"") != NULL);
	CHECK(strstr(status, "\"exit_code\":7") != NULL);
	CHECK(strstr(status, "\"stdout\":{\"bytes\":3,\"dropped\":null}") != NULL);
	kit_close(&kit);
}

static void has_nothing_on_standard_input(void)
{
	struct kit kit;

	kit_open(&kit);
	kit_run(&kit, "cat; readlink /proc/self/fd/0");
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "/dev/null\n");
	kit_close(&kit);
}

static void gets_a_megabyte_on_standard_input(void)
{
	static char input[1024 * 1024];
	struct kit kit;

	memset(input, 'x', sizeof input);
	input[0] = '\0'; /* a NUL is a byte like any other */
	kit_open(&kit);
	kit_run_spec(&kit, (struct command_spec){ .command = "cat | wc -c; head -c1 | od -An -tx1",
				   .input = input,
				   .input_len = sizeof input });
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "1048576\n");
	kit_run_spec(&kit, (struct command_spec){ .command = "head -c 2 | od -An -tx1",
				   .input = input,
				   .input_len = sizeof input });
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], " 00 78\n");
	kit_close(&kit);
}

static void may_leave_its_standard_input_unread(void)
{
	static char input[1024 * 1024];
	struct kit kit;

	kit_open(&kit);
	kit_run_spec(
		&kit, (struct command_spec){
			      .command = "exit 5", .input = input, .input_len = sizeof input });
	CHECK_INT(kit.last.result.exit_code, 5);
	kit_close(&kit);
}

static void inherits_no_descriptor_but_the_three(void)
{
	struct kit kit;

	kit_open(&kit);
	MUST(dup2(kit.state_fd, 77)); /* without O_CLOEXEC */
	kit_run(&kit, "for fd in /proc/self/fd/*; do echo ${fd##*/}; done | sort -n | head -c 20");
	/* 3 is the directory that the shell itself reads */
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "0\n1\n2\n3\n");
	kit_run(&kit, "ls /proc/self/fd");
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "0\n1\n2\n3\n");
	close(77);
	kit_close(&kit);
}

static void runs_in_the_directory_given(void)
{
	struct kit kit;

	kit_open(&kit);
	MUST(mkdir("sub dir", 0755));
	int fd = open("sub dir", O_PATH | O_CLOEXEC);
	char name[128];
	snprintf(name, sizeof name, "%s/sub dir", kit.scratch.dir);
	kit_run_spec(&kit,
		(struct command_spec){ .command = "pwd; env pwd", .cwd_fd = fd, .cwd = name });
	char want[300];
	snprintf(want, sizeof want, "%s\n%s\n", name, name);
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], want);
	close(fd);
	kit_close(&kit);
}

static void keeps_the_servers_own_variables_to_itself(void)
{
	static const char *const env[] = { "COLOUR=blue", "LANG=C", NULL };
	struct kit kit;

	setenv("SANDBOX_MCP_TOKEN", "secret", 1);
	setenv("NOTIFY_SOCKET", "/run/secret", 1);
	setenv("LANG", "de_DE", 1);
	kit_open(&kit);
	kit_run_spec(&kit, (struct command_spec){ .command = "env", .env = env });
	const char *text = kit.last.text[COMMAND_STDOUT];
	CHECK(!strstr(text, "secret"));
	CHECK(strstr(text, "COLOUR=blue\n") != NULL);
	CHECK(strstr(text, "LANG=C\n") != NULL);
	CHECK(!strstr(text, "de_DE"));
	CHECK(strstr(text, "PWD=") != NULL);
	CHECK(strstr(text, "TERM=") != NULL);
	kit_close(&kit);
}

static void does_the_same_with_and_without_a_shell(void)
{
	struct kit kit;
	char direct[KIT_TEXT];

	kit_open(&kit);
	kit_run(&kit, "env"); /* plain words: executed at once */
	snprintf(direct, sizeof direct, "%s", kit.last.text[COMMAND_STDOUT]);
	kit_run(&kit, "{ env; } | sort | grep -v -e ^SHLVL= -e ^_="); /* by a shell */
	const char *line = kit.last.text[COMMAND_STDOUT];
	for (; *line; line += strcspn(line, "\n") + 1) {
		char var[KIT_TEXT];
		snprintf(var, sizeof var, "%.*s", (int)strcspn(line, "\n") + 1, line);
		CHECK(strstr(direct, var) != NULL);
	}
	kit_close(&kit);
}

static void starts_in_a_session_and_group_of_its_own(void)
{
	struct kit kit;
	char want[64];

	kit_open(&kit);
	kit_run(&kit, "cut -d' ' -f 1,5,6 /proc/$$/stat; :");
	snprintf(want, sizeof want, "%d %d %d\n", kit.last.pid, kit.last.pid, kit.last.pid);
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], want);
	kit_close(&kit);
}

static void has_default_signals_and_an_empty_mask(void)
{
	struct kit kit;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	kit_open(&kit);
	kit_run(&kit, "grep -E 'Sig(Blk|Ign)' /proc/self/status");
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT],
		"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	kit_close(&kit);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
}

static void gives_commands_the_limit_of_descriptors_back(void)
{
	struct kit kit;

	kit_open_with(&kit, &(struct commands_options){ .nofile = 321 });
	kit_run(&kit, "ulimit -Sn");
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "321\n");
	kit_close(&kit);
}

static void refuses_more_commands_than_allowed(void)
{
	struct kit kit;
	struct outcome outcome;
	struct err err;
	struct command *command, *second;

	kit_open_with(&kit, &(struct commands_options){ .running_max = 1 });
	command = kit_start(
		&kit, (struct command_spec){ .command = "sleep 1000" }, &kit_events, &outcome);
	struct command_spec spec = { .command = "true", .cwd_fd = kit.state_fd, .cwd = "/" };
	CHECK_INT(command_start(kit.commands, &spec, &kit_events, &outcome, &second, &err), -1);
	CHECK_INT(err.code, ERR_LIMIT);
	command_cancel(command);
	kit_finish(&kit, &outcome);
	kit_run(&kit, "true");
	CHECK_INT(kit.last.result.exit_code, 0);
	kit_close(&kit);
}

static void refuses_a_command_line_that_no_shell_could_take(void)
{
	static char line[200 * 1024];
	struct kit kit;
	struct command *command;
	struct err err;

	kit_open(&kit);
	memset(line, 'x', sizeof line - 1);
	struct command_spec spec = { .command = line, .cwd_fd = kit.state_fd, .cwd = "/" };
	CHECK_INT(command_start(kit.commands, &spec, &kit_events, NULL, &command, &err), -1);
	CHECK_INT(err.code, ERR_LIMIT);
	line[128 * 1024 - 1] = '\0';
	kit_run(&kit, line); /* the longest one gets as far as the shell */
	CHECK_INT(kit.last.result.exit_code, 127);
	kit_close(&kit);
}

static void reports_variables_that_are_too_much_altogether(void)
{
	enum { VARS = 40, SIZE = 100 * 1024 };
	const char *env[VARS + 1] = { NULL };
	char *value = malloc(SIZE);
	struct kit kit;

	memset(value, 'v', SIZE - 1);
	memcpy(value, "A=", 2);
	value[SIZE - 1] = '\0';
	for (int i = 0; i < VARS; i++)
		env[i] = value;
	kit_open(&kit);
	kit_run_spec(&kit, (struct command_spec){ .command = "true", .env = env });
	CHECK(kit.last.failed);
	CHECK_INT(kit.last.err.sysno, E2BIG);
	kit_run(&kit, "true");
	CHECK_INT(kit.last.result.exit_code, 0);
	free(value);
	kit_close(&kit);
}

static void runs_a_thousand_at_once(void)
{
	enum { COUNT = 1000 };
	struct kit kit;
	struct outcome *outcomes = calloc(COUNT, sizeof *outcomes);
	char bytes[COUNT] = { 0 };
	int ended = 0, right = 0;

	kit_open(&kit);
	MUST(mkfifo("gate", 0600));
	int gate = open("gate", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < COUNT; i++)
		kit_start(&kit, (struct command_spec){ .command = "head -c 1 ../gate" },
			&kit_events, &outcomes[i]);
	CHECK_INT(commands_running(kit.commands), COUNT);
	kit_run(&kit, "true"); /* they are started in order: all others run by now */
	for (int i = 0; i < COUNT; i++)
		ended += outcomes[i].ended;
	CHECK_INT(ended, 0);
	struct command_info infos[3];
	CHECK_INT(commands_list(kit.commands, infos, 3), 3);
	CHECK_TEXT(infos[2].command, "head -c 1 ../gate");

	MUST(write(gate, bytes, sizeof bytes));
	for (int i = 0; i < COUNT; i++) {
		kit_finish(&kit, &outcomes[i]);
		right += outcomes[i].result.exit_code == 0 && outcomes[i].result.logs[0].bytes == 1;
	}
	CHECK_INT(right, COUNT);
	close(gate);
	free(outcomes);
	kit_close(&kit);
}

TESTS(CASE(returns_what_a_command_wrote_and_how_it_ended),
	CASE(tells_a_missing_program_as_a_shell_does), CASE(tells_the_signal_that_ended_a_command),
	CASE(leaves_the_same_in_the_status_file), CASE(has_nothing_on_standard_input),
	CASE(gets_a_megabyte_on_standard_input), CASE(may_leave_its_standard_input_unread),
	CASE(inherits_no_descriptor_but_the_three), CASE(runs_in_the_directory_given),
	CASE(keeps_the_servers_own_variables_to_itself),
	CASE(does_the_same_with_and_without_a_shell),
	CASE(starts_in_a_session_and_group_of_its_own), CASE(has_default_signals_and_an_empty_mask),
	CASE(gives_commands_the_limit_of_descriptors_back),
	CASE(refuses_more_commands_than_allowed),
	CASE(refuses_a_command_line_that_no_shell_could_take),
	CASE(reports_variables_that_are_too_much_altogether), CASE(runs_a_thousand_at_once))
