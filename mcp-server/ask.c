#include "ask.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "base64.h"
#include "call_impl.h"
#include "cleanup.h"
#include "err.h"
#include "loop.h"
#include "secret.h"
#include "server.h"
#include "session.h"

/* How long a client may take to come back with its answers. */
enum { ANSWER_MINUTES = 15 };

enum { STATE_MAX_BYTES = 64 * 1024, SEAL_BYTES = 16, TIME_BYTES = 4 };

#define SEAL_LABEL "mcp request state"

struct ask {
	json_t *requests; /* what is asked for, by key */
	json_t *answers;  /* what the client answered, by key */
	json_t *state_in, *state_out;
	struct loop_timer *deadline; /* older eras: the answers have to be there */
};

static const struct {
	const char *method, *capability;
	unsigned cap;
} needs[] = {
	{ "sampling/createMessage", "sampling", CAP_SAMPLING },
	{ "elicitation/create", "elicitation", CAP_ELICITATION },
	{ "roots/list", "roots", CAP_ROOTS },
};

static struct ask *ask_of(struct call *call)
{
	call_expect_loop(call);
	if (!call->ask)
		call->ask = alloc_zero(sizeof *call->ask);
	return call->ask;
}

void ask_free(struct ask *ask)
{
	if (!ask)
		return;
	loop_timer_free(ask->deadline);
	json_decref(ask->requests);
	json_decref(ask->answers);
	json_decref(ask->state_in);
	json_decref(ask->state_out);
	free(ask);
}

/* ---- what tools use ---- */

json_t *ask_answer(const struct call *call, const char *key)
{
	return call->ask ? json_object_get(call->ask->answers, key) : NULL;
}

void ask_set_state(struct call *call, json_t *state)
{
	struct ask *ask = ask_of(call);

	json_decref(ask->state_out);
	ask->state_out = state;
}

json_t *ask_state(const struct call *call)
{
	return call->ask ? call->ask->state_in : NULL;
}

/* Of a tool a result with isError, of anything else an error. */
static void fail(struct call *call, const struct err *err)
{
	if (call->tool)
		call_finish(call, TOOL_FAILED, err);
	else
		call_reply_err(call, err);
}

static void refuse(struct call *call, const char *capability)
{
	struct err err;

	if (call->peer.modern) {
		call_reply_error(call, RPC_MISSING_CAPABILITY,
			json_pack("{s:{s:{}}}", "requiredCapabilities", capability),
			"This needs the client capability '%s'", capability);
		return;
	}
	err_set(&err, ERR_INVALID, "This needs a client that can do %s", capability);
	fail(call, &err);
}

bool ask(struct call *call, const char *key, const char *method, json_t *params)
{
	struct ask *ask = ask_of(call);

	for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
		if (strcmp(needs[i].method, method) == 0 && !(call->peer.caps & needs[i].cap)) {
			json_decref(params);
			refuse(call, needs[i].capability);
			return false;
		}
	}
	if (!ask->requests)
		ask->requests = json_object();
	json_object_set_new(ask->requests, key,
		json_pack(
			"{s:s, s:o}", "method", method, "params", params ? params : json_object()));
	return true;
}

/* An elicitation without modes is one by form; only that is asked for here. */
unsigned ask_caps(const json_t *capabilities)
{
	const json_t *elicitation = json_object_get(capabilities, "elicitation");
	unsigned caps = 0;

	for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
		if (json_is_object(json_object_get(capabilities, needs[i].capability)))
			caps |= needs[i].cap;
	}
	if (json_object_get(elicitation, "url") && !json_object_get(elicitation, "form"))
		caps &= ~(unsigned)CAP_ELICITATION;
	return caps;
}

/* ---- 2026-07-28: the state travels through the client, which may be hostile ---- */

/* What a seal covers: the time, the state, and the request that it belongs to, whole. */
static void seal(const struct call *call, const char *when, const char *state, size_t len,
	unsigned char mac[KEY_BYTES])
{
	static const char *const per_round[] = { "_meta", "inputResponses", "requestState" };
	json_auto_t *request = json_copy(call->params);

	for (size_t i = 0; i < sizeof per_round / sizeof per_round[0]; i++)
		json_object_del(request, per_round[i]);
	AUTO_FREE char *text = json_dumps(request, JSON_COMPACT | JSON_SORT_KEYS);
	size_t text_len = text ? strlen(text) : 0, method_len = strlen(call->method);

	AUTO_BUF struct buf sealed = BUF_INIT(TIME_BYTES + method_len + 1 + text_len + 1 + len);
	buf_add(&sealed, when, TIME_BYTES);
	buf_add(&sealed, call->method, method_len + 1);
	buf_add(&sealed, text ? text : "", text_len + 1);
	buf_add(&sealed, state, len);
	secret_mac(call->server->secret, SEAL_LABEL, sealed.data, sealed.len, mac);
}

static json_t *seal_state(const struct call *call, const struct buf *state)
{
	AUTO_BUF struct buf raw = BUF_INIT(STATE_MAX_BYTES + SEAL_BYTES + TIME_BYTES);
	AUTO_BUF struct buf text = BUF_INIT(2 * STATE_MAX_BYTES);
	unsigned char mac[KEY_BYTES];
	uint32_t until = (uint32_t)time(NULL) + ANSWER_MINUTES * 60;
	char when[TIME_BYTES] = { (char)(until >> 24), (char)(until >> 16), (char)(until >> 8),
		(char)until };

	seal(call, when, state->data, state->len, mac);
	buf_add(&raw, mac, SEAL_BYTES);
	buf_add(&raw, when, TIME_BYTES);
	buf_add(&raw, state->data, state->len);
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
	return json_loadb(raw.data + HEAD, raw.len - HEAD, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static bool take_state(struct call *call, const json_t *state)
{
	json_t *opened = NULL;

	if (!state)
		return true;
	if (json_is_string(state))
		opened = open_state(call, json_string_value(state), json_string_length(state));
	if (!opened) {
		call_reply_error(call, RPC_INVALID_PARAMS, NULL,
			"'requestState' is not what this server sent for this request, or too old: "
			"send the request without it");
		return false;
	}
	ask_of(call)->state_in = opened;
	return true;
}

bool ask_take_answers(struct call *call)
{
	json_t *answers = json_object_get(call->params, "inputResponses"), *answer;
	const char *key;

	if (!call->peer.modern)
		return true;
	if (!take_state(call, json_object_get(call->params, "requestState")))
		return false;
	if (!answers)
		return true;
	bool fits = json_is_object(answers);
	json_object_foreach(answers, key, answer)
		fits = fits && json_is_object(answer);
	if (!fits) {
		call_reply_error(call, RPC_INVALID_PARAMS, NULL,
			"'inputResponses' has to be an object whose members are the results of the "
			"requests");
		return false;
	}
	ask_of(call)->answers = json_incref(answers);
	return true;
}

static void send_modern(struct call *call)
{
	const struct ask *ask = call->ask;
	AUTO_BUF struct buf state = BUF_INIT(STATE_MAX_BYTES);

	if (ask->state_out && !buf_add_json(&state, ask->state_out)) {
		call_reply_error(call, RPC_INTERNAL_ERROR, NULL,
			"The state of this request grew larger than %d bytes", STATE_MAX_BYTES);
		return;
	}
	json_t *result = json_pack("{s:s}", "resultType", "input_required");
	if (ask->requests)
		json_object_set(result, "inputRequests", ask->requests);
	if (ask->state_out)
		json_object_set_new(result, "requestState", seal_state(call, &state));
	result_reset(&call->result);
	call_reply(call, result);
}

/* ---- the older eras: requests of our own ---- */

static void on_cancel(struct call *call, void *data)
{
	struct err err;

	(void)data;
	err_set(&err, ERR_CANCELLED, "Cancelled while the client was asked");
	fail(call, &err);
}

static void too_late(void *data)
{
	struct call *call = data;
	struct err err;

	err_set(&err, ERR_TIMEOUT, "The client did not answer %s within %d minutes",
		json_string_value(json_object_get(
			json_object_iter_value(json_object_iter(call->ask->requests)), "method")),
		ANSWER_MINUTES);
	fail(call, &err);
}

static bool send_request(struct call *call, json_t *request)
{
	static unsigned long count; /* makes ids that no other request of ours has */
	AUTO_BUF struct buf out = BUF_INIT(call->workspace->result_max);
	char id[32];

	snprintf(id, sizeof id, "ask-%lu", ++count);
	json_object_set_new(request, "jsonrpc", json_string("2.0"));
	json_object_set_new(request, "id", json_string(id));
	return buf_add_json(&out, request) &&
	       call->sink->ops->notify(call->sink, out.data, out.len);
}

static void send_legacy(struct call *call)
{
	struct ask *ask = call->ask;
	const char *key;
	json_t *request;
	struct err err;
	bool sent = call->peer.session != NULL;

	json_object_foreach(ask->requests, key, request)
		sent = sent && send_request(call, request);
	if (!sent) {
		err_set(&err, ERR_INVALID,
			"This asks the client back, which needs a session (send initialize first) and "
			"Accept: text/event-stream");
		fail(call, &err);
		return;
	}
	json_decref(ask->answers);
	ask->answers = json_object();
	if (!ask->deadline)
		ask->deadline = loop_timer_new(call->workspace->loop, too_late, call);
	loop_timer_set(ask->deadline, ANSWER_MINUTES * 60 * 1000L);
	call_on_cancel(call, on_cancel, NULL);
}

void ask_send(struct call *call)
{
	struct err err;

	call_expect_loop(call);
	if (call->ask && call->peer.modern && (call->ask->requests || call->ask->state_out)) {
		send_modern(call);
	} else if (call->ask && call->ask->requests) {
		send_legacy(call);
	} else {
		err_set(&err, ERR_INTERNAL, "Nothing was asked of the client");
		fail(call, &err);
	}
}

static void run_again(struct call *call)
{
	struct ask *ask = call->ask;

	loop_timer_stop(ask->deadline);
	call_on_cancel(call, NULL, NULL);
	json_decref(ask->requests);
	ask->requests = NULL;
	json_decref(ask->state_in);
	ask->state_in = ask->state_out;
	ask->state_out = NULL;
	result_reset(&call->result);
	call->again(call);
}

/* One that asked and then went on on a worker is not waiting. */
static bool is_waiting(const struct call *call)
{
	return !call->on_worker && call->ask && call->ask->requests;
}

/* The key under which the request with this id was asked and not answered yet; or NULL. */
static const char *find_asked(const struct call *call, const json_t *id)
{
	const char *key;
	json_t *request;

	json_object_foreach(is_waiting(call) ? call->ask->requests : NULL, key, request) {
		if (json_equal(json_object_get(request, "id"), id) &&
			!json_object_get(call->ask->answers, key))
			return key;
	}
	return NULL;
}

static void take_answer(struct call *call, const char *key, const json_t *response)
{
	struct ask *ask = call->ask;
	json_t *result = json_object_get(response, "result");
	const json_t *why = json_object_get(json_object_get(response, "error"), "message");
	struct err err;

	if (!json_is_object(result)) {
		err_set(&err, ERR_INVALID, "The client refused %s: %s",
			json_string_value(
				json_object_get(json_object_get(ask->requests, key), "method")),
			json_is_string(why) ? json_string_value(why) : "its answer is no object");
		fail(call, &err);
		return;
	}
	json_object_set(ask->answers, key, result);
	if (json_object_size(ask->answers) == json_object_size(ask->requests))
		run_again(call);
}

void ask_answered(struct session *session, const json_t *response)
{
	const json_t *id = json_object_get(response, "id");

	if (!session)
		return;
	for (struct call *call = session_calls(session); call; call = call->next) {
		const char *key = find_asked(call, id);
		if (key) {
			take_answer(call, key, response);
			return;
		}
	}
}

static struct call *first_waiting(struct session *session)
{
	struct call *call = session_calls(session);

	while (call && !is_waiting(call))
		call = call->next;
	return call;
}

/* From the start each time: the end of one call may take others along. */
void ask_give_up(struct session *session)
{
	struct call *call;
	struct err err;

	err_set(&err, ERR_CANCELLED, "The client left before it answered");
	while ((call = first_waiting(session)))
		fail(call, &err);
}
