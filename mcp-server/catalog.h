#ifndef CATALOG_H
#define CATALOG_H

/*
 * What the server says about itself: made once at the start from the descriptors, sent as
 * ready-made bytes. Loop thread.
 */
#include <jansson.h>
#include <stdbool.h>

struct catalog;
struct err;

/* ERR_INTERNAL names the descriptor whose JSON does not parse. `workspace` goes into the
 * instructions. */
int catalog_new(const char *workspace, struct catalog **out, struct err *err);
void catalog_free(struct catalog *catalog);

/* The result of `initialize`; new reference. */
json_t *catalog_initialize(const struct catalog *catalog, const char *revision);

/* The descriptors as tools/list has them; borrowed. */
const json_t *catalog_tools(const struct catalog *catalog);

#endif
