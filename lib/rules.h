#ifndef RULES_H
#define RULES_H

/*
 * The lines of one ignore file, in the order of the file: the last that matches a path
 * decides. Read as ripgrep reads them: gitignore(5), with globs as glob.h has them. Also used
 * for -g, whose one line has the same form and the opposite meaning. Paths are relative to the
 * directory that the rules belong to. Never changes once sealed; then any thread may match.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct rules;

enum verdict {
	VERDICT_NONE,   /* no rule speaks of it */
	VERDICT_IGNORE,
	VERDICT_KEEP,   /* a line with `!` */
};

/* A path to look up in many rules: what does not depend on where it is relative to. */
struct rule_name {
	const char *path; /* as long a path as any of the rules wants, "/" between components */
	size_t len;
	size_t name, extension; /* where its last component and its extension begin; len: none */
	uint32_t name_hash, extension_hash;
	bool is_dir;
};

void rule_name_init(struct rule_name *name, const char *path, size_t len, bool is_dir);

struct rules *rules_new(void);
void rules_free(struct rules *rules);

/* Adds a line without its end. Comments and blank lines add nothing. ERR_INVALID: a bad glob. */
int rules_add(struct rules *rules, const char *line, size_t len, struct err *err);

/* Adds the lines of a file; bad ones are left out, and all from the first that is no UTF-8. */
void rules_add_file(struct rules *rules, const char *text, size_t len);

/* Ends adding; before that nothing can be matched. */
void rules_seal(struct rules *rules);

size_t rules_count(const struct rules *rules);

/* Whether any line is without `!`. */
bool rules_have_ignore(const struct rules *rules);

/* Bytes of memory that they take. */
size_t rules_size(const struct rules *rules);

/* The verdict on `name`, whose path is relative from byte `skip` on. */
enum verdict rules_match(const struct rules *rules, const struct rule_name *name, size_t skip);

#endif
