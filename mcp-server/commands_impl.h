#ifndef COMMANDS_IMPL_H
#define COMMANDS_IMPL_H

/* What commands.c (all of them, and the keeper) and command.c (one of them) share. */
#include "commands.h"

#include "keeper/table.h"
#include "keeper/wire.h"
#include "loop.h"

enum { ID_ROOM = WIRE_ID_LEN + 1 };

struct commands {
	struct loop *loop;
	struct commands_options options;
	int state_fd;
	int dir_fd;
	char *dir;
	uint64_t last_number;
	struct command_line *line;
	struct keeper_link *link;
	struct table running; /* of struct command */
};

struct command_output {
	int fd;                      /* the log, where it is open */
	uint64_t known, given, told; /* bytes written, given to `output`, told to the keeper */
};

struct command {
	struct commands *commands;
	uint64_t number;
	char id[ID_ROOM];
	char *log_dir, *text;
	bool background, freed;
	bool listed; /* in commands->running */
	bool held;   /* `output` took less than it was given */
	bool busy;   /* a callback of its owner runs: freeing waits */
	int pid;
	int64_t started_ms;
	struct command_events events;
	void *data;
	struct command_output outputs[2];
	struct loop_timer *pump; /* streamed commands only: gives output */
	bool has_result;         /* `ended` is due once all output was given */
	struct command_result result;
};

/* A command that its owner, if any, knows by this pointer; not in the list yet. */
struct command *command_new(struct commands *commands, uint64_t number, const char *text);
void command_destroy(struct command *command);

/* In the list are those that run. */
void command_list(struct command *command);
void command_unlist(struct command *command);

/* Takes it off the list and calls `ended`; afterwards the command may be gone. */
void command_call_ended(struct command *command, const struct command_result *result,
	const struct err *err);

/* Gives output to the reader of a streamed command: its timer's function. */
void command_pump(void *data);

#endif
