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
 * Sets up the namespace of process `pid` before anything of the sandbox runs there; `pidfd` is
 * the same process. `helper` becomes a descriptor of slirp4netns, or -1 where the sandbox has no
 * network; its process is a child of ours.
 */
int network_start(const struct site *site, const struct record *record, pid_t pid, int pidfd,
	int *helper, struct err *err);

/* The helper of a sandbox that an earlier manager started; -1: none. The caller owns it. */
int network_find_helper(const char *id);

/* Ends a helper and reaps it where it is ours. */
void network_stop(int helper);

/* What a sandbox's /etc/resolv.conf says. */
const char *network_resolv(const struct record *record);

#endif
