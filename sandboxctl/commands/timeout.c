/* timeout: how long a sandbox may be idle. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "api.h"
#include "cleanup.h"
#include "command.h"
#include "err.h"
#include "table.h"

static const struct option options[] = {
	{ "on-timeout", NULL, SETTING(OPTION_TEXT, on_timeout), "WHAT", "then pause or delete" },
	JSON_OPTION,
	COMMON_OPTIONS,
};

static int run(const struct settings *settings, int count, char **words, struct err *err)
{
	char path[PATH_MAX_BYTES], *end;
	long long seconds = strtoll(words[1], &end, 10);
	(void)count;

	if (api_path(path, words[0], "", err) < 0)
		return -1;
	if (end == words[1] || *end || seconds < 1)
		return err_set(
			err, ERR_INVALID, "a time is a number of seconds, not '%.32s'", words[1]);
	json_auto_t *body =
		json_pack("{s:s, s:I}", "sandbox_id", words[0], "timeout", (json_int_t)seconds);
	if (settings->on_timeout)
		json_object_set_new(body, "on_timeout", json_string(settings->on_timeout));
	json_auto_t *answer = api_call(settings, "POST", "/sandboxes/timeout", body, NULL, err);
	if (!answer)
		return -1;
	if (settings->json)
		table_print_json(answer);
	else
		puts(json_string_value(json_object_get(answer, "expires_at")));
	return 0;
}

const struct command command_timeout = { "timeout", "ID SECONDS",
	"Sets how long a sandbox may be idle.\n\nPrints when it would be over.", 2, 2, 0, options,
	0, run };
