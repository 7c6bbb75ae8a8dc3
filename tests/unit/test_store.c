#include "store.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "alloc.h"
#include "err.h"
#include "loop.h"

#include "scratch.h"
#include "test.h"

#define URL "sqlite:///data/x.db"

static struct loop *loop;
static struct store *store;
static struct err err;

static void open_store(void)
{
	CHECK_INT(loop_new(&loop, NULL), 0);
	if (store_open(loop, URL, &store, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(99);
	}
}

static void close_store(void)
{
	store_close(store);
	loop_free(loop);
}

/* ---- Rows ---- */

static struct sandbox_row sample(unsigned n)
{
	struct sandbox_row row = { .state = SANDBOX_RUNNING, .created_ms = 1000 + n };

	snprintf(row.id, sizeof row.id, "id%018u", n);
	snprintf(row.token, sizeof row.token, "%043u", n);
	return row;
}

static void put(unsigned n, store_done *done, void *data)
{
	struct sandbox_row row = sample(n);

	store_put(store, &row, done, data);
}

static char *numbered(const char *name)
{
	return alloc_printf("%s \"quoted'\" \xc3\xa4 %s", name, name);
}

/* Every member has a value that no other has. */
static struct sandbox_row full_row(void)
{
	struct sandbox_row row = sample(7);

	row.state = SANDBOX_DELETING;
	row.provider = numbered("provider");
	row.provider_id = numbered("provider_id");
	row.owner = numbered("owner");
	row.user_id = numbered("user_id");
	row.template_id = numbered("template_id");
	row.address = numbered("address");
	row.metadata = numbered("metadata");
	row.envs = numbered("envs");
	row.allow = numbered("allow");
	row.ports = numbered("ports");
	row.problem = numbered("problem");
	row.idempotency_key = numbered("idempotency_key");
	row.idempotency_hash = numbered("idempotency_hash");
	row.network = NETWORK_ALLOW;
	row.limits = (struct sandbox_limits){ 11, 12, 13, 14 };
	row.on_timeout = ON_TIMEOUT_DELETE;
	row.auto_resume = true;
	row.cold = true;
	row.timeout_ms = INT64_MAX;
	row.created_ms = 21;
	row.started_ms = 22;
	row.active_ms = 23;
	row.expires_ms = 24;
	row.paused_ms = -25;
	row.deleted_ms = INT64_MIN;
	return row;
}

static void check_text(const char *have, const char *want)
{
	if (want)
		CHECK_TEXT(have, want);
	else
		CHECK(!have);
}

static void check_same(const struct sandbox_row *have, const struct sandbox_row *want)
{
	CHECK_TEXT(have->id, want->id);
	CHECK_TEXT(have->token, want->token);
	CHECK_INT(have->state, want->state);
	check_text(have->provider, want->provider);
	check_text(have->provider_id, want->provider_id);
	check_text(have->owner, want->owner);
	check_text(have->user_id, want->user_id);
	check_text(have->template_id, want->template_id);
	check_text(have->address, want->address);
	check_text(have->metadata, want->metadata);
	check_text(have->envs, want->envs);
	check_text(have->allow, want->allow);
	check_text(have->ports, want->ports);
	check_text(have->problem, want->problem);
	check_text(have->idempotency_key, want->idempotency_key);
	check_text(have->idempotency_hash, want->idempotency_hash);
	CHECK_INT(have->network, want->network);
	CHECK(memcmp(&have->limits, &want->limits, sizeof have->limits) == 0);
	CHECK_INT(have->on_timeout, want->on_timeout);
	CHECK_INT(have->auto_resume, want->auto_resume);
	CHECK_INT(have->cold, want->cold);
	CHECK_INT(have->timeout_ms, want->timeout_ms);
	CHECK_INT(have->created_ms, want->created_ms);
	CHECK_INT(have->started_ms, want->started_ms);
	CHECK_INT(have->active_ms, want->active_ms);
	CHECK_INT(have->expires_ms, want->expires_ms);
	CHECK_INT(have->paused_ms, want->paused_ms);
	CHECK_INT(have->deleted_ms, want->deleted_ms);
}

enum { ROWS_MAX = 1024 };

struct rows {
	struct sandbox_row row[ROWS_MAX];
	size_t count; /* those beyond ROWS_MAX too */
};

static struct rows rows;

static void keep(struct sandbox_row *row, void *data)
{
	struct rows *out = data;

	if (out->count < ROWS_MAX) {
		out->row[out->count] = *row;
		*row = (struct sandbox_row){ 0 };
	}
	out->count++;
}

static void load(void)
{
	rows.count = 0;
	CHECK_INT(store_load(store, keep, &rows, &err), 0);
}

static void forget(void)
{
	for (size_t i = 0; i < rows.count && i < ROWS_MAX; i++)
		sandbox_row_release(&rows.row[i]);
}

static void every_field_comes_back(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct sandbox_row full = full_row(), bare = sample(8);

	open_store();
	store_put(store, &bare, NULL, NULL);
	store_put(store, &full, NULL, NULL);
	close_store();
	open_store();
	load();
	CHECK_INT(rows.count, 2);
	check_same(&rows.row[0], &full);
	check_same(&rows.row[1], &bare);
	forget();
	close_store();
	sandbox_row_release(&full);
	CHECK(!full.owner && !full.metadata);
}

static void every_state_network_and_ending_comes_back(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	open_store();
	for (unsigned i = 0; i <= SANDBOX_ERROR; i++) {
		struct sandbox_row row = sample(i);
		row.state = (enum sandbox_state)i;
		row.network = (enum network)(i % 3);
		row.on_timeout = (enum on_timeout)(i % 2);
		store_put(store, &row, NULL, NULL);
	}
	close_store();
	open_store();
	load();
	CHECK_INT(rows.count, SANDBOX_ERROR + 1);
	for (unsigned i = 0; i < rows.count; i++) {
		CHECK_INT(rows.row[i].state, i);
		CHECK_INT(rows.row[i].network, i % 3);
		CHECK_INT(rows.row[i].on_timeout, i % 2);
	}
	forget();
	close_store();
}

static void a_copy_has_texts_of_its_own(void)
{
	struct sandbox_row full = full_row(), copy;

	sandbox_row_copy(&full, &copy);
	check_same(&copy, &full);
	CHECK(copy.idempotency_hash != full.idempotency_hash);
	sandbox_row_release(&full);
	sandbox_row_release(&copy);
}

/* ---- Writing ---- */

static char order[256];

static void note(const struct err *failed, void *data)
{
	size_t len = strlen(order);

	snprintf(order + len, sizeof order - len, "%s%s", (const char *)data, failed ? "!" : "");
}

static void note_and_stop(const struct err *failed, void *data)
{
	note(failed, data);
	loop_stop(loop);
}

static char a[] = "a", b[] = "b", c[] = "c", d[] = "d";

static void writes_in_order_and_the_last_word_counts(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct sandbox_row row = sample(1);

	order[0] = '\0';
	open_store();
	store_put(store, &row, note, a);
	store_remove(store, row.id, note, b);
	row.state = SANDBOX_PAUSED;
	store_put(store, &row, note, c);
	store_remove(store, sample(2).id, note_and_stop, d);
	CHECK_TEXT(order, "");
	CHECK_INT(loop_run(loop, NULL), 0);
	CHECK_TEXT(order, "abcd");
	load();
	CHECK_INT(rows.count, 1);
	CHECK_INT(rows.row[0].state, SANDBOX_PAUSED);
	forget();
	close_store();
}

static void one_that_cannot_be_written_stops_no_other(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct sandbox_row wrong = sample(2);

	wrong.id[3] = '\0';
	order[0] = '\0';
	open_store();
	put(1, note, a);
	store_put(store, &wrong, note, b);
	put(3, note, c);
	put(4, note_and_stop, d);
	CHECK_INT(loop_run(loop, NULL), 0);
	CHECK_TEXT(order, "ab!cd");
	load();
	CHECK_INT(rows.count, 3);
	forget();
	close_store();
}

static void put_another(const struct err *failed, void *data)
{
	note(failed, data);
	put(2, note, b);
}

static void closing_writes_what_is_queued(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	order[0] = '\0';
	open_store();
	put(1, put_another, a);
	for (unsigned i = 3; i < 500; i++)
		put(i, NULL, NULL);
	close_store();
	CHECK_TEXT(order, "ab");
	open_store();
	load();
	CHECK_INT(rows.count, 499);
	forget();
	close_store();
}

/* ---- A crash ---- */

enum { CRASH_ROUNDS = 12, CRASH_BATCH = 5, WORD = sizeof(unsigned) };

static int told;

static void tell(const struct err *failed, void *data)
{
	unsigned *n = data;

	if (failed || write(told, n, WORD) != WORD)
		_exit(3);
	free(n);
}

static void put_many(void *data)
{
	static unsigned next;

	for (int i = 0; i < CRASH_BATCH; i++) {
		unsigned *n = alloc_zero(sizeof *n);
		*n = next++;
		put(*n, tell, n);
	}
	loop_post(loop, put_many, data);
}

/* Writes rows 0, 1, 2 … for ever, and the number of each that it was told of. */
_Noreturn static void crash_child(int out)
{
	told = out;
	open_store();
	loop_post(loop, put_many, NULL);
	loop_run(loop, NULL);
	_exit(4);
}

/* The numbers up to which the child was told; it is killed after the first `enough`. */
static unsigned run_and_kill(unsigned enough)
{
	int ends[2], status;
	unsigned n, count = 0;

	MUST(pipe(ends));
	pid_t child = fork();
	MUST(child);
	if (child == 0) {
		close(ends[0]);
		crash_child(ends[1]);
	}
	close(ends[1]);
	while (read(ends[0], &n, WORD) == WORD) {
		CHECK_INT(n, count);
		if (++count == enough)
			MUST(kill(child, SIGKILL));
	}
	close(ends[0]);
	MUST(waitpid(child, &status, 0));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return count;
}

static void what_was_told_is_there_after_kill_9(void)
{
	for (unsigned round = 0; round < CRASH_ROUNDS; round++) {
		AUTO_SCRATCH struct scratch scratch = scratch_enter();
		unsigned count = run_and_kill(1 + round * 17);

		open_store();
		load();
		CHECK(count > 0 && rows.count >= count);
		for (unsigned i = 0; i < rows.count && i < ROWS_MAX; i++)
			CHECK_TEXT(rows.row[i].id, sample(i).id);
		forget();
		close_store();
	}
}

/* ---- Opening ---- */

static void the_file_is_private(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	static const char *const files[] = { "data/x.db", "data/x.db-wal", "data/x.db-shm",
		"data/x.db.lock" };
	mode_t mask = umask(0);
	struct stat st;

	open_store();
	put(1, NULL, NULL);
	MUST(stat("data", &st));
	CHECK_INT(st.st_mode & 07777, 0700);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		MUST(stat(files[i], &st));
		CHECK_INT(st.st_mode & 07777, 0600);
	}
	close_store();
	MUST(chmod("data/x.db", 0644));
	open_store();
	MUST(stat("data/x.db", &st));
	CHECK_INT(st.st_mode & 07777, 0600);
	close_store();
	umask(mask);
}

static void check_refused(const char *url, enum err_code code, const char *says)
{
	struct store *none = NULL;

	err.msg[0] = '\0';
	CHECK_INT(store_open(loop, url, &none, &err), -1);
	CHECK_INT(err.code, code);
	if (!strstr(err.msg, says))
		CHECK_TEXT(err.msg, says);
	CHECK(!none);
}

static void refuses_what_it_does_not_know(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	static const char *const urls[] = { "", "x.db", "sqlite://", "sqlite:///",
		"sqlite:///:memory:", "sqlite:///x.db?mode=ro", "SQLITE:///x.db", "mysql://h/x",
		"postgresql://user:secret@host/db" };

	CHECK_INT(loop_new(&loop, NULL), 0);
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		check_refused(urls[i], ERR_INVALID, "DATABASE_URL takes sqlite:///path");
		CHECK(!strstr(err.msg, "secret"));
	}
	check_refused("sqlite:///no/such/x.db", ERR_NOT_FOUND, "four slashes");
	MUST(mkdir("dir", 0700));
	check_refused("sqlite:///dir", ERR_INVALID, "no regular file");
	loop_free(loop);
}

static void an_absolute_path_has_four_slashes(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char url[128];

	snprintf(url, sizeof url, "sqlite:///%s/y.db", scratch.dir);
	CHECK_INT(loop_new(&loop, NULL), 0);
	CHECK_INT(store_open(loop, url, &store, &err), 0);
	close_store();
	CHECK_INT(access("y.db", F_OK), 0);
}

static void a_second_manager_is_refused_and_told_who_is_first(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char pid[32];

	snprintf(pid, sizeof pid, "process %d", getpid());
	open_store();
	check_refused(URL, ERR_CONFLICT, pid);
	put(1, NULL, NULL);
	close_store();
	open_store();
	close_store();
}

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *db;

	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void refuses_a_newer_version(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	open_store();
	close_store();
	run_sql("data/x.db", "PRAGMA user_version=9");
	CHECK_INT(loop_new(&loop, NULL), 0);
	check_refused(URL, ERR_INVALID, "newer sandbox-manager (version 9");
	loop_free(loop);
}

static void refuses_another_programs_database_and_leaves_it(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char before[8192], after[8192];

	MUST(mkdir("data", 0700));
	run_sql("data/x.db", "CREATE TABLE sandboxes (id)");
	scratch_read("data/x.db", before, sizeof before);
	CHECK_INT(loop_new(&loop, NULL), 0);
	check_refused(URL, ERR_INVALID, "another program's");
	scratch_read("data/x.db", after, sizeof after);
	CHECK(memcmp(before, after, sizeof before - 1) == 0);
	loop_free(loop);
}

static void refuses_what_is_damaged(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char junk[4096];

	MUST(mkdir("data", 0700));
	scratch_text("data/x.db", "this is no database, whatever its name may say of it");
	CHECK_INT(loop_new(&loop, NULL), 0);
	check_refused(URL, ERR_IO, "damaged or no database");
	loop_free(loop);

	MUST(unlink("data/x.db"));
	open_store();
	for (unsigned i = 0; i < 400; i++)
		put(i, NULL, NULL);
	close_store();
	int fd = open("data/x.db", O_WRONLY | O_CLOEXEC);
	MUST(fd);
	memset(junk, 0x5a, sizeof junk);
	for (int page = 3; page < 8; page++)
		MUST(pwrite(fd, junk, sizeof junk, page * 4096));
	MUST(close(fd));
	CHECK_INT(loop_new(&loop, NULL), 0);
	check_refused(URL, ERR_IO, "damaged");
	loop_free(loop);
}

static void names_a_field_that_was_tampered_with(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	open_store();
	put(1, NULL, NULL);
	close_store();
	run_sql("data/x.db", "UPDATE sandboxes SET state = 'dreaming'");
	open_store();
	rows.count = 0;
	CHECK_INT(store_load(store, keep, &rows, &err), -1);
	CHECK(strstr(err.msg, "unknown state"));
	close_store();
}

/* ---- Users ---- */

static char names[64];

static void note_user(struct user *user, void *data)
{
	(void)data;
	size_t len = strlen(names);
	snprintf(names + len, sizeof names - len, "%s%s ", user->name, user->admin ? "*" : "");
}

static void keeps_users(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char eve[] = "eve", bob[] = "bob", hash[] = "$y$hash", other[] = "$y$other";
	struct user user;

	open_store();
	CHECK_INT(store_put_user(store, &(struct user){ eve, hash, false }, &err), 0);
	CHECK_INT(store_put_user(store, &(struct user){ bob, hash, false }, &err), 0);
	CHECK_INT(store_put_user(store, &(struct user){ eve, other, true }, &err), 0);
	CHECK_INT(store_user(store, "eve", &user, &err), 0);
	CHECK_TEXT(user.name, "eve");
	CHECK_TEXT(user.password, "$y$other");
	CHECK(user.admin);
	user_release(&user);
	CHECK_INT(store_user(store, "Eve", &user, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	names[0] = '\0';
	CHECK_INT(store_users(store, note_user, NULL, &err), 0);
	CHECK_TEXT(names, "bob eve* ");
	CHECK_INT(store_remove_user(store, "bob", &err), 0);
	CHECK_INT(store_remove_user(store, "bob", &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	close_store();
}

static void a_command_changes_users_beside_a_manager(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char eve[] = "eve", hash[] = "$y$hash";
	struct store *command;
	struct user user;

	open_store();
	put(1, NULL, NULL);
	CHECK_INT(store_open(NULL, URL, &command, &err), 0);
	CHECK_INT(store_put_user(command, &(struct user){ eve, hash, true }, &err), 0);
	store_close(command);
	CHECK_INT(store_user(store, "eve", &user, &err), 0);
	user_release(&user);
	close_store();
}

static void on_flushed(const struct err *failed, void *data)
{
	*(bool *)data = !failed;
}

static void a_flush_waits_for_what_is_queued(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	bool written = false;

	open_store();
	store_flush(store);
	put(1, on_flushed, &written);
	CHECK(!written);
	store_flush(store);
	CHECK(written);
	close_store();
}

TESTS(CASE(a_flush_waits_for_what_is_queued), CASE(every_field_comes_back), CASE(every_state_network_and_ending_comes_back),
	CASE(a_copy_has_texts_of_its_own), CASE(writes_in_order_and_the_last_word_counts),
	CASE(one_that_cannot_be_written_stops_no_other), CASE(closing_writes_what_is_queued),
	CASE(what_was_told_is_there_after_kill_9), CASE(the_file_is_private),
	CASE(refuses_what_it_does_not_know), CASE(an_absolute_path_has_four_slashes),
	CASE(a_second_manager_is_refused_and_told_who_is_first), CASE(refuses_a_newer_version),
	CASE(refuses_another_programs_database_and_leaves_it), CASE(refuses_what_is_damaged),
	CASE(names_a_field_that_was_tampered_with), CASE(keeps_users),
	CASE(a_command_changes_users_beside_a_manager))
