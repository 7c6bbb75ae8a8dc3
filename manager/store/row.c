#include "row.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "err.h"

enum { SQL_MAX = 4096 };

enum kind {
	CHARS, /* char[size], with NUL */
	TEXT,  /* char *, or NULL     */
	WORD,  /* an enum, by its name */
	INT,   /* int64_t             */
	FLAG,  /* bool                */
};

struct field {
	const char *name; /* of its column */
	enum kind kind;
	size_t offset, size;
	const char *const *words; /* of an enum, up to NULL */
};

/* These are on disk: a name is never changed, and the enum's order may be. */
static const char *const states[] = {
	[SANDBOX_CREATING] = "creating",
	[SANDBOX_RUNNING] = "running",
	[SANDBOX_PAUSED] = "paused",
	[SANDBOX_DELETING] = "deleting",
	[SANDBOX_DELETED] = "deleted",
	[SANDBOX_ERROR] = "error",
	NULL,
};
static const char *const networks[] = {
	[NETWORK_INTERNET] = "internet",
	[NETWORK_NONE] = "none",
	[NETWORK_ALLOW] = "allow",
	NULL,
};
static const char *const endings[] = {
	[ON_TIMEOUT_PAUSE] = "pause",
	[ON_TIMEOUT_DELETE] = "delete",
	NULL,
};

#define AT(member) offsetof(struct sandbox_row, member), sizeof(((struct sandbox_row *)0)->member)

/* clang-format off */
static const struct field fields[] = {
	{ "id", CHARS, AT(id), NULL },
	{ "token", CHARS, AT(token), NULL },
	{ "state", WORD, AT(state), states },
	{ "provider", TEXT, AT(provider), NULL },
	{ "provider_id", TEXT, AT(provider_id), NULL },
	{ "owner", TEXT, AT(owner), NULL },
	{ "user_id", TEXT, AT(user_id), NULL },
	{ "template_id", TEXT, AT(template_id), NULL },
	{ "address", TEXT, AT(address), NULL },
	{ "metadata", TEXT, AT(metadata), NULL },
	{ "envs", TEXT, AT(envs), NULL },
	{ "allow", TEXT, AT(allow), NULL },
	{ "ports", TEXT, AT(ports), NULL },
	{ "problem", TEXT, AT(problem), NULL },
	{ "idempotency_key", TEXT, AT(idempotency_key), NULL },
	{ "idempotency_hash", TEXT, AT(idempotency_hash), NULL },
	{ "network", WORD, AT(network), networks },
	{ "memory_mb", INT, AT(limits.memory_mb), NULL },
	{ "disk_mb", INT, AT(limits.disk_mb), NULL },
	{ "pids", INT, AT(limits.pids), NULL },
	{ "cpu_millis", INT, AT(limits.cpu_millis), NULL },
	{ "on_timeout", WORD, AT(on_timeout), endings },
	{ "auto_resume", FLAG, AT(auto_resume), NULL },
	{ "cold", FLAG, AT(cold), NULL },
	{ "timeout_ms", INT, AT(timeout_ms), NULL },
	{ "created_ms", INT, AT(created_ms), NULL },
	{ "started_ms", INT, AT(started_ms), NULL },
	{ "active_ms", INT, AT(active_ms), NULL },
	{ "expires_ms", INT, AT(expires_ms), NULL },
	{ "paused_ms", INT, AT(paused_ms), NULL },
	{ "deleted_ms", INT, AT(deleted_ms), NULL },
};
/* clang-format on */

enum { FIELDS = sizeof fields / sizeof *fields };

_Static_assert(sizeof(enum sandbox_state) == sizeof(unsigned) &&
		       sizeof(enum network) == sizeof(unsigned) &&
		       sizeof(enum on_timeout) == sizeof(unsigned),
	"a WORD is read as unsigned");

static const void *value_of(const struct sandbox_row *row, const struct field *field)
{
	return (const char *)row + field->offset;
}

static void *place_of(struct sandbox_row *row, const struct field *field)
{
	return (char *)row + field->offset;
}

/* ---- The row itself ---- */

void sandbox_row_release(struct sandbox_row *row)
{
	for (size_t i = 0; i < FIELDS; i++) {
		if (fields[i].kind == TEXT) {
			char **text = place_of(row, &fields[i]);
			free(*text);
			*text = NULL;
		}
	}
}

void sandbox_row_copy(const struct sandbox_row *row, struct sandbox_row *out)
{
	*out = *row;
	for (size_t i = 0; i < FIELDS; i++) {
		char **text = place_of(out, &fields[i]);
		if (fields[i].kind == TEXT && *text)
			*text = alloc_text(*text);
	}
}

/* ---- SQL ---- */

static void add_names(struct buf *sql)
{
	for (size_t i = 0; i < FIELDS; i++) {
		buf_add_text(sql, i == 0 ? "" : ",");
		buf_add_text(sql, fields[i].name);
	}
}

char *row_put_sql(void)
{
	struct buf sql = BUF_INIT(SQL_MAX);

	buf_add_text(&sql, "INSERT OR REPLACE INTO sandboxes (");
	add_names(&sql);
	buf_add_text(&sql, ") VALUES (?");
	for (size_t i = 1; i < FIELDS; i++)
		buf_add_text(&sql, ",?");
	buf_add_text(&sql, ")");
	return buf_steal(&sql, NULL);
}

char *row_load_sql(void)
{
	struct buf sql = BUF_INIT(SQL_MAX);

	buf_add_text(&sql, "SELECT ");
	add_names(&sql);
	buf_add_text(&sql, " FROM sandboxes ORDER BY created_ms, id");
	return buf_steal(&sql, NULL);
}

void row_bind(sqlite3_stmt *put, const struct sandbox_row *row)
{
	for (int i = 0; i < FIELDS; i++) {
		const struct field *field = &fields[i];
		const void *value = value_of(row, field);

		switch (field->kind) {
		case CHARS:
			sqlite3_bind_text(put, i + 1, value, -1, SQLITE_STATIC);
			break;
		case TEXT:
			sqlite3_bind_text(put, i + 1, *(char *const *)value, -1, SQLITE_STATIC);
			break;
		case WORD:
			sqlite3_bind_text(put, i + 1, field->words[*(const unsigned *)value], -1,
				SQLITE_STATIC);
			break;
		case INT:
			sqlite3_bind_int64(put, i + 1, *(const int64_t *)value);
			break;
		case FLAG:
			sqlite3_bind_int(put, i + 1, *(const bool *)value);
			break;
		}
	}
}

/* ---- Reading ---- */

static int read_word(const struct field *field, const char *text, unsigned *out)
{
	for (unsigned i = 0; text && field->words[i]; i++) {
		if (strcmp(text, field->words[i]) == 0) {
			*out = i;
			return 0;
		}
	}
	return -1;
}

static int read_chars(const struct field *field, const char *text, char *out)
{
	if (!text || strlen(text) + 1 != field->size)
		return -1;
	memcpy(out, text, field->size);
	return 0;
}

static int read_field(sqlite3_stmt *load, int column, struct sandbox_row *row)
{
	const struct field *field = &fields[column];
	void *place = place_of(row, field);
	const char *text = NULL;

	if (field->kind == CHARS || field->kind == TEXT || field->kind == WORD)
		text = (const char *)sqlite3_column_text(load, column);
	switch (field->kind) {
	case CHARS:
		return read_chars(field, text, place);
	case TEXT:
		*(char **)place = text ? alloc_text(text) : NULL;
		return 0;
	case WORD:
		return read_word(field, text, place);
	case INT:
		*(int64_t *)place = sqlite3_column_int64(load, column);
		return 0;
	case FLAG:
		*(bool *)place = sqlite3_column_int(load, column) != 0;
		return 0;
	}
	return -1;
}

int row_read(sqlite3_stmt *load, struct sandbox_row *out, struct err *err)
{
	struct sandbox_row row = { 0 };

	for (int i = 0; i < FIELDS; i++) {
		if (read_field(load, i, &row) == 0)
			continue;
		sandbox_row_release(&row);
		return err_set(err, ERR_IO,
			"the database's sandbox %.20s has an unknown %s: it was changed by "
			"something else",
			(const char *)sqlite3_column_text(load, 0) ?: "", fields[i].name);
	}
	*out = row;
	return 0;
}
