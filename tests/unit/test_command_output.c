/* Output: however much, however slowly it is read. */
#include "commands.h"
#include "command_output.h"

#include <dirent.h>
#include <sys/stat.h>

#include "command_kit.h"
#include "test.h"

enum { END_BYTES = 2 * 1024 * 1024 };

static uint64_t disk_bytes(const struct outcome *outcome)
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof path, "%s/stdout", outcome->log_dir);
	return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static long memory_kb(int pid)
{
	char path[64], text[4096];

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	const char *line = strstr(scratch_read(path, text, sizeof text), "VmHWM:");
	return line ? strtol(line + 6, NULL, 10) : -1;
}

static int keeper_of(const struct outcome *outcome)
{
	char path[300];

	snprintf(path, sizeof path, "%s/status", outcome->log_dir);
	return (int)strtol(
		strstr(kit_file_with(path, "keeper_pid"), "\"keeper_pid\":") + 13, NULL, 10);
}

/* Sanitizers hold freed memory back for a while and shadow what is used. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { GROWTH_KB = 16 * 1024 };
#else
enum { GROWTH_KB = 512 };
#endif

static void keeps_both_ends_of_an_endless_output_in_bounded_space(void)
{
	struct kit kit;
	char bytes[16] = "";

	kit_open_with(&kit, &(struct commands_options){ .log_end_bytes = END_BYTES });
	kit_run(&kit, "true");
	int keeper = keeper_of(&kit.last);
	long before = memory_kb(keeper);
	kit_run(&kit, "echo first; yes | head -c 200000000; echo last");
	const struct command_log *log = &kit.last.result.logs[COMMAND_STDOUT];
	CHECK_INT(kit.last.result.exit_code, 0);
	CHECK_INT(log->bytes, 200000011);
	CHECK_INT(log->dropped_from, END_BYTES);
	CHECK(log->bytes - log->dropped_to >= END_BYTES);
	CHECK(disk_bytes(&kit.last) < 3 * END_BYTES);
	CHECK(memory_kb(keeper) < before + GROWTH_KB);

	/* what is kept is where it was written */
	char path[300];
	snprintf(path, sizeof path, "%s/stdout", kit.last.log_dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	MUST(pread(fd, bytes, 6, 0));
	CHECK_TEXT(bytes, "first\n");
	MUST(pread(fd, bytes, 5, 200000006));
	CHECK(memcmp(bytes, "last\n", 5) == 0);
	close(fd);
	snprintf(path, sizeof path, "%s/status", kit.last.log_dir);
	snprintf(bytes, sizeof bytes, "[%d,", END_BYTES);
	CHECK(strstr(kit_file_with(path, "\n"), bytes) != NULL);
	kit_close(&kit);
}

/* ---- what a result shows ---- */

struct shown {
	struct outcome outcome;
	struct command_output_texts texts;
};

static void show(struct command *command, const struct command_result *result,
	const struct err *err, void *data)
{
	struct shown *shown = data;

	command_output_read(command, result->logs, &shown->texts);
	kit_on_ended(command, result, err, &shown->outcome);
}

static const struct command_events show_events = { .ended = show };

static void run_and_show(struct kit *kit, const char *line, struct shown *shown)
{
	struct command_spec spec = { .command = line, .cwd_fd = kit->state_fd, .cwd = "/" };
	struct command *command;

	*shown = (struct shown){ .outcome.kit = kit };
	MUST(command_start(kit->commands, &spec, &show_events, shown, &command, NULL));
	kit_finish(kit, &shown->outcome);
}

static void shows_a_short_output_whole(void)
{
	struct kit kit;
	struct shown shown;

	kit_open(&kit);
	run_and_show(&kit,
		"head -c 29000 /dev/zero | tr '\\0' o; head -c 1000 /dev/zero | tr '\\0' e >&2",
		&shown);
	CHECK(!shown.texts.truncated);
	CHECK_INT(shown.texts.streams[0].len, 29000);
	CHECK_INT(shown.texts.streams[1].len, 1000);
	command_output_release(&shown.texts);
	kit_close(&kit);
}

static void shows_the_ends_of_a_long_one_and_says_what_is_missing(void)
{
	struct kit kit;
	struct shown shown;
	char want[256];

	kit_open(&kit);
	run_and_show(&kit,
		"head -c 50000 /dev/zero | tr '\\0' a; head -c 50000 /dev/zero | tr '\\0' z;"
		"echo short >&2",
		&shown);
	CHECK(shown.texts.truncated);
	const char *text = shown.texts.streams[0].data;
	CHECK(strncmp(text, "aaaa", 4) == 0);
	/* 30000 - 6 bytes of room: half of it at each end */
	snprintf(want, sizeof want,
		"a\n[... 70006 bytes left out: from byte 14997 to 85003 of "
		"%s/stdout ...]\nz",
		shown.outcome.log_dir);
	CHECK(strstr(text, want) != NULL);
	CHECK_INT(strlen(strrchr(text, '\n') + 1), 100000 - 85003);
	CHECK_TEXT(shown.texts.streams[1].data, "short\n");
	command_output_release(&shown.texts);
	kit_close(&kit);
}

static void shares_the_room_fairly_and_cuts_no_character(void)
{
	struct kit kit;
	struct shown shown;

	kit_open(&kit);
	run_and_show(&kit, "yes äöü | head -c 100000; yes € | head -c 100000 >&2", &shown);
	for (int i = 0; i < 2; i++) {
		const struct buf *text = &shown.texts.streams[i];
		const char *notice = strstr(text->data, "[... ");
		CHECK(text->len > 14000 && text->len < 15500);
		CHECK(notice != NULL);
		size_t head = notice ? (size_t)(notice - text->data) : 0;
		CHECK(head > 7000 && head < 7600);
		CHECK(notice && text->data[head - 1] == '\n');
		const char *tail = notice ? strstr(notice, "...]\n") + 5 : "";
		CHECK(((unsigned char)*tail & 0xC0) != 0x80);
	}
	command_output_release(&shown.texts);
	kit_close(&kit);
}

/* ---- streaming ---- */

struct reader {
	struct outcome outcome;
	struct command *command;
	uint64_t hold_at, sum;
	bool held;
};

static size_t take(struct command *command, enum command_stream stream, const char *bytes,
	size_t len, void *data)
{
	struct reader *reader = data;

	(void)command;
	for (size_t i = 0; i < len; i++)
		reader->sum += (unsigned char)bytes[i];
	reader->outcome.given[stream] += len;
	if (!reader->held && reader->outcome.given[0] >= reader->hold_at) {
		reader->held = true;
		reader->outcome.given[stream] -= 1; /* all but the last byte */
		reader->sum -= (unsigned char)bytes[len - 1];
		loop_stop(reader->outcome.kit->loop);
		return len - 1;
	}
	return len;
}

static const struct command_events reader_events = {
	.output = take,
	.started = kit_on_started,
	.ended = kit_on_ended,
};

static void gives_every_byte_to_a_reader(void)
{
	struct kit kit;
	struct reader reader = { .hold_at = UINT64_MAX };

	/* far more than the log keeps: it is read before it is dropped */
	kit_open_with(&kit, &(struct commands_options){ .log_end_bytes = 64 * 1024 });
	reader.command = kit_start(&kit,
		(struct command_spec){ .streamed = true,
			.command = "yes abc | head -c 40000000; echo problem >&2" },
		&reader_events, &reader.outcome);
	kit_finish(&kit, &reader.outcome);
	CHECK_INT(reader.outcome.given[0], 40000000);
	CHECK_INT(reader.outcome.given[1], 8);
	CHECK_INT(reader.outcome.result.logs[0].bytes, 40000000);
	CHECK_INT(reader.sum, 10000000LL * ('a' + 'b' + 'c' + '\n') + 753 + '\n');
	CHECK(reader.outcome.result.logs[0].dropped_to > 0);
	kit_close(&kit);
}

static void waits_for_a_reader_that_holds(void)
{
	struct kit kit;
	struct reader reader = { .hold_at = 100 * 1000 };
	struct outcome other;

	kit_open(&kit);
	reader.command = kit_start(&kit,
		(struct command_spec){ .streamed = true, .command = "yes | head -c 20000000" },
		&reader_events, &reader.outcome);
	while (!reader.held)
		kit_turn(&kit);
	uint64_t given = reader.outcome.given[0];
	/* others go on, this one does not, and its log holds no more than the window */
	kit_start(&kit, (struct command_spec){ .command = "sleep 0.2" }, &kit_events, &other);
	kit_finish(&kit, &other);
	CHECK(!reader.outcome.ended);
	CHECK_INT(reader.outcome.given[0], given);
	CHECK(disk_bytes(&reader.outcome) < 4 * 1024 * 1024);
	command_resume(reader.command);
	kit_finish(&kit, &reader.outcome);
	CHECK_INT(reader.outcome.given[0], 20000000);
	CHECK_INT(reader.outcome.result.exit_code, 0);
	kit_close(&kit);
}

static void lets_a_held_command_end_when_it_is_cancelled(void)
{
	struct kit kit;
	struct reader reader = { .hold_at = 1000 };

	kit_open(&kit);
	reader.command =
		kit_start(&kit, (struct command_spec){ .streamed = true, .command = "yes" },
			&reader_events, &reader.outcome);
	while (!reader.held)
		kit_turn(&kit);
	command_cancel(reader.command);
	reader.hold_at = UINT64_MAX;
	command_resume(reader.command);
	kit_finish(&kit, &reader.outcome);
	CHECK_INT(reader.outcome.result.signo, SIGTERM);
	CHECK_INT(reader.outcome.given[0], reader.outcome.result.logs[0].bytes);
	kit_close(&kit);
}

/* ---- the folders ---- */

static size_t folders(const struct kit *kit)
{
	char path[300];
	size_t n = 0;

	snprintf(path, sizeof path, "%s", commands_dir(kit->commands));
	DIR *dir = opendir(path);
	const struct dirent *entry;
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void keeps_the_latest_folders_and_those_of_running_commands(void)
{
	struct kit kit;
	struct outcome first;
	char path[300];

	kit_open_with(&kit, &(struct commands_options){ .keep_commands = 4 });
	struct command *running =
		kit_start(&kit, (struct command_spec){ .command = "echo mine; exec sleep 1000" },
			&kit_events, &first);
	snprintf(path, sizeof path, "%s/stdout", command_log_dir(running));
	for (int i = 0; i < 12; i++) {
		char line[64];
		snprintf(line, sizeof line, "echo %d; echo %d >&2; exit %d", i, i, i);
		kit_run(&kit, line);
		/* a folder that was another command's has nothing of that */
		snprintf(line, sizeof line, "%d\n", i);
		CHECK_TEXT(kit.last.text[0], line);
		CHECK_TEXT(kit.last.text[1], line);
	}
	CHECK_INT(folders(&kit), 5);
	CHECK_TEXT(kit_file_with(path, "mine"), "mine\n");
	kit_run(&kit, "true");
	CHECK_TEXT(kit.last.text[0], "");
	CHECK_TEXT(kit.last.text[1], "");
	snprintf(path, sizeof path, "%s/status", kit.last.log_dir);
	CHECK(strstr(kit_file_with(path, "\n"), "\"command\":\"true\"") != NULL);
	command_cancel(running);
	kit_finish(&kit, &first);
	kit_close(&kit);
}

static void keeps_no_more_bytes_than_allowed(void)
{
	struct kit kit;

	kit_open_with(&kit, &(struct commands_options){ .keep_bytes = 1000 * 1000 });
	for (int i = 0; i < 5; i++)
		kit_run(&kit, "head -c 400000 /dev/zero");
	kit_run(&kit, "true"); /* by now the fifth one is counted */
	CHECK(folders(&kit) <= 4);
	commands_close(kit.commands);
	kit_attach(&kit); /* and another keeper counts the same */
	kit_run(&kit, "head -c 400000 /dev/zero");
	kit_run(&kit, "true");
	CHECK(folders(&kit) <= 5);
	kit_close(&kit);
}

TESTS(CASE(keeps_both_ends_of_an_endless_output_in_bounded_space), CASE(shows_a_short_output_whole),
	CASE(shows_the_ends_of_a_long_one_and_says_what_is_missing),
	CASE(shares_the_room_fairly_and_cuts_no_character), CASE(gives_every_byte_to_a_reader),
	CASE(waits_for_a_reader_that_holds), CASE(lets_a_held_command_end_when_it_is_cancelled),
	CASE(keeps_the_latest_folders_and_those_of_running_commands),
	CASE(keeps_no_more_bytes_than_allowed))
