#include "commands_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "account.h"
#include "alloc.h"
#include "buf.h"
#include "cleanup.h"
#include "command_line.h"
#include "err.h"
#include "keeper_link.h"

enum {
	LOG_END_BYTES = 16 * 1024 * 1024,
	KEEP_COMMANDS = 1000,
	KEEP_BYTES = 1024 * 1024 * 1024,
	ONE_TEXT_MAX = 128 * 1024, /* what execve(2) takes as one argument, its NUL included */
};

/* ---- what the keeper says ---- */

static void end(struct command *command, const struct wire_ended *ended)
{
	for (int i = 0; i < 2; i++) {
		const struct wire_stream *from = &ended->streams[i];
		command->result.logs[i] =
			(struct command_log){ from->bytes, from->dropped_from, from->dropped_to };
		command->outputs[i].known = from->bytes;
	}
	command->pid = ended->pid;
	command->result.exit_code = ended->exit_code;
	command->result.signo = ended->signo;
	command->result.timed_out = ended->flags & WIRE_TIMED_OUT;
	command->result.duration_ms = ended->duration_ms;
	command->result.max_rss_bytes = ended->max_rss_bytes;
	command->has_result = true;
	if (command->pump && !command->freed)
		loop_timer_set(command->pump, 0);
	else
		command_call_ended(command, &command->result, NULL);
}

static void fail_to_start(struct command *command, int sysno)
{
	struct err err;

	errno = sysno;
	err_sys(&err, sysno == E2BIG ? "start the command (make it or its variables shorter)"
				     : "start the command");
	command_call_ended(command, NULL, &err);
}

/* Past its time: the owner gets what there is, the command stays in the list. */
static void detach(struct command *command, const struct wire_ended *stands)
{
	command->background = true;
	command->result.running = true;
	command->result.timed_out = true;
	command->result.duration_ms = stands->duration_ms;
	command->pid = stands->pid;
	for (int i = 0; i < 2; i++)
		command->result.logs[i] = (struct command_log){ stands->streams[i].bytes,
			stands->streams[i].dropped_from, stands->streams[i].dropped_to };
	if (command->freed)
		return;

	/* The owner's handle and the running command part: the list gets one of its own. */
	struct command *rest = command_new(command->commands, command->number, command->text);
	rest->freed = rest->background = true;
	rest->pid = command->pid;
	rest->started_ms = stands->started_ms;
	command_unlist(command);
	command_list(rest);
	command->has_result = true;
	for (int i = 0; i < 2; i++)
		command->outputs[i].known = stands->streams[i].bytes;
	if (command->pump)
		loop_timer_set(command->pump, 0);
	else
		command_call_ended(command, &command->result, NULL);
}

static int on_ended(struct command *command, const struct wire_message *message, struct err *err)
{
	struct wire_ended ended;

	if (wire_body(message, &ended, sizeof ended, NULL, err) < 0)
		return -1;
	if (message->head.type == WIRE_DETACHED)
		detach(command, &ended);
	else if (ended.sysno)
		fail_to_start(command, ended.sysno);
	else
		end(command, &ended);
	return 0;
}

static int on_running(struct commands *commands, struct command *command,
	const struct wire_message *message, struct err *err)
{
	struct wire_running running;
	struct wire_texts texts;

	if (wire_body(message, &running, sizeof running, &texts, err) < 0)
		return -1;
	if (!command) { /* of an earlier server */
		const char *text = wire_text(&texts);
		command = command_new(commands, message->head.number, text ? text : "");
		command->freed = true;
		command->background = running.flags & WIRE_BACKGROUND;
		command_list(command);
	}
	command->pid = running.pid;
	command->started_ms = running.started_ms;
	if (message->head.type == WIRE_STARTED && command->events.started) {
		command->busy = true;
		command->events.started(command, command->data);
		command->busy = false;
	}
	return 0;
}

static int on_grew(struct command *command, const struct wire_message *message, struct err *err)
{
	struct wire_sizes sizes;

	if (wire_body(message, &sizes, sizeof sizes, NULL, err) < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		command->outputs[i].known = sizes.bytes[i];
	if (command->pump && !command->freed)
		loop_timer_set(command->pump, 0);
	return 0;
}

static int on_message(struct wire_message *message, void *data, struct err *err)
{
	struct commands *commands = data;
	struct command *command = table_find(&commands->running, message->head.number);

	if (message->head.type == WIRE_RUNNING)
		return on_running(commands, command, message, err);
	if (!command)
		return 0;
	switch (message->head.type) {
	case WIRE_STARTED:
		return on_running(commands, command, message, err);
	case WIRE_GREW:
		return on_grew(command, message, err);
	case WIRE_DETACHED:
	case WIRE_ENDED:
		return on_ended(command, message, err);
	default:
		return err_set(err, ERR_INVALID, "the keeper sent a message of type %u",
			message->head.type);
	}
}

static void end_all(struct commands *commands, const struct err *why)
{
	while (commands->running.len > 0) {
		struct command *command = commands->running.entries[0].value;
		command_call_ended(command, NULL, why);
	}
}

static void on_lost(const struct err *why, void *data)
{
	end_all(data, why);
}

/* ---- the whole ---- */

static int open_dir(struct commands *commands, struct err *err)
{
	if (mkdirat(commands->state_fd, "commands", 0700) < 0 && errno != EEXIST)
		return err_sys(err, "make %s", commands->dir);
	commands->dir_fd = openat(
		commands->state_fd, "commands", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (commands->dir_fd < 0)
		return err_sys(err, "open %s", commands->dir);

	int fd = fcntl(commands->dir_fd, F_DUPFD_CLOEXEC, 0);
	AUTO_CLOSEDIR DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		uint64_t number = wire_number(entry->d_name);
		if (number > commands->last_number)
			commands->last_number = number;
	}
	return 0;
}

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
	return value ? value : fallback;
}

static int attach(struct commands *commands, struct err *err)
{
	const struct commands_options *options = &commands->options;
	struct rlimit nofile = { 0 };
	uint64_t end_bytes = or_default(options->log_end_bytes, LOG_END_BYTES);

	getrlimit(RLIMIT_NOFILE, &nofile);
	struct keeper_link_options link_options = {
		.keeper_path = options->keeper_path,
		.hello = {
			.head_bytes = end_bytes,
			.tail_bytes = end_bytes,
			.keep_commands = or_default(options->keep_commands, KEEP_COMMANDS),
			.keep_bytes = or_default(options->keep_bytes, KEEP_BYTES),
			.nofile = or_default(options->nofile, nofile.rlim_cur),
		},
		.message = on_message,
		.lost = on_lost,
		.data = commands,
	};
	return keeper_link_open(
		commands->loop, commands->state_fd, &link_options, &commands->link, err);
}

int commands_open(struct loop *loop, const struct commands_options *options, struct commands **out,
	struct err *err)
{
	struct commands *commands = alloc_zero(sizeof *commands);

	*commands = (struct commands){ .loop = loop, .options = *options, .dir_fd = -1 };
	commands->dir = alloc_printf("%s/commands", options->state_dir);
	commands->line = command_line_new();
	commands->state_fd = openat(options->state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (commands->state_fd < 0)
		err_sys(err, "open %s", options->state_dir);
	if (commands->state_fd < 0 || open_dir(commands, err) < 0 || attach(commands, err) < 0) {
		commands_close(commands);
		return -1;
	}
	*out = commands;
	return 0;
}

static bool only_foreground(const struct commands *commands)
{
	for (size_t i = 0; i < commands->running.len; i++)
		if (((const struct command *)commands->running.entries[i].value)->background)
			return false;
	return true;
}

void commands_close(struct commands *commands)
{
	struct err err;

	if (!commands)
		return;
	bool wait = only_foreground(commands);
	err_set(&err, ERR_CANCELLED, "the server is stopping");
	end_all(commands, &err);
	keeper_link_free(commands->link, wait);
	table_release(&commands->running);
	command_line_free(commands->line);
	cleanup_close(&commands->dir_fd);
	cleanup_close(&commands->state_fd);
	free(commands->dir);
	free(commands);
}

const char *commands_dir(const struct commands *commands)
{
	return commands->dir;
}

size_t commands_running(const struct commands *commands)
{
	return commands->running.len;
}

size_t commands_list(const struct commands *commands, struct command_info *infos, size_t max)
{
	size_t n = commands->running.len < max ? commands->running.len : max;

	for (size_t i = 0; i < n; i++) {
		const struct command *command = commands->running.entries[i].value;
		infos[i] = (struct command_info){ .pid = command->pid,
			.background = command->background,
			.started_ms = command->started_ms,
			.command = command->text };
		memcpy(infos[i].id, command->id, sizeof command->id);
	}
	return n;
}

/* ---- starting ---- */

/* A sealed file in memory: nothing has to be fed, whatever its size. */
static int input_file(const void *bytes, size_t len, int *out, struct err *err)
{
	AUTO_CLOSE int fd = memfd_create("stdin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t done = 0;

	while (fd >= 0 && done < len) {
		ssize_t n = write(fd, (const char *)bytes + done, len - done);
		if (n <= 0)
			return err_sys(err, "keep the standard input");
		done += (size_t)n;
	}
	if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) <
			0)
		return err_sys(err, "keep the standard input");
	*out = steal_fd(&fd);
	return 0;
}

static uint64_t next_number(const struct commands *commands)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t number = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	return number > commands->last_number ? number : commands->last_number + 1;
}

static int check_lengths(const struct command_spec *spec, struct err *err)
{
	if (strlen(spec->command) >= ONE_TEXT_MAX)
		return err_set(err, ERR_LIMIT,
			"a command line may have %d bytes; write a script with write_file and run that",
			ONE_TEXT_MAX - 1);
	for (const char *const *env = spec->env; env && *env; env++)
		if (strlen(*env) >= ONE_TEXT_MAX)
			return err_set(err, ERR_LIMIT,
				"the variable %.40s… is longer than %d bytes", *env,
				ONE_TEXT_MAX - 1);
	return 0;
}

static void add_user(struct buf *body, struct wire_start *start, const struct account *user)
{
	if (!user)
		return;
	start->flags |= WIRE_AS_USER;
	start->uid = user->uid;
	start->gid = user->gid;
	start->groups = (uint32_t)user->groups_len;
	for (size_t i = 0; i < user->groups_len; i++) {
		buf_add_int(body, user->groups[i]);
		buf_add_char(body, '\0');
	}
}

static int send_start(struct commands *commands, uint64_t number, const struct command_spec *spec,
	struct err *err)
{
	AUTO_BUF struct buf body = BUF_INIT(WIRE_MESSAGE_MAX - sizeof(struct wire_head));
	AUTO_CLOSE int input = -1;
	struct wire_start start = { .timeout_ms = spec->timeout_ms,
		.flags = (spec->background ? WIRE_BACKGROUND : 0) |
			 (spec->background_on_timeout ? WIRE_BACKGROUND_ON_TIMEOUT : 0) |
			 (spec->streamed ? WIRE_STREAMED : 0) | (spec->input ? WIRE_STDIN : 0) };

	if (spec->input && input_file(spec->input, spec->input_len, &input, err) < 0)
		return -1;
	buf_add(&body, &start, sizeof start);
	buf_add(&body, spec->command, strlen(spec->command) + 1);
	struct command_words words = command_line_add(
		commands->line, &body, spec->command, spec->cwd, spec->env, spec->user);
	add_user(&body, &start, spec->user);
	if (body.over)
		return err_set(err, ERR_LIMIT, "the command and its variables are too long");
	start.args = (uint32_t)words.args;
	start.vars = (uint32_t)words.vars;
	memcpy(body.data, &start, sizeof start);
	int fds[] = { spec->cwd_fd, input };
	return keeper_link_send(
		commands->link, WIRE_START, number, &body, fds, spec->input ? 2 : 1, err);
}

int command_start(struct commands *commands, const struct command_spec *spec,
	const struct command_events *events, void *data, struct command **out, struct err *err)
{
	if (commands->running.len >= commands->options.running_max)
		return err_set(err, ERR_LIMIT,
			"%zu commands run already, which is the limit; wait for one to end or end one",
			commands->running.len);
	if (check_lengths(spec, err) < 0 || keeper_link_ready(commands->link, err) < 0)
		return -1;
	uint64_t number = next_number(commands);
	if (send_start(commands, number, spec, err) < 0)
		return -1;

	commands->last_number = number;
	struct command *command = command_new(commands, number, spec->command);
	command->background = spec->background;
	command->pump =
		spec->streamed ? loop_timer_new(commands->loop, command_pump, command) : NULL;
	command->events = *events;
	command->data = data;
	command_list(command);
	*out = command;
	return 0;
}
