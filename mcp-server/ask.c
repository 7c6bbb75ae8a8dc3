#include "ask.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base64.h"
#include "call_impl.h"
#include "err.h"
#include "secret.h"
#include "server.h"
#include "session.h"

/* How long a client may take to come back with an answer. */
enum { STATE_SECONDS = 15 * 60, STATE_MAX_BYTES = 64 * 1024, SEAL_BYTES = 16, TIME_BYTES = 4 };

#define SEAL_LABEL "mcp request state"

json_t *ask_answer(struct call *call, const char *key)
{
	return json_object_get(call->answers, key);
}

void ask_set_state(struct call *call, json_t *state)
{
	json_decref(call->state_out);
	call->state_out = state;
}

json_t *ask_state(const struct call *call)
{
	return call->state_in;
}

static const struct {
	const char *method, *capability;
	unsigned cap;
} needs[] = {
	{ "sampling/createMessage", "sampling", CAP_SAMPLING },
	{ "elicitation/create", "elicitation", CAP_ELICITATION },
	{ "roots/list", "roots", CAP_ROOTS },
};

static void refuse(struct call *call, const char *capability)
{
	struct err err;

	if (call->peer.modern) {
		call_reply_error(call, RPC_MISSING_CAPABILITY,
			json_pack("{s:{s:{}}}", "requiredCapabilities", capability),
			"This tool needs the client capability '%s'", capability);
		return;
	}
	err_set(&err, ERR_INVALID, "The client does not support %s", capability);
	call_finish(call, TOOL_FAILED, &err);
}

bool ask(struct call *call, const char *key, const char *method, json_t *params)
{
	for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
		if (strcmp(needs[i].method, method) == 0 && !(call->peer.caps & needs[i].cap)) {
			json_decref(params);
			refuse(call, needs[i].capability);
			return false;
		}
	}
	if (!call->asked)
		call->asked = json_object();
	json_object_set_new(call->asked, key, json_pack("{s:s, s:o}", "method", method, "params",
		params ? params : json_object()));
	return true;
}

/* ---- 2026-07-28: the state travels through the client, which may be hostile ---- */

/* What a seal covers: the time, the tool and its arguments, the state. */
static void seal(const struct call *call, const char *when, const char *state, size_t len,
	unsigned char mac[KEY_BYTES])
{
	AUTO_BUF struct buf sealed = BUF_INIT(STATE_MAX_BYTES + call->result.out.max);

	buf_add(&sealed, when, TIME_BYTES);
	buf_add_json(&sealed, json_object_get(call->params, "name"));
	const json_t *args = json_object_get(call->params, "arguments");
	char *text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	buf_add_text(&sealed, text ? text : "");
	free(text);
	buf_add(&sealed, state, len);
	secret_mac(call->server->secret, SEAL_LABEL, sealed.data, sealed.len, mac);
}

static json_t *seal_state(const struct call *call)
{
	AUTO_BUF struct buf raw = BUF_INIT(STATE_MAX_BYTES + SEAL_BYTES + TIME_BYTES);
	AUTO_BUF struct buf text = BUF_INIT(2 * STATE_MAX_BYTES);
	AUTO_BUF struct buf state = BUF_INIT(STATE_MAX_BYTES);
	unsigned char mac[KEY_BYTES];
	uint32_t until = (uint32_t)time(NULL) + STATE_SECONDS;
	char when[TIME_BYTES] = { (char)(until >> 24), (char)(until >> 16), (char)(until >> 8),
		(char)until };

	buf_add_json(&state, call->state_out);
	seal(call, when, state.data, state.len, mac);
	buf_add(&raw, mac, SEAL_BYTES);
	buf_add(&raw, when, TIME_BYTES);
	buf_add(&raw, state.data, state.len);
	base64url_add(&text, raw.data, raw.len);
	return json_stringn(text.data, text.len);
}

/* The state in a sealed text; NULL where it is forged, belongs to another call or is too old. */
static json_t *open_state(const struct call *call, const char *text, size_t len)
{
	enum { HEAD = SEAL_BYTES + TIME_BYTES };
	AUTO_BUF struct buf raw = BUF_INIT(STATE_MAX_BYTES + HEAD);
	unsigned char mac[KEY_BYTES], difference = 0;

	if (base64url_decode(&raw, text, len) < 0 || raw.len <= HEAD)
		return NULL;
	const unsigned char *when = (const unsigned char *)raw.data + SEAL_BYTES;
	uint32_t until = (uint32_t)when[0] << 24 | (uint32_t)when[1] << 16 |
			 (uint32_t)when[2] << 8 | when[3];
	seal(call, raw.data + SEAL_BYTES, raw.data + HEAD, raw.len - HEAD, mac);
	for (int i = 0; i < SEAL_BYTES; i++)
		difference |= mac[i] ^ (unsigned char)raw.data[i];
	if (difference || until < (uint32_t)time(NULL))
		return NULL;
	return json_loadb(raw.data + HEAD, raw.len - HEAD, JSON_DECODE_ANY, NULL);
}

bool ask_take_answers(struct call *call)
{
	const json_t *state = json_object_get(call->params, "requestState");
	json_t *answers = json_object_get(call->params, "inputResponses");

	if (!call->peer.modern)
		return true;
	if (json_is_string(state)) {
		call->state_in = open_state(call, json_string_value(state),
			json_string_length(state));
		if (!call->state_in) {
			call_reply_error(call, RPC_INVALID_PARAMS, NULL,
				"'requestState' is not what this server sent for this call, or too "
				"old: send the request without it");
			return false;
		}
	}
	if (json_is_object(answers))
		call->answers = json_incref(answers);
	return true;
}

static void send_modern(struct call *call)
{
	json_t *result = json_pack("{s:s}", "resultType", "input_required");

	if (call->asked)
		json_object_set(result, "inputRequests", call->asked);
	if (call->state_out)
		json_object_set_new(result, "requestState", seal_state(call));
	result_reset(&call->result);
	call_reply(call, result);
}

/* ---- the older eras: requests of our own ---- */

static void send_legacy(struct call *call)
{
	static unsigned long asked; /* makes ids that no other request of ours has */
	const char *key;
	json_t *request;

	if (!call->peer.session || !call->sink) {
		struct err err;
		err_set(&err, ERR_INVALID, "This tool needs a session: send initialize first");
		call_finish(call, TOOL_FAILED, &err);
		return;
	}
	json_object_foreach(call->asked, key, request) {
		AUTO_BUF struct buf out = BUF_INIT(STATE_MAX_BYTES);
		char id[32];
		snprintf(id, sizeof id, "ask-%lu", ++asked);
		json_object_set_new(request, "id", json_string(id));
		json_auto_t *message = json_pack("{s:s, s:s, s:O, s:O}", "jsonrpc", "2.0", "id", id,
			"method", json_object_get(request, "method"), "params",
			json_object_get(request, "params"));
		if (buf_add_json(&out, message))
			call->sink->ops->notify(call->sink, out.data, out.len);
	}
}

void ask_send(struct call *call)
{
	if (call->peer.modern)
		send_modern(call);
	else
		send_legacy(call);
}

static void run_again(struct call *call)
{
	json_decref(call->asked);
	call->asked = NULL;
	json_decref(call->state_in);
	call->state_in = call->state_out;
	call->state_out = NULL;
	result_reset(&call->result);
	call_run_tool(call, call->tool, call->args);
}

/* The key under which the request with this id was asked; NULL where it was not. */
static const char *find_asked(const struct call *call, const json_t *id)
{
	const char *key;
	json_t *request;

	json_object_foreach(call->asked, key, request) {
		if (json_equal(json_object_get(request, "id"), id))
			return key;
	}
	return NULL;
}

void ask_answered(struct session *session, const json_t *response)
{
	const json_t *id = json_object_get(response, "id");
	json_t *result = json_object_get(response, "result");

	if (!session)
		return;
	for (struct call *call = session_calls(session); call; call = call->next) {
		const char *key = find_asked(call, id);
		if (!key)
			continue;
		if (!call->answers)
			call->answers = json_object();
		json_object_set_new(call->answers, key,
			result ? json_incref(result) :
				 json_pack("{s:O}", "error", json_object_get(response, "error")));
		json_object_del(call->asked, key);
		if (json_object_size(call->asked) == 0)
			run_again(call);
		return;
	}
}
