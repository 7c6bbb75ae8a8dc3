#ifndef MIGRATIONS_H
#define MIGRATIONS_H

/* What makes a database of version n out of one of version n - 1, beginning with an empty one.
 * What has been released is never changed: the next change is one more text. */
static const char *const migrations[] = {
	"CREATE TABLE sandboxes ("
	" id TEXT PRIMARY KEY NOT NULL CHECK (length(id) = 20),"
	" token TEXT NOT NULL CHECK (length(token) = 43),"
	" state TEXT NOT NULL,"
	" provider TEXT,"
	" provider_id TEXT,"
	" owner TEXT,"
	" user_id TEXT,"
	" template_id TEXT,"
	" address TEXT,"
	" metadata TEXT,"
	" envs TEXT,"
	" allow TEXT,"
	" ports TEXT,"
	" problem TEXT,"
	" idempotency_key TEXT,"
	" idempotency_hash TEXT,"
	" network TEXT NOT NULL,"
	" memory_mb INTEGER NOT NULL,"
	" disk_mb INTEGER NOT NULL,"
	" pids INTEGER NOT NULL,"
	" cpu_millis INTEGER NOT NULL,"
	" on_timeout TEXT NOT NULL,"
	" auto_resume INTEGER NOT NULL,"
	" cold INTEGER NOT NULL,"
	" timeout_ms INTEGER NOT NULL,"
	" created_ms INTEGER NOT NULL,"
	" started_ms INTEGER NOT NULL,"
	" active_ms INTEGER NOT NULL,"
	" expires_ms INTEGER NOT NULL,"
	" paused_ms INTEGER NOT NULL,"
	" deleted_ms INTEGER NOT NULL"
	") STRICT;"
	"CREATE TABLE users ("
	" name TEXT PRIMARY KEY NOT NULL,"
	" password TEXT NOT NULL,"
	" admin INTEGER NOT NULL"
	") STRICT;",
};

#endif
