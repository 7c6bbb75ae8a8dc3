#ifndef SERVER_KIT_H
#define SERVER_KIT_H

/* A whole server in the fuzzer's process, on an empty workspace, which runs no commands. */
#include <stdlib.h>

#include "commands.h"
#include "config.h"
#include "err.h"
#include "server.h"

#include "scratch.h"

static struct scratch kit_scratch;

static void kit_leave(void)
{
	scratch_leave(&kit_scratch);
}

static inline struct server *kit_server(const char *token)
{
	static struct config config;
	static struct server server;
	static char workspace[] = "ws", state[] = "state", port[] = "0";
	char *argv[] = { (char[]){ "sandbox-mcp" }, (char[]){ "--workspace" }, workspace,
		(char[]){ "--state-dir" }, state, (char[]){ "--port" }, port, NULL };
	enum args_outcome outcome;
	struct err err;

	kit_scratch = scratch_enter();
	atexit(kit_leave);
	MUST(mkdir("ws", 0755));
	scratch_text("ws/a.txt", "one\ntwo\n");
	if (config_read(7, argv, &config, &outcome, &err) < 0)
		abort();
	config.token = token;
	if (server_open(&server, &config, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		abort();
	}
	commands_close(server.workspace.commands);
	server.workspace.commands = NULL; /* what a fuzzer thinks up is not to be run */
	return &server;
}

#endif
