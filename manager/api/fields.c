/* The check of a request's fields against the route's table. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "buf.h"
#include "http.h"
#include "utf8.h"

enum { MAP_MAX = 200, MAP_BYTES_MAX = 64 * 1024, ALLOW_MAX = 256, ALLOW_TEXT_MAX = 255 };

static void problem(struct buf *problems, const char *name, const char *what)
{
	if (problems->len > 0)
		buf_add_text(problems, "; ");
	buf_addf(problems, "'%.64s' %s", name, what);
}

/* ---- values ---- */

static bool in_list(const char *list, const char *text)
{
	size_t len = strlen(text);

	for (const char *at = list; at && *at; at += strcspn(at, "|"), at += *at == '|') {
		if (strcspn(at, "|") == len && strncmp(at, text, len) == 0)
			return true;
	}
	return false;
}

/* Whatever JSON Schema counts: not bytes. */
static size_t characters(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += ((unsigned char)*text & 0xC0) != 0x80;
	return count;
}

static const char *check_text(const struct field *field, json_t *value)
{
	size_t len = json_string_length(value);

	if (!json_is_string(value))
		return "must be a text";
	if (strlen(json_string_value(value)) != len)
		return "must not hold a NUL character";
	if (field->max && characters(json_string_value(value)) > (size_t)field->max)
		return "is too long";
	if (len < (size_t)field->min)
		return "must not be empty";
	if (field->one_of && !in_list(field->one_of, json_string_value(value)))
		return "is none of the values it may have";
	return NULL;
}

/* A file may hold NUL characters, a command may not. */
static const char *check_content(const struct field *field, json_t *value)
{
	if (!json_is_string(value))
		return "must be a text";
	if (field->min && strlen(json_string_value(value)) != json_string_length(value))
		return "must not hold a NUL character";
	return json_string_length(value) < (size_t)field->min ? "must not be empty" : NULL;
}

/* 1.0 is whole, too, to JSON Schema and to languages that know one kind of number. */
static bool is_whole(const json_t *value)
{
	return json_is_number(value) && trunc(json_number_value(value)) == json_number_value(value);
}

static const char *check_integer(const struct field *field, json_t *value)
{
	if (!is_whole(value))
		return "must be a whole number";
	if (json_number_value(value) < (double)field->min ||
		json_number_value(value) > (double)field->max)
		return "is out of range";
	return NULL;
}

static const char *check_text_map(json_t *value)
{
	const char *name;
	json_t *text;
	size_t bytes = 0;

	if (!json_is_object(value))
		return "must be an object of texts";
	if (json_object_size(value) > MAP_MAX)
		return "has too many members";
	json_object_foreach(value, name, text) {
		if (!json_is_string(text))
			return "must be an object of texts";
		if (strlen(json_string_value(text)) != json_string_length(text))
			return "must not hold a NUL character";
		bytes += strlen(name) + json_string_length(text);
	}
	return bytes > MAP_BYTES_MAX ? "is too large" : NULL;
}

/* Each a name for the environment: what a shell could not name is refused. */
static const char *check_envs(json_t *value)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	const char *name;
	json_t *text;

	json_object_foreach(value, name, text) {
		if (!*name || strspn(name, letters) != strlen(name) || strchr("0123456789", *name))
			return "has a name that a variable cannot have: letters, digits and _ alone";
	}
	return NULL;
}

static const char *check_network(json_t *value)
{
	const json_t *allow = json_object_get(value, "allow");
	const char *text = json_string_value(value);
	size_t i;
	json_t *item;

	if (text && (strcmp(text, "internet") == 0 || strcmp(text, "none") == 0))
		return NULL;
	if (!json_is_array(allow) || json_object_size(value) != 1)
		return "must be \"internet\", \"none\" or {\"allow\": [host or CIDR]}";
	if (json_array_size(allow) > ALLOW_MAX)
		return "allows too many";
	json_array_foreach(allow, i, item) {
		const char *host = json_string_value(item);

		if (!host || !*host || strlen(host) != json_string_length(item) ||
			strlen(host) > ALLOW_TEXT_MAX ||
			host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789.-_*/:")])
			return "allows something that is no host name and no CIDR";
	}
	return NULL;
}

static const char *check_limits(json_t *value)
{
	static const struct {
		const char *name;
		double min, max;
		bool whole;
	} limits[] = {
		{ "memory_mb", 16, 1 << 24, true },
		{ "cpus", 0.01, 1000, false },
		{ "pids", 16, 1 << 20, true },
		{ "disk_mb", 32, 1 << 24, true },
	};
	size_t known = 0;

	if (!json_is_object(value))
		return "must be an object of memory_mb, cpus, pids, disk_mb";
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		const json_t *number = json_object_get(value, limits[i].name);

		if (!number)
			continue;
		known++;
		if (!json_is_number(number) || (limits[i].whole && !is_whole(number)) ||
			json_number_value(number) < limits[i].min ||
			json_number_value(number) > limits[i].max)
			return "has a number that is out of range or not whole";
	}
	return known == json_object_size(value) ? NULL
						: "takes memory_mb, cpus, pids and disk_mb alone";
}

static const char *check(const struct field *field, json_t *value)
{
	const char *what;

	switch (field->type) {
	case FIELD_TEXT:
		return check_text(field, value);
	case FIELD_CONTENT:
		return check_content(field, value);
	case FIELD_INTEGER:
		return check_integer(field, value);
	case FIELD_NUMBER:
		return json_is_number(value) ? NULL : "must be a number";
	case FIELD_BOOLEAN:
		return json_is_boolean(value) ? NULL : "must be true or false";
	case FIELD_TEXT_MAP:
		what = check_text_map(value);
		return what || strcmp(field->name, "envs") != 0 ? what : check_envs(value);
	case FIELD_OBJECT:
	case FIELD_SANDBOXES:
		return json_is_object(value) ? NULL : "must be an object";
	case FIELD_NETWORK:
		return check_network(value);
	case FIELD_LIMITS:
		return check_limits(value);
	}
	return NULL;
}

/* ---- a body ---- */

static json_t *get(const json_t *body, const struct field *field)
{
	json_t *value = json_object_get(body, field->name);

	if (!value || json_is_null(value))
		value = field->alias ? json_object_get(body, field->alias) : NULL;
	return json_is_null(value) ? NULL : value;
}

static json_t *canonical(const struct field *field, json_t *value)
{
	return field->type == FIELD_INTEGER ? json_integer((json_int_t)json_number_value(value))
					    : json_incref(value);
}

int fields_check(const struct field *fields, json_t *body, json_t **out, struct buf *problems)
{
	json_auto_t *checked = json_object();

	for (const struct field *field = fields; field->name; field++) {
		json_t *value = get(body, field);
		const char *what = value ? check(field, value) : NULL;

		if (!value && field->required)
			what = "is required";
		if (what)
			problem(problems, field->name, what);
		else if (value)
			json_object_set_new(checked, field->name, canonical(field, value));
	}
	if (problems->len > 0 || problems->over)
		return -1;
	*out = json_incref(checked);
	return 0;
}

bool fields_need(const struct field *fields)
{
	for (; fields->name; fields++) {
		if (fields->required)
			return true;
	}
	return false;
}

static json_t *from_text(const struct field *field, const char *text, size_t len)
{
	char *end;
	long long number;

	if (field->type != FIELD_INTEGER || !*text || strlen(text) > 18)
		return utf8_valid_prefix(text, len) == len ? json_stringn(text, len) : json_true();
	number = strtoll(text, &end, 10);
	return *end ? json_stringn(text, len) : json_integer(number);
}

json_t *fields_from_query(const struct field *fields, struct http_request *request)
{
	json_t *body = json_object();

	for (const struct field *field = fields; field->name; field++) {
		size_t len;
		const char *text = http_query(request, field->name, &len);

		if (!text && field->alias)
			text = http_query(request, field->alias, &len);
		if (text)
			json_object_set_new(body, field->name, from_text(field, text, len));
	}
	return body;
}

const char *call_text(const struct api_call *call, const char *name)
{
	return json_string_value(json_object_get(call->body, name));
}

int64_t call_integer(const struct api_call *call, const char *name, int64_t missing)
{
	json_t *value = json_object_get(call->body, name);

	return value ? json_integer_value(value) : missing;
}

bool call_flag(const struct api_call *call, const char *name)
{
	return json_is_true(json_object_get(call->body, name));
}
