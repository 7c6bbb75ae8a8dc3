#ifndef COMMANDS_H
#define COMMANDS_H

/*
 * The commands that this server's keeper runs. A command's output lies in log files from its
 * first byte on, so nothing here grows with it; a command in the foreground ends with the
 * server, one in the background outlives it. Loop thread only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct account;
struct command;
struct commands;
struct err;
struct loop;

struct commands_options {
	int state_fd;            /* the state directory, which is locked; borrowed while opening */
	const char *state_dir;   /* its absolute name */
	const char *keeper_path; /* NULL: sandbox-keeper beside the server's binary */
	size_t running_max;      /* commands at once, background ones included */
	uint64_t nofile;         /* soft limit of open files for commands; 0: this process's */
	uint64_t log_end_bytes;  /* a stream's log keeps so much of each end; 0: 16 MB */
	uint64_t keep_commands, keep_bytes; /* of ended commands; 0: 1,000 and 1 GB */
};

/*
 * Attaches to the keeper that an earlier server left in the state directory, or starts one.
 * No threads are needed nor started.
 */
int commands_open(struct loop *loop, const struct commands_options *options, struct commands **out,
	struct err *err);

/* Ends the foreground commands: their owners' `ended` is called, with ERR_CANCELLED. No more is
 * called then; owners may give their commands back later. */
void commands_close(struct commands *commands);

/* The folder of all logs, absolute: <state>/commands. Borrowed. */
const char *commands_dir(const struct commands *commands);

/* Commands that run now, in the background too. */
size_t commands_running(const struct commands *commands);

struct command_info {
	char id[16];
	int pid; /* 0: not known yet */
	bool background;
	int64_t started_ms;  /* realtime; 0: not known yet */
	const char *command; /* its beginning; borrowed until the loop's next turn */
};

/* The running commands, oldest first; at most `max`. The number stored. */
size_t commands_list(const struct commands *commands, struct command_info *infos, size_t max);

/* ---- one command ---- */

struct command_spec {
	const char *command;
	int cwd_fd;      /* directory (O_PATH will do), borrowed */
	const char *cwd; /* its absolute name */
	const char *const *env; /* "NAME=value" on top of the server's; NULL-terminated, or NULL */
	const struct account *user; /* with an environment of its own; NULL: the server's user.
				     * For a server that is root only. */
	const void *input;      /* standard input; NULL: /dev/null */
	size_t input_len;
	int64_t timeout_ms; /* 0: none */
	bool background, background_on_timeout;
	bool streamed; /* `output` is wanted: the command waits for its reader */
};

enum command_stream { COMMAND_STDOUT, COMMAND_STDERR };

struct command_log {
	uint64_t bytes; /* written by the command */
	uint64_t dropped_from, dropped_to; /* not in the log; both 0 where nothing is missing */
};

struct command_result {
	int exit_code, signo; /* signo 0: it exited; else the code is 128 + signo */
	bool timed_out;
	bool running; /* past its time, it goes on in the background */
	int64_t duration_ms;
	uint64_t max_rss_bytes; /* of its largest process; 0 while it runs */
	struct command_log logs[2];
};

/* Each may be NULL. The command may be freed by any of them. */
struct command_events {
	/* It runs, and command_pid() is known. Background and streamed commands only. */
	void (*started)(struct command *command, void *data);

	/* Streamed commands only: the next bytes of a stream. Returns how many were taken; fewer
	 * than given: no more come until command_resume(), and the command waits. */
	size_t (*output)(struct command *command, enum command_stream stream, const char *bytes,
		size_t len, void *data);

	/* The last call. `result` is NULL where it could not be run or was lost: see `err`. */
	void (*ended)(struct command *command, const struct command_result *result,
		const struct err *err, void *data);
};

/*
 * Starts a command; its events come later. ERR_LIMIT where too many run, ERR_INVALID where its
 * texts are too long.
 */
int command_start(struct commands *commands, const struct command_spec *spec,
	const struct command_events *events, void *data, struct command **out, struct err *err);

/* Gives the command back. One that still runs in the foreground is ended. */
void command_free(struct command *command); /* NULL is allowed */

/* Asks it to end: SIGTERM to all its processes, SIGKILL two seconds later; `ended` follows. */
void command_cancel(struct command *command);

/* From now on it runs in the background: without time-out of the server's life. */
void command_to_background(struct command *command);

/* Output is wanted again. */
void command_resume(struct command *command);

const char *command_id(const struct command *command);
const char *command_log_dir(const struct command *command); /* absolute */
int command_pid(const struct command *command);             /* 0: not known */

/* Reads from a stream's log, like pread(2); 0 past its end. */
ssize_t command_read(struct command *command, enum command_stream stream, uint64_t offset,
	void *bytes, size_t len);

/* What the log holds by now, while the command runs. */
uint64_t command_log_size(struct command *command, enum command_stream stream);

/* "SIGTERM"; borrowed until the next call. */
const char *command_signal_name(int signo);

#endif
