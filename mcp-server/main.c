/* sandbox-mcp: the wiring. Options in config.c, routes in routes.c, methods in method.c. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "err.h"
#include "http.h"
#include "log.h"
#include "notify.h"
#include "server.h"

static int refuse(const char *program, const struct err *err)
{
	fprintf(stderr, "%s: %s\n", program, err->msg);
	return EXIT_FAILURE;
}

/*
 * Answers of a few MB come and go: their memory stays with the process, since page faults cost
 * more than the copying; and threads share two arenas, which would else keep some each.
 */
static void setup_memory(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 8 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 16 * 1024 * 1024);
}

int main(int argc, char **argv)
{
	struct config config;
	struct server server;
	enum args_outcome outcome;
	struct err err;

	setup_memory();
	if (config_read(argc, argv, &config, &outcome, &err) < 0)
		return refuse("sandbox-mcp", &err);
	if (outcome == ARGS_DONE)
		return EXIT_SUCCESS;
	if (log_setup_named(config.log_level, config.log_format, &err) < 0 || server_open(&server, &config, &err) < 0)
		return refuse("sandbox-mcp", &err);
	if (server.http) {
		printf("listening on http://%s\n", http_address(server.http));
		fflush(stdout);
		notify_state("READY=1");
	}
	int failed = server_run(&server, &err);
	if (failed)
		log_event(LOG_ERROR, "stopped", "why", err.msg, NULL);
	server_close(&server);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
