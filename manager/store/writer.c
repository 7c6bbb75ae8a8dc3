#include "writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cleanup.h"
#include "database.h"
#include "err.h"
#include "loop.h"
#include "row.h"

struct change {
	bool remove;
	struct sandbox_row row; /* the id alone, to remove it */
	store_done *done;
	void *data;
	bool failed;
	struct err err;
	struct change *next;
};

struct writer {
	struct loop *loop;
	sqlite3 *db; /* the thread's */
	sqlite3_stmt *put, *remove, *begin, *commit;
	pthread_t thread;

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work, idle;
	struct change *first, **last;
	bool stopping, writing;
};

/* ---- On the thread ---- */

static int apply(struct writer *writer, const struct change *change, struct err *err)
{
	if (change->remove) {
		sqlite3_bind_text(writer->remove, 1, change->row.id, -1, SQLITE_STATIC);
		return database_step(writer->remove, err);
	}
	row_bind(writer->put, &change->row);
	return database_step(writer->put, err);
}

static int commit(
	struct writer *writer, struct change *first, const struct change *end, struct err *err)
{
	int failed = database_step(writer->begin, err);

	for (const struct change *c = first; !failed && c != end; c = c->next)
		failed = apply(writer, c, err);
	if (!failed)
		failed = database_step(writer->commit, err);
	if (failed && !sqlite3_get_autocommit(writer->db))
		database_run(writer->db, "ROLLBACK", NULL);
	return failed;
}

/* All at once; where that fails each alone, so that one that cannot be written stops no other. */
static void write_changes(struct writer *writer, struct change *first)
{
	if (commit(writer, first, NULL, &first->err) == 0)
		return;
	for (struct change *c = first; c; c = c->next)
		c->failed = commit(writer, c, c->next, &c->err) < 0;
}

/* On the loop. */
static void finish(void *data)
{
	struct change *next;

	for (struct change *change = data; change; change = next) {
		next = change->next;
		if (change->done)
			change->done(change->failed ? &change->err : NULL, change->data);
		sandbox_row_release(&change->row);
		free(change);
	}
}

/* Called with the lock held. */
static struct change *take(struct writer *writer)
{
	struct change *first = steal_ptr(&writer->first);

	writer->last = &writer->first;
	return first;
}

static void *work(void *data)
{
	struct writer *writer = data;

	pthread_mutex_lock(&writer->lock);
	for (;;) {
		while (!writer->first && !writer->stopping)
			pthread_cond_wait(&writer->work, &writer->lock);
		struct change *changes = take(writer);
		if (!changes)
			break;
		writer->writing = true;
		pthread_mutex_unlock(&writer->lock);
		write_changes(writer, changes);
		loop_post(writer->loop, finish, changes);
		pthread_mutex_lock(&writer->lock);
		writer->writing = false;
		pthread_cond_signal(&writer->idle);
	}
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

/* ---- On the loop ---- */

static void queue(struct writer *writer, struct change *change)
{
	pthread_mutex_lock(&writer->lock);
	*writer->last = change;
	writer->last = &change->next;
	pthread_cond_signal(&writer->work);
	pthread_mutex_unlock(&writer->lock);
}

void writer_put(struct writer *writer, const struct sandbox_row *row, store_done *done, void *data)
{
	struct change *change = alloc_zero(sizeof *change);

	sandbox_row_copy(row, &change->row);
	change->done = done;
	change->data = data;
	queue(writer, change);
}

void writer_remove(struct writer *writer, const char *id, store_done *done, void *data)
{
	struct change *change = alloc_zero(sizeof *change);

	change->remove = true;
	snprintf(change->row.id, sizeof change->row.id, "%s", id);
	change->done = done;
	change->data = data;
	queue(writer, change);
}

void writer_flush(struct writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	while (writer->first || writer->writing)
		pthread_cond_wait(&writer->idle, &writer->lock);
	pthread_mutex_unlock(&writer->lock);
	loop_run_posts(writer->loop);
}

static int prepare(struct writer *writer, struct err *err)
{
	AUTO_FREE char *put = row_put_sql();

	if (database_prepare(writer->db, put, &writer->put, err) < 0 ||
		database_prepare(writer->db, "DELETE FROM sandboxes WHERE id = ?", &writer->remove,
			err) < 0 ||
		database_prepare(writer->db, "BEGIN IMMEDIATE", &writer->begin, err) < 0)
		return -1;
	return database_prepare(writer->db, "COMMIT", &writer->commit, err);
}

/* Signals are the loop's: none may end up here. */
static int start(struct writer *writer, struct err *err)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	errno = pthread_create(&writer->thread, NULL, work, writer);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return errno ? err_sys(err, "start the thread that writes to the database") : 0;
}

static void release(struct writer *writer)
{
	database_finalize(&writer->put);
	database_finalize(&writer->remove);
	database_finalize(&writer->begin);
	database_finalize(&writer->commit);
	pthread_mutex_destroy(&writer->lock);
	pthread_cond_destroy(&writer->work);
	pthread_cond_destroy(&writer->idle);
	free(writer);
}

int writer_new(struct loop *loop, sqlite3 *db, struct writer **out, struct err *err)
{
	struct writer *writer = alloc_zero(sizeof *writer);

	writer->loop = loop;
	writer->db = db;
	writer->last = &writer->first;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->work, NULL);
	pthread_cond_init(&writer->idle, NULL);
	if (prepare(writer, err) < 0 || start(writer, err) < 0) {
		release(writer);
		return -1;
	}
	*out = writer;
	return 0;
}

void writer_free(struct writer *writer)
{
	if (!writer)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->stopping = true;
	pthread_cond_signal(&writer->work);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	loop_run_posts(writer->loop);
	/* What was queued by a `done` meanwhile. */
	for (struct change *changes; (changes = take(writer));) {
		write_changes(writer, changes);
		finish(changes);
	}
	sqlite3 *db = writer->db;
	release(writer);
	sqlite3_close(db);
}
