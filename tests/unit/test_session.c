#include "session.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "call_impl.h"
#include "err.h"
#include "revision.h"
#include "scratch.h"
#include "secret.h"
#include "test.h"

enum { MAX = 300, BUSY = 200, PLAIN_KEPT = 2048 };

struct fixture {
	struct scratch scratch;
	int fd;
	struct secret *secret;
	struct sessions *sessions;
};

static void set_up(struct fixture *f, size_t max)
{
	struct err err;

	f->scratch = scratch_enter();
	f->fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(f->fd);
	MUST(secret_new(NULL, NULL, f->fd, &f->secret, &err));
	f->sessions = sessions_new(f->secret, f->fd, max);
}

static void tear_down(struct fixture *f)
{
	sessions_free(f->sessions);
	secret_free(f->secret);
	close(f->fd);
	scratch_leave(&f->scratch);
}

static struct session *open_one(struct fixture *f)
{
	struct session *session = NULL;
	struct err err;

	session_open(f->sessions, REVISION_LATEST_LEGACY, 0, &session, &err);
	return session;
}

static void a_full_table_finds_the_one_idle_session(void)
{
	static struct call calls[MAX];
	struct session *sessions[MAX];
	struct fixture f;

	set_up(&f, MAX);
	for (int i = 0; i < MAX; i++) {
		sessions[i] = open_one(&f);
		MUST(sessions[i] ? 0 : -1);
		session_add_call(sessions[i], &calls[i]);
	}
	CHECK(!open_one(&f)); /* all are in use */
	session_remove_call(sessions[BUSY], &calls[BUSY]);
	CHECK(open_one(&f) != NULL);
	CHECK_INT(sessions_count(f.sessions), MAX);
	for (int i = 0; i < MAX; i++) {
		if (i != BUSY)
			session_remove_call(sessions[i], &calls[i]);
	}
	tear_down(&f);
}

/* A forgotten session is found by its id all the same, without what only memory held. */
static void what_has_state_goes_last_and_the_longest_unused_first(void)
{
	char ids[3][SESSION_ID_CHARS + 1];
	struct fixture f;

	set_up(&f, 3);
	for (int i = 0; i < 3; i++) {
		struct session *session = open_one(&f);
		session_set_log_level(session, 3);
		memcpy(ids[i], session_id(session), sizeof ids[i]);
	}
	CHECK(session_find(f.sessions, ids[0]) != NULL); /* used again */
	open_one(&f);                                    /* the second has to go */
	open_one(&f);                                    /* the plain one goes */
	CHECK_INT(session_log_level(session_find(f.sessions, ids[0])), 3);
	CHECK_INT(session_log_level(session_find(f.sessions, ids[2])), 3);
	CHECK_INT(session_log_level(session_find(f.sessions, ids[1])), LOG_NONE);
	tear_down(&f);
}

static void few_plain_sessions_stay_in_memory(void)
{
	struct fixture f;

	set_up(&f, 2 * PLAIN_KEPT);
	for (int i = 0; i < PLAIN_KEPT + 100; i++)
		CHECK(open_one(&f) != NULL);
	CHECK_INT(sessions_count(f.sessions), PLAIN_KEPT);
	tear_down(&f);
}

TESTS(CASE(a_full_table_finds_the_one_idle_session),
	CASE(what_has_state_goes_last_and_the_longest_unused_first),
	CASE(few_plain_sessions_stay_in_memory))
