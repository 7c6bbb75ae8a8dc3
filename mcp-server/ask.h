#ifndef ASK_H
#define ASK_H

/*
 * Tools and prompts that need something from the client: a user's input, a model's answer, its
 * roots. They ask, end with TOOL_ASKING and are run again when the answers are there. In
 * 2026-07-28 that is a multi round-trip request (basic/patterns/mrtr): the client sends the same
 * request again. In the older eras the server sends requests of its own, on the stream of the
 * call. Each run sees the answers to the questions of the one before; what it has to know of
 * earlier ones belongs into the state. Loop thread only: where a worker asks, the process ends.
 */
#include <jansson.h>
#include <stdbool.h>

struct ask;
struct call;
struct session;

/* The client's answer to what was asked under `key`, an object; NULL: ask first. Borrowed. */
json_t *ask_answer(const struct call *call, const char *key);

/*
 * Asks: `method` is sampling/createMessage, elicitation/create or roots/list; takes ownership of
 * `params`. False where the client did not say that it can do this: the call was answered then,
 * return TOOL_PENDING.
 */
bool ask(struct call *call, const char *key, const char *method, json_t *params);

/* What the tool wants back beside the answers, sealed on its way through the client; takes
 * ownership. And what came back, borrowed, or NULL. */
void ask_set_state(struct call *call, json_t *state);
json_t *ask_state(const struct call *call);

/* ---- For the protocol side ---- */

/* What a client can be asked, from the capabilities that it declared: enum session_caps. */
unsigned ask_caps(const json_t *capabilities);

/* Sends what was asked for; called where a run ended with TOOL_ASKING. */
void ask_send(struct call *call);

/* Takes inputResponses and requestState from the request. False: it was refused. */
bool ask_take_answers(struct call *call);

/* A response that a client of the older eras sent; borrowed. */
void ask_answered(struct session *session, const json_t *response);

/* No answers will come on this session any more: fails the calls that wait for some. */
void ask_give_up(struct session *session);

void ask_free(struct ask *ask); /* NULL is allowed */

#endif
