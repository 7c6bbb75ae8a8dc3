#include "file_uri.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "err.h"

#define SCHEME "file:"
#define LOCALHOST "localhost"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "%XX" stands for; -1 where it is none. */
static int unescape(const char *at, const char *end)
{
	int high = end - at >= 3 ? hex_digit(at[1]) : -1;
	int low = end - at >= 3 ? hex_digit(at[2]) : -1;

	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Past the scheme and the authority; NULL with a sentence where they are not those of a local
 * file. */
static const char *find_path(const char *uri, const char *end, struct err *err)
{
	const char *at = uri + strlen(SCHEME);

	if (end - uri < (ptrdiff_t)strlen(SCHEME) ||
		strncasecmp(uri, SCHEME, strlen(SCHEME)) != 0) {
		err_set(err, ERR_INVALID, "the URI of a file begins with file:///");
		return NULL;
	}
	if (end - at >= 2 && at[0] == '/' && at[1] == '/') {
		at += 2;
		const char *slash = memchr(at, '/', (size_t)(end - at));
		size_t host = (size_t)((slash ? slash : end) - at);
		if (host > 0 &&
			(host != strlen(LOCALHOST) || strncasecmp(at, LOCALHOST, host) != 0)) {
			err_set(err, ERR_INVALID,
				"the URI names another host: files here begin with file:///");
			return NULL;
		}
		at += host;
	}
	if (at == end || *at != '/') {
		err_set(err, ERR_INVALID, "the URI has no absolute path: file:///path is expected");
		return NULL;
	}
	return at;
}

/* Bytes above ASCII pass as they are (RFC 3987): clients send names as users write them. */
static int decode(const char *at, const char *end, struct buf *path, struct err *err)
{
	for (; at < end; at++) {
		int c = (unsigned char)*at;
		if (c == '%') {
			c = unescape(at, end);
			at += 2;
			if (c < 0)
				return err_set(err, ERR_INVALID,
					"the URI has a '%%' that two hexadecimal digits do not follow: "
					"%%25 is a percent sign");
			if (c == 0 || c == '/')
				return err_set(err, ERR_INVALID,
					"the URI has %%%02X in it: no file's name holds that character",
					(unsigned)c);
		} else if (c == '?' || c == '#') {
			return err_set(err, ERR_INVALID,
				"the URI of a file has no query and no fragment: write %%%02X for '%c'",
				(unsigned)c, c);
		} else if (c < 0x20 || c == 0x7F) {
			return err_set(err, ERR_INVALID,
				"the URI has a control character in it: write it as %%%02X",
				(unsigned)c);
		}
		if (buf_add_char(path, (char)c) < 0)
			return err_set(err, ERR_LIMIT, "the URI's path is longer than %zu bytes",
				path->max);
	}
	return 0;
}

int file_uri_path(const char *uri, size_t len, struct buf *path, struct err *err)
{
	size_t before = path->len;
	const char *at = find_path(uri, uri + len, err);

	if (!at)
		return -1;
	if (decode(at, uri + len, path, err) < 0) {
		buf_truncate(path, before);
		return -1;
	}
	return 0;
}

/* RFC 3986, section 3.3: pchar and the slash. */
static bool is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("-._~!$&'()*+,;=:@/", c));
}

int file_uri_add_part(struct buf *out, const char *path, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)path[i];
		char escaped[3] = { '%', digits[c >> 4], digits[c & 15] };
		bool plain = is_plain(c);
		if (buf_add(out, plain ? path + i : escaped, plain ? 1 : 3) < 0)
			return -1;
	}
	return 0;
}

int file_uri_add(struct buf *out, const char *path, size_t len)
{
	if (buf_add_text(out, SCHEME "//") < 0)
		return -1;
	return file_uri_add_part(out, path, len);
}
