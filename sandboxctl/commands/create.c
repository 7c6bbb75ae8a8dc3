/* create: a new sandbox; its id is all that is printed, for scripts. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "api.h"
#include "cleanup.h"
#include "command.h"
#include "err.h"
#include "table.h"

static const struct option options[] = {
	{ "template", NULL, SETTING(OPTION_TEXT, template), "T", "what it is made from (host)" },
	{ "user-id", NULL, SETTING(OPTION_TEXT, user_id), "LABEL", "whom it is for (sandboxctl)" },
	{ "timeout", NULL, SETTING_INT(timeout, 1, 366 * 86400), "S",
		"seconds without activity until --on-timeout" },
	{ "on-timeout", NULL, SETTING(OPTION_TEXT, on_timeout), "WHAT",
		"pause (default) or delete" },
	{ "auto-resume", NULL, SETTING(OPTION_FLAG, auto_resume), NULL,
		"traffic resumes it when it is paused" },
	{ "network", NULL, SETTING(OPTION_TEXT, network), "N", "internet (default) or none" },
	{ "allow", NULL, SETTING(OPTION_LIST, allow), "HOST",
		"a host or CIDR that alone may be reached; may be repeated" },
	{ "env", NULL, SETTING(OPTION_LIST, env), "N=V",
		"an environment variable of everything inside; may be repeated" },
	{ "label", NULL, SETTING(OPTION_LIST, label), "N=V", "metadata; may be repeated" },
	{ "memory-mb", NULL, SETTING_INT(memory_mb, 1, 1 << 24), "N", "its memory" },
	{ "cpu-millis", NULL, SETTING_INT(cpu_millis, 1, 1000000), "N",
		"thousandths of a processor" },
	{ "pids", NULL, SETTING_INT(pids, 1, 1 << 20), "N", "its processes and threads" },
	{ "disk-mb", NULL, SETTING_INT(disk_mb, 1, 1 << 24), "N", "its files" },
	{ "once", NULL, SETTING(OPTION_TEXT, once), "KEY",
		"the same KEY gives the same sandbox again, for a day" },
	JSON_OPTION,
	COMMON_OPTIONS,
};

static void set_text(json_t *body, const char *name, const char *value)
{
	if (value)
		json_object_set_new(body, name, json_string(value));
}

static void set_int(json_t *body, const char *name, int64_t value)
{
	if (value)
		json_object_set_new(body, name, json_integer(value));
}

static int set_pairs(
	json_t *body, const char *name, const struct option_list *pairs, struct err *err)
{
	json_t *map = json_object();

	for (size_t i = 0; i < pairs->count; i++) {
		const char *equals = strchr(pairs->items[i], '=');
		if (!equals || equals == pairs->items[i]) {
			json_decref(map);
			return err_set(err, ERR_INVALID, "--%s takes NAME=VALUE, not '%.64s'",
				strcmp(name, "envs") == 0 ? "env" : "label", pairs->items[i]);
		}
		AUTO_FREE char *key =
			alloc_textn(pairs->items[i], (size_t)(equals - pairs->items[i]));
		json_object_set_new(map, key, json_string(equals + 1));
	}
	if (pairs->count > 0)
		json_object_set(body, name, map);
	json_decref(map);
	return 0;
}

static void set_limits(json_t *body, const struct settings *settings)
{
	json_auto_t *limits = json_object();

	set_int(limits, "memory_mb", settings->memory_mb);
	set_int(limits, "pids", settings->pids);
	set_int(limits, "disk_mb", settings->disk_mb);
	if (settings->cpu_millis)
		json_object_set_new(limits, "cpus", json_real((double)settings->cpu_millis / 1000));
	if (json_object_size(limits) > 0)
		json_object_set(body, "limits", limits);
}

static void set_network(json_t *body, const struct settings *settings)
{
	json_auto_t *allow = json_array();

	set_text(body, "network", settings->network);
	for (size_t i = 0; i < settings->allow.count; i++)
		json_array_append_new(allow, json_string(settings->allow.items[i]));
	if (settings->allow.count > 0)
		json_object_set_new(body, "network", json_pack("{s:O}", "allow", allow));
}

static json_t *body_of(const struct settings *settings, struct err *err)
{
	json_t *body = json_object();

	set_text(body, "user_id", settings->user_id ? settings->user_id : "sandboxctl");
	set_text(body, "template_id", settings->template);
	set_int(body, "timeout", settings->timeout);
	set_text(body, "on_timeout", settings->on_timeout);
	if (settings->auto_resume)
		json_object_set_new(body, "auto_resume", json_true());
	set_network(body, settings);
	set_limits(body, settings);
	if (set_pairs(body, "envs", &settings->env, err) < 0 ||
		set_pairs(body, "metadata", &settings->label, err) < 0) {
		json_decref(body);
		return NULL;
	}
	return body;
}

static int run(const struct settings *settings, int count, char **words, struct err *err)
{
	json_auto_t *body = body_of(settings, err);
	(void)count, (void)words;

	if (!body)
		return -1;
	AUTO_FREE char *header =
		settings->once ? alloc_printf("Idempotency-Key: %s", settings->once) : NULL;
	json_auto_t *answer = api_call(settings, "POST", "/sandboxes/create", body, header, err);
	if (!answer)
		return -1;
	if (settings->json)
		table_print_json(answer);
	else
		puts(json_string_value(json_object_get(answer, "sandbox_id")));
	return 0;
}

const struct command command_create = { "create", "", "Creates a sandbox and prints its id.", 0, 0,
	0, options, 0, run };
