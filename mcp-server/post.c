#include "post.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "call_impl.h"
#include "config.h"
#include "http.h"
#include "loop.h"
#include "revision.h"
#include "server.h"
#include "session.h"
#include "sse.h"

/* In the older eras a lost connection is no cancellation; but an answer that nobody can get
 * any more is not worth a running command either. */
enum { DEAD_GRACE_MS = 10 * 1000 };

/* Where the client can come back: when it should, until when it may, what is kept for it. */
enum { RETRY_MS = 1000, RESUME_MS = 30 * 1000, KEPT_MAX = 4 * 1024 * 1024, DETACHED_MAX = 64 };

enum { EVENT_ID_CHARS = 16 };

struct post {
	struct sink sink;
	struct server *server;
	struct http_request *request; /* NULL once answered in full, and while detached */
	struct sse *stream;
	struct post **holder; /* how the stream finds this post, until it has to forget it */
	bool takes_json, takes_stream;
	bool gone, dead;   /* the client closed its side; the connection is gone */
	struct call *call; /* until there is a response */
	struct loop_timer *timer;

	/* A stream that the client can come back to. */
	char event_id[EVENT_ID_CHARS + 1], session[SESSION_ID_CHARS + 1];
	bool detached;             /* nobody is connected: messages are kept */
	struct buf kept;           /* each ends in a line break: there is none inside of one */
	struct post *next, **link; /* server->posts, where there is an event_id */
};

void post_free(struct post *post)
{
	if (post->link) {
		*post->link = post->next;
		if (post->next)
			post->next->link = post->link;
	}
	if (post->detached)
		post->server->posts_detached--;
	loop_timer_free(post->timer);
	buf_release(&post->kept);
	free(post);
}

static void give_up(void *data)
{
	struct post *post = data;

	if (post->call)
		call_cancel(post->call);
	else if (post->detached)
		post_free(post);
	else
		calls_cancel(post->server, &post->sink); /* of a batch */
}

static void give_up_in(struct post *post, int64_t delay_ms)
{
	if (!post->timer)
		post->timer = loop_timer_new(post->server->workspace.loop, give_up, post);
	loop_timer_set(post->timer, delay_ms);
}

/* ---- the stream ---- */

/* Lets the call go on without a connection. False where its client cannot come back. */
static bool detach(struct post *post)
{
	struct server *server = post->server;

	if (!*post->event_id || server->stopping || server->posts_detached >= DETACHED_MAX)
		return false;
	if (post->holder)
		*post->holder = NULL;
	if (post->request)
		http_on_gone(post->request, NULL, NULL);
	post->holder = NULL;
	post->stream = NULL;
	post->request = NULL;
	post->detached = true;
	server->posts_detached++;
	give_up_in(post, RESUME_MS);
	return true;
}

static void on_stream_closed(struct sse *sse, void *data)
{
	struct post **holder = data, *post = *holder;

	(void)sse;
	free(holder);
	if (!post)
		return;
	post->holder = NULL;
	post->stream = NULL;
	post->request = NULL;
	if (!post->call)
		post_free(post);
	else if (!detach(post))
		call_cancel(post->call);
}

static bool can_resume(const struct post *post)
{
	const struct call *call = post->call;

	return call && !call->peer.modern && call->peer.session &&
	       revision_resumes(call->peer.revision);
}

/* Gives the stream an id that no other has, of this server or of one before it. */
static void name_stream(struct post *post)
{
	static uint64_t last;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t id = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	last = id > last ? id : last + 1;
	snprintf(post->event_id, sizeof post->event_id, "%" PRIx64, last);
	snprintf(post->session, sizeof post->session, "%s", session_id(post->call->peer.session));
	post->next = post->server->posts;
	post->link = &post->server->posts;
	if (post->next)
		post->next->link = &post->next;
	post->server->posts = post;
}

static void open_stream(struct post *post)
{
	struct sse_hub *hub = post->server->streams;

	if (sse_hub_count(hub) >= (size_t)post->server->config->streams_max) {
		post->takes_stream = false;
		return;
	}
	post->holder = alloc_zero(sizeof *post->holder);
	*post->holder = post;
	post->stream = sse_open(hub, post->request, on_stream_closed, post->holder);
	if (!*post->event_id && can_resume(post))
		name_stream(post);
	if (*post->event_id)
		sse_prime(post->stream, post->event_id, RETRY_MS);
}

static bool keep(struct post *post, const char *json, size_t len)
{
	if (len >= KEPT_MAX)
		return false;
	if (len >= KEPT_MAX - post->kept.len) /* the latest is worth the most */
		buf_clear(&post->kept);
	return buf_add(&post->kept, json, len) == 0 && buf_add_char(&post->kept, '\n') == 0;
}

/* In the place of an answer that is too large to be kept. */
static bool keep_refusal(struct post *post, const json_t *id)
{
	struct result refusal;

	result_init(&refusal, id, false, KEPT_MAX);
	result_error(&refusal, RPC_INTERNAL_ERROR,
		"The connection broke, and the answer is too large to be kept: ask again", NULL);
	bool kept = keep(post, refusal.out.data, refusal.out.len);
	result_release(&refusal);
	return kept;
}

/* ---- the sink ---- */

/* The client may have left while its message was being parsed. */
static void post_begin(struct sink *sink, struct call *call)
{
	struct post *post = (struct post *)sink;

	post->call = call;
	if (post->gone && call->peer.modern)
		call_cancel(call);
	else if (post->dead)
		give_up_in(post, DEAD_GRACE_MS);
}

static bool post_notify(struct sink *sink, const char *json, size_t len)
{
	struct post *post = (struct post *)sink;

	if (post->detached)
		return keep(post, json, len);
	if (!post->stream && post->takes_stream && post->request)
		open_stream(post);
	return post->stream && sse_send(post->stream, "message", NULL, json, len) == 0;
}

static void end_stream(struct post *post, const struct buf *json)
{
	post->call = NULL;
	if (json)
		sse_send(post->stream, "message", NULL, json->data, json->len);
	sse_end(post->stream);
}

static void post_respond(struct sink *sink, unsigned status, struct buf *json)
{
	struct post *post = (struct post *)sink;

	if (post->detached) {
		const json_t *id = post->call ? post->call->id : NULL;
		post->call = NULL;
		if (!json || (!keep(post, json->data, json->len) && !keep_refusal(post, id)))
			post_free(post);
		return; /* else post_resume() sends it, or give_up() frees it */
	}
	if (!post->stream && json && !post->takes_json && status == 200 && post->takes_stream)
		open_stream(post);
	if (post->stream) {
		end_stream(post, json);
		return; /* on_stream_closed() frees it */
	}
	if (post->request)
		http_reply(post->request, status, json ? "application/json" : NULL, json);
	post_free(post);
}

/* Cancelled: the older eras want no response, HTTP wants one. */
static void post_drop(struct sink *sink)
{
	const struct post *post = (const struct post *)sink;

	post_respond(sink, post->server->stopping ? 503 : 202, NULL);
}

static void post_detach(struct sink *sink)
{
	struct post *post = (struct post *)sink;

	if (!post->stream && post->takes_stream && post->request && can_resume(post))
		open_stream(post);
	struct sse *stream = post->stream;
	if (stream && detach(post))
		sse_end(stream);
}

static const struct sink_ops post_ops = {
	.begin = post_begin,
	.notify = post_notify,
	.respond = post_respond,
	.drop = post_drop,
	.detach = post_detach,
};

/* ---- the client goes away ---- */

static void lost(struct post *post)
{
	struct sse *stream = post->stream;

	if (stream && detach(post))
		sse_cut(stream);
	else
		give_up_in(post, DEAD_GRACE_MS);
}

static void on_gone(struct http_request *request, bool dead, void *data)
{
	struct post *post = data;

	(void)request;
	post->gone = true;
	post->dead |= dead;
	if (!post->call) {
		if (dead && post->stream)
			sse_cut(post->stream);
		else if (dead)
			give_up_in(post, DEAD_GRACE_MS);
	} else if (post->call->peer.modern) {
		call_cancel(post->call);
	} else if (dead) {
		lost(post);
	}
}

struct post *post_new(
	struct server *server, struct http_request *request, bool takes_json, bool takes_stream)
{
	struct post *post = alloc_zero(sizeof *post);

	*post = (struct post){
		.sink.ops = &post_ops,
		.server = server,
		.request = request,
		.takes_json = takes_json,
		.takes_stream = takes_stream,
		.kept = BUF_INIT(KEPT_MAX),
	};
	http_on_gone(request, on_gone, post);
	return post;
}

struct sink *post_sink(struct post *post)
{
	return &post->sink;
}

/* ---- and comes back ---- */

static struct post *find(struct server *server, const char *session, const char *event_id)
{
	for (struct post *post = server->posts; post; post = post->next) {
		if (strcmp(post->event_id, event_id) == 0 && strcmp(post->session, session) == 0)
			return post;
	}
	return NULL;
}

static void send_kept(struct post *post)
{
	const char *message = post->kept.data, *end;

	for (; message && (end = strchr(message, '\n')); message = end + 1)
		sse_send(post->stream, "message", NULL, message, (size_t)(end - message));
	buf_release(&post->kept);
}

bool post_resume(struct server *server, struct http_request *request, const char *session,
	const char *event_id)
{
	struct post *post = find(server, session, event_id);
	struct sse *old = post ? post->stream : NULL;

	/* Where its connection broke, the client may know before we do. */
	if (!post || (!post->detached && !(old && post->call && detach(post))))
		return false;
	if (old)
		sse_cut(old);
	post->detached = false;
	server->posts_detached--;
	loop_timer_stop(post->timer);
	post->request = request;
	http_on_gone(request, on_gone, post);
	open_stream(post);
	send_kept(post);
	if (!post->call)
		end_stream(post, NULL);
	return true;
}

void posts_close(struct server *server)
{
	for (struct post *post = server->posts, *next; post; post = next) {
		next = post->next;
		if (post->detached)
			give_up(post);
	}
}
