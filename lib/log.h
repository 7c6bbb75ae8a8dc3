#ifndef LOG_H
#define LOG_H

/*
 * The log: one line an event on standard error, `time level event key=value …`, or one JSON
 * object a line. Only request boundaries and main log; lib never does. Any thread, and none
 * waits: a line that nobody takes just now (a full pipe) is lost, and counted in the next one
 * that is taken. A line has at most PIPE_BUF bytes: longer values are cut.
 */
#include <stdbool.h>

struct err;

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

/* From here on, lines below `level` are dropped; `json`: one object a line. */
void log_setup(enum log_level level, bool json);

/* The same from the options --log-level and --log-format. ERR_INVALID says what each takes. */
int log_setup_named(const char *level, const char *format, struct err *err);

/*
 * Writes one line. `event` is a few words that never change; then key and value (texts) in
 * turn, up to a NULL key. Values are quoted as needed, control characters never get through.
 */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

#endif
