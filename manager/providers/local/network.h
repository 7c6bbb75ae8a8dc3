#ifndef NETWORK_H
#define NETWORK_H

/*
 * The way out of a sandbox: slirp4netns in its network namespace, and rules there which the
 * sandbox cannot change, for it has no right over them. Blocking; any thread.
 */
#include <sys/types.h>

struct err;
struct record;
struct site;

/*
 * Starts slirp4netns for the namespace of process `pid`: `helper` is a descriptor of it, a child
 * of ours, and `ready` one to wait with. Both are -1 where the sandbox is to have no network.
 */
int network_start(const struct site *site, const struct record *record, pid_t pid, int *helper,
	int *ready, struct err *err);

/* Waits until there is a network; closes `ready`. */
int network_await(int ready, struct err *err);

/* Sets the rules, which is done before anything of the sandbox runs. `init` is its first
 * process. */
int network_set_rules(
	const struct site *site, const struct record *record, int init, struct err *err);

/* The helper of a sandbox that an earlier manager started; -1: none. The caller owns it. */
int network_find_helper(const char *id);

/* Ends a helper and reaps it where it is ours. */
void network_stop(int helper);

/* Writes what the sandbox's /etc/resolv.conf and, with an allow-list, /etc/hosts say, to `resolv`
 * and `hosts` of its directory. Looks names up. */
int network_write_files(const struct record *record, const char *dir, struct err *err);

/* Keeps the sandbox out of the networks that the host is in by now. `init` is the sandbox's. */
int network_refresh_own(const struct site *site, int init, struct err *err);

/* Looks the names of an allow-list up again, and lets in what is new. `init` is the sandbox's. */
int network_refresh(
	const struct site *site, const struct record *record, int init, struct err *err);

#endif
