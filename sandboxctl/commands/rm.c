/* rm: deletes sandboxes with all that is in them. */
#include <jansson.h>
#include <stdint.h>

#include "alloc.h"
#include "cleanup.h"
#include "command.h"
#include "err.h"
#include "sandboxes.h"

static const struct option options[] = {
	{ "all", NULL, SETTING(OPTION_FLAG, all), NULL, "every sandbox of yours" },
	COMMON_OPTIONS,
};

static int remove_all(const struct settings *settings, struct err *err)
{
	json_auto_t *rows = sandboxes_list(settings, err);
	size_t i;
	json_t *row;

	if (!rows)
		return -1;
	AUTO_FREE char **ids = alloc_array(json_array_size(rows) + 1, sizeof *ids);
	json_array_foreach(rows, i, row) {
		const char *id = json_string_value(json_object_get(row, "sandbox_id"));
		ids[i] = (char *)(uintptr_t)(id ? id : "");
	}
	return sandboxes_each(settings, (int)json_array_size(rows), ids, "DELETE", NULL, "");
}

static int run(const struct settings *settings, int count, char **words, struct err *err)
{
	if (settings->all && count == 0)
		return remove_all(settings, err);
	if (settings->all || count == 0)
		return err_set(err, ERR_INVALID, "sandboxctl rm takes ids, or --all alone");
	return sandboxes_each(settings, count, words, "DELETE", NULL, "");
}

const struct command command_rm = { "rm", "ID... | --all", "Deletes sandboxes and their files.", 0,
	-1, 0, options, 0, run };
