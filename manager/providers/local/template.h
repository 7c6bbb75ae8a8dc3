#ifndef TEMPLATE_H
#define TEMPLATE_H

/*
 * What sandboxes are made from: directories below data/templates/<name>. `rootfs`, one whole
 * tree; or `layers`, a file with one directory (of that folder) a line, the uppermost first. And
 * `host`, which the engine makes from this machine itself.
 */
#include <stdbool.h>

#include "stage.h"

struct err;
struct site;

struct template
{
	char *layers[STAGE_LAYERS_MAX];
	int layers_len;
	char *usr_mask; /* only of `host` */
};

/* ERR_NOT_FOUND names the template. Blocking; any thread. */
int template_find(const struct site *site, const char *name, struct template *out, struct err *err);
void template_release(struct template *template);

#endif
