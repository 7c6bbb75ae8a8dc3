#ifndef STAGE_H
#define STAGE_H

/*
 * The tree of a sandbox is put together in a mount namespace that only the starting runtime is
 * in, so nothing is ever mounted on the host, and all of it goes when the sandbox's last process
 * does. In the stage directory there are then
 *
 *	rootfs/  overlay of the template (ids shifted) and the sandbox's disk
 *	tools/   for /.sandbox
 *	token    for /run/sandbox/token
 *	resolv   for /etc/resolv.conf
 *	hosts    for /etc/hosts, with an allow-list
 */
#include <stdint.h>

enum { STAGE_LAYERS_MAX = 16 };

struct stage {
	const char *dir;                      /* the site's */
	const char *device; /* the disk's; NULL: ids cannot be shifted, and the disk is */
	const char *disk;   /* this directory */
	const char *layers[STAGE_LAYERS_MAX]; /* of the template, the uppermost first */
	int layers_len;
	const char *usr_mask; /* not NULL: the host's /usr below this layer is at /usr */
	const char *tools, *token, *resolv;
	const char *hosts; /* or NULL */
	int idmap;         /* of idmap_open() */
	uint32_t first;    /* id of root inside */

	const char *failed; /* the step that failed */
};

/* A proc_spec's `before`: `data` is the struct stage. */
int stage_set(void *data);

#endif
