#include "rules.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "err.h"
#include "glob.h"
#include "utf8.h"

enum { NONE = UINT32_MAX };

struct rule {
	struct glob *glob;
	uint32_t next; /* the one before it in its bucket, or NONE */
	bool keep, only_dir;
};

/* Rules by the hash of their literal; a bucket's chain goes from the last to the first. */
struct index {
	uint32_t *heads;
	uint32_t mask;
};

struct rules {
	struct rule *at;
	size_t count, cap, size;
	bool has_ignore;
	struct index names, extensions;
	uint32_t *others; /* the rules that no index has, in order */
	size_t other_count;
};

/* FNV-1a. */
static uint32_t hash(const char *bytes, size_t len)
{
	uint32_t h = 2166136261U;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)bytes[i]) * 16777619U;
	return h;
}

void rule_name_init(struct rule_name *name, const char *path, size_t len, bool is_dir)
{
	const char *slash = memrchr(path, '/', len);
	size_t base = slash ? (size_t)(slash + 1 - path) : 0;
	const char *dot = memrchr(path + base, '.', len - base);

	*name = (struct rule_name){ .path = path, .len = len, .name = base, .is_dir = is_dir };
	name->extension = dot ? (size_t)(dot - path) : len;
	name->name_hash = hash(path + base, len - base);
	name->extension_hash = hash(path + name->extension, len - name->extension);
}

struct rules *rules_new(void)
{
	struct rules *rules = alloc_zero(sizeof *rules);

	rules->size = sizeof *rules;
	return rules;
}

void rules_free(struct rules *rules)
{
	if (!rules)
		return;
	for (size_t i = 0; i < rules->count; i++)
		glob_free(rules->at[i].glob);
	free(rules->at);
	free(rules->names.heads);
	free(rules->extensions.heads);
	free(rules->others);
	free(rules);
}

/* ---- Reading ---- */

static size_t without_end_blanks(const char *line, size_t len)
{
	if (len >= 2 && line[len - 2] == '\\' && line[len - 1] == ' ')
		return len;
	while (len > 0 && strchr(" \t\r\n\v\f", line[len - 1]))
		len--;
	return len;
}

/* The glob of a line that is stripped of its marks: one without a slash matches at any depth,
 * one that ends in a double star nothing but what is below. */
static int add_glob(struct rules *rules, const char *text, size_t len, bool anchored,
	struct rule rule, struct err *err)
{
	bool any_depth =
		!anchored && !memchr(text, '/', len) && !(len == 2 && memcmp(text, "**", 2) == 0);
	AUTO_BUF struct buf glob = BUF_INIT(len + 8);

	if (any_depth)
		buf_add_text(&glob, "**/");
	buf_add(&glob, text, len);
	if (glob.len >= 3 && memcmp(glob.data + glob.len - 3, "/**", 3) == 0)
		buf_add_text(&glob, "/*");
	if (glob_new(glob.data ? glob.data : "", glob.len, &rule.glob, err) < 0) {
		/* Told of the text as it was given: places are counted in that. */
		if (glob_new(text, len, &rule.glob, err) == 0)
			glob_free(rule.glob);
		return -1;
	}
	if (rules->count == rules->cap) {
		rules->cap = rules->cap ? 2 * rules->cap : 8;
		rules->at = alloc_grow(rules->at, rules->cap * sizeof *rules->at);
	}
	rules->at[rules->count++] = rule;
	rules->has_ignore |= !rule.keep;
	rules->size += 2 * sizeof rule + glob_size(rule.glob);
	return 0;
}

int rules_add(struct rules *rules, const char *line, size_t len, struct err *err)
{
	struct rule rule = { .next = NONE };
	bool anchored = false;

	if (len > 0 && line[0] == '#')
		return 0;
	len = without_end_blanks(line, len);
	if (len == 0)
		return 0;
	if (len >= 2 && line[0] == '\\' && (line[1] == '!' || line[1] == '#')) {
		line++, len--;
	} else {
		if (line[0] == '!') {
			rule.keep = true;
			line++, len--;
		}
		if (len > 0 && line[0] == '/') {
			anchored = true;
			line++, len--;
		}
	}
	if (len > 0 && line[len - 1] == '/') {
		rule.only_dir = true;
		len--;
	}
	return add_glob(rules, line, len, anchored, rule, err);
}

void rules_add_file(struct rules *rules, const char *text, size_t len)
{
	if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		text += 3, len -= 3;
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len, line = n;

		if (utf8_valid_prefix(text, n) < n)
			return;
		if (end && line > 0 && text[line - 1] == '\r')
			line--;
		rules_add(rules, text, line, NULL);
		n += end != NULL;
		text += n;
		len -= n;
	}
}

static void index_init(struct index *index, size_t count)
{
	size_t size = 4;

	while (size < 2 * count)
		size += size;
	index->heads = alloc_grow(NULL, size * sizeof *index->heads);
	memset(index->heads, 0xFF, size * sizeof *index->heads);
	index->mask = (uint32_t)(size - 1);
}

static void index_add(struct index *index, struct rules *rules, size_t i)
{
	size_t len;
	const char *literal = glob_literal(rules->at[i].glob, &len);
	uint32_t *head = &index->heads[hash(literal, len) & index->mask];

	rules->at[i].next = *head;
	*head = (uint32_t)i;
}

void rules_seal(struct rules *rules)
{
	rules->others = alloc_array(rules->count, sizeof *rules->others);
	index_init(&rules->names, rules->count);
	index_init(&rules->extensions, rules->count);
	rules->size += rules->count * 6 * sizeof *rules->others;
	for (size_t i = 0; i < rules->count; i++) {
		enum glob_shape shape = glob_shape(rules->at[i].glob);

		if (shape == GLOB_NAME)
			index_add(&rules->names, rules, i);
		else if (shape == GLOB_EXTENSION)
			index_add(&rules->extensions, rules, i);
		else
			rules->others[rules->other_count++] = (uint32_t)i;
	}
}

size_t rules_count(const struct rules *rules)
{
	return rules->count;
}

bool rules_have_ignore(const struct rules *rules)
{
	return rules->has_ignore;
}

size_t rules_size(const struct rules *rules)
{
	return rules->size;
}

/* ---- Matching ---- */

/* The last rule of a bucket that has this literal and is past `best`; else `best`. */
static int64_t look_up(const struct rules *rules, const struct index *index, uint32_t h,
	const char *text, size_t len, bool is_dir, int64_t best)
{
	for (uint32_t i = index->heads[h & index->mask]; i != NONE; i = rules->at[i].next) {
		const struct rule *rule = &rules->at[i];
		size_t want;

		if (i <= best)
			break;
		const char *literal = glob_literal(rule->glob, &want);
		if (want == len && memcmp(literal, text, len) == 0 && (is_dir || !rule->only_dir))
			return i;
	}
	return best;
}

enum verdict rules_match(const struct rules *rules, const struct rule_name *name, size_t skip)
{
	const char *path = name->path;
	int64_t best = -1;

	best = look_up(rules, &rules->names, name->name_hash, path + name->name,
		name->len - name->name, name->is_dir, best);
	if (name->extension < name->len)
		best = look_up(rules, &rules->extensions, name->extension_hash,
			path + name->extension, name->len - name->extension, name->is_dir, best);
	for (size_t i = rules->other_count; i-- > 0 && (int64_t)rules->others[i] > best;) {
		const struct rule *rule = &rules->at[rules->others[i]];

		if ((name->is_dir || !rule->only_dir) &&
			glob_match(rule->glob, path + skip, name->len - skip)) {
			best = rules->others[i];
			break;
		}
	}
	if (best < 0)
		return VERDICT_NONE;
	return rules->at[best].keep ? VERDICT_KEEP : VERDICT_IGNORE;
}
