#include "log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "utf8.h"

/* A line leaves in one piece: pipe(7), "PIPE_BUF". */
enum { LINE_MAX_BYTES = PIPE_BUF };

#define END_OF_LINE "}\n"

static enum log_level lowest = LOG_INFO;
static bool as_json;

static const char *const names[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARNING] = "warning",
	[LOG_ERROR] = "error",
};

void log_setup(enum log_level level, bool json)
{
	lowest = level;
	as_json = json;
}

static void add_time(struct buf *line)
{
	struct timespec now;
	struct tm tm;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	buf_addf(line, "%s.%03ldZ", text, now.tv_nsec / 1000000);
}

static bool is_plain(const char *value)
{
	return *value && !strpbrk(value, " \"=\\") && strspn(value, "\t\r\n") == 0;
}

static void add_value(struct buf *line, const char *value)
{
	bool plain = !as_json && is_plain(value);

	for (const char *p = value; plain && *p; p++)
		plain = *p > ' ' && *p < 0x7F;
	if (plain)
		buf_add_text(line, value);
	else
		utf8_add_json(line, value, strlen(value));
}

static void add_pair(struct buf *line, const char *key, const char *value)
{
	if (as_json)
		buf_addf(line, ",\"%s\":", key);
	else
		buf_addf(line, " %s=", key);
	add_value(line, value);
}

/* ---- the line ---- */

/* Adds a pair, with as much of its value as fits; an ellipsis tells where some is missing. */
static void add_pair_cut(struct buf *line, const char *key, const char *value)
{
	AUTO_BUF struct buf part = BUF_INIT(LINE_MAX_BYTES);
	size_t before = line->len;

	add_pair(line, key, value);
	for (size_t len = strnlen(value, LINE_MAX_BYTES); line->over && len > 0; len /= 2) {
		buf_clear(&part);
		buf_add(&part, value, utf8_floor(value, len / 2));
		buf_add_text(&part, "…");
		line->over = false;
		buf_truncate(line, before);
		add_pair(line, key, part.data);
	}
	if (line->over) {
		line->over = false;
		buf_truncate(line, before);
	}
}

/* `line` has room for a whole one, its end included. */
static void begin_line(struct buf *line, enum log_level level, const char *event)
{
	line->max = LINE_MAX_BYTES - sizeof END_OF_LINE;
	buf_add_text(line, as_json ? "{\"time\":\"" : "");
	add_time(line);
	buf_addf(line, as_json ? "\",\"level\":\"%s\",\"event\":\"%s\"" : " %-7s %s", names[level],
		event);
}

static void end_line(struct buf *line)
{
	line->max = LINE_MAX_BYTES;
	buf_add_text(line, as_json ? END_OF_LINE : "\n");
}

/* ---- writing it ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static unsigned long lost;                               /* lines that nobody took, not told yet */

/*
 * Writes the whole line or nothing, and never waits for a reader. Where poll(2) finds a pipe
 * writable there is room for PIPE_BUF bytes, so for a line (pipe(7)); another process may take
 * it first, so that the write itself must not wait either. The descriptor may be shared:
 * O_NONBLOCK would be everybody's.
 */
static bool write_line(const struct buf *line)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	struct iovec whole = { line->data, line->len };
	struct stat st;

	if (poll(&out, 1, 0) != 1 || !(out.revents & POLLOUT) || fstat(STDERR_FILENO, &st) < 0)
		return false;
	if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) {
		ssize_t n = pwritev2(STDERR_FILENO, &whole, 1, -1, RWF_NOWAIT);
		if (n >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL))
			return n == (ssize_t)line->len;
	}
	return write(STDERR_FILENO, line->data, line->len) == (ssize_t)line->len;
}

static bool tell_of_lost(void)
{
	AUTO_BUF struct buf line = BUF_INIT(LINE_MAX_BYTES);
	char count[24];

	if (lost == 0)
		return true;
	snprintf(count, sizeof count, "%lu", lost);
	begin_line(&line, LOG_WARNING, "lines of this log were lost");
	add_pair_cut(&line, "lines", count);
	end_line(&line);
	if (!write_line(&line))
		return false;
	lost = 0;
	return true;
}

void log_event(enum log_level level, const char *event, ...)
{
	AUTO_BUF struct buf line = BUF_INIT(LINE_MAX_BYTES);
	va_list args;

	if (level < lowest)
		return;
	begin_line(&line, level, event);
	va_start(args, event);
	for (const char *key; (key = va_arg(args, const char *));) {
		const char *value = va_arg(args, const char *);
		add_pair_cut(&line, key, value ? value : "");
	}
	va_end(args);
	end_line(&line);
	pthread_mutex_lock(&lock);
	if (!tell_of_lost() || !write_line(&line))
		lost++;
	pthread_mutex_unlock(&lock);
}

int log_setup_named(const char *level, const char *format, struct err *err)
{
	static const char *const levels[] = { "debug", "info", "warning", "error" };
	bool json = strcmp(format, "json") == 0;

	if (!json && strcmp(format, "text") != 0)
		return err_set(err, ERR_INVALID, "--log-format takes text or json, not '%s'", format);
	for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
		if (strcmp(level, levels[i]) == 0) {
			log_setup((enum log_level)i, json);
			return 0;
		}
	}
	return err_set(err, ERR_INVALID,
		"--log-level takes debug, info, warning or error, not '%s'", level);
}
