/* sandbox-manager: the wiring. Options in config.c, the API in api/, sandboxes in sandbox.c. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "auth/users_command.h"
#include "config.h"
#include "err.h"
#include "http.h"
#include "log.h"
#include "manager.h"
#include "notify.h"
#include "providers/local/doctor.h"
#include "providers/local/rootless.h"

static int refuse(const struct err *err)
{
	fprintf(stderr, "sandbox-manager: %s\n", err->msg);
	return EXIT_FAILURE;
}

static void on_ready(struct manager *manager)
{
	printf("listening on http://%s\n", http_address(manager->http));
	fflush(stdout);
	notify_state("READY=1");
}

static bool uses_local(const struct config *config)
{
	bool uses = strcmp(config->provider, "local") == 0;

	for (size_t i = 0; i < config->providers.count; i++)
		uses |= strcmp(config->providers.items[i], "local") == 0;
	return uses;
}

static int serve(const struct config *config)
{
	struct manager manager;
	struct err err;

	config_log();
	if (geteuid() != 0 && uses_local(config) && rootless_enter(config->data_dir, &err) < 0)
		return refuse(&err);
	if (manager_open(&manager, config, on_ready, &err) < 0)
		return refuse(&err);
	int failed = manager_run(&manager, &err);
	if (failed)
		log_event(LOG_ERROR, "stopped", "why", err.msg, NULL);
	int status = failed ? EXIT_FAILURE : EXIT_SUCCESS;
	manager_close(&manager, status);
	return status;
}

static int print_openapi(void)
{
	json_auto_t *document = openapi_document();

	json_dumpf(document, stdout, JSON_INDENT(2));
	putchar('\n');
	return EXIT_SUCCESS;
}

static int doctor(const struct config *config)
{
	struct err err;

	if (manager_make_data_dir(config->data_dir, &err) < 0)
		return refuse(&err);
	return local_doctor(config->data_dir, config->oci_runtime, stdout) ? EXIT_FAILURE
									   : EXIT_SUCCESS;
}

/* `user add …`, `doctor`, `openapi`: what stands behind the word is theirs. */
static int run_command(int argc, char **argv, const struct config *config)
{
	struct err err;

	if (strcmp(argv[1], "doctor") == 0)
		return doctor(config);
	if (strcmp(argv[1], "openapi") == 0)
		return print_openapi();
	if (strcmp(argv[1], "user") == 0)
		return users_command(argc - 2, argv + 2, config->database_url, &err) < 0
			       ? refuse(&err)
			       : EXIT_SUCCESS;
	err_set(&err, ERR_INVALID, "there is no command '%.64s': see --help", argv[1]);
	return refuse(&err);
}

int main(int argc, char **argv)
{
	bool command = argc > 1 && argv[1][0] != '-';
	static struct config config; /* its texts are everybody's until the end */
	enum args_outcome outcome;
	struct err err;

	mallopt(M_ARENA_MAX, 2);
	if (config_read(command ? 1 : argc, argv, &config, &outcome, &err) < 0)
		return refuse(&err);
	if (outcome == ARGS_DONE)
		return EXIT_SUCCESS;
	if (log_setup_named(config.log_level, config.log_format, &err) < 0)
		return refuse(&err);
	return command ? run_command(argc, argv, &config) : serve(&config);
}
