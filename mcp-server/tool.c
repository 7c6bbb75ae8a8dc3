#include "tool.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "err.h"

const struct tool *tool_find(const char *name, size_t len)
{
	for (size_t i = 0; tools[i]; i++) {
		if (strlen(tools[i]->name) == len && memcmp(tools[i]->name, name, len) == 0)
			return tools[i];
	}
	return NULL;
}

/* ---- the schema ---- */

static const char *const type_names[] = {
	[PARAM_STRING] = "string",
	[PARAM_INTEGER] = "integer",
	[PARAM_BOOLEAN] = "boolean",
	[PARAM_STRING_MAP] = "object",
};

static json_t *param_schema(const struct param *param)
{
	json_t *schema = json_pack("{s:s, s:s}", "type", type_names[param->type], "description",
		param->description);

	if (param->choices) {
		json_t *choices = json_array();
		for (size_t i = 0; param->choices[i]; i++)
			json_array_append_new(choices, json_string(param->choices[i]));
		json_object_set_new(schema, "enum", choices);
	}
	if (param->min || param->max) {
		json_object_set_new(schema, "minimum", json_integer(param->min));
		json_object_set_new(schema, "maximum", json_integer(param->max));
	}
	if (param->type == PARAM_STRING_MAP)
		json_object_set_new(schema, "additionalProperties",
			json_pack("{s:s}", "type", "string"));
	if (param->fallback)
		json_object_set_new(schema, "default",
			json_loads(param->fallback, JSON_DECODE_ANY, NULL));
	return schema;
}

json_t *tool_input_schema(const struct tool *tool)
{
	if (tool->input_schema)
		return json_loads(tool->input_schema, 0, NULL);

	json_t *properties = json_object(), *required = json_array();
	for (const struct param *param = tool->params; param && param->name; param++) {
		json_object_set_new(properties, param->name, param_schema(param));
		if (param->required)
			json_array_append_new(required, json_string(param->name));
	}
	return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties,
		"required", required, "additionalProperties", 0);
}

/* ---- the check ---- */

static const struct param *find_param(const struct tool *tool, const char *name)
{
	for (const struct param *param = tool->params; param && param->name; param++) {
		if (strcmp(param->name, name) == 0)
			return param;
	}
	return NULL;
}

static int unknown_param(const struct tool *tool, const char *name, struct err *err)
{
	AUTO_BUF struct buf known = BUF_INIT(sizeof err->msg);

	for (const struct param *param = tool->params; param && param->name; param++)
		buf_addf(&known, "%s%s", known.len ? ", " : "", param->name);
	return err_set(err, ERR_INVALID, "%s has no argument '%.40s': it takes %s", tool->name,
		name, known.len ? known.data : "none");
}

/* JSON Schema 2020-12 counts 60.0 as an integer. */
static bool whole_number(const json_t *value, int64_t *out)
{
	if (json_is_integer(value)) {
		*out = json_integer_value(value);
		return true;
	}
	double real = json_real_value(value);
	if (!json_is_real(value) || real != trunc(real) || fabs(real) > 9007199254740992.0)
		return false;
	*out = (int64_t)real;
	return true;
}

static int check_integer(const struct param *param, const json_t *value, struct err *err)
{
	int64_t number;

	if (!whole_number(value, &number))
		return err_set(err, ERR_INVALID, "'%s' has to be a whole number", param->name);
	if ((param->min || param->max) && (number < param->min || number > param->max))
		return err_set(err, ERR_INVALID,
			"'%s' has to be from %" PRId64 " to %" PRId64 ", not %" PRId64, param->name,
			param->min, param->max, number);
	return 0;
}

static int check_string(const struct param *param, const json_t *value, struct err *err)
{
	AUTO_BUF struct buf known = BUF_INIT(sizeof err->msg);

	if (!json_is_string(value))
		return err_set(err, ERR_INVALID, "'%s' has to be a string", param->name);
	for (size_t i = 0; param->choices && param->choices[i]; i++) {
		if (strcmp(param->choices[i], json_string_value(value)) == 0)
			return 0;
		buf_addf(&known, "%s%s", i ? ", " : "", param->choices[i]);
	}
	if (param->choices)
		return err_set(err, ERR_INVALID, "'%s' has to be one of: %s", param->name,
			known.data);
	return 0;
}

static int check_map(const struct param *param, json_t *value, struct err *err)
{
	const char *key;
	json_t *item;

	if (!json_is_object(value))
		return err_set(err, ERR_INVALID, "'%s' has to be an object of strings",
			param->name);
	json_object_foreach(value, key, item) {
		if (!json_is_string(item))
			return err_set(err, ERR_INVALID, "'%s.%.40s' has to be a string",
				param->name, key);
	}
	return 0;
}

static int check_value(const struct param *param, json_t *value, struct err *err)
{
	switch (param->type) {
	case PARAM_STRING:
		return check_string(param, value, err);
	case PARAM_INTEGER:
		return check_integer(param, value, err);
	case PARAM_BOOLEAN:
		if (!json_is_boolean(value))
			return err_set(err, ERR_INVALID, "'%s' has to be true or false",
				param->name);
		return 0;
	case PARAM_STRING_MAP:
		return check_map(param, value, err);
	}
	return 0;
}

int tool_check_args(const struct tool *tool, json_t *args, struct err *err)
{
	const char *name;
	json_t *value;

	if (args && !json_is_object(args))
		return err_set(err, ERR_INVALID, "'arguments' of %s has to be an object",
			tool->name);
	if (tool->input_schema)
		return 0;
	json_object_foreach(args, name, value) {
		const struct param *param = find_param(tool, name);
		if (!param)
			return unknown_param(tool, name, err);
		if (!json_is_null(value) && check_value(param, value, err) < 0)
			return err_wrap(err, "%s", tool->name);
	}
	for (const struct param *param = tool->params; param && param->name; param++) {
		if (param->required && !arg_given(args, param->name))
			return err_set(err, ERR_INVALID, "%s needs '%s' (%s)", tool->name,
				param->name, type_names[param->type]);
	}
	return 0;
}

/* ---- checked arguments ---- */

bool arg_given(json_t *args, const char *name)
{
	const json_t *value = json_object_get(args, name);

	return value && !json_is_null(value);
}

const char *arg_string(json_t *args, const char *name, size_t *len)
{
	const json_t *value = json_object_get(args, name);

	if (len)
		*len = json_string_length(value);
	return json_string_value(value);
}

int64_t arg_integer(json_t *args, const char *name, int64_t fallback)
{
	int64_t number;

	return whole_number(json_object_get(args, name), &number) ? number : fallback;
}

bool arg_boolean(json_t *args, const char *name, bool fallback)
{
	const json_t *value = json_object_get(args, name);

	return json_is_boolean(value) ? json_is_true(value) : fallback;
}

int arg_text(json_t *args, const char *name, const char *fallback, const char **out,
	struct err *err)
{
	size_t len;
	const char *text = arg_string(args, name, &len);

	if (text && strlen(text) != len)
		return err_set(err, ERR_INVALID, "'%s' contains a NUL character: leave it out",
			name);
	*out = text ? text : fallback;
	return 0;
}
