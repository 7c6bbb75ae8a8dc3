/* The server and keepers that are not what it expects, and the other way round. */
#include "commands.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "command_kit.h"
#include "keeper/wire.h"
#include "test.h"

static const struct wire_hello a_hello = { .version = WIRE_VERSION,
	.head_bytes = 1 << 20,
	.tail_bytes = 1 << 20,
	.keep_commands = 10,
	.keep_bytes = 1 << 20 };

static struct sockaddr_un address(const struct kit *kit)
{
	struct sockaddr_un there = { .sun_family = AF_UNIX };

	snprintf(there.sun_path, sizeof there.sun_path, "%s/keeper.sock", kit->options.state_dir);
	return there;
}

static void say(int fd, enum wire_type type, const void *body, size_t len)
{
	struct wire_head head = { (uint32_t)(sizeof head + len), (uint16_t)type, 0, 0 };

	MUST(write(fd, &head, sizeof head));
	if (len > 0)
		MUST(write(fd, body, len));
}

/* The type of the next message, 0 at the end of the connection. */
static int hear(int fd, void *body, size_t size)
{
	struct wire_head head;
	char rest[4096];

	if (recv(fd, &head, sizeof head, MSG_WAITALL) != sizeof head)
		return 0;
	size_t len = head.size - sizeof head;
	if (len > sizeof rest || recv(fd, rest, len, MSG_WAITALL) != (ssize_t)len)
		return 0;
	memcpy(body, rest, len < size ? len : size);
	return head.type;
}

/* A keeper of another make, in a process of its own; its exit status is what `answer` says. */
static pid_t pretend(const struct kit *kit, int (*answer)(int fd))
{
	struct sockaddr_un there = address(kit);
	int listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(there.sun_path);
	MUST(bind(listen_fd, (struct sockaddr *)&there, sizeof there));
	MUST(listen(listen_fd, 1));
	fflush(stdout);
	pid_t pid = fork();
	MUST(pid);
	if (pid == 0)
		_exit(answer(accept(listen_fd, NULL, NULL)));
	close(listen_fd);
	return pid;
}

static int be_newer(int fd)
{
	struct wire_hello hello;
	struct wire_welcome welcome = { .version = WIRE_VERSION + 1 };
	char body[8];

	if (hear(fd, &hello, sizeof hello) != WIRE_HELLO || hello.version != WIRE_VERSION)
		return 1;
	say(fd, WIRE_WELCOME, &welcome, sizeof welcome);
	return hear(fd, body, sizeof body) == 0 ? 0 : 2;
}

static int be_silent(int fd)
{
	struct wire_hello hello;
	char body[8];

	if (hear(fd, &hello, sizeof hello) != WIRE_HELLO)
		return 1;
	return hear(fd, body, sizeof body) == 0 ? 0 : 2;
}

static int talk_nonsense(int fd)
{
	struct wire_hello hello;

	hear(fd, &hello, sizeof hello);
	MUST(write(fd, "what is this, and who are you?", 30));
	return hear(fd, &hello, sizeof hello) == 0 ? 0 : 1;
}

static void check_gets_past(int (*answer)(int fd))
{
	struct kit kit;
	int status;

	kit_open(&kit);
	commands_close(kit.commands);
	pid_t pid = pretend(&kit, answer);
	kit_attach(&kit);
	MUST(waitpid(pid, &status, 0));
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
	kit_run(&kit, "echo works");
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "works\n");
	kit_close(&kit);
}

static void leaves_a_keeper_of_another_version_alone(void)
{
	check_gets_past(be_newer);
}

static void leaves_a_silent_keeper_alone(void)
{
	check_gets_past(be_silent);
}

static void leaves_what_is_no_keeper_alone(void)
{
	check_gets_past(talk_nonsense);
}

static int visit(const struct kit *kit)
{
	struct sockaddr_un there = address(kit);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(connect(fd, (struct sockaddr *)&there, sizeof there));
	return fd;
}

static void serves_one_server_at_a_time(void)
{
	struct kit kit;
	struct wire_hello hello = a_hello;
	char body[8];

	kit_open(&kit);
	kit_run(&kit, "true");
	int fd = visit(&kit);
	(void)!send(fd, &hello, sizeof hello, MSG_NOSIGNAL);
	CHECK_INT(hear(fd, body, sizeof body), 0);
	close(fd);
	kit_run(&kit, "echo still here");
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "still here\n");
	kit_close(&kit);
}

static void is_not_upset_by_nonsense(void)
{
	static const char nonsense[100] = "GET / HTTP/1.1\r\n\r\n";
	struct kit kit;
	struct outcome outcome;
	struct wire_hello hello = a_hello;
	char body[64];

	kit_open(&kit);
	kit_start(&kit,
		(struct command_spec){
			.background = true, .command = "echo $$ > ../pid; exec sleep 1000" },
		&kit_events, &outcome);
	int pid = kit_pid_in("pid");
	commands_close(kit.commands); /* the command keeps the keeper there */

	int fd = visit(&kit);
	MUST(write(fd, nonsense, sizeof nonsense));
	CHECK_INT(hear(fd, body, sizeof body), 0);
	close(fd);
	fd = visit(&kit);
	say(fd, WIRE_START, nonsense, sizeof nonsense); /* before the greeting */
	CHECK_INT(hear(fd, body, sizeof body), 0);
	close(fd);
	fd = visit(&kit);
	say(fd, WIRE_HELLO, &hello, sizeof hello);
	CHECK_INT(hear(fd, body, sizeof body), WIRE_WELCOME);
	CHECK_INT(hear(fd, body, sizeof body), WIRE_RUNNING);
	say(fd, WIRE_START, nonsense, sizeof nonsense); /* without its descriptors */
	CHECK_INT(hear(fd, body, sizeof body), 0);
	close(fd);

	CHECK(kit_process_lives(pid));
	kit_attach(&kit);
	kit_run(&kit, "echo fine");
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "fine\n");
	CHECK_INT(commands_running(kit.commands), 1);
	kill(pid, SIGKILL);
	while (commands_running(kit.commands) > 0)
		kit_run(&kit, "true");
	kit_close(&kit);
}

static void goes_on_with_its_commands_when_another_took_its_place(void)
{
	struct kit kit;
	struct outcome outcome;
	char path[300];

	kit_open(&kit);
	kit_start(&kit,
		(struct command_spec){
			.background = true, .command = "echo $$ > ../pid; exec sleep 1000" },
		&kit_events, &outcome);
	kit_turn(&kit);
	int pid = kit_pid_in("pid");
	commands_close(kit.commands);
	MUST(unlink(address(&kit).sun_path));

	kit_attach(&kit); /* this one keeps its hands off the old one's command */
	kit_run(&kit, "echo next");
	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "next\n");
	CHECK_INT(commands_running(kit.commands), 0);
	CHECK(kit_process_lives(pid));
	kill(pid, SIGKILL);
	snprintf(path, sizeof path, "%s/status", outcome.log_dir);
	CHECK(strstr(kit_file_with(path, "\"state\":\"killed\""), "\"signal\":\"SIGKILL\"") !=
		NULL);
	kit_close(&kit);
}

TESTS(CASE(leaves_a_keeper_of_another_version_alone), CASE(leaves_a_silent_keeper_alone),
	CASE(leaves_what_is_no_keeper_alone), CASE(serves_one_server_at_a_time),
	CASE(is_not_upset_by_nonsense), CASE(goes_on_with_its_commands_when_another_took_its_place))
