#ifndef REVISION_H
#define REVISION_H

/* The revisions of MCP that are spoken, oldest first. */
#include <stdbool.h>
#include <stddef.h>

#define REVISION_MODERN "2026-07-28"
#define REVISION_LATEST_LEGACY "2025-11-25"
#define REVISION_ASSUMED "2025-03-26" /* where a client of the older eras does not say */

enum { REVISIONS = 5 };
extern const char *const revisions[REVISIONS];

/* The constant for a revision that is spoken, else NULL. */
const char *revision_find(const char *name);

/* Its place in `revisions`. */
size_t revision_index(const char *name);

/* Whether the revision has JSON-RPC batches (2025-03-26 only). */
bool revision_has_batches(const char *name);

/* Whether a client that lost the stream of a POST may come back for the rest (2025-11-25). */
bool revision_resumes(const char *name);

#endif
