#include "command_output.h"

#include <string.h>

#include "utf8.h"

enum {
	NOTICE_MAX = 8 * 1024,
	LINE_WINDOW = 512, /* bytes from the end in which a last line is looked for */
};

/* The first bytes of a character that starts at or after `bytes`: at most three are skipped. */
static size_t skip_continuation(const char *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && n < 3 && ((unsigned char)bytes[n] & 0xC0) == 0x80)
		n++;
	return n;
}

static size_t read_part(struct command *command, enum command_stream stream, uint64_t offset,
	struct buf *out, size_t len)
{
	char *room = buf_reserve(out, len);
	size_t done = 0;

	while (room && done < len) {
		ssize_t n = command_read(command, stream, offset + done, room + done, len - done);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (room)
		buf_commit(out, done);
	return done;
}

static void add_notice(struct command *command, enum command_stream stream, struct buf *out,
	const struct command_log *log, uint64_t from, uint64_t to)
{
	if (out->len > 0 && out->data[out->len - 1] != '\n')
		buf_add_char(out, '\n');
	buf_addf(out, "[... %llu bytes left out: from byte %llu to %llu of %s/%s",
		(unsigned long long)(to - from), (unsigned long long)from, (unsigned long long)to,
		command_log_dir(command), stream == COMMAND_STDOUT ? "stdout" : "stderr");
	if (log->dropped_to > 0)
		buf_addf(out, ", where %llu to %llu were too much to be kept",
			(unsigned long long)log->dropped_from, (unsigned long long)log->dropped_to);
	buf_add_text(out, " ...]\n");
}

/* The ends of a stream, as far as the log has them. */
static void read_ends(struct command *command, enum command_stream stream,
	const struct command_log *log, size_t share, struct buf *out)
{
	uint64_t tail_at = log->bytes - (share - share / 2);
	size_t head_len = share / 2;

	if (log->dropped_to > tail_at)
		tail_at = log->dropped_to;
	if (log->dropped_to > 0 && log->dropped_from < head_len)
		head_len = (size_t)log->dropped_from;
	read_part(command, stream, 0, out, head_len);
	buf_truncate(out, utf8_floor(out->data ? out->data : "", out->len));
	size_t head = out->len;

	char bytes[COMMAND_OUTPUT_SHOWN];
	size_t want = (size_t)(log->bytes - tail_at), got = 0;
	while (got < want) {
		ssize_t n = command_read(command, stream, tail_at + got, bytes + got, want - got);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	size_t skip = skip_continuation(bytes, got);
	add_notice(command, stream, out, log, head, tail_at + skip);
	buf_add(out, bytes + skip, got - skip);
}

/* Each stream may have half of the room, and what the other one leaves. */
static size_t share_of(uint64_t own, uint64_t other)
{
	const size_t half = COMMAND_OUTPUT_SHOWN / 2;

	if (other < half)
		return COMMAND_OUTPUT_SHOWN - (size_t)other;
	return own < half ? (size_t)own : half;
}

void command_output_read(struct command *command, const struct command_log logs[2],
	struct command_output_texts *texts)
{
	texts->truncated = false;
	for (int i = 0; i < 2; i++) {
		struct buf *out = &texts->streams[i];
		size_t share = share_of(logs[i].bytes, logs[1 - i].bytes);
		buf_init(out, COMMAND_OUTPUT_SHOWN + NOTICE_MAX);
		if (logs[i].bytes == 0)
			continue;
		if (logs[i].bytes <= share) {
			read_part(command, (enum command_stream)i, 0, out, (size_t)logs[i].bytes);
		} else {
			read_ends(command, (enum command_stream)i, &logs[i], share, out);
			texts->truncated = true;
		}
	}
}

void command_output_release(struct command_output_texts *texts)
{
	for (int i = 0; i < 2; i++)
		buf_release(&texts->streams[i]);
}

static bool last_line_of(
	struct command *command, enum command_stream stream, char *line, size_t size)
{
	char bytes[LINE_WINDOW];
	uint64_t log_size = command_log_size(command, stream);
	uint64_t from = log_size > sizeof bytes ? log_size - sizeof bytes : 0;
	ssize_t n = log_size > 0 ? command_read(command, stream, from, bytes, sizeof bytes) : 0;
	size_t end = n > 0 ? (size_t)n : 0;

	while (end > 0 && strchr(" \t\r\n", bytes[end - 1]))
		end--;
	size_t start = end;
	while (start > 0 && bytes[start - 1] != '\n' && bytes[start - 1] != '\r')
		start--;
	if (start == 0 && from > 0)
		start = skip_continuation(bytes, end);
	size_t len = end - start < size - 1 ? end - start : utf8_floor(bytes + start, size - 1);
	memcpy(line, bytes + start, len);
	line[len] = '\0';
	return len > 0;
}

bool command_output_last_line(struct command *command, char *line, size_t size)
{
	return last_line_of(command, COMMAND_STDOUT, line, size) ||
	       last_line_of(command, COMMAND_STDERR, line, size);
}
