#ifndef SESSION_H
#define SESSION_H

/*
 * Sessions of the older eras. A session's id is a sealed token (revision, capabilities, time of
 * issue), so that it outlives the server: most clients never initialise again. What is in
 * memory is a cache of ids seen, plus what cannot survive: calls in flight, streams, the log
 * level, subscriptions. Loop thread only.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct call;
struct err;
struct listener;
struct secret;
struct session;
struct sessions;
struct sse;

enum { SESSION_ID_CHARS = 43, SESSION_DAYS = 7 };

enum session_caps { CAP_SAMPLING = 1 << 0, CAP_ELICITATION = 1 << 1, CAP_ROOTS = 1 << 2 };

/* `state_fd`: the directory that keeps the ids of ended sessions. */
struct sessions *sessions_new(const struct secret *secret, int state_fd, size_t max);
void sessions_free(struct sessions *sessions);
size_t sessions_count(const struct sessions *sessions);

/* A new session. ERR_LIMIT where `max` have state that cannot be dropped. Borrowed. */
int session_open(struct sessions *sessions, const char *revision, unsigned caps,
	struct session **out, struct err *err);

/* The session of this id; NULL where it is unknown, expired, ended or forged. Borrowed: valid
 * until the next turn of the loop, or while it has a call or a stream. */
struct session *session_find(struct sessions *sessions, const char *id);

/* Ends it for good: later requests with this id find nothing. Its streams are cut. */
void session_end(struct session *session);

/* A session that belongs to one connection (stdio, HTTP+SSE), without a sealed id. */
struct session *session_local(struct sessions *sessions);
void session_local_free(struct session *session);

const char *session_id(const struct session *session);

/* The revision and capabilities agreed on; NULL before `initialize` on a local session. */
const char *session_revision(const struct session *session);
unsigned session_caps(const struct session *session);
void session_agree(struct session *session, const char *revision, unsigned caps);

int session_log_level(const struct session *session);
void session_set_log_level(struct session *session, int level);

/* The calls in flight: so that a cancellation finds its request. */
void session_add_call(struct session *session, struct call *call);
void session_remove_call(struct session *session, struct call *call);
struct call *session_find_call(struct session *session, const json_t *id);
struct call *session_calls(struct session *session); /* linked by call->next */

/*
 * The stream for messages that belong to no request; a newer one takes the place and ends the
 * old. `*holder` points to the session until the stream has to forget it; clear it by
 * session_drop_stream() when the stream is closed.
 */
void session_set_stream(struct session *session, struct sse *stream, struct session **holder);
void session_drop_stream(struct session *session);
struct sse *session_stream(const struct session *session);

/* The other way to a client, of a session without a stream (stdio). */
typedef void session_send_fn(const char *json, size_t len, void *data);
void session_set_channel(struct session *session, session_send_fn *send, void *data);

/* Whether there is a way to send messages that belong to no request. */
bool session_reachable(const struct session *session);

/* Sends such a message; it is lost where there is no way. */
void session_send(struct session *session, const char *json, size_t len);

/* What the client wants to hear about (listeners.h); NULL: nothing. The session owns it. */
struct listener *session_listener(const struct session *session);
void session_set_listener(struct session *session, struct listener *listener);

#endif
