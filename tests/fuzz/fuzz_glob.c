/* Any glob on any path: the same as a plain matcher that tries everything, where that ends. */
#include "glob.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "glob_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t steps;

/* Whether the tokens from `t` on match all of `path`; -1 where it takes too long. */
static int plain(const struct glob_tokens *all, size_t t, const char *path, size_t len, bool alone)
{
	const struct glob_token *token = &all->at[t];
	bool rest = token->kind == GLOB_REST, dirs = token->kind == GLOB_ANY_DIRS;

	if (++steps > 20000)
		return -1;
	if (t == all->count)
		return len == 0;
	if (rest || token->kind == GLOB_SOME_DIRS) {
		if (len == 0 || path[0] != '/')
			return 0;
		if (rest)
			return t + 1 == all->count ? 1 : -1;
		path++, len--;
		dirs = true;
	}
	if (dirs && alone)
		return 1;
	if (dirs || token->kind == GLOB_STAR) {
		for (size_t i = 0; i <= len; i++) {
			if (!dirs || i == 0 || path[i - 1] == '/') {
				int rc = plain(all, t + 1, path + i, len - i, false);
				if (rc)
					return rc;
			}
			if (!dirs && i < len && path[i] == '/')
				return 0;
		}
		return 0;
	}
	if (len == 0)
		return 0;
	bool fits = token->kind == GLOB_LITERAL ? (uint8_t)path[0] == token->byte
		    : token->kind == GLOB_ANY
			    ? path[0] != '/'
			    : byteset_has(&all->sets[token->set], (unsigned char)path[0]);
	return fits ? plain(all, t + 1, path + 1, len - 1, false) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *newline = memchr(text, '\n', size);
	size_t len = newline ? (size_t)(newline - text) : size;
	const char *path = text + len + (newline != NULL);
	size_t path_len = size - len - (newline != NULL);
	struct glob_tokens tokens = { 0 };
	struct glob *glob;

	if (glob_new(text, len, &glob, NULL) == 0) {
		bool have = glob_match(glob, path, path_len);
		steps = 0;
		if (!memchr(text, '{', len) && glob_parse(text, len, &tokens, NULL) == 0) {
			bool alone = tokens.count == 1 && tokens.at[0].kind == GLOB_ANY_DIRS;
			int want = plain(&tokens, 0, path, path_len, alone);
			if (want >= 0 && want != have)
				abort();
		}
		glob_tokens_release(&tokens);
		glob_free(glob);
	}
	return 0;
}
