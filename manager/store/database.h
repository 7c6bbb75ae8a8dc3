#ifndef DATABASE_H
#define DATABASE_H

/*
 * A connection to the SQLite file: made private, checked and brought to this program's version
 * when it is opened. One thread at a time uses a connection.
 */
#include <sqlite3.h>

struct err;

#define AUTO_STATEMENT __attribute__((cleanup(database_finalize)))

/*
 * The file behind a DATABASE_URL, as an absolute path that the caller frees. It is made (mode
 * 0600, a missing directory 0700). ERR_INVALID names what is supported.
 */
int database_locate(const char *url, char **path, struct err *err);

/* Refuses what is damaged, another program's, or a newer version's. */
int database_open(const char *path, sqlite3 **out, struct err *err);

/* Runs statements that have no result. */
int database_run(sqlite3 *db, const char *sql, struct err *err);

int database_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct err *err);
void database_finalize(sqlite3_stmt **statement);

/* Runs a statement that has no result, and makes it ready for the next time. */
int database_step(sqlite3_stmt *statement, struct err *err);

/* Sets `err` from the connection's last failure; returns -1. */
int database_fail(sqlite3 *db, struct err *err);

#endif
