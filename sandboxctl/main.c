/* sandboxctl: the table of commands, and the words that each is given. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cleanup.h"
#include "command.h"
#include "err.h"

#define COMMAND(name) extern const struct command command_##name;
#include "commands.def"
#undef COMMAND

static const struct command *const commands[] = {
#define COMMAND(name) &command_##name,
#include "commands.def"
#undef COMMAND
	NULL,
};

static void print_help(void)
{
	puts("Usage: sandboxctl COMMAND [word …] [option …]\n\n"
	     "Makes sandboxes, and works in them, through a sandbox-manager.\n\nCommands:");
	for (const struct command *const *at = commands; *at; at++) {
		AUTO_FREE char *left = alloc_printf("%s %s", (*at)->name, (*at)->words);
		printf("  %-32s %.*s\n", left, (int)strcspn((*at)->purpose, "\n"), (*at)->purpose);
	}
	puts("\n  sandboxctl COMMAND --help        its options\n"
	     "  sandboxctl --version\n\n"
	     "From the environment: SANDBOX_MANAGER_URL (http://127.0.0.1:8080), SANDBOX_API_KEY.");
}

static int refuse(const struct err *err, int status)
{
	fflush(stdout);
	fprintf(stderr, "sandboxctl: %s\n", err->msg);
	return status ? status : EXIT_FAILURE;
}

static const struct command *find(const char *name)
{
	for (const struct command *const *at = commands; *at; at++) {
		if (strcmp((*at)->name, name) == 0)
			return *at;
	}
	return NULL;
}

static bool takes_value(const struct command *command, const char *word)
{
	for (const struct option *option = command->options; option->name; option++) {
		if (strcmp(option->name, word + 2) == 0)
			return option->type != OPTION_FLAG && option->type != OPTION_SECRET;
	}
	return false;
}

/* Options and words may stand in any order; "--" ends the options. */
struct words {
	char **options, **words;
	int options_len, words_len;
};

static void sort(const struct command *command, int argc, char **argv, struct words *out)
{
	bool options = true;

	for (int i = 1; i < argc; i++) {
		if (command->own_words && out->words_len + 1 >= command->own_words &&
			strcmp(argv[i], "--") != 0 && strncmp(argv[i], "-", 1) != 0)
			options = false;
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
		} else if (options && argv[i][0] == '-' && argv[i][1]) {
			out->options[out->options_len++] = argv[i];
			if (i + 1 < argc && strncmp(argv[i], "--", 2) == 0 &&
				takes_value(command, argv[i]))
				out->options[out->options_len++] = argv[++i];
		} else {
			out->words[out->words_len++] = argv[i];
		}
	}
}

static int check_count(const struct command *command, int count, struct err *err)
{
	if (count < command->min || (command->max >= 0 && count > command->max))
		return err_set(err, ERR_INVALID, "sandboxctl %s takes %s: see --help",
			command->name, *command->words ? command->words : "no words");
	return 0;
}

static int run(const struct command *command, int argc, char **argv)
{
	AUTO_FREE char *program = alloc_printf("sandboxctl %s", command->name);
	struct args_spec spec = { program, command->purpose, VERSION, command->options,
		command->words };
	struct settings settings = { .url = "http://127.0.0.1:8080" };
	AUTO_FREE char **options = alloc_array((size_t)argc + 1, sizeof *options);
	AUTO_FREE char **words = alloc_array((size_t)argc + 1, sizeof *words);
	struct words sorted = { options, words, 1, 0 };
	enum args_outcome outcome;
	struct err err;

	sort(command, argc, argv, &sorted);
	options[0] = argv[0];
	if (args_parse(&spec, sorted.options_len, options, &settings, &outcome, &err) < 0)
		return refuse(&err, command->failure);
	if (outcome == ARGS_DONE)
		return EXIT_SUCCESS;
	if (check_count(command, sorted.words_len, &err) < 0)
		return refuse(&err, command->failure);
	int status = command->run(&settings, sorted.words_len, words, &err);
	return status < 0 ? refuse(&err, command->failure) : status;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";
	const struct command *command = find(name);
	struct err err;

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_help();
		return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	if (strcmp(name, "--version") == 0) {
		puts("sandboxctl " VERSION);
		return EXIT_SUCCESS;
	}
	if (!command) {
		err_set(&err, ERR_INVALID, "there is no command '%.64s': see sandboxctl --help",
			name);
		return refuse(&err, EXIT_FAILURE);
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	int status = run(command, argc - 1, argv + 1);
	curl_global_cleanup();
	if (fflush(stdout) != 0 || ferror(stdout)) {
		err_sys(&err, "write to standard output");
		return refuse(&err, EXIT_FAILURE);
	}
	return status;
}
