/* pause: sandboxes keep their files and, for a while, their memory. */
#include "command.h"
#include "sandboxes.h"

static const struct option options[] = { COMMON_OPTIONS };

static int run(const struct settings *settings, int count, char **words, struct err *err)
{
	(void)err;
	return sandboxes_each(settings, count, words, "POST", NULL, "/pause");
}

const struct command command_pause = { "pause", "ID...", "Pauses sandboxes.", 1, -1, 0, options, 0,
	run };
