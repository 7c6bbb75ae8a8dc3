/* ls: all sandboxes of whoever asks, page by page. */
#include <jansson.h>
#include <stdio.h>

#include "api.h"
#include "cleanup.h"
#include "command.h"
#include "err.h"
#include "sandboxes.h"
#include "table.h"

static const struct option options[] = {
	{ "status", NULL, SETTING(OPTION_TEXT, status), "S",
		"only those that are running, paused …" },
	{ "user-id", NULL, SETTING(OPTION_TEXT, user_id), "LABEL", "only those with this label" },
	JSON_OPTION,
	COMMON_OPTIONS,
};

static int run(const struct settings *settings, int count, char **words, struct err *err)
{
	static const char *const columns[] = { "sandbox_id", "status", "user_id", "template_id",
		"created_at", "expires_at", NULL };
	json_auto_t *rows = sandboxes_list(settings, err);
	(void)count, (void)words;

	if (!rows)
		return -1;
	if (settings->json)
		table_print_json(rows);
	else
		table_print_rows(rows, columns);
	return 0;
}

const struct command command_ls = { "ls", "", "Lists your sandboxes.", 0, 0, 0, options, 0, run };
