#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "utf8.h"

enum { LINE_MAX_BYTES = 4096 };

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

void log_event(enum log_level level, const char *event, ...)
{
	AUTO_BUF struct buf line = BUF_INIT(LINE_MAX_BYTES);
	va_list args;

	if (level < lowest)
		return;
	buf_add_text(&line, as_json ? "{\"time\":\"" : "");
	add_time(&line);
	buf_addf(&line, as_json ? "\",\"level\":\"%s\",\"event\":\"%s\"" : " %-7s %s",
		names[level], event);
	va_start(args, event);
	for (const char *key; (key = va_arg(args, const char *));) {
		const char *value = va_arg(args, const char *);
		add_pair(&line, key, value ? value : "");
	}
	va_end(args);
	line.over = false;
	buf_add_text(&line, as_json ? "}\n" : "\n");
	/* One write(2) a line, so that threads do not mix; nobody to tell where it fails. */
	if (line.len > 0 && write(STDERR_FILENO, line.data, line.len) < 0)
		return;
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
