/* rm: deletes sandboxes with all that is in them. */
#include "command.h"
#include "sandboxes.h"

static const struct option options[] = {
	{ "all", NULL, SETTING(OPTION_FLAG, all), NULL, "every sandbox of yours" },
	COMMON_OPTIONS,
};

static int run(const struct settings *settings, int count, char **words, struct err *err)
{
	static const struct each_call call = { .method = "DELETE", .leaf = "" };

	return sandboxes_named(settings, count, words, &call, err);
}

const struct command command_rm = { "rm", "ID... | --all", "Deletes sandboxes and their files.", 0,
	-1, 0, options, 0, run };
