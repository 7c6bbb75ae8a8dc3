#ifndef COMMAND_LINE_H
#define COMMAND_LINE_H

/*
 * How a command line is executed: by which shell, with which variables, or without a shell
 * where nobody could tell the difference. Loop thread only.
 */
#include <stdbool.h>
#include <stddef.h>

struct account;
struct buf;
struct command_line;

/* Looks at the system and at this process's environment, once. Variables of the server itself
 * do not reach commands: those named SANDBOX_…, and what systemd gives to a service. */
struct command_line *command_line_new(void);
void command_line_free(struct command_line *line);

struct command_words {
	size_t args, vars;
};

/*
 * Appends the texts of WIRE_START after the command line: directory, shell, program,
 * arguments, variables. `env` are "NAME=value" texts that come on top, NULL-terminated; may be
 * NULL. `user`: who executes it, or NULL for this process's user: another one gets a shell and, of
 * this process's environment, the language and the terminal only. Whether it all fits is seen in
 * `out`.
 */
struct command_words command_line_add(const struct command_line *line, struct buf *out,
	const char *command, const char *cwd, const char *const *env, const struct account *user);

#endif
