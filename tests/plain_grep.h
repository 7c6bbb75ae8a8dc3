#ifndef PLAIN_GREP_H
#define PLAIN_GREP_H

/*
 * The plainest search for lines: each by itself, with the pattern as it is. What the real one
 * finds by filters, with several forms of the pattern and many lines at once, has to agree.
 * (PCRE2's interpreter would not do: it knows no end of a line behind bytes that are no UTF-8.)
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

static inline pcre2_code *plain_compile(const char *pattern, size_t len, bool caseless)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	uint32_t options = PCRE2_MULTILINE | PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF |
			   PCRE2_NEVER_BACKSLASH_C | (caseless ? PCRE2_CASELESS : 0);
	size_t offset;
	int error;

	pcre2_set_newline(context, PCRE2_NEWLINE_LF);
	pcre2_code *code =
		pcre2_compile((PCRE2_SPTR)pattern, len, options, &error, &offset, context);
	pcre2_compile_context_free(context);
	if (code)
		pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	return code;
}

/* 1 a match, 0 none, -1 too much backtracking. */
static inline int plain_match(const pcre2_code *code, const char *line, size_t len)
{
	pcre2_match_context *context = pcre2_match_context_create(NULL);
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);

	pcre2_set_match_limit(context, 100000);
	int rc = pcre2_match(code, (PCRE2_SPTR)line, len, 0, 0, data, context);
	pcre2_match_data_free(data);
	pcre2_match_context_free(context);
	return rc >= 0 ? 1 : rc == PCRE2_ERROR_NOMATCH ? 0 : -1;
}

#endif
