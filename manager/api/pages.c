/* What concerns no sandbox: health, the API's description, figures. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "buf.h"
#include "gate/gate.h"
#include "http.h"
#include "manager.h"
#include "sandbox.h"

enum { PAGE_MAX_BYTES = 1024 * 1024, STATES = SANDBOX_ERROR + 1 };

void api_health(struct api_call *call)
{
	http_reply_text(call->request, 200, "application/json", "{\"status\":\"ok\"}");
	api_call_free(call);
}

void api_openapi(struct api_call *call)
{
	json_auto_t *document = openapi_document();
	char *text = json_dumps(document, JSON_INDENT(2));
	struct buf body;

	buf_init(&body, PAGE_MAX_BYTES);
	buf_add_text(&body, text);
	free(text);
	http_reply(call->request, 200, "application/json", &body);
	api_call_free(call);
}

static void figure(struct buf *out, const char *name, const char *type, const char *about)
{
	buf_addf(out, "# HELP sandbox_manager_%s %s\n# TYPE sandbox_manager_%s %s\n", name, about,
		name, type);
}

static void add_sandboxes(const struct manager *manager, struct buf *out)
{
	size_t counts[STATES] = { 0 };
	const struct sandbox *sandbox;

	TAILQ_FOREACH(sandbox, &manager->sandboxes, link)
		counts[sandbox->row.state]++;
	figure(out, "sandboxes", "gauge", "Sandboxes by state.");
	for (int i = 0; i < STATES; i++)
		buf_addf(out, "sandbox_manager_sandboxes{state=\"%s\"} %zu\n",
			sandbox_state_name((enum sandbox_state)i), counts[i]);
}

static void add_providers(const struct manager *manager, struct buf *out)
{
	figure(out, "provider", "gauge", "What the providers say of themselves.");
	for (size_t i = 0; i < manager->providers_len; i++) {
		struct provider *provider = manager->providers[i];
		json_auto_t *figures = provider->figures ? provider->figures(provider) : NULL;
		const char *name;
		json_t *value;

		json_object_foreach(figures, name, value) {
			if (json_is_number(value))
				buf_addf(out,
					"sandbox_manager_provider{provider=\"%s\",figure=\"%s\"} %g\n",
					provider->name, name, json_number_value(value));
		}
	}
}

void api_metrics(struct api_call *call)
{
	const struct manager *manager = call->manager;
	struct http_stats http = http_stats(manager->http);
	struct gate_stats gate = gate_stats(manager->gate);
	struct buf body;

	buf_init(&body, PAGE_MAX_BYTES);
	add_sandboxes(manager, &body);
	add_providers(manager, &body);
	figure(&body, "requests_total", "counter", "Requests since the start.");
	buf_addf(&body, "sandbox_manager_requests_total %" PRIu64 "\n", http.requests);
	figure(&body, "connections", "gauge", "Open connections to the API.");
	buf_addf(&body, "sandbox_manager_connections %zu\n", http.active_connections);
	figure(&body, "gate_connections", "gauge", "Open connections through the gate.");
	buf_addf(&body, "sandbox_manager_gate_connections %zu\n", gate.open);
	figure(&body, "gate_bytes_total", "counter", "Bytes through the gate.");
	buf_addf(&body,
		"sandbox_manager_gate_bytes_total{direction=\"in\"} %" PRIu64
		"\nsandbox_manager_gate_bytes_total{direction=\"out\"} %" PRIu64 "\n",
		gate.bytes_in, gate.bytes_out);
	http_reply(call->request, 200, "text/plain; version=0.0.4", &body);
	api_call_free(call);
}
