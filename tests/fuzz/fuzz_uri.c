/* Any URI: what is taken is an absolute path without NUL, and its own URI leads back to it. */
#include "file_uri.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

enum { MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf path = BUF_INIT(MAX);
	AUTO_BUF struct buf uri = BUF_INIT(sizeof "file://" + 3 * MAX);
	AUTO_BUF struct buf again = BUF_INIT(MAX);

	if (file_uri_path((const char *)data, size, &path, NULL) < 0) {
		if (path.len > 0)
			abort();
		return 0;
	}
	if (path.len == 0 || path.data[0] != '/' || memchr(path.data, '\0', path.len))
		abort();
	if (file_uri_add(&uri, path.data, path.len) < 0 ||
		file_uri_path(uri.data, uri.len, &again, NULL) < 0)
		abort();
	if (again.len != path.len || memcmp(again.data, path.data, path.len) != 0)
		abort();
	return 0;
}
