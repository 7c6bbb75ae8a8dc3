#ifndef CGROUP_H
#define CGROUP_H

/*
 * The control groups of sandboxes: which hierarchies this machine has, and reading and writing
 * one sandbox's group, whose path is /sandbox/<id> in each. v1, v2 and both at once.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

enum cgroup_kind {
	CGROUP_NONE, /* none can be written here: no limits */
	CGROUP_V1,   /* controllers in hierarchies of their own; perhaps a v2 without any */
	CGROUP_V2,
};

struct cgroups {
	enum cgroup_kind kind;
	bool hybrid; /* a v2 beside v1 */
	bool memory, swap, cpu, pids, devices, freezer; /* what can be limited */
};

void cgroups_probe(struct cgroups *out);

/* Freezes or thaws all its processes and waits until that is so. */
int cgroup_freeze(const struct cgroups *cgroups, const char *id, bool frozen, struct err *err);

/* Whether they are frozen, or about to be; false also where there is no such group. */
bool cgroup_frozen(const struct cgroups *cgroups, const char *id);

/* Bytes of memory that are charged to it; -1: not known. */
int64_t cgroup_memory(const struct cgroups *cgroups, const char *id);

/* Kills what runs in it and removes it, in each hierarchy. No group is no error. */
int cgroup_remove(const struct cgroups *cgroups, const char *id, struct err *err);

#endif
