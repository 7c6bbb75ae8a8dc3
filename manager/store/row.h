#ifndef ROW_H
#define ROW_H

/* How a sandbox_row is kept: one table of its fields makes the SQL and moves the values. */
#include <sqlite3.h>

#include "store.h"

struct err;

/* INSERT OR REPLACE of a whole row; SELECT of all, oldest first. The caller frees them. */
char *row_put_sql(void);
char *row_load_sql(void);

/* Binds all of the row, whose texts must stay until the statement has run. */
void row_bind(sqlite3_stmt *put, const struct sandbox_row *row);

/* The row that `load` stands on; the caller releases it. */
int row_read(sqlite3_stmt *load, struct sandbox_row *out, struct err *err);

#endif
