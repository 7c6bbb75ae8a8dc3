#include "session.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "base64.h"
#include "buf.h"
#include "call_impl.h"
#include "cleanup.h"
#include "err.h"
#include "listeners.h"
#include "revision.h"
#include "secret.h"
#include "sse.h"
#include "tombstones.h"

/* The sealed bytes: 1 revision, 1 capabilities, 4 time of issue, 10 nonce; then 16 of the MAC. */
enum { CLAIM_BYTES = 16, SEAL_BYTES = 16, ID_BYTES = CLAIM_BYTES + SEAL_BYTES };
enum { BUCKETS = 4096, PLAIN_KEPT = 2048, SHED_AT_ONCE = 2 };

#define SEAL_LABEL "mcp session"

struct session {
	struct sessions *owner;
	char id[SESSION_ID_CHARS + 1]; /* "" for a local one */
	unsigned char raw[ID_BYTES];
	const char *revision;
	unsigned caps;
	unsigned generation; /* of the token whose key sealed it */
	int log_level;
	struct call *calls;
	struct sse *stream;
	struct session **stream_holder;
	session_send_fn *send; /* where there is no stream */
	void *send_data;
	struct listener *listener;

	struct session *next_in_bucket;
	struct idle *idle; /* the list that it is in; NULL while in use */
	struct session *newer, *older;
};

/* Sessions that may be forgotten, in the order of their last use. */
struct idle {
	struct session *newest, *oldest;
	size_t count;
};

struct sessions {
	const struct secret *secret;
	struct tombstones *tombstones;
	size_t max, count;
	struct session *buckets[BUCKETS];
	struct idle plain;    /* nothing is lost with them: the id says it all */
	struct idle stateful; /* a log level or subscriptions would be */
};

struct sessions *sessions_new(const struct secret *secret, int state_fd, size_t max)
{
	struct sessions *sessions = alloc_zero(sizeof *sessions);

	sessions->secret = secret;
	sessions->max = max;
	sessions->tombstones = tombstones_open(state_fd);
	return sessions;
}

/* ---- the table ---- */

static struct session **bucket_of(struct sessions *sessions, const unsigned char raw[ID_BYTES])
{
	/* The MAC's bytes are as good as random. */
	return &sessions->buckets[(raw[CLAIM_BYTES] | raw[CLAIM_BYTES + 1] << 8) % BUCKETS];
}

static void leave_idle(struct session *session)
{
	struct idle *idle = session->idle;

	if (!idle)
		return;
	*(session->newer ? &session->newer->older : &idle->newest) = session->older;
	*(session->older ? &session->older->newer : &idle->oldest) = session->newer;
	session->newer = session->older = NULL;
	session->idle = NULL;
	idle->count--;
}

static void enter_idle(struct session *session, struct idle *idle)
{
	session->older = idle->newest;
	*(idle->newest ? &idle->newest->newer : &idle->oldest) = session;
	idle->newest = session;
	session->idle = idle;
	idle->count++;
}

/* Puts it where it belongs, as the one used last. A local one is in no list. */
static void settle(struct session *session)
{
	struct sessions *sessions = session->owner;
	bool plain = session->log_level == LOG_NONE && !session->listener;

	leave_idle(session);
	if (*session->id && !session->calls && !session->stream)
		enter_idle(session, plain ? &sessions->plain : &sessions->stateful);
}

static void forget(struct session *session)
{
	struct sessions *sessions = session->owner;
	struct session **place = bucket_of(sessions, session->raw);

	while (*place != session)
		place = &(*place)->next_in_bucket;
	*place = session->next_in_bucket;
	leave_idle(session);
	sessions->count--;
	listener_free(session->listener);
	free(session);
}

/* Forgets those not used for the longest time: plain ones beyond what is kept of them, others
 * only where there is no room else. A few at a time: many may fall idle at once. */
static void make_room(struct sessions *sessions)
{
	for (int i = 0; i < SHED_AT_ONCE && sessions->plain.count >= PLAIN_KEPT; i++)
		forget(sessions->plain.oldest);
	if (sessions->count < sessions->max)
		return;
	struct session *oldest =
		sessions->plain.oldest ? sessions->plain.oldest : sessions->stateful.oldest;
	if (oldest)
		forget(oldest);
}

static struct session *remember(struct sessions *sessions, const unsigned char raw[ID_BYTES],
	const char *id)
{
	make_room(sessions);
	if (sessions->count >= sessions->max)
		return NULL;

	struct session *session = alloc_zero(sizeof *session);
	session->owner = sessions;
	memcpy(session->raw, raw, ID_BYTES);
	memcpy(session->id, id, SESSION_ID_CHARS);
	session->revision = revisions[raw[0]];
	session->caps = raw[1];
	session->generation = secret_generation(sessions->secret);
	session->log_level = LOG_NONE;
	struct session **place = bucket_of(sessions, raw);
	session->next_in_bucket = *place;
	*place = session;
	sessions->count++;
	settle(session);
	return session;
}

/* Lets go of everything that points to the session. */
static void release(struct session *session)
{
	struct sse *stream = session->stream;

	session_drop_stream(session);
	if (stream)
		sse_end(stream);
	while (session->calls) {
		struct call *call = session->calls;
		session_remove_call(session, call);
		call->peer.session = NULL;
		call_cancel(call);
	}
}

void sessions_free(struct sessions *sessions)
{
	if (!sessions)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (sessions->buckets[i]) {
			release(sessions->buckets[i]);
			forget(sessions->buckets[i]);
		}
	}
	tombstones_close(sessions->tombstones);
	free(sessions);
}

size_t sessions_count(const struct sessions *sessions)
{
	return sessions->count;
}

/* ---- sealed ids ---- */

static void seal(const struct sessions *sessions, unsigned char raw[ID_BYTES])
{
	unsigned char mac[KEY_BYTES];

	secret_mac(sessions->secret, SEAL_LABEL, raw, CLAIM_BYTES, mac);
	memcpy(raw + CLAIM_BYTES, mac, SEAL_BYTES);
}

static uint32_t now_s(void)
{
	return (uint32_t)time(NULL);
}

static uint32_t issued(const unsigned char raw[ID_BYTES])
{
	return (uint32_t)raw[2] << 24 | (uint32_t)raw[3] << 16 | (uint32_t)raw[4] << 8 | raw[5];
}

static bool expired(const unsigned char raw[ID_BYTES])
{
	return now_s() - issued(raw) > SESSION_DAYS * 86400U;
}

int session_open(struct sessions *sessions, const char *revision, unsigned caps,
	struct session **out, struct err *err)
{
	unsigned char raw[ID_BYTES];
	AUTO_BUF struct buf id = BUF_INIT(SESSION_ID_CHARS);
	uint32_t now = now_s();

	raw[0] = (unsigned char)revision_index(revision);
	raw[1] = (unsigned char)caps;
	for (int i = 0; i < 4; i++)
		raw[2 + i] = (unsigned char)(now >> (24 - 8 * i));
	if (getrandom(raw + 6, CLAIM_BYTES - 6, 0) != CLAIM_BYTES - 6)
		return err_sys(err, "get random bytes");
	seal(sessions, raw);
	base64url_add(&id, raw, sizeof raw);
	struct session *session = remember(sessions, raw, id.data);
	if (!session)
		return err_set(err, ERR_LIMIT,
			"%zu sessions are in use: end some, or start the server with a larger "
			"--max-sessions",
			sessions->count);
	*out = session;
	return 0;
}

static bool genuine(const struct sessions *sessions, const unsigned char raw[ID_BYTES])
{
	unsigned char mac[KEY_BYTES], difference = 0;

	secret_mac(sessions->secret, SEAL_LABEL, raw, CLAIM_BYTES, mac);
	for (int i = 0; i < SEAL_BYTES; i++)
		difference |= mac[i] ^ raw[CLAIM_BYTES + i];
	return difference == 0 && raw[0] < REVISIONS;
}

static struct session *find_cached(struct sessions *sessions, const unsigned char raw[ID_BYTES])
{
	for (struct session *s = *bucket_of(sessions, raw); s; s = s->next_in_bucket) {
		if (memcmp(s->raw, raw, ID_BYTES) == 0)
			return s;
	}
	return NULL;
}

struct session *session_find(struct sessions *sessions, const char *id)
{
	AUTO_BUF struct buf raw = BUF_INIT(ID_BYTES);

	if (strlen(id) != SESSION_ID_CHARS || base64url_decode(&raw, id, SESSION_ID_CHARS) < 0)
		return NULL;
	const unsigned char *bytes = (const unsigned char *)raw.data;
	if (expired(bytes))
		return NULL;
	struct session *session = find_cached(sessions, bytes);
	if (session && session->generation == secret_generation(sessions->secret)) {
		settle(session);
		return session;
	}
	if (session || !genuine(sessions, bytes) ||
		tombstones_has(sessions->tombstones, bytes + CLAIM_BYTES))
		return NULL;
	return remember(sessions, bytes, id);
}

void session_end(struct session *session)
{
	struct sessions *sessions = session->owner;

	tombstones_add(sessions->tombstones, session->raw + CLAIM_BYTES);
	release(session);
	forget(session);
}

/* ---- sessions of one connection ---- */

struct session *session_local(struct sessions *sessions)
{
	struct session *session = alloc_zero(sizeof *session);

	session->owner = sessions;
	session->log_level = LOG_NONE;
	return session;
}

void session_local_free(struct session *session)
{
	if (!session)
		return;
	release(session);
	listener_free(session->listener);
	free(session);
}

/* ---- what is known of one ---- */

const char *session_id(const struct session *session)
{
	return session->id;
}

const char *session_revision(const struct session *session)
{
	return session->revision;
}

unsigned session_caps(const struct session *session)
{
	return session->caps;
}

void session_agree(struct session *session, const char *revision, unsigned caps)
{
	session->revision = revision;
	session->caps = caps;
}

int session_log_level(const struct session *session)
{
	return session->log_level;
}

void session_set_log_level(struct session *session, int level)
{
	session->log_level = level;
	settle(session);
}

void session_add_call(struct session *session, struct call *call)
{
	call->next = session->calls;
	call->link = &session->calls;
	if (call->next)
		call->next->link = &call->next;
	session->calls = call;
	settle(session);
}

void session_remove_call(struct session *session, struct call *call)
{
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	settle(session);
}

struct call *session_find_call(struct session *session, const json_t *id)
{
	for (struct call *call = session->calls; call; call = call->next) {
		if (json_equal(call->id, id))
			return call;
	}
	return NULL;
}

struct call *session_calls(struct session *session)
{
	return session->calls;
}

void session_set_stream(struct session *session, struct sse *stream, struct session **holder)
{
	struct sse *old = session->stream;

	session_drop_stream(session);
	session->stream = stream;
	session->stream_holder = holder;
	*holder = session;
	settle(session);
	if (old)
		sse_end(old);
}

void session_drop_stream(struct session *session)
{
	if (session->stream_holder)
		*session->stream_holder = NULL;
	session->stream_holder = NULL;
	session->stream = NULL;
	settle(session);
}

struct sse *session_stream(const struct session *session)
{
	return session->stream;
}

void session_set_channel(struct session *session, session_send_fn *send, void *data)
{
	session->send = send;
	session->send_data = data;
}

bool session_reachable(const struct session *session)
{
	return session->stream || session->send;
}

void session_send(struct session *session, const char *json, size_t len)
{
	if (session->stream)
		sse_send(session->stream, "message", NULL, json, len);
	else if (session->send)
		session->send(json, len, session->send_data);
}

struct listener *session_listener(const struct session *session)
{
	return session->listener;
}

void session_set_listener(struct session *session, struct listener *listener)
{
	session->listener = listener;
	settle(session);
}
