#include "clock.h"

#include <time.h>

#include "config.h"
#include "err.h"
#include "log.h"
#include "loop.h"
#include "manager.h"
#include "provider.h"
#include "sandbox.h"
#include "tool_server.h"

enum {
	SAVE_EVERY_MS = 5000,   /* a moving deadline is stored as often */
	LOOK_EVERY_MS = 60000,  /* a busy sandbox is looked at again */
	RETRY_MAX_MS = 300000,
};

int64_t manager_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the deadline ---- */

/* No sandbox runs for longer, however busy it is. */
static int64_t latest(const struct sandbox *sandbox)
{
	return sandbox->row.started_ms + sandbox->manager->config->max_timeout * 1000;
}

static void move_deadline(struct sandbox *sandbox, int64_t active_ms)
{
	struct sandbox_row *row = &sandbox->row;
	int64_t deadline = active_ms + row->timeout_ms;

	if (row->state != SANDBOX_RUNNING)
		return;
	if (active_ms > row->active_ms)
		row->active_ms = active_ms;
	row->expires_ms = deadline < latest(sandbox) ? deadline : latest(sandbox);
	sandbox->unsaved = true;
}

void sandbox_touch(struct sandbox *sandbox)
{
	int64_t now = manager_now_ms();

	move_deadline(sandbox, now);
	if (now - sandbox->saved_ms >= SAVE_EVERY_MS) {
		sandbox->saved_ms = now;
		sandbox_save(sandbox);
	}
	if (!loop_timer_armed(sandbox->timer))
		sandbox_arm(sandbox);
}

void sandbox_set_timeout(struct sandbox *sandbox, int64_t timeout_ms, enum on_timeout then)
{
	sandbox->row.timeout_ms = timeout_ms;
	sandbox->row.on_timeout = then;
	sandbox->unsaved = true;
	sandbox_touch(sandbox);
	sandbox_arm(sandbox);
}

static void on_ended(struct sandbox *sandbox, const struct err *err, void *data)
{
	(void)data;
	if (!err)
		log_event(LOG_INFO, "deadline", "sandbox", sandbox->row.id, "now",
			sandbox_state_name(sandbox->row.state), NULL);
}

static void end(struct sandbox *sandbox)
{
	bool delete = sandbox->row.on_timeout == ON_TIMEOUT_DELETE || !sandbox->provider->pause;

	sandbox_change(sandbox, delete ? CHANGE_DELETE : CHANGE_PAUSE, on_ended, NULL);
}

/* The tool server's own word, once more: it knows of commands, jobs and the editor. */
static void on_activity(struct sandbox *sandbox, const struct activity *activity, void *data)
{
	int64_t now = manager_now_ms();

	(void)data;
	sandbox->asking = false;
	if (sandbox->manager->closing)
		return; /* no answer is no reason to end it */
	if (sandbox->row.state != SANDBOX_RUNNING || sandbox_changing(sandbox)) {
		sandbox_arm(sandbox);
		return;
	}
	if (activity && (activity->busy || activity->editor))
		move_deadline(sandbox, now);
	else if (activity && activity->last_ms > sandbox->row.active_ms && activity->last_ms <= now)
		move_deadline(sandbox, activity->last_ms);
	if (sandbox->row.expires_ms <= now)
		end(sandbox);
	else
		sandbox_arm(sandbox);
}

static void deadline_came(struct sandbox *sandbox, int64_t now)
{
	if (sandbox->holders > 0 && now < latest(sandbox)) {
		move_deadline(sandbox, now);
		sandbox_arm(sandbox);
	} else if (now >= latest(sandbox)) {
		end(sandbox);
	} else if (!sandbox->asking) {
		sandbox->asking = true;
		tool_server_activity(sandbox, on_activity, NULL);
	}
}

/* ---- the timer ---- */

static void try_delete_again(struct sandbox *sandbox)
{
	sandbox->retry_ms = sandbox->retry_ms * 2 < RETRY_MAX_MS ? sandbox->retry_ms * 2 :
								   RETRY_MAX_MS;
	sandbox_change(sandbox, CHANGE_DELETE, NULL, NULL);
}

static void on_time(void *data)
{
	struct sandbox *sandbox = data;
	const struct config *config = sandbox->manager->config;
	const struct sandbox_row *row = &sandbox->row;
	int64_t now = manager_now_ms();

	if (sandbox_changing(sandbox))
		return; /* its end arms the timer again */
	if (row->state == SANDBOX_RUNNING && row->expires_ms <= now)
		deadline_came(sandbox, now);
	else if (row->state == SANDBOX_PAUSED && row->expires_ms <= now)
		sandbox_change(sandbox, CHANGE_DELETE, NULL, NULL);
	else if (row->state == SANDBOX_PAUSED && !row->cold &&
		 row->paused_ms + config->freeze * 1000 <= now)
		sandbox_change(sandbox, CHANGE_COOL, NULL, NULL);
	else if (row->state == SANDBOX_DELETING)
		try_delete_again(sandbox);
	else
		sandbox_arm(sandbox);
}

void sandbox_arm(struct sandbox *sandbox)
{
	const struct sandbox_row *row = &sandbox->row;
	int64_t when = row->expires_ms, now = manager_now_ms();
	int64_t soonest = sandbox->not_before_ms;

	loop_timer_stop(sandbox->timer);
	if (row->state == SANDBOX_DELETING) {
		loop_timer_set(sandbox->timer, sandbox->retry_ms);
		return;
	}
	if (row->state != SANDBOX_RUNNING && row->state != SANDBOX_PAUSED)
		return;
	if (row->state == SANDBOX_PAUSED && !row->cold &&
		row->paused_ms + sandbox->manager->config->freeze * 1000 < when)
		when = row->paused_ms + sandbox->manager->config->freeze * 1000;
	if (when < soonest)
		when = soonest;
	loop_timer_set(sandbox->timer, when > now ? when - now : 0);
}

void sandbox_wait(struct sandbox *sandbox)
{
	sandbox->not_before_ms = manager_now_ms() + LOOK_EVERY_MS;
}

void clock_init(struct sandbox *sandbox)
{
	sandbox->timer = loop_timer_new(sandbox->manager->loop, on_time, sandbox);
	sandbox->retry_ms = 5000;
}
