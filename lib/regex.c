#include "regex.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "regex_facts.h"
#include "utf8.h"

enum {
	/*
	 * One start of a match takes up to MATCH_LIMIT steps of a few nanoseconds, and a call
	 * tries up to SLICE starts: so it ends in seconds at worst, and in between is asked
	 * whether to go on.
	 */
	MATCH_LIMIT = 1000000,
	SLICE = 2048,
	HEAP_LIMIT_KIB = 32 << 10,
	STACK_START = 32 << 10,
	STACK_MAX = 4 << 20,
};

/* Filters that let through more than this much of what they see are none. */
#define RATE_MAX 0.02

#define OPTIONS (PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT)
#define UNICODE (PCRE2_UTF | PCRE2_UCP)

struct variant {
	_Atomic(pcre2_code *) code; /* NULL: not yet compiled */
	uint32_t options;
};

struct regex {
	char *pattern; /* what is compiled: as given, or without newlines */
	size_t len;
	struct variant variants[REGEX_BYTES + 1];
	pthread_mutex_t lock; /* while one of them is compiled */
	bool by_line, exact;
	struct literals *literals;
};

struct regex_scratch {
	pcre2_match_context *context;
	pcre2_match_data *data;
	pcre2_jit_stack *stack;
	bool (*interrupted)(void *data);
	void *interrupted_data;
};

static pcre2_code *compile(
	const char *pattern, size_t len, uint32_t options, int *code, size_t *offset)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);

	pcre2_set_newline(context, PCRE2_NEWLINE_LF);
	pcre2_code *compiled =
		pcre2_compile((PCRE2_SPTR)pattern, len, OPTIONS | options, code, offset, context);
	pcre2_compile_context_free(context);
	return compiled;
}

/* Whether a letter of the pattern, escapes aside, is upper case. */
static bool has_upper(const char *pattern, size_t len)
{
	AUTO_FREE char *plain = alloc_zero(len + 1);
	size_t n = 0, offset;
	int code;

	for (size_t i = 0; i < len; i++) {
		if (pattern[i] != '\\') {
			plain[n++] = pattern[i];
			continue;
		}
		i++;
		if (i < len && (pattern[i] == 'p' || pattern[i] == 'P') && pattern[++i] == '{')
			while (i < len && pattern[i] != '}')
				i++;
	}
	pcre2_code *upper = compile("\\p{Lu}", 6, PCRE2_UTF, &code, &offset);
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	bool found = pcre2_match(upper, (PCRE2_SPTR)plain, n, 0, 0, data, NULL) >= 0;
	pcre2_match_data_free(data);
	pcre2_code_free(upper);
	return found;
}

static int explain(struct err *err, const char *pattern, size_t len, int code, size_t offset)
{
	char message[160];
	size_t from = offset > 20 ? utf8_floor(pattern, offset - 20) : 0;
	size_t to = utf8_floor(pattern, offset + 20 < len ? offset + 20 : len);

	pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
	return err_set(err, ERR_INVALID, "bad pattern at byte %zu, near \"%.*s\": %s", offset + 1,
		(int)(to - from), pattern + from, message);
}

/* The variant for such text, compiled when first needed; NULL where it cannot be. */
static pcre2_code *variant(struct regex *regex, enum regex_text text)
{
	struct variant *v = &regex->variants[text];
	pcre2_code *code = atomic_load_explicit(&v->code, memory_order_acquire);
	size_t offset;
	int error;

	if (code)
		return code;
	pthread_mutex_lock(&regex->lock);
	code = atomic_load_explicit(&v->code, memory_order_relaxed);
	if (!code) {
		code = compile(regex->pattern, regex->len, v->options, &error, &offset);
		if (code) {
			/* Where it may not make code at run time, it interprets. */
			pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
			atomic_store_explicit(&v->code, code, memory_order_release);
		}
	}
	pthread_mutex_unlock(&regex->lock);
	return code;
}

/* Makes the analysis count; the pattern is known to be good. */
static int use_facts(struct regex *regex, uint32_t options, struct err *err)
{
	struct regex_facts facts;
	size_t offset;
	int code;

	if (regex_facts_init(&facts, regex->pattern, regex->len, options & PCRE2_CASELESS, err) < 0)
		return -1;
	pcre2_code *rewritten =
		facts.by_line ? NULL
			      : compile(facts.text.data ? facts.text.data : "", facts.text.len,
					UNICODE | options, &code, &offset);
	regex->by_line = !rewritten;
	if (rewritten) {
		pcre2_code_free(rewritten);
		free(regex->pattern);
		regex->pattern = buf_steal(&facts.text, &regex->len);
	}
	if (facts.count > 0 && literals_rate(facts.literals, facts.count) < RATE_MAX) {
		regex->literals = literals_new(facts.literals, facts.count);
		regex->exact = facts.exact;
	}
	regex_facts_release(&facts);
	return 0;
}

/*
 * Whether text of ASCII can do with bytes. Without UCP, but not with it, [:upper:] and [:lower:]
 * are both cases where case does not matter.
 */
static bool can_be_ascii(const char *pattern, size_t len)
{
	return is_ascii(pattern, len) && !memmem(pattern, len, "upper:]", 7) &&
	       !memmem(pattern, len, "lower:]", 7);
}

int regex_new(
	const char *pattern, size_t len, enum regex_case how, struct regex **out, struct err *err)
{
	uint32_t options = 0;
	size_t offset;
	int code;

	if (len > REGEX_MAX)
		return err_set(err, ERR_LIMIT, "a pattern may have %d bytes, this one has %zu",
			REGEX_MAX, len);
	if (how == REGEX_INSENSITIVE || (how == REGEX_SMART && !has_upper(pattern, len)))
		options = PCRE2_CASELESS;
	pcre2_code *given = compile(pattern, len, UNICODE | options, &code, &offset);
	if (!given)
		return explain(err, pattern, len, code, offset);
	pcre2_code_free(given);

	struct regex *regex = alloc_zero(sizeof *regex);
	regex->pattern = alloc_textn(pattern, len);
	regex->len = len;
	pthread_mutex_init(&regex->lock, NULL);
	if (use_facts(regex, options, err) < 0) {
		regex_free(regex);
		return -1;
	}
	regex->variants[REGEX_UTF8].options = UNICODE | options;
	regex->variants[REGEX_BYTES].options = UNICODE | options | PCRE2_MATCH_INVALID_UTF;
	regex->variants[REGEX_ASCII].options = options;
	if (!can_be_ascii(pattern, len) || !variant(regex, REGEX_ASCII))
		regex->variants[REGEX_ASCII].options = UNICODE | options;
	*out = regex;
	return 0;
}

void regex_free(struct regex *regex)
{
	if (!regex)
		return;
	for (unsigned i = 0; i <= REGEX_BYTES; i++)
		pcre2_code_free(atomic_load(&regex->variants[i].code));
	pthread_mutex_destroy(&regex->lock);
	literals_free(regex->literals);
	free(regex->pattern);
	free(regex);
}

bool regex_by_line(const struct regex *regex)
{
	return regex->by_line;
}

const struct literals *regex_literals(const struct regex *regex, bool *exact)
{
	*exact = regex->exact;
	return regex->literals;
}

/* ---- Matching ---- */

struct regex_scratch *regex_scratch_new(bool (*interrupted)(void *data), void *data)
{
	struct regex_scratch *scratch = alloc_zero(sizeof *scratch);

	scratch->context = pcre2_match_context_create(NULL);
	scratch->data = pcre2_match_data_create(1, NULL);
	scratch->stack = pcre2_jit_stack_create(STACK_START, STACK_MAX, NULL);
	if (!scratch->context || !scratch->data)
		abort();
	pcre2_set_match_limit(scratch->context, MATCH_LIMIT);
	pcre2_set_heap_limit(scratch->context, HEAP_LIMIT_KIB);
	if (scratch->stack)
		pcre2_jit_stack_assign(scratch->context, NULL, scratch->stack);
	scratch->interrupted = interrupted;
	scratch->interrupted_data = data;
	return scratch;
}

void regex_scratch_free(struct regex_scratch *scratch)
{
	if (!scratch)
		return;
	pcre2_jit_stack_free(scratch->stack);
	pcre2_match_data_free(scratch->data);
	pcre2_match_context_free(scratch->context);
	free(scratch);
}

enum regex_text regex_text_of(const char *bytes, size_t len)
{
	if (is_ascii(bytes, len))
		return REGEX_ASCII;
	return utf8_valid_prefix(bytes, len) == len ? REGEX_UTF8 : REGEX_BYTES;
}

enum regex_found regex_find(struct regex *regex, struct regex_scratch *scratch, const char *bytes,
	size_t len, size_t start, enum regex_text text, size_t *at)
{
	const pcre2_code *code = variant(regex, text);
	uint32_t options = text == REGEX_BYTES ? 0 : PCRE2_NO_UTF_CHECK;

	if (!code)
		return REGEX_TOO_HARD;
	for (;;) {
		size_t next = start + SLICE;

		/* The next slice begins with a character. */
		while (next < len && (bytes[next] & 0xC0) == 0x80)
			next++;
		pcre2_set_offset_limit(scratch->context, next > len ? len : next - 1);
		int rc = pcre2_match(code, (PCRE2_SPTR)bytes, len, start, options, scratch->data,
			scratch->context);
		if (rc >= 0) {
			*at = pcre2_get_ovector_pointer(scratch->data)[0];
			return REGEX_YES;
		}
		if (rc != PCRE2_ERROR_NOMATCH)
			return REGEX_TOO_HARD;
		if (next > len)
			return REGEX_NO;
		if (scratch->interrupted && scratch->interrupted(scratch->interrupted_data))
			return REGEX_INTERRUPTED;
		start = next;
	}
}
