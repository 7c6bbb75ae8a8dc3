#ifndef MANAGER_CONFIG_H
#define MANAGER_CONFIG_H

/*
 * What the manager was told: options, then the environment, then the .env file. Read once, before
 * any thread; all texts live as long as the process.
 */
#include <stdbool.h>
#include <stdint.h>

#include "args.h"
#include "sandbox_limits.h"

struct err;

struct config {
	const char *host;
	int64_t port;
	const char *data_dir; /* absolute */
	const char *database_url;
	const char *provider; /* the default one */
	struct option_list providers; /* all that are opened, the default first */
	struct option_list allow_hosts, allow_origins;
	const char *domain;  /* "sandbox.example.com", or NULL */
	const char *domain_host; /* where the gate listens for it */
	int64_t domain_port;
	const char *api_keys, *jwt_secret, *jwks_url; /* NULL: none */
	const char *jwt_audience, *jwt_issuer;
	const char *oci_runtime;
	const char *e2b_api_key, *e2b_template, *e2b_domain, *e2b_api_url;
	const char *daytona_api_key, *daytona_api_url;
	const char *redis_url;
	int64_t default_timeout, max_timeout, paused_retention, freeze; /* seconds */
	int64_t mcp_port, code_port;                                    /* inside a sandbox */
	int64_t pool_size;
	struct sandbox_limits limits; /* of a sandbox whose request names none */
	int64_t sandboxes_max, sandboxes_max_owner;
	const char *log_level, *log_format, *env_file;
	int64_t workers;
};

/* ERR_INVALID names the option, the variable or the line of the file, and what it takes. */
int config_read(int argc, char **argv, struct config *config, enum args_outcome *outcome,
	struct err *err);

/* Logs what was accepted and has no effect. Once the log is set up. */
void config_log(void);

#endif
