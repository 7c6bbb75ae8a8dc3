/* Any text: what is read is what jansson reads, and what is refused jansson refuses, too. */
#include "json_reader.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct json_limits limits = {
		.depth = 2000, .string = 1 << 20, .number = 1000
	};
	const char *text = (const char *)data;
	json_auto_t *value = json_read(text, size, &limits, NULL);
	json_auto_t *expected =
		json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

	if (value && (!expected || !json_equal(value, expected)))
		abort();
	/* jansson passes over a NUL in places, and knows no limits but its own depth. */
	if (!value && expected && size < limits.number && !memchr(data, '\0', size))
		abort();
	return 0;
}
