#include "pages.h"

#include <inttypes.h>

#include "http.h"
#include "server.h"
#include "session.h"
#include "sse.h"
#include "worker.h"

static const char index_page[] =
	"<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width\">\n<title>Sandbox</title>\n"
	"<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;"
	"padding:0 1rem}code{background:#8882;padding:.1em .3em;border-radius:.2em}</style>\n"
	"<h1>A sandbox for an AI agent</h1>\n"
	"<p>This address speaks the <a href=\"https://modelcontextprotocol.io\">Model Context "
	"Protocol</a>: an agent gets files, commands and search here.\n"
	"<p>Point an MCP client at this address, transport <code>http</code>, with the sandbox's "
	"token in the header <code>Authorization: Bearer &lt;token&gt;</code>.\n</html>\n";

void pages_index(struct server *server, struct http_request *request)
{
	(void)server;
	http_set_header(request, "Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'");
	http_set_header(request, "X-Content-Type-Options", "nosniff");
	http_reply_text(request, 200, "text/html; charset=utf-8", index_page);
}

void pages_health(struct server *server, struct http_request *request)
{
	(void)server;
	http_reply_text(request, 200, "application/json", "{\"status\":\"ok\"}");
}

static void metric(struct buf *out, const char *name, const char *type, const char *help,
	uint64_t value)
{
	buf_addf(out, "# HELP sandbox_mcp_%s %s\n# TYPE sandbox_mcp_%s %s\nsandbox_mcp_%s %" PRIu64
		      "\n", name, help, name, type, name, value);
}

void pages_metrics(struct server *server, struct http_request *request)
{
	struct http_stats stats = http_stats(server->http);
	struct buf out;

	buf_init(&out, 16 * 1024);
	metric(&out, "http_requests_total", "counter", "HTTP requests.", stats.requests);
	metric(&out, "http_connections_total", "counter", "Connections.", stats.connections);
	metric(&out, "http_connections", "gauge", "Open connections.", stats.active_connections);
	metric(&out, "streams", "gauge", "Open event streams.", sse_hub_count(server->streams));
	metric(&out, "sessions", "gauge", "Sessions in memory.",
		sessions_count(server->sessions));
	metric(&out, "tool_calls_total", "counter", "Tools called.", server->tool_calls);
	metric(&out, "calls", "gauge", "Requests being served.", server->calls);
	metric(&out, "worker_queue", "gauge", "Jobs that wait for a worker.",
		worker_queued(server->workspace.pool));
	http_reply(request, 200, "text/plain; version=0.0.4", &out);
}
