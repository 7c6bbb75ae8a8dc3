#ifndef LOCAL_KIT_H
#define LOCAL_KIT_H

/*
 * A local provider with a loop and workers of its own, and calls that can be waited for: for
 * tests and measurements. Failing to open ends the program: nothing could be tested.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "err.h"
#include "loop.h"
#include "provider.h"
#include "worker.h"

enum { KIT_CALLS_MAX = 1000, KIT_PORT = 6060 };

struct kit {
	struct loop *loop;
	struct worker_pool *workers;
	struct provider *provider;
};

struct kit_call {
	char id[SANDBOX_ID_LEN + 1];
	double started_ms, ended_ms;
	bool done;
	struct provider_answer answer; /* without its texts */
	char address[32];
	struct err err; /* code 0: none */
	struct kit_calls *all;
};

struct kit_calls {
	struct kit *kit;
	struct kit_call calls[KIT_CALLS_MAX];
	size_t len, ended, failed;
};

static const char kit_token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ";

static inline double kit_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static inline int kit_open(struct kit *kit, const char *data_dir, int64_t pool_size)
{
	struct err err;

	*kit = (struct kit){ .loop = NULL };
	if (loop_new(&kit->loop, &err) < 0) {
		printf("# %s\n", err.msg);
		return -1;
	}
	kit->workers = worker_pool_new(kit->loop, 8, 2000);
	const struct provider_setup setup = { .loop = kit->loop,
		.workers = kit->workers,
		.data_dir = data_dir,
		.limits = { .memory_mb = 512, .disk_mb = 1024, .pids = 256, .cpu_millis = 2000 },
		.pool_size = pool_size,
		.mcp_port = KIT_PORT,
		.freeze_s = 900 };
	if (provider_local_open(&setup, &kit->provider, &err) < 0) {
		printf("# %s\n", err.msg);
		return -1;
	}
	return 0;
}

static inline void kit_close(struct kit *kit)
{
	worker_pool_stop(kit->workers);
	loop_run_posts(kit->loop);
	if (kit->provider)
		kit->provider->free(kit->provider);
	worker_pool_free(kit->workers);
	loop_free(kit->loop);
}

static inline void kit_new_id(char id[SANDBOX_ID_LEN + 1])
{
	unsigned char bytes[SANDBOX_ID_LEN];

	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		abort();
	for (size_t i = 0; i < SANDBOX_ID_LEN; i++)
		id[i] = (char)('a' + bytes[i] % 26);
	id[SANDBOX_ID_LEN] = '\0';
}

static inline void kit_done(const struct provider_answer *answer, const struct err *err, void *data)
{
	struct kit_call *call = data;
	struct kit_calls *all = call->all;

	call->ended_ms = kit_now_ms();
	call->done = true;
	if (answer) {
		call->answer = *answer;
		snprintf(call->address, sizeof call->address, "%s",
			answer->address ? answer->address : "");
		call->answer.address = call->answer.provider_id = NULL;
	}
	if (err) {
		call->err = *err;
		all->failed++;
		printf("# %s\n", err->msg);
	}
	all->ended++;
	loop_stop(all->kit->loop);
}

static inline struct kit_call *kit_call(struct kit *kit, struct kit_calls *calls, const char *id)
{
	struct kit_call *call = &calls->calls[calls->len++];

	calls->kit = kit;
	char name[SANDBOX_ID_LEN + 1];
	snprintf(name, sizeof name, "%s", id);
	*call = (struct kit_call){ .started_ms = kit_now_ms(), .all = calls };
	memcpy(call->id, name, sizeof name);
	return call;
}

static inline struct kit_call *kit_make_from(
	struct kit *kit, struct kit_calls *calls, const struct provider_spec *from)
{
	struct provider_spec spec = *from;
	char id[SANDBOX_ID_LEN + 1];

	kit_new_id(id);
	struct kit_call *call = kit_call(kit, calls, spec.id ? spec.id : id);
	spec.id = call->id;
	spec.token = spec.token ? spec.token : kit_token;
	kit->provider->create(kit->provider, &spec, kit_done, call);
	return call;
}

static inline struct kit_call *kit_make(
	struct kit *kit, struct kit_calls *calls, const char *template)
{
	const struct provider_spec spec = { .template_id = template };

	return kit_make_from(kit, calls, &spec);
}

static inline struct kit_call *kit_remove(struct kit *kit, struct kit_calls *calls, const char *id)
{
	struct kit_call *call = kit_call(kit, calls, id);

	kit->provider->destroy(kit->provider, call->id, kit_done, call);
	return call;
}

/* Runs the loop until every call has been answered. */
static inline void kit_await(struct kit *kit, struct kit_calls *calls)
{
	while (calls->ended < calls->len)
		loop_run(kit->loop, NULL);
}

static inline void kit_wake(void *data)
{
	loop_stop(data);
}

static inline void kit_run_for(struct kit *kit, int64_t ms)
{
	struct loop_timer *timer = loop_timer_new(kit->loop, kit_wake, kit->loop);

	loop_timer_set(timer, ms);
	loop_run(kit->loop, NULL);
	loop_timer_free(timer);
}

/* Runs the loop until the provider has no job of its own left. */
static inline void kit_await_idle(struct kit *kit)
{
	struct loop_timer *timer = loop_timer_new(kit->loop, kit_wake, kit->loop);

	for (;;) {
		json_t *figures = kit->provider->figures(kit->provider);
		json_int_t jobs = json_integer_value(json_object_get(figures, "jobs"));
		json_decref(figures);
		if (jobs == 0)
			break;
		loop_timer_set(timer, 2);
		loop_run(kit->loop, NULL);
	}
	loop_timer_free(timer);
}

static inline int kit_compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

static inline double kit_median_ms(const struct kit_calls *calls)
{
	double times[KIT_CALLS_MAX];

	for (size_t i = 0; i < calls->len; i++)
		times[i] = calls->calls[i].ended_ms - calls->calls[i].started_ms;
	qsort(times, calls->len, sizeof *times, kit_compare);
	return calls->len ? times[calls->len / 2] : 0;
}

static inline double kit_slowest_ms(const struct kit_calls *calls)
{
	double most = 0;

	for (size_t i = 0; i < calls->len; i++) {
		double took = calls->calls[i].ended_ms - calls->calls[i].started_ms;
		most = took > most ? took : most;
	}
	return most;
}

static inline double kit_span_ms(const struct kit_calls *calls)
{
	double end = 0;

	for (size_t i = 0; i < calls->len; i++)
		end = calls->calls[i].ended_ms > end ? calls->calls[i].ended_ms : end;
	return calls->len ? end - calls->calls[0].started_ms : 0;
}

#endif
