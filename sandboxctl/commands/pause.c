/* pause: sandboxes keep their files and, for a while, their memory. */
#include <jansson.h>

#include "command.h"
#include "sandboxes.h"

static const struct option options[] = {
	{ "all", NULL, SETTING(OPTION_FLAG, all), NULL, "every sandbox of yours" },
	{ "cold", NULL, SETTING(OPTION_FLAG, cold), NULL,
	  "end what runs in them at once, and keep their files alone" },
	COMMON_OPTIONS,
};

static int run(const struct settings *settings, int count, char **words, struct err *err)
{
	json_auto_t *body = json_pack("{s:b}", "cold", settings->cold);
	const struct each_call call = { .method = "POST", .leaf = "/pause", .body = body };

	return sandboxes_named(settings, count, words, &call, err);
}

const struct command command_pause = { "pause", "ID... | --all", "Pauses sandboxes.", 0, -1, 0,
	options, 0, run };
