#ifndef MIME_H
#define MIME_H

/* Media types of files (RFC 6838), by what they begin with or by what they are called. */
#include <stddef.h>

enum { MIME_HEAD_BYTES = 512 }; /* as much of a file as mime_by_content() looks at */

/* From the first bytes; NULL where nothing known begins like that. All known are binary. */
const char *mime_by_content(const char *head, size_t len);

/* From the extension of a path, whatever its case; NULL where it tells nothing. */
const char *mime_by_name(const char *path, size_t len);

#endif
