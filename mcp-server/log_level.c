#include "log_level.h"

#include <string.h>

#include "call_impl.h"

static const char *const names[] = { "debug", "info", "notice", "warning", "error", "critical",
	"alert", "emergency" };

enum { LEVELS = sizeof names / sizeof names[0] };

int log_level_find(const json_t *name)
{
	for (int i = 0; json_is_string(name) && i < LEVELS; i++) {
		if (strcmp(names[i], json_string_value(name)) == 0)
			return i;
	}
	return LOG_NONE;
}

const char *log_level_name(int level)
{
	return names[level];
}
