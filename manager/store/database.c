#include "database.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "migrations.h"

#define SCHEME "sqlite:///"

enum {
	/* In the file's head: tells file(1), and us, whose database it is. */
	APPLICATION_ID = 0x53424d31,
	VERSION = sizeof migrations / sizeof *migrations,
	BUSY_MS = 10000,
	CACHE_KB = 512,
};

/* ---- Errors ---- */

int database_fail(sqlite3 *db, struct err *err)
{
	const char *path = sqlite3_db_filename(db, NULL), *why = sqlite3_errmsg(db);

	switch (sqlite3_errcode(db) & 0xFF) {
	case SQLITE_FULL:
		return err_set(err, ERR_LIMIT, "no room on the disk for %s: free some", path);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(err, ERR_CONFLICT,
			"another program keeps %s locked: end it, or try again", path);
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return err_set(err, ERR_IO,
			"%s is damaged or no database (%s): restore it from a backup, or move it "
			"away to begin with an empty one",
			path, why);
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return err_set(err, ERR_DENIED,
			"%s cannot be written (%s): see its owner and mode, and its directory's",
			path, why);
	case SQLITE_IOERR:
		return err_set(err, ERR_IO, "%s: %s (%s)", path, why,
			strerrordesc_np(sqlite3_system_errno(db)));
	default:
		return err_set(err, ERR_INTERNAL, "%s: %s", path, why);
	}
}

/* ---- Statements ---- */

int database_run(sqlite3 *db, const char *sql, struct err *err)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : database_fail(db, err);
}

int database_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct err *err)
{
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
		return database_fail(db, err);
	return 0;
}

void database_finalize(sqlite3_stmt **statement)
{
	sqlite3_finalize(*statement);
	*statement = NULL;
}

int database_step(sqlite3_stmt *statement, struct err *err)
{
	int failed = 0;

	if (sqlite3_step(statement) != SQLITE_DONE)
		failed = database_fail(sqlite3_db_handle(statement), err);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return failed;
}

/* The one value that `sql` answers: into `number`, or else into `text`, which the caller frees. */
static int ask(sqlite3 *db, const char *sql, int64_t *number, char **text, struct err *err)
{
	AUTO_STATEMENT sqlite3_stmt *statement = NULL;

	if (database_prepare(db, sql, &statement, err) < 0)
		return -1;
	if (sqlite3_step(statement) != SQLITE_ROW)
		return database_fail(db, err);
	if (number)
		*number = sqlite3_column_int64(statement, 0);
	else
		*text = alloc_text((const char *)sqlite3_column_text(statement, 0) ?: "");
	return 0;
}

/* ---- The version ---- */

static int check_owner(sqlite3 *db, int64_t *version, struct err *err)
{
	int64_t application = 0, tables = 0;

	if (ask(db, "PRAGMA application_id", &application, NULL, err) < 0 ||
		ask(db, "PRAGMA user_version", version, NULL, err) < 0 ||
		ask(db, "SELECT count(*) FROM sqlite_schema", &tables, NULL, err) < 0)
		return -1;
	if (application != APPLICATION_ID && (application != 0 || *version != 0 || tables != 0))
		return err_set(err, ERR_INVALID,
			"%s is another program's database: name another file in DATABASE_URL",
			sqlite3_db_filename(db, NULL));
	if (*version > VERSION)
		return err_set(err, ERR_INVALID,
			"%s was written by a newer sandbox-manager (version %d, this one knows "
			"%d): use that one, or name another file in DATABASE_URL",
			sqlite3_db_filename(db, NULL), (int)*version, (int)VERSION);
	return 0;
}

static int migrate_from(sqlite3 *db, int64_t version, struct err *err)
{
	char done[64];

	for (; version < VERSION; version++) {
		if (database_run(db, migrations[version], err) < 0)
			return -1;
	}
	snprintf(done, sizeof done, "PRAGMA application_id=%d;PRAGMA user_version=%d",
		APPLICATION_ID, VERSION);
	return database_run(db, done, err);
}

/* All of it in one transaction, so that two who open it at once do it once. */
static int migrate(sqlite3 *db, struct err *err)
{
	int64_t version = 0;

	if (check_owner(db, &version, err) < 0)
		return -1;
	if (version == VERSION)
		return 0;
	if (database_run(db, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	if (check_owner(db, &version, err) < 0 || migrate_from(db, version, err) < 0 ||
		database_run(db, "COMMIT", err) < 0) {
		database_run(db, "ROLLBACK", NULL);
		return -1;
	}
	return 0;
}

/* ---- Opening ---- */

static int check_health(sqlite3 *db, struct err *err)
{
	AUTO_FREE char *health = NULL;

	if (ask(db, "PRAGMA quick_check(1)", NULL, &health, err) < 0)
		return -1;
	if (strcmp(health, "ok") != 0)
		return err_set(err, ERR_IO,
			"%s is damaged (%s): restore it from a backup, or move it away to begin "
			"with an empty one",
			sqlite3_db_filename(db, NULL), health);
	return 0;
}

static int set_up(sqlite3 *db, struct err *err)
{
	AUTO_FREE char *mode = NULL;
	char cache[48];
	int64_t version = 0;

	snprintf(cache, sizeof cache, "PRAGMA cache_size=-%d", CACHE_KB);
	sqlite3_busy_timeout(db, BUSY_MS);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* First of all, since nothing is to be written into what is not ours. */
	if (check_owner(db, &version, err) < 0 || check_health(db, err) < 0 ||
		ask(db, "PRAGMA journal_mode=WAL", NULL, &mode, err) < 0)
		return -1;
	if (strcmp(mode, "wal") != 0)
		return err_set(err, ERR_IO,
			"%s is on a file system that cannot share memory, as WAL needs: name a "
			"file on a local disk in DATABASE_URL",
			sqlite3_db_filename(db, NULL));
	if (database_run(db,
		    "PRAGMA synchronous=FULL;PRAGMA foreign_keys=ON;PRAGMA trusted_schema=OFF",
		    err) < 0 ||
		database_run(db, cache, err) < 0)
		return -1;
	return migrate(db, err);
}

int database_open(const char *path, sqlite3 **out, struct err *err)
{
	sqlite3 *db = NULL;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int failed = sqlite3_open_v2(path, &db, flags, NULL) == SQLITE_OK ? set_up(db, err)
									  : database_fail(db, err);

	if (failed)
		sqlite3_close(db);
	else
		*out = db;
	return failed;
}

/* ---- Where it is ---- */

static int make_directory(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return 0;
	AUTO_FREE char *dir = alloc_textn(path, (size_t)(slash - path));
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(err,
			"make the directory %s for DATABASE_URL=" SCHEME
			"%s (an absolute path has four slashes)",
			dir, path);
	return 0;
}

/* SQLite gives its other files the mode of this one. It is not opened where it is there: closing
 * it would drop the locks that this process has on it (fcntl(2)). */
static int make_private(const char *path, struct err *err)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;

	if ((fd < 0 && errno != EEXIST) || stat(path, &st) < 0)
		return err_sys(err, "open the database %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, "the database %s is no regular file", path);
	if ((st.st_mode & 077) != 0 && chmod(path, 0600) < 0)
		return err_sys(err, "make the database %s private (it holds tokens)", path);
	return 0;
}

int database_locate(const char *url, char **path, struct err *err)
{
	const char *name = url + strlen(SCHEME);

	if (strncmp(url, SCHEME, strlen(SCHEME)) != 0 || !*name || *name == ':' ||
		strpbrk(name, "?#"))
		/* No more of it is shown: it may hold a password. */
		return err_set(err, ERR_INVALID,
			"DATABASE_URL takes " SCHEME "path (" SCHEME "./sandboxes.db, or " SCHEME
			"/var/lib/sandbox/sandboxes.db with four slashes), not %.*s…",
			(int)strcspn(url, ":/@"), url);
	if (make_directory(name, err) < 0 || make_private(name, err) < 0)
		return -1;
	char *real = realpath(name, NULL);
	if (!real)
		return err_sys(err, "open the database %s", name);
	*path = real;
	return 0;
}
