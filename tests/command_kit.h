#ifndef COMMAND_KIT_H
#define COMMAND_KIT_H

/*
 * Runs commands through the real keeper, on a state directory of their own. Every wait is for
 * an event and ends the test program when it does not come.
 *
 *	struct kit kit;
 *	kit_open(&kit);
 *	kit_run(&kit, "echo hello");
 *	CHECK_TEXT(kit.last.text[COMMAND_STDOUT], "hello\n");
 *	kit_close(&kit);
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "err.h"
#include "loop.h"
#include "scratch.h"

enum { KIT_PATIENCE_MS = 60 * 1000, KIT_TEXT = 8 * 1024 };

/* What became of one command. */
struct outcome {
	struct kit *kit;
	bool started, ended, failed;
	struct command_result result;
	struct err err;
	uint64_t given[2];               /* bytes that came through `output` */
	char text[2][KIT_TEXT];          /* the log's beginning */
	char log_dir[256];
	int pid;
};

struct kit {
	struct scratch scratch;
	int state_fd;
	struct loop *loop;
	struct commands *commands;
	struct commands_options options;
	struct loop_timer *patience;
	struct outcome last; /* of kit_run() */
};

static inline void kit_lost_patience(void *data)
{
	(void)data;
	printf("Bail out! an event did not come\n");
	exit(99);
}

static inline void kit_attach(struct kit *kit)
{
	struct err err = { 0 };

	if (commands_open(kit->loop, &kit->options, &kit->commands, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(99);
	}
}

static inline void kit_open_with(struct kit *kit, const struct commands_options *options)
{
	struct err err;

	*kit = (struct kit){ .scratch = scratch_enter(), .options = *options };
	MUST(mkdir("state", 0700));
	MUST(kit->state_fd = open("state", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	MUST(loop_new(&kit->loop, &err));
	kit->patience = loop_timer_new(kit->loop, kit_lost_patience, NULL);
	kit->options.state_fd = kit->state_fd;
	static char state_dir[64];
	snprintf(state_dir, sizeof state_dir, "%s/state", kit->scratch.dir);
	kit->options.state_dir = state_dir;
	if (kit->options.running_max == 0)
		kit->options.running_max = 2000;
	kit_attach(kit);
}

static inline void kit_open(struct kit *kit)
{
	kit_open_with(kit, &(struct commands_options){ 0 });
}

static inline void kit_close(struct kit *kit)
{
	commands_close(kit->commands);
	loop_timer_free(kit->patience);
	loop_free(kit->loop);
	close(kit->state_fd);
	scratch_leave(&kit->scratch);
}

/* Runs the loop until somebody stops it. */
static inline void kit_turn(struct kit *kit)
{
	loop_timer_set(kit->patience, KIT_PATIENCE_MS);
	MUST(loop_run(kit->loop, NULL));
	loop_timer_stop(kit->patience);
}

/* ---- events ---- */

static inline void kit_read_logs(struct command *command, struct outcome *outcome)
{
	for (int i = 0; i < 2; i++) {
		ssize_t n = command_read(command, (enum command_stream)i, 0, outcome->text[i],
			KIT_TEXT - 1);
		outcome->text[i][n > 0 ? n : 0] = '\0';
	}
	snprintf(outcome->log_dir, sizeof outcome->log_dir, "%s", command_log_dir(command));
	outcome->pid = command_pid(command);
}

static inline void kit_on_started(struct command *command, void *data)
{
	struct outcome *outcome = data;

	outcome->started = true;
	outcome->pid = command_pid(command);
	snprintf(outcome->log_dir, sizeof outcome->log_dir, "%s", command_log_dir(command));
	loop_stop(outcome->kit->loop);
}

static inline void kit_on_ended(struct command *command, const struct command_result *result,
	const struct err *err, void *data)
{
	struct outcome *outcome = data;

	outcome->ended = true;
	outcome->failed = !result;
	if (result)
		outcome->result = *result;
	else
		outcome->err = *err;
	kit_read_logs(command, outcome);
	command_free(command);
	loop_stop(outcome->kit->loop);
}

static const struct command_events kit_events = {
	.started = kit_on_started,
	.ended = kit_on_ended,
};

static inline struct command *kit_start(struct kit *kit, struct command_spec spec,
	const struct command_events *events, struct outcome *outcome)
{
	struct command *command;
	struct err err;

	*outcome = (struct outcome){ .kit = kit };
	if (spec.cwd_fd == 0)
		spec.cwd_fd = kit->state_fd;
	if (!spec.cwd)
		spec.cwd = kit->options.state_dir;
	if (command_start(kit->commands, &spec, events, outcome, &command, &err) < 0) {
		printf("Bail out! %s: %s\n", spec.command, err.msg);
		exit(99);
	}
	return command;
}

static inline void kit_finish(struct kit *kit, const struct outcome *outcome)
{
	while (!outcome->ended)
		kit_turn(kit);
}

static inline void kit_run_spec(struct kit *kit, struct command_spec spec)
{
	kit_start(kit, spec, &kit_events, &kit->last);
	kit_finish(kit, &kit->last);
}

static inline void kit_run(struct kit *kit, const char *command)
{
	kit_run_spec(kit, (struct command_spec){ .command = command });
}

/* ---- what is outside of this process ---- */

static inline int64_t kit_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether the process ends (or has ended) before patience does. */
static inline bool kit_process_ends(int pid)
{
	int fd = pidfd_open(pid, 0);
	struct pollfd ended = { .fd = fd, .events = POLLIN };

	if (fd < 0)
		return true;
	int n = poll(&ended, 1, KIT_PATIENCE_MS);
	close(fd);
	return n == 1;
}

static inline bool kit_process_lives(int pid)
{
	int fd = pidfd_open(pid, 0);
	struct pollfd ended = { .fd = fd, .events = POLLIN };
	bool lives = fd >= 0 && poll(&ended, 1, 0) == 0;

	if (fd >= 0)
		close(fd);
	return lives;
}

/* The file's content once it contains `what`: files tell nobody when they grow, so this looks
 * again and again. */
static inline const char *kit_file_with(const char *path, const char *what)
{
	static char text[64 * 1024];
	int64_t until = kit_now_ms() + KIT_PATIENCE_MS;

	while (kit_now_ms() < until) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
		if (fd >= 0)
			close(fd);
		text[n > 0 ? n : 0] = '\0';
		if (strstr(text, what))
			return text;
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
	printf("Bail out! %s never had \"%s\", but \"%s\"\n", path, what, text);
	exit(99);
}

/* A process id that a command wrote into a file as a line. */
static inline int kit_pid_in(const char *path)
{
	return (int)strtol(kit_file_with(path, "\n"), NULL, 10);
}

#endif
