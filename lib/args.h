#ifndef ARGS_H
#define ARGS_H

/*
 * Command-line options, each with an environment twin. One table per program: it parses,
 * checks and prints --help. The command line wins over the environment.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum option_type {
	OPTION_TEXT, /* const char *           */
	OPTION_LIST, /* struct option_list     */
	OPTION_INT,  /* int64_t, within min…max */
	OPTION_FLAG, /* bool                   */
	OPTION_SECRET, /* const char *, from the environment alone: others see a command line */
};

enum { OPTION_LIST_MAX = 32 };

/* Borrowed texts: they live as long as argv and the environment. */
struct option_list {
	const char *items[OPTION_LIST_MAX];
	size_t count;
};

struct option {
	const char *name; /* "port": given as --port N or --port=N */
	const char *env;  /* its twin, or NULL; a list is separated by commas there */
	enum option_type type;
	size_t offset; /* of its value in the target struct */
	int64_t min, max;
	const char *value; /* how --help names the value */
	const char *help;
};

struct args_spec {
	const char *program, *purpose, *version;
	const struct option *options; /* up to one without a name */
	const char *words;            /* that stand with the options, or NULL: none */
};

/* What the program should do after parsing. */
enum args_outcome { ARGS_RUN, ARGS_DONE }; /* DONE: --help or --version was printed */

/*
 * Reads environment and command line into `target`, whose defaults are there already.
 * ERR_INVALID names the option and what it takes; an unknown one gets the nearest name.
 */
int args_parse(const struct args_spec *spec, int argc, char **argv, void *target,
	enum args_outcome *outcome, struct err *err);

#endif
