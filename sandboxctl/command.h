#ifndef COMMAND_H
#define COMMAND_H

/*
 * A command: what it is called, what it may be given, and what it does. Each is one file in
 * commands/, with one descriptor, named in commands.def.
 */
#include <stdbool.h>
#include <stddef.h>

#include "args.h"

struct err;

/* Of all commands: each names those that it takes. */
struct settings {
	const char *url, *key;
	bool json;
	const char *template, *user_id, *on_timeout, *network, *once, *status, *user, *cwd;
	int64_t timeout, memory_mb, cpu_millis, pids, disk_mb; /* 0: not given */
	bool auto_resume, background, all, cold;
	struct option_list allow, env, label;
};

enum { EXIT_OWN = 125, EXIT_TIMED_OUT = 124 }; /* of exec, as docker's and timeout(1)'s */

struct command {
	const char *name;
	const char *words; /* what stands behind it, for --help */
	const char *purpose;
	int min, max;      /* how many words; max -1: any number */
	int own_words;     /* not 0: options end before the word of this number */
	const struct option *options;
	int failure; /* exit status of what fails; 0: 1 */

	/* The exit status, or -1 and `err`. */
	int (*run)(const struct settings *settings, int count, char **words, struct err *err);
};

#define SETTING(type, member) type, offsetof(struct settings, member), 0, 0
#define SETTING_INT(member, min, max) OPTION_INT, offsetof(struct settings, member), min, max

#define COMMON_OPTIONS \
	{ "url", "SANDBOX_MANAGER_URL", SETTING(OPTION_TEXT, url), "URL", \
	  "the manager (http://127.0.0.1:8080)" }, \
	{ "api-key", "SANDBOX_API_KEY", SETTING(OPTION_SECRET, key), NULL, \
	  "the API key or token that says who asks" }, \
	{ 0 }

#define JSON_OPTION \
	{ "json", NULL, SETTING(OPTION_FLAG, json), NULL, "print the manager's answer as JSON" }

#endif
