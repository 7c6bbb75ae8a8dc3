#ifndef BOX_H
#define BOX_H

/*
 * One sandbox on disk and in the kernel: made, started, frozen, ended, removed. Each of these
 * can be called again after a crash at any instruction of an earlier one. They block; any
 * thread, as each holds the lock of the sandbox's directory, which the runtime inherits.
 *
 *	<data>/sandboxes/<id>/spec.json    what it is (record.h)
 *	                      disk.img     its files
 *	                      token        its tool server's, readable by its user
 *	                      config.json  for the OCI runtime
 *	                      init         its first process: pid, start time, boot; there
 *	                                   from when it answers until it is to end
 */
#include <stdbool.h>
#include <sys/types.h>

#include "provider.h"
#include "record.h"

struct err;
struct site;

/* The processes of a sandbox that runs. */
struct live {
	int init;   /* pidfd of its first process; -1: it does not run */
	int helper; /* pidfd of slirp4netns; -1: none */
};

#define LIVE_NONE      \
	{              \
		-1, -1 \
	}

/* Makes and starts it; the tool server answers when this returns. Finds what an earlier call
 * left, and goes on. After a failure nothing is left. */
int box_make(const struct site *site, struct record *record, const char *token, struct live *live,
	struct err *err);

/* Starts one that does not run. */
int box_start(
	const struct site *site, const struct record *record, struct live *live, struct err *err);

/* Ends its processes (`live` is released) and keeps its files. */
int box_stop(const struct site *site, const char *id, struct live *live, struct err *err);

/* The same, and removes its files. None of that id is no error. */
int box_remove(const struct site *site, const char *id, struct live *live, struct err *err);

/* Gives one that runs another way out, after its helper ended. `helper` is the caller's. */
int box_connect(const struct site *site, const struct record *record, int *helper, struct err *err);

/* Writes down that it was handed out. */
int box_claim(const struct site *site, struct record *record, struct err *err);

/* Its processes, by the kernel's word; where it does not run, LIVE_NONE. */
void box_find(const struct site *site, const char *id, struct live *live);

/* The first process of the sandbox in a directory, also of one that a manager was making when it
 * was killed: the runtime may still be at work, and is waited for. Whether that pid has been used
 * again is for the caller to find out; -1: there is none. */
pid_t box_await_pid(const char *dir);

void live_release(struct live *live);

/* Whether anything of it is on the disk: until it is not, its ids may be in use. */
bool box_remains(const struct site *site, const char *id);

#endif
