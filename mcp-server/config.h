#ifndef CONFIG_H
#define CONFIG_H

/* The server's options, from the command line and the environment. */
#include <stdbool.h>
#include <stdint.h>

#include "args.h"

struct err;

struct config {
	const char *workspace, *host, *token, *token_file, *state_dir, *log_level, *log_format;
	struct option_list roots, allow_hosts, allow_origins;
	int64_t port;
	bool stdio;

	/* Limits, each a number that may come from outside (docs/limits.md). */
	int64_t header_max, body_max, depth_max, string_max, number_max;
	int64_t sessions_max, streams_max, calls_max, commands_max;
	int64_t result_max, queue_max, connections_max, workers;
	int64_t answer_s, answer_rate;
};

/* Reads argv and the environment; ARGS_DONE where --help or --version was printed. */
int config_read(int argc, char **argv, struct config *config, enum args_outcome *outcome,
	struct err *err);

#endif
