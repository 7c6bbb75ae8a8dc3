#include "commands_impl.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "keeper_link.h"

enum {
	READ_CHUNK = 64 * 1024,
	CHUNKS_PER_TURN = 8,
	TAKEN_STEP = 256 * 1024, /* the keeper hears of what was taken at least so often */
};

/* ---- lifetime ---- */

void command_destroy(struct command *command)
{
	if (command->listed)
		table_remove(&command->commands->running, command->number);
	for (int i = 0; i < 2; i++)
		cleanup_close(&command->outputs[i].fd);
	loop_timer_free(command->pump);
	free(command->log_dir);
	free(command->text);
	free(command);
}

/* Its end has been told (or nobody listens): it runs no more. */
void command_unlist(struct command *command)
{
	if (command->listed)
		table_remove(&command->commands->running, command->number);
	command->listed = false;
}

struct command *command_new(struct commands *commands, uint64_t number, const char *text)
{
	struct command *command = alloc_zero(sizeof *command);

	command->commands = commands;
	command->number = number;
	wire_id(number, command->id);
	command->log_dir = alloc_printf("%s/%s", commands->dir, command->id);
	command->text = alloc_text(text);
	command->outputs[0].fd = command->outputs[1].fd = -1;
	return command;
}

void command_list(struct command *command)
{
	command->listed = true;
	table_insert(&command->commands->running, command->number, command);
}

static void send_simple(const struct command *command, enum wire_type type)
{
	if (command->listed)
		keeper_link_send(
			command->commands->link, type, command->number, NULL, NULL, 0, NULL);
}

/* The owner gives it up: it stays in the list for as long as it runs. */
void command_free(struct command *command)
{
	if (!command || command->freed)
		return;
	command->freed = true;
	command->events = (struct command_events){ 0 };
	if (command->listed && !command->background)
		command_cancel(command);
	else if (command->listed && command->pump)
		command_to_background(command);
	if (!command->listed && !command->busy)
		command_destroy(command);
}

/* Calls back; afterwards the command may be gone. */
void command_call_ended(
	struct command *command, const struct command_result *result, const struct err *err)
{
	command_unlist(command);
	command->busy = true;
	if (command->events.ended)
		command->events.ended(command, result, err, command->data);
	command->busy = false;
	if (command->freed)
		command_destroy(command);
}

void command_cancel(struct command *command)
{
	send_simple(command, WIRE_KILL);
}

void command_to_background(struct command *command)
{
	command->background = true;
	send_simple(command, WIRE_DETACH);
}

/* ---- streaming ---- */

static void tell_taken(struct command *command, bool all)
{
	struct command_output *outputs = command->outputs;
	struct wire_sizes sizes = { { outputs[0].given, outputs[1].given } };
	struct buf body = { (char *)&sizes, sizeof sizes, 0, sizeof sizes, false };
	uint64_t untold = outputs[0].given + outputs[1].given - outputs[0].told - outputs[1].told;

	if (!command->listed || command->has_result || untold == 0 || (!all && untold < TAKEN_STEP))
		return;
	outputs[0].told = outputs[0].given;
	outputs[1].told = outputs[1].given;
	keeper_link_send(
		command->commands->link, WIRE_TAKEN, command->number, &body, NULL, 0, NULL);
}

/* Gives one piece to the reader; false where there is none, or it is not wanted now. */
static bool give_one(struct command *command, enum command_stream stream)
{
	static char chunk[READ_CHUNK];
	struct command_output *output = &command->outputs[stream];
	uint64_t left = output->known - output->given;

	if (left == 0 || command->held || command->freed || !command->events.output)
		return false;
	ssize_t n = command_read(command, stream, output->given, chunk,
		left < sizeof chunk ? (size_t)left : sizeof chunk);
	if (n <= 0) { /* the log ends early: the disk was full */
		output->given = output->known;
		return false;
	}
	size_t taken = command->events.output(command, stream, chunk, (size_t)n, command->data);
	output->given += taken < (size_t)n ? taken : (size_t)n;
	command->held = taken < (size_t)n;
	return true;
}

/* Timers, not a loop: other work has its turn in between. */
void command_pump(void *data)
{
	struct command *command = data;
	bool more = true;

	command->busy = true;
	for (int i = 0; more && i < CHUNKS_PER_TURN; i++) {
		more = give_one(command, COMMAND_STDOUT);
		more = give_one(command, COMMAND_STDERR) || more;
		tell_taken(command, false);
	}
	command->busy = false;
	tell_taken(command, !more);
	if (command->freed && !command->listed)
		command_destroy(command);
	else if (more && !command->held)
		loop_timer_set(command->pump, 1);
	else if (command->has_result && !command->held)
		command_call_ended(command, &command->result, NULL);
}

void command_resume(struct command *command)
{
	command->held = false;
	if (command->pump)
		loop_timer_set(command->pump, 0);
}

/* ---- what is known of one ---- */

const char *command_id(const struct command *command)
{
	return command->id;
}

const char *command_log_dir(const struct command *command)
{
	return command->log_dir;
}

int command_pid(const struct command *command)
{
	return command->pid;
}

static int log_fd(struct command *command, enum command_stream stream)
{
	char name[ID_ROOM + 8];
	int *fd = &command->outputs[stream].fd;

	if (*fd < 0) {
		snprintf(name, sizeof name, "%s/%s", command->id,
			stream == COMMAND_STDOUT ? "stdout" : "stderr");
		*fd = openat(command->commands->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	return *fd;
}

ssize_t command_read(struct command *command, enum command_stream stream, uint64_t offset,
	void *bytes, size_t len)
{
	int fd = log_fd(command, stream);

	return fd < 0 ? -1 : pread(fd, bytes, len, (off_t)offset);
}

uint64_t command_log_size(struct command *command, enum command_stream stream)
{
	int fd = log_fd(command, stream);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

const char *command_signal_name(int signo)
{
	static char name[32];
	const char *short_name = sigabbrev_np(signo);

	if (short_name)
		snprintf(name, sizeof name, "SIG%s", short_name);
	else
		snprintf(name, sizeof name, "SIGRTMIN+%d", signo - SIGRTMIN);
	return name;
}
