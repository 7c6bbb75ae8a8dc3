/*
 * Sandboxes that run before anybody asked: handing one out takes no longer than writing down
 * that it is somebody's. They are made one at a time, while nobody waits for another.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "alloc.h"
#include "base64.h"
#include "buf.h"
#include "cleanup.h"
#include "local.h"
#include "log.h"
#include "loop.h"

enum {
	RETRY_MS = 10 * 1000, /* after one that could not be made */
	TOKEN_BYTES = 32,
	LETTERS = 36,
};

static void new_id(char id[SANDBOX_ID_LEN + 1])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	size_t len = 0;

	while (len < SANDBOX_ID_LEN) {
		unsigned char byte;
		if (getrandom(&byte, 1, 0) == 1 && byte < 256 / LETTERS * LETTERS)
			id[len++] = letters[byte % LETTERS];
	}
	id[len] = '\0';
}

static void new_token(char token[SANDBOX_TOKEN_LEN + 1])
{
	unsigned char bytes[TOKEN_BYTES];
	AUTO_BUF struct buf text = BUF_INIT(64);

	while (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		;
	base64url_add(&text, bytes, sizeof bytes);
	snprintf(token, SANDBOX_TOKEN_LEN + 1, "%s", text.data);
}

struct sandbox *pool_find(struct local *local, const struct record *want)
{
	for (struct sandbox *at = table_next(&local->table, NULL); at;
		at = table_next(&local->table, at))
		if (at->record.pooled && !at->job && !at->reserved && at->token[0] &&
			sandbox_state(at) == PROVIDER_RUNNING && record_fits(&at->record, want))
			return at;
	return NULL;
}

void pool_count(const struct local *local, struct pool_figures *out)
{
	*out = (struct pool_figures){ .ready = 0 };
	for (const struct sandbox *at = table_next(&local->table, NULL); at;
		at = table_next(&local->table, at)) {
		if (!at->record.pooled || at->reserved)
			continue;
		int64_t bytes = cgroup_memory(&local->site.cgroups, at->record.id);
		out->ready += at->record.made && !at->job;
		out->memory_bytes += bytes > 0 ? bytes : 0;
	}
}

static void on_made(struct sandbox *sandbox, bool restarted, const struct err *err, void *data)
{
	struct local *local = data;

	(void)sandbox, (void)restarted;
	local->filling = false;
	if (!err)
		return; /* the end of the job fills on */
	log_event(LOG_WARNING, "prepared sandbox not made", "why", err->msg, NULL);
	loop_timer_set(local->refill, RETRY_MS);
}

void pool_refill(struct local *local)
{
	const struct provider_spec spec = { .id = NULL };
	char token[SANDBOX_TOKEN_LEN + 1];
	struct pool_figures figures;
	struct record record;
	struct err err;

	if (local->stopping || local->filling || local->waiting > 0 ||
		local->setup.pool_size == 0 || loop_timer_armed(local->refill))
		return;
	pool_count(local, &figures);
	if (figures.ready >= local->setup.pool_size ||
		record_from(&spec, &local->setup.limits, &record, &err) < 0)
		return;
	new_id(record.id);
	new_token(token);
	record.pooled = true;
	struct record entry;
	record_copy(&record, &entry);
	struct sandbox *sandbox = table_add(&local->table, &entry, &err);
	if (!sandbox) {
		record_release(&entry);
		record_release(&record);
		return;
	}
	snprintf(sandbox->token, sizeof sandbox->token, "%s", token);
	local->filling = true;
	job_ask(sandbox, WISH_MADE, &record, token, on_made, local);
}

struct ending {
	size_t left;
	void (*done)(void *data);
	void *data;
};

static void end_one(void *data)
{
	struct ending *ending = data;

	if (--ending->left > 0)
		return;
	ending->done(ending->data);
	free(ending);
}

static void on_removed(struct sandbox *sandbox, bool restarted, const struct err *err, void *data)
{
	(void)restarted;
	if (err)
		log_event(LOG_WARNING, "prepared sandbox not removed", "sandbox",
			sandbox ? sandbox->record.id : "?", "why", err->msg, NULL);
	end_one(data);
}

void pool_end(struct local *local, void (*done)(void *data), void *data)
{
	struct ending *ending = alloc_zero(sizeof *ending);

	*ending = (struct ending){ .left = 1, .done = done, .data = data };
	local->stopping = true;
	for (struct sandbox *at = table_next(&local->table, NULL); at;
		at = table_next(&local->table, at)) {
		if (!at->record.pooled || at->reserved)
			continue;
		ending->left++;
		job_ask(at, WISH_GONE, NULL, NULL, on_removed, ending);
	}
	loop_post(local->setup.loop, end_one, ending);
}

static void on_refill(void *data)
{
	pool_refill(data);
}

void pool_open(struct local *local)
{
	local->refill = loop_timer_new(local->setup.loop, on_refill, local);
}
