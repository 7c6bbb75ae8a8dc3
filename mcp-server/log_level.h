#ifndef LOG_LEVEL_H
#define LOG_LEVEL_H

/* The levels of notifications/message (RFC 5424, section 6.2.1), lowest first. */
#include <jansson.h>

#define LOG_LEVELS "debug, info, notice, warning, error, critical, alert, emergency"

/* The level's place, 0 for "debug"; LOG_NONE (call_impl.h) where it is none. */
int log_level_find(const json_t *name);

const char *log_level_name(int level);

#endif
