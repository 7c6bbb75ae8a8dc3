/* The OpenAPI 3.1 document, made from the table of routes, so that it is true. */
#include <string.h>

#include "alloc.h"
#include "api.h"
#include "cleanup.h"

/* ---- schemas ---- */

#define NO_NUL "^[^\\u0000]*$"

static json_t *text_map(const struct field *field, bool is_answer)
{
	json_t *schema = json_pack(
		"{s:s, s:{s:s}}", "type", "object", "additionalProperties", "type", "string");

	if (is_answer)
		return schema;
	json_object_set_new(schema, "maxProperties", json_integer(200));
	json_object_set_new(
		json_object_get(schema, "additionalProperties"), "pattern", json_string(NO_NUL));
	if (strcmp(field->name, "envs") == 0)
		json_object_set_new(schema, "propertyNames",
			json_pack("{s:s}", "pattern", "^[A-Za-z_][A-Za-z0-9_]*$"));
	return schema;
}

static json_t *network_schema(void)
{
	return json_pack(
		"{s:[{s:s, s:[ss]}, {s:s, s:{s:{s:s, s:i, s:{s:s, s:i, s:i, s:s}}}, s:[s], "
		"s:b}]}",
		"oneOf", "type", "string", "enum", "internet", "none", "type", "object",
		"properties", "allow", "type", "array", "maxItems", 256, "items", "type", "string",
		"minLength", 1, "maxLength", 255, "pattern", "^[A-Za-z0-9._*/:-]+$", "required",
		"allow", "additionalProperties", 0);
}

static json_t *bounded(const char *type, json_t *min, json_t *max)
{
	return json_pack("{s:s, s:o, s:o}", "type", type, "minimum", min, "maximum", max);
}

static json_t *limits_schema(void)
{
	return json_pack("{s:s, s:{s:o, s:o, s:o, s:o}, s:b}", "type", "object", "properties",
		"memory_mb", bounded("integer", json_integer(16), json_integer(1 << 24)), "cpus",
		bounded("number", json_real(0.01), json_integer(1000)), "pids",
		bounded("integer", json_integer(16), json_integer(1 << 20)), "disk_mb",
		bounded("integer", json_integer(32), json_integer(1 << 24)), "additionalProperties",
		0);
}

static json_t *text_schema(const struct field *field, bool is_answer)
{
	json_t *schema = json_pack("{s:s}", "type", "string");

	if (!is_answer && !field->one_of && (field->type == FIELD_TEXT || field->min))
		json_object_set_new(schema, "pattern", json_string(NO_NUL));

	if (field->min)
		json_object_set_new(schema, "minLength", json_integer(field->min));
	if (field->type == FIELD_TEXT && field->max)
		json_object_set_new(schema, "maxLength", json_integer(field->max));
	if (field->one_of) {
		json_t *values = json_array();

		for (const char *at = field->one_of; *at; at += *at == '|') {
			size_t len = strcspn(at, "|");

			json_array_append_new(values, json_stringn(at, len));
			at += len;
		}
		json_object_set_new(schema, "enum", values);
	}
	return schema;
}

static json_t *schema_of(const struct field *field, bool is_answer)
{
	switch (field->type) {
	case FIELD_TEXT:
	case FIELD_CONTENT:
		return text_schema(field, is_answer);
	case FIELD_INTEGER:
		return field->max ? bounded("integer", json_integer(field->min),
					    json_integer(field->max))
				  : json_pack("{s:s}", "type", "integer");
	case FIELD_NUMBER:
		return json_pack("{s:s}", "type", "number");
	case FIELD_BOOLEAN:
		return json_pack("{s:s}", "type", "boolean");
	case FIELD_TEXT_MAP:
		return text_map(field, is_answer);
	case FIELD_OBJECT:
		return json_pack("{s:s}", "type", "object");
	case FIELD_NETWORK:
		return network_schema();
	case FIELD_LIMITS:
		return limits_schema();
	case FIELD_SANDBOXES:
		return json_pack("{s:s, s:{s:s}}", "type", "array", "items", "type", "object");
	}
	return NULL;
}

/* What may be absent may be null. */
static json_t *nullable(json_t *schema)
{
	json_t *type = json_object_get(schema, "type");

	if (type)
		json_object_set_new(
			schema, "type", json_pack("[s, s]", json_string_value(type), "null"));
	json_array_append_new(json_object_get(schema, "enum"), json_null());
	json_array_append_new(json_object_get(schema, "oneOf"), json_pack("{s:s}", "type", "null"));
	return schema;
}

static json_t *object_schema(const struct field *fields, bool is_answer)
{
	json_t *properties = json_object(), *required = json_array();

	if (is_answer) {
		json_object_set_new(properties, "success", json_pack("{s:b}", "const", 1));
		json_array_append_new(required, json_string("success"));
	}
	for (const struct field *field = fields; field->name; field++) {
		json_t *schema = schema_of(field, is_answer);

		if (!field->required)
			schema = nullable(schema);
		json_object_set_new(schema, "description", json_string(field->about));
		json_object_set_new(properties, field->name, schema);
		/* By its other name it is taken as well, which "required" cannot say. */
		if (field->required)
			json_array_append_new(required, json_string(field->name));
	}
	return json_pack("{s:s, s:o, s:o}", "type", "object", "properties", properties, "required",
		required);
}

/* ---- operations ---- */

static json_t *content(const char *type, json_t *schema)
{
	return json_pack("{s:{s:o}}", type, "schema", schema);
}

static json_t *parameter(
	const char *name, const char *in, bool required, json_t *schema, const char *about)
{
	return json_pack("{s:s, s:s, s:b, s:o, s:s}", "name", name, "in", in, "required", required,
		"schema", schema, "description", about);
}

static json_t *parameters(const struct route *route)
{
	json_t *list = json_array();

	if (strstr(route->path, "{id}"))
		json_array_append_new(list, parameter("id", "path", true,
						    json_pack("{s:s, s:s}", "type", "string",
							    "pattern", "^[a-z0-9]{20}$"),
						    "the sandbox"));
	if (strcmp(route->name, "create") == 0)
		json_array_append_new(
			list, parameter("Idempotency-Key", "header", false,
				      json_pack("{s:s, s:s}", "type", "string", "pattern",
					      "^[!-~]{1,255}$"),
				      "the same key returns the same sandbox for 24 hours"));
	for (const struct field *field = route->takes; route->flags & ROUTE_QUERY && field->name;
		field++)
		json_array_append_new(list, parameter(field->name, "query", field->required,
						    schema_of(field, false), field->about));
	return list;
}

static json_t *request_body(const struct route *route)
{
	json_t *schema = object_schema(route->takes, false);

	if (route->flags & ROUTE_FORM) {
		json_object_set_new(json_object_get(schema, "properties"), "file",
			json_pack("{s:s, s:s}", "type", "string", "format", "binary"));
		json_array_append_new(json_object_get(schema, "required"), json_string("file"));
		return json_pack("{s:b, s:o}", "required", 1, "content",
			content("multipart/form-data", schema));
	}
	return json_pack("{s:b, s:o}", "required", fields_need(route->takes), "content",
		content("application/json", schema));
}

static json_t *right_answer(const struct route *route)
{
	const char *name = route->name;

	if (strcmp(name, "download_file") == 0)
		return content("application/octet-stream",
			json_pack("{s:s, s:s}", "type", "string", "format", "binary"));
	if (strcmp(name, "metrics") == 0)
		return content("text/plain", json_pack("{s:s}", "type", "string"));
	if (route->flags & ROUTE_WHOLE)
		return content("application/json", json_pack("{s:s}", "type", "object"));
	return content("application/json", object_schema(route->answers, true));
}

static json_t *refusal(const char *about)
{
	return json_pack("{s:s, s:o}", "description", about, "content",
		content("application/json",
			json_pack("{s:s}", "$ref", "#/components/schemas/Refusal")));
}

static json_t *responses(const struct route *route)
{
	static const struct {
		const char *status, *about;
	} refusals[] = {
		{ "400", "Malformed" },
		{ "401", "No credential, or a wrong one" },
		{ "403", "Another user's sandbox, or a web page that may not" },
		{ "404", "No such sandbox or file" },
		{ "408", "The command outlived its timeout" },
		{ "409", "Not in the sandbox's present state" },
		{ "413", "Too large" },
		{ "415", "Wrong Content-Type, or no text" },
		{ "422", "A field is invalid; each is named" },
		{ "429", "A quota: Retry-After tells when to try again" },
		{ "502", "The provider failed" },
		{ "503", "Not ready" },
	};
	json_t *all = json_pack(
		"{s:{s:s, s:o}}", "200", "description", "Done", "content", right_answer(route));

	for (size_t i = 0;
		!(route->flags & ROUTE_WHOLE) && i < sizeof refusals / sizeof refusals[0]; i++)
		json_object_set_new(all, refusals[i].status, refusal(refusals[i].about));
	if (strcmp(route->name, "login") == 0) {
		json_object_set_new(all, "401", refusal("Wrong name or password"));
		json_object_set_new(all, "415", refusal("The body is none that is taken"));
		json_object_set_new(all, "422", refusal("A field is invalid"));
		json_object_set_new(all, "429", refusal("Too many tries"));
		json_object_set_new(all, "503", refusal("Not ready"));
	}
	if (strcmp(route->name, "metrics") == 0)
		json_object_set_new(all, "401", refusal("No credential, or a wrong one"));
	return all;
}

static json_t *operation(const struct route *route)
{
	json_t *operation = json_pack("{s:s, s:s, s:o, s:o}", "operationId", route->name, "summary",
		route->about, "parameters", parameters(route), "responses", responses(route));

	if (strcmp(route->method, "POST") == 0 && !(route->flags & ROUTE_QUERY) &&
		route->takes->name)
		json_object_set_new(operation, "requestBody", request_body(route));
	if (route->flags & ROUTE_OPEN)
		json_object_set_new(operation, "security", json_array());
	return operation;
}

static json_t *paths(void)
{
	static const struct {
		const char *method, *name;
	} methods[] = { { "GET", "get" }, { "POST", "post" }, { "DELETE", "delete" } };
	json_t *paths = json_object();

	for (const struct route *route = routes; route->method; route++) {
		AUTO_FREE char *path = alloc_printf(
			"%s%s", route->flags & ROUTE_WHOLE ? "" : "/sandboxes", route->path);
		json_t *item = json_object_get(paths, path);

		if (route->flags & ROUTE_ALIAS)
			continue;
		if (!item) {
			item = json_object();
			json_object_set_new(paths, path, item);
		}
		for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
			if (strcmp(methods[i].method, route->method) == 0)
				json_object_set_new(item, methods[i].name, operation(route));
		}
	}
	return paths;
}

json_t *openapi_document(void)
{
	json_t *refusal = json_pack("{s:s, s:{s:{s:b}, s:{s:s}, s:{s:s}}, s:[sss]}", "type",
		"object", "properties", "success", "const", 0, "detail", "type", "string", "error",
		"type", "string", "required", "success", "detail", "error");

	return json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{}, {s:[]}, {s:[]}], s:o, s:{s:{s:o}, "
			 "s:{s:{s:s, s:s}, s:{s:s, s:s, s:s}}}}",
		"openapi", "3.1.0", "info", "title", "sandbox-manager", "version", VERSION,
		"description",
		"Creates sandboxes for AI agents. The same calls are at /agent/sandboxes/sandboxes, "
		"behind a JWT, with each answer wrapped as {code, msg, data}.",
		"security", "bearer", "key", "paths", paths(), "components", "schemas", "Refusal",
		refusal, "securitySchemes", "bearer", "type", "http", "scheme", "bearer", "key",
		"type", "apiKey", "in", "header", "name", "X-API-Key");
}
