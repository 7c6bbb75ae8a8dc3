#ifndef SITE_H
#define SITE_H

/*
 * What the engine found out about this machine when it was opened, and where it keeps what: the
 * programs that it runs, the control groups, the directories. Fixed afterwards; any thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "cgroup.h"

struct err;

enum {
	ID_BASE = 0x70000000, /* of slot 0, which is never used */
	ID_RANGE = 65536,     /* ids of one sandbox */
	SLOT_MAX = 32767,     /* its address is 127.83.<slot / 256>.<slot % 256> */
	USER_ID = 1000,       /* `user` inside */
};

struct site {
	char *data;      /* the data directory */
	char *boxes;     /* data/sandboxes */
	char *state;     /* data/oci: what the OCI runtime remembers */
	char *disks;     /* data/disks: formatted images */
	char *templates; /* data/templates */
	char *tools;     /* data/runtime/<version>: what is at /.sandbox inside */
	char *loader;    /* the name of the dynamic loader there */
	char *stage;     /* an empty directory that everybody may enter: trees are mounted there,
			    in mount namespaces of their own */
	char *runtime, *slirp, *nft, *mkfs; /* programs; NULL: not installed */
	struct cgroups cgroups;
	bool rootless; /* in a user namespace of an ordinary user: see rootless.h */
	uint16_t port; /* of the tool server */
};

struct site_options {
	const char *data_dir, *oci_runtime;
	uint16_t port;
};

/* Makes the directories and copies the tools. ERR_NOT_FOUND names what has to be installed,
 * ERR_DENIED says that it takes root. */
int site_open(const struct site_options *options, struct site *out, struct err *err);
void site_close(struct site *site);

/* The first id of a slot, as the manager sees it. Without rights of root all have the one range
 * that there is. */
static inline uint32_t site_first_id(const struct site *site, unsigned slot)
{
	return site->rootless ? 1 : ID_BASE + slot * (uint32_t)ID_RANGE;
}

#endif
