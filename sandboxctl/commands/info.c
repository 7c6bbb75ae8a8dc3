/* info: all about a sandbox. */
#include <jansson.h>

#include "api.h"
#include "cleanup.h"
#include "command.h"
#include "err.h"
#include "table.h"

static const struct option options[] = { JSON_OPTION, COMMON_OPTIONS };

static int run(const struct settings *settings, int count, char **words, struct err *err)
{
	char path[PATH_MAX_BYTES];
	(void)count;

	if (api_path(path, words[0], "/info", err) < 0)
		return -1;
	json_auto_t *answer = api_call(settings, "GET", path, NULL, NULL, err);
	if (!answer)
		return -1;
	if (settings->json)
		table_print_json(answer);
	else
		table_print_object(answer);
	return 0;
}

const struct command command_info = { "info", "ID", "Shows all about a sandbox.", 1, 1, 0, options,
	0, run };
