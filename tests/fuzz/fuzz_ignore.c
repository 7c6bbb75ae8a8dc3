/* Any ignore file on any path: an index gives the same as one rule after the other. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cleanup.h"
#include "rules.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum verdict verdict_of(const char *text, size_t len, const struct rule_name *name)
{
	struct rules *rules = rules_new();

	rules_add_file(rules, text, len);
	rules_seal(rules);
	enum verdict verdict = rules_match(rules, name, 0);
	rules_free(rules);
	return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *path = memchr(text, '\0', size);
	enum verdict last = VERDICT_NONE;
	struct rule_name name;

	if (!path)
		return 0;
	size_t len = (size_t)(path - text), path_len = size - len - 1;
	rule_name_init(&name, path + 1, path_len, path_len & 1);
	enum verdict verdict = verdict_of(text, len, &name);
	for (size_t at = 0; at < len;) {
		const char *newline = memchr(text + at, '\n', len - at);
		size_t end = newline ? (size_t)(newline + 1 - text) : len;

		if (utf8_valid_prefix(text + at, end - at) < end - at)
			break;
		/* A mark of byte order is one only where the file begins. */
		if (at == 0 || end - at < 3 || memcmp(text + at, "\xEF\xBB\xBF", 3) != 0) {
			enum verdict one = verdict_of(text + at, end - at, &name);
			last = one != VERDICT_NONE ? one : last;
		} else {
			return 0;
		}
		at = end;
	}
	if (last != verdict)
		abort();
	return 0;
}
