/* Any pattern on any text: the same lines as by a plain search of each. */
#include "grep.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "regex.h"

#include "plain_grep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Compares line by line; gives up where the plain search does. */
static void compare(
	const pcre2_code *code, const char *text, size_t len, const struct grep_hits *hits)
{
	size_t hit = 0;

	for (size_t at = 0, number = 1; at < len; number++) {
		const char *newline = memchr(text + at, '\n', len - at);
		size_t end = newline ? (size_t)(newline - text) : len;
		int rc = plain_match(code, text + at, end - at);
		bool found = hit < hits->count && hits->lines[hit].number == number;

		if (rc < 0)
			return;
		if (found != (rc == 1))
			abort();
		hit += found;
		at = end + 1;
	}
	if (hit != hits->count)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *pattern = (const char *)data, *text = memchr(pattern, '\0', size);
	struct grep_hits hits;
	struct regex *regex;

	if (!text || size < 2)
		return 0;
	size_t len = (size_t)(text - pattern), text_len = size - len - 1;
	bool caseless = text_len & 1;
	if (regex_new(pattern, len, caseless ? REGEX_INSENSITIVE : REGEX_SENSITIVE, &regex, NULL))
		return 0;
	AUTO_CLOSE int fd = memfd_create("fuzz", MFD_CLOEXEC);
	const struct grep_options options = { .regex = regex, .matches_max = SIZE_MAX };
	struct grep *grep = grep_new(&options);
	pcre2_code *code = plain_compile(pattern, len, caseless);
	grep_hits_init(&hits);
	if (write(fd, text + 1, text_len) != (ssize_t)text_len || grep_file(grep, fd, &hits) < 0)
		abort();
	/* The plain search knows no encodings and no binary files. */
	if (hits.nul < 0 && hits.too_hard == 0 &&
		(text_len < 2 || !strchr("\xEF\xFF\xFE", text[1])))
		compare(code, text + 1, text_len, &hits);
	grep_hits_release(&hits);
	pcre2_code_free(code);
	grep_free(grep);
	regex_free(regex);
	return 0;
}
