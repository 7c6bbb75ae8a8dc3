#ifndef RUNTIME_H
#define RUNTIME_H

/* The OCI runtime (runc, crun or one that takes the same arguments), a command at a time. */
#include <sys/types.h>

struct cgroups;
struct err;
struct site;
struct stage;

/* Why the runtime at `path` cannot make sandboxes on this machine, and what to do; NULL: nothing is
 * known against it. */
const char *runtime_unfit(const char *path, const struct cgroups *cgroups);

/*
 * Makes the container `id` of the bundle `dir`, in the tree of `stage`; its first process waits,
 * and is `pid`. The runtime inherits `lock`, so that it is known to be at work should we end.
 */
int runtime_create(const struct site *site, const char *id, const char *dir, struct stage *stage,
	int lock, pid_t *pid, struct err *err);

/* Lets the first process go. */
int runtime_start(
	const struct site *site, const char *id, const char *dir, int lock, struct err *err);

/* Kills what runs and forgets the container. None of that id is no error. */
int runtime_delete(
	const struct site *site, const char *id, const char *dir, int lock, struct err *err);

#endif
