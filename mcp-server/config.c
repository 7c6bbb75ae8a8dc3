#include "config.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "version.h"

#define TEXT(member) OPTION_TEXT, offsetof(struct config, member), 0, 0
#define LIST(member) OPTION_LIST, offsetof(struct config, member), 0, 0
#define FLAG(member) OPTION_FLAG, offsetof(struct config, member), 0, 0
#define INT(member, min, max) OPTION_INT, offsetof(struct config, member), min, max

enum { KIB = 1024, MIB = 1024 * 1024 };

/* clang-format off */
static const struct option options[] = {
	{ "workspace", "WORKSPACE_DIR", TEXT(workspace), "DIR",
	  "the directory that the tools work in; needed where run as root (.)" },
	{ "host", "SANDBOX_MCP_HOST", TEXT(host), "H",
	  "the address to listen on (127.0.0.1); others need a token" },
	{ "port", "SANDBOX_MCP_PORT", INT(port, 0, 65535), "N",
	  "the port to listen on (6060); 0 takes a free one" },
	{ "root", "SANDBOX_MCP_ROOTS", LIST(roots), "DIR",
	  "one more directory that file tools may use; may be repeated" },
	{ "token-file", "SANDBOX_MCP_TOKEN_FILE", TEXT(token_file), "F",
	  "read the bearer token from a file: 43 base64url characters and a newline" },
	{ "token", "SANDBOX_MCP_TOKEN", TEXT(token), "T",
	  "the bearer token itself (the process list shows it: prefer the file)" },
	{ "allow-host", "SANDBOX_MCP_ALLOW_HOSTS", LIST(allow_hosts), "H",
	  "one more name to answer to, such as *.e2b.app; may be repeated" },
	{ "allow-origin", "SANDBOX_MCP_ALLOW_ORIGINS", LIST(allow_origins), "O",
	  "web pages of this origin may use the server; may be repeated" },
	{ "state-dir", "SANDBOX_MCP_STATE_DIR", TEXT(state_dir), "DIR",
	  "where commands' output and the server's memory are kept" },
	{ "stdio", NULL, FLAG(stdio), NULL,
	  "speak MCP on standard input and output instead of HTTP" },
	{ "log-level", "SANDBOX_MCP_LOG_LEVEL", TEXT(log_level), "LEVEL",
	  "debug, info, warning or error (info)" },
	{ "log-format", "SANDBOX_MCP_LOG_FORMAT", TEXT(log_format), "FORMAT",
	  "text or json (text)" },
	{ "max-header-bytes", "SANDBOX_MCP_MAX_HEADER_BYTES", INT(header_max, 2 * KIB, 64 * KIB),
	  "N", "a request's line and headers (8192)" },
	{ "max-body-bytes", "SANDBOX_MCP_MAX_BODY_BYTES", INT(body_max, 1 * KIB, 256 * MIB), "N",
	  "the body of an MCP request (4194304)" },
	{ "max-json-depth", "SANDBOX_MCP_MAX_JSON_DEPTH", INT(depth_max, 4, 1000), "N",
	  "arrays and objects inside each other (64)" },
	{ "max-string-bytes", "SANDBOX_MCP_MAX_STRING_BYTES", INT(string_max, 64, 256 * MIB), "N",
	  "one string in a request (4194304)" },
	{ "max-number-digits", "SANDBOX_MCP_MAX_NUMBER_DIGITS", INT(number_max, 1, 1000), "N",
	  "characters of one number in a request (64)" },
	{ "max-sessions", "SANDBOX_MCP_MAX_SESSIONS", INT(sessions_max, 1, 1000000), "N",
	  "sessions of older clients in memory (20000)" },
	{ "max-streams", "SANDBOX_MCP_MAX_STREAMS", INT(streams_max, 1, 1000000), "N",
	  "open event streams (12000)" },
	{ "max-calls", "SANDBOX_MCP_MAX_CALLS", INT(calls_max, 1, 100000), "N",
	  "requests served at once (4096)" },
	{ "max-commands", "SANDBOX_MCP_MAX_COMMANDS", INT(commands_max, 1, 100000), "N",
	  "commands running at once (1024)" },
	{ "max-result-bytes", "SANDBOX_MCP_MAX_RESULT_BYTES", INT(result_max, 64 * KIB, 1024 * MIB),
	  "N", "one response (67108864)" },
	{ "max-queue-bytes", "SANDBOX_MCP_MAX_QUEUE_BYTES", INT(queue_max, 64 * KIB, 1024 * MIB),
	  "N", "what waits for a slow reader of a stream (67109888)" },
	{ "max-answer-seconds", "SANDBOX_MCP_MAX_ANSWER_SECONDS", INT(answer_s, 1, 86400), "N",
	  "how long a client may take for an answer, beside the time of its size (60)" },
	{ "min-answer-rate", "SANDBOX_MCP_MIN_ANSWER_RATE", INT(answer_rate, 1, 1024 * MIB), "N",
	  "bytes a second that give an answer's size its time (16384)" },
	{ "max-connections", "SANDBOX_MCP_MAX_CONNECTIONS", INT(connections_max, 1, 1000000), "N",
	  "open connections (16000)" },
	{ "workers", "SANDBOX_MCP_WORKERS", INT(workers, 1, 256), "N",
	  "threads for work that may block (8)" },
	{ 0 },
};
/* clang-format on */

static int check(const struct config *config, struct err *err)
{
	if (!config->workspace && geteuid() == 0)
		return err_set(err, ERR_INVALID,
			"run as root, the server needs --workspace DIR: it would hand this "
			"directory to an agent with every right");
	if (config->token && config->token_file)
		return err_set(err, ERR_INVALID, "give --token or --token-file, not both");
	bool loopback = strcmp(config->host, "localhost") == 0 ||
			strncmp(config->host, "127.", 4) == 0 || strcmp(config->host, "::1") == 0;
	if (!config->stdio && !loopback && !config->token && !config->token_file)
		return err_set(err, ERR_INVALID,
			"--host %s lets others in: give --token-file F as well, or stay on "
			"127.0.0.1",
			config->host);
	return 0;
}

int config_read(int argc, char **argv, struct config *config, enum args_outcome *outcome,
	struct err *err)
{
	static const struct args_spec spec = {
		.program = SERVER_NAME,
		.purpose = "Gives AI agents files, commands and search in a directory, over MCP.",
		.version = VERSION,
		.options = options,
	};

	*config = (struct config){
		.host = "127.0.0.1",
		.port = 6060,
		.log_level = "info",
		.log_format = "text",
		.header_max = 8 * KIB,
		.body_max = 4 * MIB,
		.depth_max = 64,
		.string_max = 4 * MIB,
		.number_max = 64,
		.sessions_max = 20000,
		.streams_max = 12000,
		.calls_max = 4096,
		.commands_max = 1024,
		.result_max = 64 * MIB,
		.queue_max = 64 * MIB + KIB,
		.answer_s = 60,
		.answer_rate = 16 * KIB,
		.connections_max = 16000,
		.workers = 8,
	};
	if (args_parse(&spec, argc, argv, config, outcome, err) < 0)
		return -1;
	if (*outcome == ARGS_DONE)
		return 0;
	if (check(config, err) < 0)
		return -1;
	if (!config->workspace)
		config->workspace = ".";
	return 0;
}
