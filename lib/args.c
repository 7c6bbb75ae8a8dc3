#include "args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"

enum { NAME_MAX_BYTES = 40, NEAR_ENOUGH = 3 };

/* The number of single-character edits between two names (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_BYTES + 1], len = strlen(b);

	if (len > NAME_MAX_BYTES || strlen(a) > NAME_MAX_BYTES)
		return NAME_MAX_BYTES;
	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0]++;
		for (size_t j = 1; j <= len; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[len];
}

static const struct option *find(const struct option *options, const char *name, size_t len)
{
	for (const struct option *o = options; o->name; o++) {
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	}
	return NULL;
}

static int unknown(const struct args_spec *spec, const char *word, size_t len, struct err *err)
{
	AUTO_FREE char *name = alloc_textn(word, len);
	const struct option *near = NULL;
	size_t best = NEAR_ENOUGH + 1;

	for (const struct option *o = spec->options; o->name; o++) {
		size_t d = distance(name, o->name);
		if (d < best) {
			best = d;
			near = o;
		}
	}
	if (near)
		return err_set(err, ERR_INVALID, "unknown option --%s: did you mean --%s?", name,
			near->name);
	return err_set(err, ERR_INVALID, "unknown option --%s: see --help", name);
}

static int set_int(const struct option *option, const char *source, const char *text,
	int64_t *out, struct err *err)
{
	char *end;

	errno = 0;
	int64_t number = strtoll(text, &end, 10);
	if (end == text || *end || errno || number < option->min || number > option->max)
		return err_set(err, ERR_INVALID,
			"%s takes a whole number from %" PRId64 " to %" PRId64 ", not '%s'", source,
			option->min, option->max, text);
	*out = number;
	return 0;
}

static int set_flag(const char *source, const char *text, bool *out, struct err *err)
{
	if (!strcmp(text, "1") || !strcmp(text, "true") || !strcmp(text, "yes"))
		*out = true;
	else if (!strcmp(text, "0") || !strcmp(text, "false") || !strcmp(text, "no") || !*text)
		*out = false;
	else
		return err_set(err, ERR_INVALID, "%s takes true or false, not '%s'", source, text);
	return 0;
}

static int list_add(const char *source, const char *text, struct option_list *list,
	struct err *err)
{
	if (list->count == OPTION_LIST_MAX)
		return err_set(err, ERR_LIMIT, "%s can be given %d times at the most", source,
			OPTION_LIST_MAX);
	list->items[list->count++] = text;
	return 0;
}

static int set(const struct option *option, const char *source, const char *text, void *target,
	struct err *err)
{
	void *place = (char *)target + option->offset;

	switch (option->type) {
	case OPTION_TEXT:
	case OPTION_SECRET:
		*(const char **)place = text;
		return 0;
	case OPTION_LIST:
		return list_add(source, text, place, err);
	case OPTION_INT:
		return set_int(option, source, text, place, err);
	case OPTION_FLAG:
		return set_flag(source, text, place, err);
	}
	return 0;
}

/* A comma separates the items of a list; the copy stays for the life of the process. */
static int set_list_from_env(const struct option *option, char *text, void *target,
	struct err *err)
{
	char *rest = text;

	for (char *item; (item = strsep(&rest, ","));) {
		if (*item && set(option, option->env, item, target, err) < 0)
			return -1;
	}
	return 0;
}

static int read_env(const struct args_spec *spec, void *target, struct err *err)
{
	for (const struct option *o = spec->options; o->name; o++) {
		const char *text = o->env ? getenv(o->env) : NULL;
		if (!text || !*text)
			continue;
		int failed = o->type == OPTION_LIST ?
				set_list_from_env(o, alloc_text(text), target, err) :
				set(o, o->env, text, target, err);
		if (failed)
			return -1;
	}
	return 0;
}

static void print_help(const struct args_spec *spec)
{
	printf("Usage: %s [option …]%s%s\n\n%s\n\nOptions:\n", spec->program,
		spec->words && *spec->words ? " " : "", spec->words ? spec->words : "",
		spec->purpose);
	for (const struct option *o = spec->options; o->name; o++) {
		char left[64];
		if (o->type == OPTION_SECRET)
			continue;
		snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "",
			o->value ? o->value : "");
		printf("  %-24s %s", left, o->help);
		if (o->env)
			printf(" [%s]", o->env);
		putchar('\n');
	}
	printf("  %-24s %s\n  %-24s %s\n\n", "--help", "show this and end", "--version",
		"show the version and end");
	puts("In brackets: the environment variable that stands for the option.");
	for (const struct option *o = spec->options; o->name; o++) {
		if (o->type == OPTION_SECRET)
			printf("  %-24s %s\n", o->env, o->help);
	}
}

/* The lists that the command line names replace those of the environment. */
static void forget_list(const struct option *option, void *target, bool *seen)
{
	if (option->type == OPTION_LIST && !*seen)
		((struct option_list *)((char *)target + option->offset))->count = 0;
	*seen = true;
}

/* One option at argv[*i]; moves *i past its value. */
static int take(const struct args_spec *spec, int argc, char **argv, int *i, bool *seen,
	void *target, struct err *err)
{
	const char *word = argv[*i];

	if (strncmp(word, "--", 2) != 0)
		return err_set(err, ERR_INVALID, "'%s' is not an option: see --help", word);
	const char *name = word + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option *option = find(spec->options, name, len);
	if (!option)
		return unknown(spec, name, len, err);
	if (option->type == OPTION_SECRET)
		return err_set(err, ERR_INVALID,
			"--%s would be seen in the process list: set %s in the environment",
			option->name, option->env);
	forget_list(option, target, &seen[option - spec->options]);

	char source[NAME_MAX_BYTES + 4];
	snprintf(source, sizeof source, "--%s", option->name);
	if (equals)
		return set(option, source, equals + 1, target, err);
	if (option->type == OPTION_FLAG)
		return set(option, source, "true", target, err);
	if (*i + 1 == argc)
		return err_set(err, ERR_INVALID, "--%s needs a value: see --help", option->name);
	return set(option, source, argv[++*i], target, err);
}

int args_parse(const struct args_spec *spec, int argc, char **argv, void *target,
	enum args_outcome *outcome, struct err *err)
{
	size_t count = 0;

	while (spec->options[count].name)
		count++;
	AUTO_FREE bool *seen = alloc_array(count, sizeof *seen);
	for (int i = 1; i < argc; i++) {
		bool help = !strcmp(argv[i], "--help") || !strcmp(argv[i], "-h");
		if (!help && strcmp(argv[i], "--version") != 0)
			continue;
		if (help)
			print_help(spec);
		else
			printf("%s %s\n", spec->program, spec->version);
		*outcome = ARGS_DONE;
		return 0;
	}
	if (read_env(spec, target, err) < 0)
		return -1;
	for (int i = 1; i < argc; i++) {
		if (take(spec, argc, argv, &i, seen, target, err) < 0)
			return -1;
	}
	*outcome = ARGS_RUN;
	return 0;
}
