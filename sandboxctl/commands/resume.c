/* resume: paused sandboxes go on; the idle time of those that run begins anew. */
#include "command.h"
#include "sandboxes.h"

static const struct option options[] = { COMMON_OPTIONS };

static int run(const struct settings *settings, int count, char **words, struct err *err)
{
	(void)err;
	static const struct each_call call = { .method = "POST", .path = "/sandboxes/connect" };

	return sandboxes_each(settings, count, words, &call);
}

const struct command command_resume = { "resume", "ID...", "Resumes paused sandboxes.", 1, -1, 0,
	options, 0, run };
