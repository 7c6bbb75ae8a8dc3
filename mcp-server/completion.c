#include "completion.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "alloc.h"
#include "call_impl.h"
#include "cleanup.h"
#include "err.h"
#include "method.h"
#include "names.h"
#include "path.h"
#include "prompts.h"
#include "resource.h"
#include "rpc.h"
#include "utf8.h"
#include "workspace.h"

void completion_add(struct completion *completion, const char *value, size_t len)
{
	if (completion->total++ < COMPLETION_MAX)
		json_array_append_new(completion->values, utf8_json(value, len));
}

void completion_add_choices(
	struct completion *completion, const char *const *choices, const char *typed)
{
	for (; choices && *choices; choices++) {
		if (strncasecmp(*choices, typed, strlen(typed)) == 0)
			completion_add(completion, *choices, strlen(*choices));
	}
}

/* ---- paths ---- */

/* Roots that an absolute path may still become; one inside another is found by its directory. */
static void add_roots(
	struct completion *completion, const struct path_roots *roots, const char *typed)
{
	for (size_t i = 0; i < path_roots_count(roots); i++) {
		AUTO_FREE char *name = alloc_printf("%s/", path_root_name(roots, i));
		if (strncmp(name, typed, strlen(typed)) == 0 && strcmp(name, typed) != 0)
			completion_add(completion, name, strlen(name));
	}
}

static DIR *open_directory(const struct path_roots *roots, const char *path, size_t len)
{
	int fd;

	if (path_open(roots, len ? path : ".", len ? len : 1, O_RDONLY | O_DIRECTORY, 0, &fd,
		    NULL) < 0)
		return NULL;
	DIR *dir = fdopendir(fd);
	if (!dir)
		close(fd);
	return dir;
}

void completion_add_paths(
	struct completion *completion, const struct path_roots *roots, const char *typed)
{
	const char *slash = strrchr(typed, '/');
	size_t dir_len = slash ? (size_t)(slash + 1 - typed) : 0;
	struct names_query query = {
		.prefix = typed + dir_len,
		.hidden = typed[dir_len] == '.',
		.max = COMPLETION_MAX,
	};
	AUTO_NAMES struct names names = { 0 };

	if (typed[0] == '/')
		add_roots(completion, roots, typed);
	AUTO_CLOSEDIR DIR *dir = open_directory(roots, typed, dir_len);
	if (!dir || names_read(dir, &query, &names, NULL) < 0)
		return;
	for (size_t i = 0; i < names.count; i++) {
		AUTO_FREE char *value = alloc_printf("%.*s%s%s", (int)dir_len, typed,
			names.list[i].text, names.list[i].type == DT_DIR ? "/" : "");
		completion_add(completion, value, strlen(value));
	}
	completion->total += names.matching - names.count;
}

/* ---- completion/complete ---- */

/* What is to be completed; the parts are the request's. */
struct question {
	const struct prompt_arg *arg;             /* of a prompt */
	const struct resource_provider *provider; /* or of a template */
	const struct resource_template *template;
	const char *variable, *typed;
};

static int find_prompt_arg(const json_t *ref, struct question *question, struct err *err)
{
	const struct prompt *prompt = prompt_find(json_object_get(ref, "name"));
	const struct prompt_arg *arg = prompt ? prompt->args : NULL;

	if (!prompt)
		return err_set(err, ERR_INVALID,
			"Unknown prompt in 'ref': prompts/list shows those there are");
	while (arg && arg->name && strcmp(arg->name, question->variable) != 0)
		arg++;
	if (!arg || !arg->name)
		return err_set(err, ERR_INVALID, "The prompt %s has no argument '%.60s'",
			prompt->name, question->variable);
	question->arg = arg;
	return 0;
}

/* Whether the template has a variable of this name; its operator may stand before it. */
static bool has_variable(const char *template, const char **variable)
{
	const char *name = *variable + (strchr("+#./;?&", (*variable)[0]) && (*variable)[0]);
	size_t len = strlen(name);

	for (const char *at = strchr(template, '{'); at; at = strchr(at + 1, '{')) {
		at += 1 + (strchr("+#./;?&", at[1]) && at[1]);
		if (len > 0 && strncmp(at, name, len) == 0 && at[len] == '}') {
			*variable = name;
			return true;
		}
	}
	return false;
}

static int find_template(const json_t *ref, struct question *question, struct err *err)
{
	const char *uri = json_string_value(json_object_get(ref, "uri"));

	for (size_t i = 0; uri && resource_providers[i]; i++) {
		const struct resource_template *template = resource_providers[i]->templates;
		for (; template && template->uri; template ++) {
			if (strcmp(template->uri, uri) != 0)
				continue;
			if (!has_variable(template->uri, &question->variable))
				return err_set(err, ERR_INVALID,
					"The template %s has no variable '%.60s'", template->uri,
					question->variable);
			question->provider = resource_providers[i];
			question->template = template;
			return 0;
		}
	}
	return err_set(err, ERR_INVALID,
		"Unknown template in 'ref': resources/templates/list shows those there are");
}

static const char *text_of(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

static int read_question(const json_t *params, struct question *question, struct err *err)
{
	const json_t *ref = json_object_get(params, "ref");
	const json_t *argument = json_object_get(params, "argument");
	const char *type = json_string_value(json_object_get(ref, "type"));

	*question = (struct question){
		.variable = text_of(json_object_get(argument, "name")),
		.typed = text_of(json_object_get(argument, "value")),
	};
	if (!question->variable || !question->typed)
		return err_set(err, ERR_INVALID,
			"'argument' has to have the strings 'name' and 'value', without NUL");
	if (type && strcmp(type, "ref/prompt") == 0)
		return find_prompt_arg(ref, question, err);
	if (type && strcmp(type, "ref/resource") == 0)
		return find_template(ref, question, err);
	return err_set(err, ERR_INVALID, "'ref.type' has to be ref/prompt or ref/resource");
}

static json_t *answer(struct completion *completion)
{
	size_t kept = json_array_size(completion->values);

	return json_pack("{s:{s:o, s:I, s:b}}", "completion", "values", completion->values, "total",
		(json_int_t)completion->total, "hasMore", completion->total > kept);
}

static json_t *complete_on_worker(struct call *call, struct err *err)
{
	struct completion completion = { .values = json_array() };
	struct question question;

	if (read_question(call->params, &question, err) < 0) {
		json_decref(completion.values);
		return NULL;
	}
	if (question.arg)
		completion_add_paths(&completion, call->workspace->roots, question.typed);
	else if (question.provider->complete(call, question.template, question.variable,
			 question.typed, &completion, err) < 0) {
		json_decref(completion.values);
		return NULL;
	}
	return answer(&completion);
}

void method_complete(const struct inbound *in, struct call *call)
{
	struct completion completion = { 0 };
	struct question question;
	struct err err;

	(void)in;
	if (read_question(call->params, &question, &err) < 0) {
		call_reply_err(call, &err);
	} else if (question.arg ? question.arg->is_path : question.provider->complete != NULL) {
		call_on_worker(call, complete_on_worker, NULL);
	} else {
		completion.values = json_array();
		if (question.arg)
			completion_add_choices(&completion, question.arg->choices, question.typed);
		call_reply(call, answer(&completion));
	}
}
