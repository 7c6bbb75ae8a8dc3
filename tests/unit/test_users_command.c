#include "users_command.h"

#include <pty.h>
#include <sys/wait.h>
#include <termios.h>

#include "err.h"
#include "login.h"
#include "store.h"

#include "scratch.h"
#include "test.h"

#define URL "sqlite:///x.db"

enum { ARGS_MAX = 8 };

static struct err err;

/* Runs `user ...`, what it prints goes to the file "out". */
static int run(const char *line)
{
	char text[256], *argv[ARGS_MAX + 1], *save = NULL;
	int argc = 0;

	snprintf(text, sizeof text, "%s", line);
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	fflush(stdout);
	int saved = dup(STDOUT_FILENO), out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	MUST(saved);
	MUST(out);
	MUST(dup2(out, STDOUT_FILENO));
	int failed = users_command(argc, argv, URL, &err);
	fflush(stdout);
	MUST(dup2(saved, STDOUT_FILENO));
	close(saved);
	close(out);
	return failed;
}

static void check_printed(const char *line, const char *want)
{
	char text[256];

	if (run(line) < 0)
		CHECK_TEXT(err.msg, "");
	CHECK_TEXT(scratch_read("out", text, sizeof text), want);
}

static void check_refused(const char *line, enum err_code code, const char *says)
{
	CHECK_INT(run(line), -1);
	CHECK_INT(err.code, code);
	if (!strstr(err.msg, says)) {
		printf("# of %s\n", line);
		CHECK_TEXT(err.msg, says);
	}
}

static bool logs_in(const char *name, const char *password)
{
	struct identity who;
	struct store *store;

	CHECK_INT(store_open(NULL, URL, &store, &err), 0);
	bool in = login_check(store, name, password, &who, &err) == 0;
	store_close(store);
	return in;
}

static void adds_lists_changes_and_removes(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	scratch_text("pw", "one\n");
	check_printed("ls", "");
	check_printed("add eve --password-file pw", "added eve\n");
	scratch_text("pw", "two\r\n");
	check_printed("add --admin --password-file=pw bob", "added bob (admin)\n");
	check_printed("ls", "bob (admin)\neve\n");
	CHECK(logs_in("eve", "one"));
	CHECK(logs_in("bob", "two"));
	scratch_text("pw", "three");
	check_printed("add eve --password-file pw", "changed eve\n");
	CHECK(logs_in("eve", "three"));
	CHECK(!logs_in("eve", "one"));
	check_printed("rm eve", "removed eve\n");
	CHECK(!logs_in("eve", "three"));
	check_printed("ls", "bob (admin)\n");
	check_refused("rm eve", ERR_NOT_FOUND, "no user eve");
}

static void refuses_what_is_wrong_and_says_how_to_call_it(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	static const char *const lines[] = { "", "help", "add", "ls x", "rm", "rm a b", "add a b",
		"add eve --password x", "add eve --password-file", "add --admin" };

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		check_refused(lines[i], ERR_INVALID, "usage: sandbox-manager user add NAME");
	check_refused("add e/ve --password-file pw", ERR_INVALID, "a name has");
	check_refused("add eve --password-file pw", ERR_NOT_FOUND, "password file pw");
}

static void refuses_a_password_that_is_none(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char text[600];

	scratch_text("pw", "");
	check_refused("add eve --password-file pw", ERR_INVALID, "1 to 511 bytes");
	scratch_text("pw", "\n");
	check_refused("add eve --password-file pw", ERR_INVALID, "1 to 511 bytes");
	scratch_text("pw", "one\ntwo\n");
	check_refused("add eve --password-file pw", ERR_INVALID, "1 to 511 bytes");
	scratch_write("pw", "a\0b", 3);
	check_refused("add eve --password-file pw", ERR_INVALID, "1 to 511 bytes");
	memset(text, 'x', sizeof text);
	scratch_write("pw", text, 512);
	check_refused("add eve --password-file pw", ERR_INVALID, "1 to 511 bytes");
	scratch_write("pw", text, sizeof text);
	check_refused("add eve --password-file pw", ERR_INVALID, "1 to 511 bytes");
	check_printed("ls", "");
	scratch_write("pw", text, 511);
	check_printed("add eve --password-file pw", "added eve\n");
}

/* ---- At a terminal ---- */

static void read_until(int terminal, char *all, size_t size, const char *want)
{
	size_t len = strlen(all);

	while (!strstr(all, want) && len + 1 < size) {
		ssize_t n = read(terminal, all + len, size - len - 1);
		if (n <= 0)
			break;
		len += (size_t)n;
		all[len] = '\0';
	}
	if (!strstr(all, want))
		CHECK_TEXT(all, want);
}

/* Answers both questions; what the terminal showed is left in `shown`. The exit status. */
static int at_terminal(const char *first, const char *second, char *shown, size_t size)
{
	static char add[] = "add", eve[] = "eve";
	char *argv[] = { add, eve, NULL };
	int terminal, status;

	fflush(stdout);
	pid_t child = forkpty(&terminal, NULL, NULL, NULL);
	MUST(child);
	if (child == 0) {
		int failed = users_command(2, argv, URL, &err);
		printf("%s\n", failed ? err.msg : "");
		fflush(stdout);
		_exit(failed ? err.code : 0);
	}
	shown[0] = '\0';
	read_until(terminal, shown, size, "Password for eve: ");
	MUST(write(terminal, first, strlen(first)));
	if (second) {
		read_until(terminal, shown, size, "The same again: ");
		MUST(write(terminal, second, strlen(second)));
	}
	/* EIO: its other end is closed. */
	read_until(terminal, shown, size, "\n");
	size_t len = strlen(shown);
	ssize_t n;
	while ((n = read(terminal, shown + len, size - len - 1)) > 0)
		len += (size_t)n;
	shown[len] = '\0';
	MUST(waitpid(child, &status, 0));
	close(terminal);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void asks_twice_and_shows_nothing(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char shown[1024];

	CHECK_INT(at_terminal("s3cret pass\n", "s3cret pass\n", shown, sizeof shown), 0);
	CHECK(strstr(shown, "added eve"));
	CHECK(!strstr(shown, "s3cret"));
	CHECK(logs_in("eve", "s3cret pass"));
	CHECK_INT(at_terminal("one\n", "two\n", shown, sizeof shown), ERR_INVALID);
	CHECK(strstr(shown, "differ"));
	CHECK(logs_in("eve", "s3cret pass"));
	CHECK_INT(at_terminal("\n", "\n", shown, sizeof shown), ERR_INVALID);
	CHECK_INT(at_terminal("\004", NULL, shown, sizeof shown), ERR_CANCELLED);
	CHECK_INT(at_terminal("half\003", NULL, shown, sizeof shown), ERR_CANCELLED);
	CHECK(logs_in("eve", "s3cret pass"));
}

static void without_a_terminal_it_names_the_option(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	static char add[] = "add", eve[] = "eve";
	char *argv[] = { add, eve, NULL };
	int status;

	fflush(stdout);
	pid_t child = fork();
	MUST(child);
	if (child == 0) {
		MUST(setsid());
		int failed = users_command(2, argv, URL, &err);
		_exit(failed && strstr(err.msg, "--password-file") ? 7 : 1);
	}
	MUST(waitpid(child, &status, 0));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

TESTS(CASE(adds_lists_changes_and_removes), CASE(refuses_what_is_wrong_and_says_how_to_call_it),
	CASE(refuses_a_password_that_is_none), CASE(asks_twice_and_shows_nothing),
	CASE(without_a_terminal_it_names_the_option))
