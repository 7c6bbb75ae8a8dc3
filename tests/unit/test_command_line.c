#include "command_line.h"

#include "buf.h"
#include "scratch.h"
#include "test.h"

/* The program that a line is executed as, and its arguments, joined by '|'; "" for a shell. */
static const char *direct_with(const char *command, const char *const *env)
{
	static char joined[4096];
	struct command_line *line = command_line_new();
	struct buf out;

	buf_init(&out, 1024 * 1024);
	struct command_words words = command_line_add(line, &out, command, "/work", env, NULL);
	const char *text = out.data;
	CHECK_TEXT(text, "/work");
	text += strlen(text) + 1;
	CHECK(strcmp(text, "/bin/bash") == 0 || strcmp(text, "/bin/sh") == 0);
	text += strlen(text) + 1;
	joined[0] = '\0';
	for (size_t i = 0, len = 0; words.args > 0 && i <= words.args; i++) {
		len += (size_t)snprintf(
			joined + len, sizeof joined - len, "%s%s", i ? "|" : "", text);
		text += strlen(text) + 1;
	}
	buf_release(&out);
	command_line_free(line);
	return joined;
}

static const char *direct(const char *command)
{
	return direct_with(command, NULL);
}

/* A value among the variables, or NULL. */
static const char *var_of(const char *name, const char *const *env, int *times)
{
	static char value[4096];
	struct command_line *line = command_line_new();
	struct buf out;
	bool found = false;

	buf_init(&out, 1024 * 1024);
	struct command_words words = command_line_add(line, &out, "a;b", "/work", env, NULL);
	const char *text = out.data;
	for (size_t i = 0; i < 2; i++)
		text += strlen(text) + 1;
	*times = 0;
	for (size_t i = 0; i < words.vars; i++) {
		if (strncmp(text, name, strlen(name)) == 0 && text[strlen(name)] == '=') {
			snprintf(value, sizeof value, "%s", text + strlen(name) + 1);
			found = true;
			++*times;
		}
		text += strlen(text) + 1;
	}
	CHECK(text == out.data + out.len);
	buf_release(&out);
	command_line_free(line);
	return found ? value : NULL;
}

/* A directory in PATH with the programs `name`. */
static void put_program(const char *name, mode_t mode)
{
	scratch_text(name, "#!/bin/sh\n");
	MUST(chmod(name, mode));
}

static void executes_plain_words_directly(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char path[100], want[200];

	snprintf(path, sizeof path, "/nowhere:%s", scratch.dir);
	setenv("PATH", path, 1);
	put_program("prog", 0755);
	put_program("true", 0755);
	snprintf(want, sizeof want, "%s/prog|prog", scratch.dir);
	CHECK_TEXT(direct("prog"), want);
	CHECK_TEXT(direct("  prog\t"), want);
	snprintf(want, sizeof want, "%s/prog|prog|-a|b=c|./d,e|x:y@z%%+", scratch.dir);
	CHECK_TEXT(direct("prog -a b=c ./d,e x:y@z%+"), want);
	snprintf(want, sizeof want, "%s/true|true", scratch.dir);
	CHECK_TEXT(direct("true"), want);
	CHECK_TEXT(direct("./prog x"), "./prog|./prog|x");
}

static void leaves_the_rest_to_a_shell(void)
{
	static const char *const lines[] = { "", "   ", "prog;", "prog | prog", "prog &",
		"prog > f", "prog 'a'", "prog \"a\"", "prog $A", "prog `a`", "prog *", "prog ?",
		"prog [a]", "prog ~", "prog {a,b}", "prog a\\ b", "prog # c", "prog\nprog",
		"prog\n", "! prog", "A=b prog", "A=b", "prog (a)", "prog ^a", "prog ä", "%1",
		/* words of the shell itself, although files of these names are there */
		"echo a", "cd sub", "exit", "test a", "[ a ]", "true x", "false --help",
		"time prog", "if prog", "kill 1", "pwd", "type prog", ". prog", ": a",
		/* not there, or not to be executed */
		"absent", "plain", "folder" };
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	setenv("PATH", scratch.dir, 1);
	for (const char *const *name = (const char *const[]){ "prog", "echo", "cd", "exit", "test",
		     "true", "false", "kill", "pwd", "type", NULL };
		*name; name++)
		put_program(*name, 0755);
	put_program("plain", 0644);
	MUST(mkdir("folder", 0755));
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		CHECK_TEXT(direct(lines[i]), "");
}

static void leaves_it_to_a_shell_where_settings_change_one(void)
{
	static const char *const settings[] = { "BASH_ENV=x", "BASH_FUNC_prog%%=() { :; }",
		"SHELLOPTS=xtrace", "BASHOPTS=x", "POSIXLY_CORRECT=1", "PATH=relative:/bin" };
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	setenv("PATH", scratch.dir, 1);
	put_program("prog", 0755);
	CHECK(*direct_with("prog", (const char *const[]){ "OTHER=1", NULL }));
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		CHECK_TEXT(direct_with("prog", (const char *const[]){ settings[i], NULL }), "");
	setenv("BASH_ENV", "x", 1);
	CHECK_TEXT(direct("prog"), "");
	unsetenv("BASH_ENV");
}

static void looks_programs_up_in_the_path_that_is_given(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char path[100], want[200];

	setenv("PATH", "/nowhere", 1);
	put_program("prog", 0755);
	CHECK_TEXT(direct("prog"), "");
	snprintf(path, sizeof path, "PATH=%s", scratch.dir);
	snprintf(want, sizeof want, "%s/prog|prog", scratch.dir);
	CHECK_TEXT(direct_with("prog", (const char *const[]){ path, NULL }), want);
}

static void gives_variables_once_and_the_servers_own_to_nobody(void)
{
	static const char *const env[] = { "A=new", "SANDBOX_ASKED=yes", NULL };
	int times;

	setenv("A", "old", 1);
	setenv("SANDBOX_MCP_TOKEN", "secret", 1);
	setenv("LISTEN_FDS", "3", 1);
	unsetenv("TERM");
	unsetenv("PATH");
	CHECK_TEXT(var_of("A", env, &times), "new");
	CHECK_INT(times, 1);
	CHECK(!var_of("SANDBOX_MCP_TOKEN", env, &times));
	CHECK(!var_of("LISTEN_FDS", env, &times));
	CHECK_TEXT(var_of("SANDBOX_ASKED", env, &times), "yes");
	CHECK_TEXT(var_of("TERM", env, &times), "dumb");
	CHECK_TEXT(var_of("PWD", env, &times), "/work");
	CHECK_INT(times, 1);
	const char *path = var_of("PATH", env, &times);
	CHECK(path && strstr(path, "/usr/bin:") != NULL);
	setenv("TERM", "xterm", 1);
	CHECK_TEXT(var_of("TERM", NULL, &times), "xterm");
	CHECK_TEXT(var_of("PWD", (const char *const[]){ "PWD=/else", NULL }, &times), "/else");
	CHECK_INT(times, 1);
}

TESTS(CASE(executes_plain_words_directly), CASE(leaves_the_rest_to_a_shell),
	CASE(leaves_it_to_a_shell_where_settings_change_one),
	CASE(looks_programs_up_in_the_path_that_is_given),
	CASE(gives_variables_once_and_the_servers_own_to_nobody))
