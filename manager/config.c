#include "config.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "alloc.h"
#include "env_file.h"
#include "err.h"
#include "log.h"

#define TEXT(member) OPTION_TEXT, offsetof(struct config, member), 0, 0
#define SECRET(member) OPTION_SECRET, offsetof(struct config, member), 0, 0
#define LIST(member) OPTION_LIST, offsetof(struct config, member), 0, 0
#define INT(member, min, max) OPTION_INT, offsetof(struct config, member), min, max

enum { DAY_S = 86400, YEAR_S = 366 * DAY_S };

extern char **environ;

/* clang-format off */
static const struct option options[] = {
	{ "host", "SANDBOX_SERVER_HOST", TEXT(host), "H",
	  "the address to listen on (127.0.0.1); others need SANDBOX_API_KEYS or SANDBOX_JWT_SECRET" },
	{ "port", "SANDBOX_SERVER_PORT", INT(port, 0, 65535), "N",
	  "the port to listen on (8080); 0 takes a free one" },
	{ "env-file", NULL, TEXT(env_file), "F",
	  "a file of NAME=value lines for what the environment does not set (.env)" },
	{ "data-dir", "SANDBOX_DATA_DIR", TEXT(data_dir), "DIR",
	  "where sandboxes and the database are kept (/var/lib/sandbox as root)" },
	{ "database", "DATABASE_URL", TEXT(database_url), "URL",
	  "sqlite:///PATH (sandboxes.db in the data directory)" },
	{ "provider", "SANDBOX_PROVIDER", TEXT(provider), "P",
	  "what makes a sandbox where the request names nothing (local)" },
	{ "providers", "SANDBOX_PROVIDERS", LIST(providers), "P",
	  "all providers to use, in order; may be repeated" },
	{ "allow-host", "SANDBOX_ALLOW_HOSTS", LIST(allow_hosts), "H",
	  "one more name to answer to, such as *.example.com; may be repeated" },
	{ "allow-origin", "SANDBOX_ALLOW_ORIGINS", LIST(allow_origins), "O",
	  "web pages of this origin may use the manager; may be repeated" },
	{ "domain", "SANDBOX_DOMAIN", TEXT(domain), "D",
	  "serve the sandboxes' ports at http://PORT-ID.D as well" },
	{ "domain-host", "SANDBOX_DOMAIN_HOST", TEXT(domain_host), "H",
	  "the address to listen on for the domain (127.0.0.1)" },
	{ "domain-port", "SANDBOX_DOMAIN_PORT", INT(domain_port, 0, 65535), "N",
	  "the port to listen on for the domain (8081); 0 takes a free one" },
	{ "oci-runtime", "SANDBOX_OCI_RUNTIME", TEXT(oci_runtime), "R",
	  "runc, crun, or the path of one like them (what fits this machine)" },
	{ "default-timeout", "SANDBOX_DEFAULT_TIMEOUT", INT(default_timeout, 1, YEAR_S), "S",
	  "seconds without activity until a sandbox is paused (3600)" },
	{ "max-timeout", "SANDBOX_MAX_TIMEOUT", INT(max_timeout, 1, YEAR_S), "S",
	  "seconds that a sandbox runs at the most (86400)" },
	{ "paused-retention", "SANDBOX_PAUSED_RETENTION", INT(paused_retention, 1, 10 * YEAR_S), "S",
	  "seconds until a paused sandbox is deleted (2592000)" },
	{ "freeze-seconds", "SANDBOX_FREEZE_SECONDS", INT(freeze, 0, YEAR_S), "S",
	  "seconds that a paused sandbox keeps its memory (900)" },
	{ "mcp-port", "SANDBOX_MCP_SERVER_PORT", INT(mcp_port, 1, 65535), "N",
	  "the tool server's port inside a sandbox (6060)" },
	{ "code-port", "SANDBOX_CODE_SERVER_PORT", INT(code_port, 1, 65535), "N",
	  "the editor's port inside a sandbox (9000)" },
	{ "pool", "SANDBOX_POOL", INT(pool_size, 0, 1000), "N",
	  "prepared sandboxes that wait for a create (2)" },
	{ "memory-mb", "SANDBOX_MEMORY_MB", INT(limits.memory_mb, 16, 1 << 24), "N",
	  "memory of a sandbox (2048)" },
	{ "cpu-millis", "SANDBOX_CPU_MILLIS", INT(limits.cpu_millis, 10, 1000000), "N",
	  "thousandths of a processor for a sandbox (2000)" },
	{ "pids", "SANDBOX_PIDS", INT(limits.pids, 16, 1 << 20), "N",
	  "processes and threads of a sandbox (1024)" },
	{ "disk-mb", "SANDBOX_DISK_MB", INT(limits.disk_mb, 32, 1 << 24), "N",
	  "files of a sandbox (8192)" },
	{ "max-sandboxes", "SANDBOX_MAX_SANDBOXES", INT(sandboxes_max, 1, 100000), "N",
	  "sandboxes at once (1000)" },
	{ "max-sandboxes-owner", "SANDBOX_MAX_SANDBOXES_OWNER", INT(sandboxes_max_owner, 1, 100000), "N",
	  "sandboxes at once of one owner (200)" },
	{ "log-level", "SANDBOX_LOG_LEVEL", TEXT(log_level), "LEVEL",
	  "debug, info, warning or error (info)" },
	{ "log-format", "SANDBOX_LOG_FORMAT", TEXT(log_format), "FORMAT",
	  "text or json (text)" },
	{ "workers", "SANDBOX_WORKERS", INT(workers, 1, 256), "N",
	  "threads for work that may block (16)" },
	{ "api-keys", "SANDBOX_API_KEYS", SECRET(api_keys), NULL,
	  "name:key,… : who may use the manager" },
	{ "jwt-secret", "SANDBOX_JWT_SECRET", SECRET(jwt_secret), NULL,
	  "signs the tokens of a login; made in the data directory where not set" },
	{ "jwks-url", "SANDBOX_JWKS_URL", SECRET(jwks_url), NULL,
	  "the keys of others whose tokens are taken; needs SANDBOX_JWT_AUDIENCE" },
	{ "jwt-audience", "SANDBOX_JWT_AUDIENCE", SECRET(jwt_audience), NULL,
	  "what the aud claim of their tokens has to name" },
	{ "jwt-issuer", "SANDBOX_JWT_ISSUER", SECRET(jwt_issuer), NULL,
	  "what the iss claim of their tokens has to be (anything)" },
	{ "e2b-api-key", "E2B_API_KEY", SECRET(e2b_api_key), NULL, "the key for E2B" },
	{ "e2b-template", "E2B_TEMPLATE_ID", SECRET(e2b_template), NULL,
	  "E2B's name of the template; the local provider takes it as its own default" },
	{ "e2b-domain", "E2B_DOMAIN", SECRET(e2b_domain), NULL, "the domain of E2B (e2b.app)" },
	{ "e2b-api-url", "E2B_API_URL", SECRET(e2b_api_url), NULL, "the address of its API" },
	{ "daytona-api-key", "DAYTONA_API_KEY", SECRET(daytona_api_key), NULL,
	  "the key for Daytona" },
	{ "daytona-api-url", "DAYTONA_API_URL", SECRET(daytona_api_url), NULL,
	  "the address of its API" },
	{ "redis-url", "REDIS_URL", SECRET(redis_url), NULL,
	  "accepted, not used: one manager needs no Redis" },
	{ 0 },
};

/* Other names that the documents give to the same thing. */
static const struct alias {
	const char *name, *canonical;
} aliases[] = {
	{ "HOST", "SANDBOX_SERVER_HOST" },
	{ "PORT", "SANDBOX_SERVER_PORT" },
	{ "DEFAULT_TIMEOUT", "SANDBOX_DEFAULT_TIMEOUT" },
	{ "MAX_TIMEOUT", "SANDBOX_MAX_TIMEOUT" },
	{ "MCP_PORT", "SANDBOX_MCP_SERVER_PORT" },
	{ "VSCODE_PORT", "SANDBOX_CODE_SERVER_PORT" },
	{ "E2B_TEMPLATE", "E2B_TEMPLATE_ID" },
	{ "DAYTONA_SERVER_URL", "DAYTONA_API_URL" },
	{ "REDIS_HOST", "REDIS_URL" },
};
/* clang-format on */

static bool is_known(const char *name)
{
	for (const struct option *option = options; option->name; option++) {
		if (option->env && strcmp(option->env, name) == 0)
			return true;
	}
	return false;
}

/* What stands in the file holds where the environment says nothing. */
static int take_from_file(const char *name, const char *value, void *data, struct err *err)
{
	(void)data;
	if (strncmp(name, "SANDBOX_", 8) == 0 && !is_known(name))
		return err_set(err, ERR_INVALID, "%s is no setting: see --help", name);
	if (setenv(name, value, 0) < 0)
		return err_sys(err, "set %s", name);
	return 0;
}

/* The file's name has to be known before the options are read. */
static const char *named_env_file(int argc, char **argv)
{
	const char *name = NULL;

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--env-file=", 11) == 0)
			name = argv[i] + 11;
		else if (strcmp(argv[i], "--env-file") == 0 && i + 1 < argc)
			name = argv[++i];
	}
	return name;
}

static int read_env_file(int argc, char **argv, struct err *err)
{
	const char *name = named_env_file(argc, argv);

	if (!name && access(".env", F_OK) < 0)
		return 0;
	return env_file_read(name ? name : ".env", take_from_file, NULL, err);
}

static void apply_aliases(void)
{
	for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
		const char *value = getenv(aliases[i].name);

		if (value)
			setenv(aliases[i].canonical, value, 0);
	}
}

static int default_data_dir(struct config *config, struct err *err)
{
	const char *home = getenv("HOME");
	char cwd[PATH_MAX];

	if (!config->data_dir && geteuid() == 0)
		config->data_dir = "/var/lib/sandbox";
	else if (!config->data_dir && home && *home == '/')
		config->data_dir = alloc_printf("%s/.local/share/sandbox", home);
	else if (!config->data_dir)
		return err_set(err, ERR_INVALID, "give --data-dir DIR: there is no HOME");
	if (*config->data_dir == '/')
		return 0;
	if (!getcwd(cwd, sizeof cwd))
		return err_sys(err, "find the present directory");
	config->data_dir = alloc_printf("%s/%s", cwd, config->data_dir);
	return 0;
}

static bool is_domain(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len < 200 && text[0] != '.' && text[0] != '-' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") == len;
}

static int check(const struct config *config, struct err *err)
{
	if (config->default_timeout > config->max_timeout)
		return err_set(err, ERR_INVALID,
			"--default-timeout is more than --max-timeout: lower it, or raise the other");
	if (config->domain && !is_domain(config->domain))
		return err_set(err, ERR_INVALID,
			"--domain takes a name in small letters, such as sandbox.example.com");
	if (config->mcp_port == config->code_port)
		return err_set(err, ERR_INVALID, "--mcp-port and --code-port are the same");
	return 0;
}

int config_read(int argc, char **argv, struct config *config, enum args_outcome *outcome,
	struct err *err)
{
	static const struct args_spec spec = {
		.program = "sandbox-manager",
		.purpose = "Creates sandboxes for AI agents and returns their addresses.\n\n"
			   "  sandbox-manager user add|rm|ls …   who may log in\n"
			   "  sandbox-manager doctor             what this machine can do\n"
			   "  sandbox-manager openapi            the API's description",
		.version = VERSION,
		.options = options,
	};

	*config = (struct config){
		.host = "127.0.0.1",
		.port = 8080,
		.provider = NULL,
		.domain_host = "127.0.0.1",
		.domain_port = 8081,
		.default_timeout = 3600,
		.max_timeout = DAY_S,
		.paused_retention = 30 * DAY_S,
		.freeze = 900,
		.mcp_port = 6060,
		.code_port = 9000,
		.pool_size = 2,
		.limits = { .memory_mb = 2048, .disk_mb = 8192, .pids = 1024, .cpu_millis = 2000 },
		.sandboxes_max = 1000,
		.sandboxes_max_owner = 200,
		.log_level = "info",
		.log_format = "text",
		.workers = 16,
	};
	if (read_env_file(argc, argv, err) < 0)
		return -1;
	apply_aliases();
	if (args_parse(&spec, argc, argv, config, outcome, err) < 0)
		return -1;
	if (*outcome == ARGS_DONE)
		return 0;
	if (!config->provider)
		config->provider = config->providers.count ? config->providers.items[0] : "local";
	if (config->providers.count == 0)
		config->providers.items[config->providers.count++] = config->provider;
	if (check(config, err) < 0 || default_data_dir(config, err) < 0)
		return -1;
	if (!config->database_url)
		config->database_url =
			alloc_printf("sqlite:///%s/sandboxes.db", config->data_dir);
	return 0;
}

/* Others' programs may have such names, too: in the environment they are worth a line each. */
static void tell_unknown(void)
{
	for (char **variable = environ; *variable; variable++) {
		char name[64];
		size_t len = strcspn(*variable, "=");

		if (strncmp(*variable, "SANDBOX_", 8) != 0 || len >= sizeof name ||
			strncmp(*variable, "SANDBOX_MCP_", 12) == 0)
			continue;
		memcpy(name, *variable, len);
		name[len] = '\0';
		if (!is_known(name))
			log_event(LOG_WARNING, "unknown setting in the environment", "name", name,
				NULL);
	}
}

void config_log(void)
{
	static const char *const redis[] = { "REDIS_URL", "REDIS_HOST", "REDIS_PORT",
		"REDIS_DATABASE" };

	tell_unknown();
	for (size_t i = 0; i < sizeof redis / sizeof redis[0]; i++) {
		if (getenv(redis[i])) {
			log_event(LOG_INFO, "Redis is not used: one manager needs none", "setting",
				redis[i], NULL);
			return;
		}
	}
}
