/* url: where a sandbox is reached, or a port in it. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "api.h"
#include "cleanup.h"
#include "command.h"
#include "err.h"
#include "table.h"

static const struct option options[] = { JSON_OPTION, COMMON_OPTIONS };

static json_t *expose(
	const struct settings *settings, const char *id, const char *word, struct err *err)
{
	char *end;
	long port = strtol(word, &end, 10);

	if (end == word || *end || port < 1 || port > 65535) {
		err_set(err, ERR_INVALID, "a port is a number from 1 to 65535, not '%.32s'", word);
		return NULL;
	}
	json_auto_t *body = json_pack("{s:s, s:i}", "sandbox_id", id, "port", (int)port);
	return api_call(settings, "POST", "/sandboxes/expose-port", body, NULL, err);
}

static int run(const struct settings *settings, int count, char **words, struct err *err)
{
	char path[PATH_MAX_BYTES];

	if (api_path(path, words[0], "/urls", err) < 0)
		return -1;
	json_auto_t *answer = count > 1 ? expose(settings, words[0], words[1], err)
					: api_call(settings, "GET", path, NULL, NULL, err);
	if (!answer)
		return -1;
	if (settings->json)
		table_print_json(answer);
	else if (count > 1)
		puts(json_string_value(json_object_get(answer, "url")));
	else
		table_print_object(answer);
	return 0;
}

const struct command command_url = { "url", "ID [PORT]",
	"Shows where a sandbox is reached, or a port in it.", 1, 2, 0, options, 0, run };
