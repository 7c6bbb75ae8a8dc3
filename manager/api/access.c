/* Where a sandbox is reached: URLs, token, ticket, exposed ports. */
#include <stdio.h>
#include <stdlib.h>

#include "alloc.h"
#include "api.h"
#include "cleanup.h"
#include "config.h"
#include "err.h"
#include "manager.h"
#include "sandbox.h"
#include "ticket.h"

static json_t *urls(struct sandbox *sandbox, struct err *err)
{
	const struct config *config = sandbox->manager->config;
	AUTO_FREE char *mcp = sandbox_url(sandbox, (uint16_t)config->mcp_port, err);
	AUTO_FREE char *code = mcp ? sandbox_url(sandbox, (uint16_t)config->code_port, err) : NULL;

	if (!code)
		return NULL;
	AUTO_FREE char *ticket = ticket_new(sandbox->row.token, manager_now_ms() / 1000);
	AUTO_FREE char *link = alloc_printf("%s/?ticket=%s", code, ticket);
	return json_pack("{s:s, s:s, s:s}", "mcp_url", mcp, "mcp_token", sandbox->row.token,
		"vscode_url", link);
}

json_t *api_access(struct sandbox *sandbox, struct err *err)
{
	const struct sandbox_row *row = &sandbox->row;
	json_t *access = urls(sandbox, err);

	if (!access)
		return NULL;
	json_object_set_new(access, "provider", api_text(row->provider));
	json_object_set_new(access, "provider_sandbox_id", api_text(row->provider_id));
	json_object_set_new(access, "status", json_string(sandbox_state_name(row->state)));
	json_object_set_new(access, "expires_at", api_time(row->expires_ms));
	return access;
}

void api_reply_access(struct sandbox *sandbox, const struct err *err, void *data)
{
	struct api_call *call = data;
	struct err why;
	json_t *access = err ? NULL : api_access(sandbox, &why);

	if (access)
		api_reply(call, access, NULL);
	else
		api_fail(call, err ? err : &why);
}

void api_urls(struct api_call *call)
{
	struct err err;

	if (!api_exists(call))
		return;
	json_t *answer = urls(call->sandbox, &err);
	if (answer)
		api_reply(call, answer, NULL);
	else
		api_fail(call, &err);
}

static void on_port_saved(struct sandbox *sandbox, const struct err *err, void *data)
{
	struct api_call *call = data;

	(void)sandbox;
	if (err)
		api_fail(call, err);
	else
		api_reply(call, json_pack("{s:s}", "url", (char *)call->own), NULL);
}

void api_expose_port(struct api_call *call)
{
	struct err err;

	if (!api_exists(call))
		return;
	char *url = sandbox_url(call->sandbox, (uint16_t)call_integer(call, "port", 0), &err);
	if (!url) {
		api_fail(call, &err);
		return;
	}
	call->own = url;
	call->free_own = free;
	sandbox_save_then(call->sandbox, on_port_saved, call);
}
