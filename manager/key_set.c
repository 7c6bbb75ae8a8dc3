#include "key_set.h"

#include <stdlib.h>

#include "alloc.h"
#include "auth/credentials.h"
#include "auth/jwks.h"
#include "buf.h"
#include "err.h"
#include "fetch.h"
#include "http.h"
#include "log.h"
#include "loop.h"
#include "manager.h"

enum { FETCH_MS = 5000, NOT_BEFORE_MS = 30000, EVERY_MS = 3600000 };

struct key_set {
	struct manager *manager;
	const char *url;
	struct fetch *fetch; /* NULL: none is under way */
	struct loop_timer *timer;
	int64_t fetched_ms;
	unsigned status;
	struct buf text;
	TAILQ_HEAD(, key_set_waiter) waiters;
};

static void on_head(struct fetch *fetch, unsigned status, int64_t length, void *data)
{
	struct key_set *set = data;

	(void)fetch;
	(void)length;
	set->status = status;
}

static bool on_piece(struct fetch *fetch, const char *bytes, size_t len, void *data)
{
	struct key_set *set = data;

	(void)fetch;
	buf_add(&set->text, bytes, len);
	return true;
}

static void wake_all(struct key_set *set)
{
	struct key_set_waiter *waiter;

	while ((waiter = TAILQ_FIRST(&set->waiters))) {
		TAILQ_REMOVE(&set->waiters, waiter, link);
		waiter->waits = false;
		http_go_on(waiter->request);
	}
}

static int use(struct key_set *set, const struct err *failed, struct err *err)
{
	if (failed)
		return err_set(err, failed->code, "%s", failed->msg);
	if (set->status != 200)
		return err_set(err, ERR_IO, "it answered %u", set->status);
	if (set->text.over)
		return err_set(err, ERR_LIMIT, "it is larger than %d bytes", JWKS_TEXT_MAX);
	return credentials_set_keys(set->manager->credentials, set->text.data ? set->text.data : "",
		set->text.len, err);
}

static void on_end(struct fetch *fetch, const struct err *failed, void *data)
{
	struct key_set *set = data;
	struct err err;

	(void)fetch;
	set->fetch = NULL;
	if (use(set, failed, &err) < 0) {
		log_event(LOG_WARNING, "SANDBOX_JWKS_URL not read", "why", err.msg, NULL);
		loop_timer_set(set->timer, NOT_BEFORE_MS);
	} else {
		loop_timer_set(set->timer, EVERY_MS);
	}
	wake_all(set);
}

static void fetch(struct key_set *set)
{
	static const struct fetch_events events = { on_head, on_piece, NULL, on_end };
	struct manager *manager = set->manager;
	int64_t now = loop_now_ms(manager->loop);

	if (set->fetch)
		return;
	if (set->fetched_ms && now - set->fetched_ms < NOT_BEFORE_MS) {
		loop_timer_set(set->timer, NOT_BEFORE_MS - (now - set->fetched_ms));
		return;
	}
	set->fetched_ms = now;
	buf_clear(&set->text);
	set->fetch = fetch_start(manager->fetches,
		&(struct fetch_spec){
			.method = "GET", .url = set->url, .total_ms = FETCH_MS },
		&events, set);
}

static void on_time(void *data)
{
	fetch(data);
}

bool key_set_wait(struct manager *manager, struct key_set_waiter *waiter)
{
	struct key_set *set = manager->key_set;

	if (!set)
		return false;
	fetch(set);
	if (!set->fetch)
		return false;
	TAILQ_INSERT_TAIL(&set->waiters, waiter, link);
	waiter->waits = true;
	return true;
}

void key_set_leave(struct manager *manager, struct key_set_waiter *waiter)
{
	if (waiter->waits)
		TAILQ_REMOVE(&manager->key_set->waiters, waiter, link);
	waiter->waits = false;
}

struct key_set *key_set_new(struct manager *manager, const char *url)
{
	struct key_set *set = alloc_zero(sizeof *set);

	set->manager = manager;
	set->url = url;
	buf_init(&set->text, JWKS_TEXT_MAX);
	TAILQ_INIT(&set->waiters);
	set->timer = loop_timer_new(manager->loop, on_time, set);
	loop_timer_set(set->timer, 0);
	return set;
}

void key_set_free(struct key_set *set)
{
	if (!set)
		return;
	wake_all(set);
	fetch_cancel(set->fetch);
	loop_timer_free(set->timer);
	buf_release(&set->text);
	free(set);
}
