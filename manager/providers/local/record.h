#ifndef RECORD_H
#define RECORD_H

/*
 * What is known of one sandbox on disk, in spec.json of its directory: written before anything
 * else of it is there, so that whatever a crash leaves has a name and a slot.
 */
#include <jansson.h>
#include <stdbool.h>

#include "provider.h"

struct err;

enum { TEMPLATE_NAME_MAX = 63 };

struct record {
	char id[SANDBOX_ID_LEN + 1];
	unsigned slot;
	char template[TEMPLATE_NAME_MAX + 1];
	struct sandbox_limits limits;
	enum network network;
	json_t *allow, *envs; /* NULL: none */
	bool made;            /* create() has succeeded: its files are worth keeping */
	bool pooled;          /* prepared, not handed out yet */
};

/* From a request; ERR_INVALID says what is wrong with it. `out` is released by the caller. */
int record_from(const struct provider_spec *spec, const struct sandbox_limits *defaults,
	struct record *out, struct err *err);

/* Reads `dir`/spec.json. ERR_NOT_FOUND: there is none. */
int record_load(const char *dir, struct record *out, struct err *err);

/* On disk when this returns; an old one is replaced as a whole. */
int record_save(const struct record *record, const char *dir, struct err *err);

void record_copy(const struct record *from, struct record *to);
void record_release(struct record *record);

/* Whether a prepared sandbox made to `have` is what `want` asks for, but for id and slot. */
bool record_fits(const struct record *have, const struct record *want);

#endif
