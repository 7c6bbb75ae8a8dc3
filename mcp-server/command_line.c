#include "command_line.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account.h"
#include "alloc.h"
#include "buf.h"
#include "cleanup.h"

enum { WORDS_MAX = 64, PROGRAM_MAX = 4096 };

static const char default_path[] =
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct command_line {
	const char *shell;
	char **vars;
	size_t vars_len;
};

/* ---- variables ---- */

/* Bytes of the name, the '=' included; 0 where there is none. */
static size_t name_len(const char *var)
{
	const char *equals = strchr(var, '=');

	return equals && equals > var ? (size_t)(equals - var) + 1 : 0;
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The server's own, or about the process that it was started from. */
static bool is_private(const char *var)
{
	static const char *const prefixes[] = { "SANDBOX_",
		"NOTIFY_SOCKET=", "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES=", "WATCHDOG_PID=",
		"WATCHDOG_USEC=", "_=", "PWD=", "OLDPWD=", "SHLVL=" };

	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (starts_with(var, prefixes[i]))
			return true;
	return false;
}

static const char *find_var(char *const *vars, size_t len, const char *name, size_t len_of_name)
{
	for (size_t i = 0; i < len; i++)
		if (strncmp(vars[i], name, len_of_name) == 0)
			return vars[i];
	return NULL;
}

static void add_default(struct command_line *line, const char *var)
{
	if (!find_var(line->vars, line->vars_len, var, name_len(var)))
		line->vars[line->vars_len++] = alloc_text(var);
}

struct command_line *command_line_new(void)
{
	struct command_line *line = alloc_zero(sizeof *line);
	size_t n = 0;

	line->shell = access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh";
	while (environ && environ[n])
		n++;
	line->vars = alloc_array(n + 3, sizeof *line->vars);
	for (size_t i = 0; i < n; i++)
		if (name_len(environ[i]) > 0 && !is_private(environ[i]))
			line->vars[line->vars_len++] = alloc_text(environ[i]);
	add_default(line, default_path);
	add_default(line, "TERM=dumb");
	add_default(line, "SHLVL=0");
	return line;
}

void command_line_free(struct command_line *line)
{
	if (!line)
		return;
	for (size_t i = 0; i < line->vars_len; i++)
		free(line->vars[i]);
	free(line->vars);
	free(line);
}

static bool is_overridden(const char *var, const char *const *env)
{
	size_t len = name_len(var);

	for (; env && *env; env++)
		if (strncmp(*env, var, len) == 0)
			return true;
	return false;
}

static void add_text(struct buf *out, const char *text)
{
	buf_add(out, text, strlen(text) + 1);
}

/* One that nobody has set: whether it was added. */
static size_t add_unless_given(
	struct buf *out, const char *const *env, const char *name, const char *value)
{
	AUTO_FREE char *var = alloc_printf("%s=%s", name, value);

	if (is_overridden(var, env))
		return 0;
	add_text(out, var);
	return 1;
}

/* What concerns whoever looks at the output, and tells nothing about this process. */
static bool is_for_everybody(const char *var)
{
	static const char *const prefixes[] = { "TERM=", "LANG=", "LANGUAGE=", "LC_", "TZ=" };

	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (starts_with(var, prefixes[i]))
			return true;
	return false;
}

static size_t add_account(struct buf *out, const struct account *user, const char *const *env)
{
	return add_unless_given(out, env, "PATH", default_path + strlen("PATH=")) +
	       add_unless_given(out, env, "HOME", user->home) +
	       add_unless_given(out, env, "USER", user->name) +
	       add_unless_given(out, env, "LOGNAME", user->name) +
	       add_unless_given(out, env, "SHELL", user->shell);
}

static size_t add_vars(const struct command_line *line, struct buf *out, const char *cwd,
	const char *program, const char *const *env, const struct account *user)
{
	size_t n = 0;

	for (size_t i = 0; i < line->vars_len; i++) {
		const char *var = line->vars[i];
		if (is_overridden(var, env) || (user && !is_for_everybody(var)))
			continue;
		add_text(out, var);
		n++;
	}
	for (const char *const *given = env; given && *given; given++, n++)
		add_text(out, *given);
	if (user)
		n += add_account(out, user, env);
	if (program) /* as a shell would set it */
		n += add_unless_given(out, env, "_", program);
	return n + add_unless_given(out, env, "PWD", cwd);
}

/* ---- without a shell ---- */

/* Words that a shell does not look up in PATH, or has a meaning of its own for; sorted. */
static const char *const shell_words[] = { ".", ":", "[", "[[", "alias", "bg", "bind", "break",
	"builtin", "caller", "case", "cd", "command", "compgen", "complete", "compopt", "continue",
	"coproc", "declare", "dirs", "disown", "do", "done", "echo", "elif", "else", "enable",
	"esac", "eval", "exec", "exit", "export", "fc", "fg", "fi", "for", "function", "getopts",
	"hash", "help", "history", "if", "in", "jobs", "kill", "let", "local", "logout", "mapfile",
	"newgrp", "popd", "printf", "pushd", "pwd", "read", "readarray", "readonly", "return",
	"select", "set", "shift", "shopt", "source", "suspend", "test", "then", "time", "times",
	"trap", "type", "typeset", "ulimit", "umask", "unalias", "unset", "until", "wait",
	"while" };

static int compare_words(const void *key, const void *entry)
{
	return strcmp(key, *(const char *const *)entry);
}

static bool is_shell_word(const char *word)
{
	return bsearch(word, shell_words, sizeof shell_words / sizeof *shell_words,
		       sizeof *shell_words, compare_words) != NULL;
}

/* Splits a line of plain words in place; 0 where a shell would do more than split it. */
static size_t split(char *text, char *words[WORDS_MAX])
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    "_-+./,:@%=";
	size_t n = 0;

	while (*(text += strspn(text, " \t"))) {
		size_t len = strspn(text, plain);
		char end = text[len];
		if (len == 0 || (end && end != ' ' && end != '\t') || n == WORDS_MAX - 1)
			return 0;
		words[n++] = text;
		text += len;
		if (end)
			*text++ = '\0';
	}
	words[n] = NULL;
	return n;
}

/* Settings by which a shell changes what a plain command means. */
static bool changes_shell(const char *var)
{
	return starts_with(var, "BASH_ENV=") || starts_with(var, "BASH_FUNC_") ||
	       starts_with(var, "SHELLOPTS=") || starts_with(var, "BASHOPTS=") ||
	       starts_with(var, "BASH_COMPAT=") || starts_with(var, "POSIXLY_CORRECT=");
}

/* What PATH will be; NULL where a shell has to be asked. */
static const char *path_of(const struct command_line *line, const char *const *env)
{
	const char *path = find_var(line->vars, line->vars_len, "PATH=", 5);

	for (size_t i = 0; i < line->vars_len; i++)
		if (changes_shell(line->vars[i]))
			return NULL;
	for (; env && *env; env++) {
		if (changes_shell(*env))
			return NULL;
		if (starts_with(*env, "PATH="))
			path = *env;
	}
	return path ? path + 5 : NULL;
}

static bool is_program(const char *path)
{
	struct stat st;

	return access(path, X_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The file that a shell would find for the word in PATH. */
static bool find_program(const char *word, const char *path, char *program, size_t size)
{
	size_t word_len = strlen(word);

	while (*path) {
		size_t len = strcspn(path, ":");
		if (*path != '/' || len + word_len + 2 > size)
			return false;
		memcpy(program, path, len);
		program[len] = '/';
		memcpy(program + len + 1, word, word_len + 1);
		if (is_program(program))
			return true;
		path += len;
		path += *path == ':';
	}
	return false;
}

/* Whether the words can be executed directly; `program` is the file then. */
static bool is_direct(const struct command_line *line, char *const *words, size_t n,
	const char *const *env, char *program, size_t size)
{
	const char *path = n > 0 ? path_of(line, env) : NULL;

	if (!path || strchr(words[0], '=') || is_shell_word(words[0]) || words[0][0] == '%')
		return false;
	if (n > 1 && (strcmp(words[0], "true") == 0 || strcmp(words[0], "false") == 0))
		return false; /* a builtin ignores arguments, the program knows --help */
	if (!strchr(words[0], '/'))
		return find_program(words[0], path, program, size);
	if (strlen(words[0]) >= size)
		return false;
	memcpy(program, words[0], strlen(words[0]) + 1);
	return true;
}

struct command_words command_line_add(const struct command_line *line, struct buf *out,
	const char *command, const char *cwd, const char *const *env, const struct account *user)
{
	char copy[PROGRAM_MAX], program[PROGRAM_MAX], *words[WORDS_MAX];
	struct command_words counts = { 0 };
	size_t len = strlen(command);

	if (!user && len < sizeof copy) {
		memcpy(copy, command, len + 1);
		counts.args = split(copy, words);
	}
	if (!is_direct(line, words, counts.args, env, program, sizeof program))
		counts.args = 0;
	add_text(out, cwd);
	add_text(out, line->shell);
	if (counts.args > 0)
		add_text(out, program);
	for (size_t i = 0; i < counts.args; i++)
		add_text(out, words[i]);
	counts.vars = add_vars(line, out, cwd, counts.args > 0 ? program : NULL, env, user);
	return counts;
}
