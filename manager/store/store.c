#include "store.h"

#include <pthread.h>
#include <stdlib.h>

#include "alloc.h"
#include "cleanup.h"
#include "data_lock.h"
#include "database.h"
#include "err.h"
#include "row.h"
#include "writer.h"

struct store {
	struct writer *writer; /* NULL in a command */
	int lock;              /* -1 in a command */
	pthread_mutex_t busy;  /* guards `db` */
	sqlite3 *db;           /* for all but the writer */
};

static int take_lock(const char *path, int *lock, struct err *err)
{
	AUTO_FREE char *name = alloc_printf("%s.lock", path);

	return data_lock_take(name, lock, err);
}

static int start_writer(struct loop *loop, const char *path, struct writer **out, struct err *err)
{
	sqlite3 *db;

	if (database_open(path, &db, err) < 0)
		return -1;
	if (writer_new(loop, db, out, err) < 0) {
		sqlite3_close(db);
		return -1;
	}
	return 0;
}

int store_open(struct loop *loop, const char *url, struct store **out, struct err *err)
{
	AUTO_FREE char *path = NULL;
	struct store *store = alloc_zero(sizeof *store);

	store->lock = -1;
	pthread_mutex_init(&store->busy, NULL);
	if (database_locate(url, &path, err) < 0 ||
		(loop && take_lock(path, &store->lock, err) < 0) ||
		database_open(path, &store->db, err) < 0 ||
		(loop && start_writer(loop, path, &store->writer, err) < 0)) {
		store_close(store);
		return -1;
	}
	*out = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	writer_free(store->writer);
	sqlite3_close(store->db);
	pthread_mutex_destroy(&store->busy);
	cleanup_close(&store->lock);
	free(store);
}

/* ---- Sandboxes ---- */

void store_put(struct store *store, const struct sandbox_row *row, store_done *done, void *data)
{
	writer_put(store->writer, row, done, data);
}

void store_flush(struct store *store)
{
	writer_flush(store->writer);
}

void store_remove(struct store *store, const char *id, store_done *done, void *data)
{
	writer_remove(store->writer, id, done, data);
}

static int load(sqlite3 *db, store_each *each, void *data, struct err *err)
{
	AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	AUTO_FREE char *sql = row_load_sql();
	int outcome;

	if (database_prepare(db, sql, &statement, err) < 0)
		return -1;
	while ((outcome = sqlite3_step(statement)) == SQLITE_ROW) {
		struct sandbox_row row;

		if (row_read(statement, &row, err) < 0)
			return -1;
		each(&row, data);
		sandbox_row_release(&row);
	}
	return outcome == SQLITE_DONE ? 0 : database_fail(db, err);
}

int store_load(struct store *store, store_each *each, void *data, struct err *err)
{
	pthread_mutex_lock(&store->busy);
	int failed = load(store->db, each, data, err);
	pthread_mutex_unlock(&store->busy);
	return failed;
}

/* ---- Users ---- */

void user_release(struct user *user)
{
	free(steal_ptr(&user->name));
	free(steal_ptr(&user->password));
}

static char *column(sqlite3_stmt *statement, int i)
{
	return alloc_text((const char *)sqlite3_column_text(statement, i) ?: "");
}

/* `name` NULL: every user. */
static int read_users(
	sqlite3 *db, const char *name, store_each_user *each, void *data, struct err *err)
{
	AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int outcome;

	if (database_prepare(db,
		    "SELECT name, password, admin FROM users WHERE ?1 IS NULL OR name = ?1"
		    " ORDER BY name",
		    &statement, err) < 0)
		return -1;
	sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
	while ((outcome = sqlite3_step(statement)) == SQLITE_ROW) {
		struct user user = { column(statement, 0), column(statement, 1),
			sqlite3_column_int(statement, 2) != 0 };

		each(&user, data);
		user_release(&user);
	}
	return outcome == SQLITE_DONE ? 0 : database_fail(db, err);
}

int store_users(struct store *store, store_each_user *each, void *data, struct err *err)
{
	pthread_mutex_lock(&store->busy);
	int failed = read_users(store->db, NULL, each, data, err);
	pthread_mutex_unlock(&store->busy);
	return failed;
}

static void keep(struct user *user, void *data)
{
	struct user *out = data;

	*out = *user;
	*user = (struct user){ 0 };
}

int store_user(struct store *store, const char *name, struct user *out, struct err *err)
{
	struct user user = { 0 };

	pthread_mutex_lock(&store->busy);
	int failed = read_users(store->db, name, keep, &user, err);
	pthread_mutex_unlock(&store->busy);
	if (failed)
		return -1;
	if (!user.name)
		return err_set(err, ERR_NOT_FOUND, "there is no user %s", name);
	*out = user;
	return 0;
}

static int change_user(sqlite3 *db, const char *sql, const struct user *user, struct err *err)
{
	AUTO_STATEMENT sqlite3_stmt *statement = NULL;

	if (database_prepare(db, sql, &statement, err) < 0)
		return -1;
	sqlite3_bind_text(statement, 1, user->name, -1, SQLITE_STATIC);
	if (user->password) {
		sqlite3_bind_text(statement, 2, user->password, -1, SQLITE_STATIC);
		sqlite3_bind_int(statement, 3, user->admin);
	}
	return database_step(statement, err);
}

int store_put_user(struct store *store, const struct user *user, struct err *err)
{
	pthread_mutex_lock(&store->busy);
	int failed = change_user(store->db,
		"INSERT OR REPLACE INTO users (name, password, admin) VALUES (?, ?, ?)", user, err);
	pthread_mutex_unlock(&store->busy);
	return failed;
}

int store_remove_user(struct store *store, const char *name, struct err *err)
{
	AUTO_FREE char *copy = alloc_text(name);
	struct user user = { .name = copy };

	pthread_mutex_lock(&store->busy);
	int failed = change_user(store->db, "DELETE FROM users WHERE name = ?", &user, err);
	int removed = failed ? 0 : sqlite3_changes(store->db);
	pthread_mutex_unlock(&store->busy);
	if (!failed && removed == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no user %s", name);
	return failed;
}
