#ifndef FILE_URI_H
#define FILE_URI_H

/*
 * URIs of local files (RFC 8089, RFC 3986): strict where they come in, minimal where they go
 * out. What a path leads to is decided by path.h, never by looking at the URI. Pure functions.
 */
#include <stddef.h>

struct buf;
struct err;

/*
 * Appends the absolute path that "file:///path", "file://localhost/path" or "file:/path" stands
 * for. ERR_INVALID: another host or scheme, a query or fragment, a control character, a
 * malformed escape, an escaped slash or NUL; ERR_LIMIT: the path does not fit.
 */
int file_uri_path(const char *uri, size_t len, struct buf *path, struct err *err);

/* Appends the URI of an absolute path; bytes that a URI's path cannot hold are escaped. -1 where
 * it does not fit. */
int file_uri_add(struct buf *out, const char *path, size_t len);

/* Appends what follows in the URI for one more component or several, without "file://". */
int file_uri_add_part(struct buf *out, const char *path, size_t len);

#endif
