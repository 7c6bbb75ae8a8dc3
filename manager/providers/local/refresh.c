/*
 * What rules of running sandboxes are made of changes: the networks that the host is in, of which
 * the kernel tells, and what names of allow-lists stand for, which is looked up now and then.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "local.h"
#include "loop.h"
#include "network.h"
#include "worker.h"

enum { REFRESH_MS = 60 * 1000 };

struct job {
	struct local *local;
	enum refresh what;
	struct record record; /* a copy */
	int init;             /* a descriptor of ours */
	bool failed;
};

static void run(void *data)
{
	struct job *job = data;
	const struct site *site = &job->local->site;
	int result = job->what == REFRESH_OWN
			     ? network_refresh_own(site, job->init, NULL)
			     : network_refresh(site, &job->record, job->init, NULL);

	job->failed = result < 0;
}

static void job_free(struct job *job)
{
	cleanup_close(&job->init);
	record_release(&job->record);
	free(job);
}

static void go(struct local *local, enum refresh what);

/* What failed is tried again in a minute; until then the old rules hold. */
static void finish(void *data)
{
	struct job *job = data;
	struct local *local = job->local;
	enum refresh what = job->what;
	struct sandbox *sandbox = table_find(&local->table, job->record.id);

	if (sandbox && !job->failed && sandbox->refresh[what] == REFRESH_TRIED)
		sandbox->refresh[what] = REFRESH_DONE;
	job_free(job);
	local->refreshing[what] = false;
	go(local, what);
}

static void start(struct sandbox *sandbox, enum refresh what)
{
	struct local *local = sandbox->local;
	struct job *job = alloc_zero(sizeof *job);

	*job = (struct job){ .local = local, .what = what, .failed = true };
	record_copy(&sandbox->record, &job->record);
	job->init = fcntl(sandbox->live.init, F_DUPFD_CLOEXEC, 0);
	sandbox->refresh[what] = REFRESH_TRIED;
	if (job->init >= 0 && worker_submit(local->setup.workers, run, finish, job, NULL) == 0)
		local->refreshing[what] = true;
	else
		job_free(job);
}

static bool is_due(const struct sandbox *sandbox, enum refresh what)
{
	return sandbox->refresh[what] == REFRESH_DUE && sandbox->live.init >= 0 && !sandbox->job;
}

static void go(struct local *local, enum refresh what)
{
	for (struct sandbox *at = table_next(&local->table, NULL); at && !local->refreshing[what];
		at = table_next(&local->table, at))
		if (is_due(at, what))
			start(at, what);
}

void refresh_go(struct local *local)
{
	go(local, REFRESH_OWN);
	go(local, REFRESH_NAMES);
}

static void on_timer(void *data)
{
	struct local *local = data;

	for (struct sandbox *at = table_next(&local->table, NULL); at;
		at = table_next(&local->table, at)) {
		if (at->refresh[REFRESH_OWN] == REFRESH_TRIED)
			at->refresh[REFRESH_OWN] = REFRESH_DUE;
		if (!at->record.made && !at->job) /* what could not be made, nor removed */
			job_ask(at, WISH_GONE, NULL, NULL, NULL, NULL);
		if (at->record.network == NETWORK_ALLOW)
			at->refresh[REFRESH_NAMES] = REFRESH_DUE;
	}
	refresh_go(local);
	loop_timer_set(local->lookups, REFRESH_MS);
}

/* Also those that are being started: their rules may be older than the change. */
static void on_addresses(unsigned events, void *data)
{
	struct local *local = data;
	char messages[8192];

	(void)events;
	while (recv(local->addresses_fd, messages, sizeof messages, 0) > 0 || errno == ENOBUFS)
		; /* what changed is looked for anew */
	for (struct sandbox *at = table_next(&local->table, NULL); at;
		at = table_next(&local->table, at))
		if (at->record.network != NETWORK_NONE)
			at->refresh[REFRESH_OWN] = REFRESH_DUE;
	refresh_go(local);
}

static int watch_addresses(struct local *local, struct err *err)
{
	const struct sockaddr_nl address = { .nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR };
	AUTO_CLOSE int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		return err_sys(err, "watch the addresses of this machine");
	if (loop_io_new(local->setup.loop, fd, EPOLLIN, on_addresses, local, &local->addresses,
		    err) < 0)
		return -1;
	local->addresses_fd = steal_fd(&fd);
	return 0;
}

int refresh_open(struct local *local, struct err *err)
{
	local->lookups = loop_timer_new(local->setup.loop, on_timer, local);
	loop_timer_set(local->lookups, REFRESH_MS);
	return watch_addresses(local, err);
}

void refresh_close(struct local *local)
{
	loop_timer_free(local->lookups);
	loop_io_free(local->addresses);
	cleanup_close(&local->addresses_fd);
}
