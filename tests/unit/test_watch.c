#include "watch.h"

#include "err.h"
#include "loop.h"
#include "path.h"
#include "worker.h"
#include "workspace.h"

#include "scratch.h"
#include "test.h"

enum { TIMEOUT_MS = 10 * 1000, QUIET_MS = 300 };

/* A workspace that is watched, and what was heard. */
struct rig {
	struct workspace workspace;
	struct watcher *watcher;
	struct watch *watch;
	int ready, changed;
	struct err err;
	bool timed_out;
};

static struct rig rig;

static void on_ready(void *data, const struct err *err)
{
	(void)data;
	rig.ready++;
	if (err)
		rig.err = *err;
	loop_stop(rig.workspace.loop);
}

static void on_changed(void *data)
{
	(void)data;
	rig.changed++;
	loop_stop(rig.workspace.loop);
}

static const struct watch_events events = { on_ready, on_changed };

static void on_timeout(void *data)
{
	(void)data;
	rig.timed_out = true;
	loop_stop(rig.workspace.loop);
}

/* Runs the loop until something was heard; false where nothing was. */
static bool hear(int timeout_ms)
{
	struct loop_timer *timer = loop_timer_new(rig.workspace.loop, on_timeout, NULL);

	rig.timed_out = false;
	loop_timer_set(timer, timeout_ms);
	MUST(loop_run(rig.workspace.loop, NULL));
	loop_timer_free(timer);
	return !rig.timed_out;
}

/* Once more something changed, and once only. */
static bool hears_change(void)
{
	int before = rig.changed;

	return hear(TIMEOUT_MS) && rig.changed == before + 1;
}

static void set_up(void)
{
	rig = (struct rig){ 0 };
	MUST(mkdir("ws", 0755));
	rig.workspace.roots = path_roots_new();
	MUST(path_roots_add(rig.workspace.roots, "ws", 0, NULL));
	MUST(loop_new(&rig.workspace.loop, NULL));
	rig.workspace.pool = worker_pool_new(rig.workspace.loop, 2, 100);
	rig.watcher = watcher_new(&rig.workspace);
}

static void tear_down(void)
{
	watch_free(rig.watch);
	worker_pool_free(rig.workspace.pool);
	watcher_free(rig.watcher);
	loop_free(rig.workspace.loop);
	path_roots_free(rig.workspace.roots);
}

static int watch_path(const char *below)
{
	char path[8192];
	int len =
		snprintf(path, sizeof path, "%s/%s", path_root_name(rig.workspace.roots, 0), below);

	return watch_file(rig.watcher, path, (size_t)len, &events, NULL, &rig.watch, &rig.err);
}

static void hears_of_a_file_that_comes_changes_and_goes(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	set_up();
	MUST(watch_path("d/a"));
	CHECK(hear(TIMEOUT_MS) && rig.ready == 1 && !rig.err.code);
	MUST(mkdir("ws/d", 0755));
	scratch_text("ws/d/a", "1");
	CHECK(hears_change());
	scratch_text("ws/d/a", "2");
	CHECK(hears_change());
	scratch_text("ws/d/b", "3");
	MUST(rename("ws/d/b", "ws/d/a"));
	CHECK(hears_change());
	MUST(unlink("ws/d/a"));
	CHECK(hears_change());
	CHECK_INT(rig.ready, 1);
	tear_down();
}

static void hears_nothing_of_its_neighbours(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	set_up();
	scratch_text("ws/a", "1");
	MUST(watch_path("a"));
	CHECK(hear(TIMEOUT_MS) && rig.ready == 1);
	scratch_text("ws/b", "1");
	MUST(rename("ws/b", "ws/c"));
	MUST(mkdir("ws/aa", 0755));
	CHECK(!hear(QUIET_MS));
	scratch_text("ws/a", "2");
	CHECK(hears_change());
	tear_down();
}

static void hears_of_directories_in_the_workspace(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	set_up();
	MUST(mkdir("ws/d", 0755));
	MUST(watch_tree(rig.watcher, &events, NULL, &rig.watch, NULL));
	CHECK(hear(TIMEOUT_MS) && rig.ready == 1);
	scratch_text("ws/.hidden", "1");
	CHECK(!hear(QUIET_MS));
	MUST(mkdir("ws/d/e", 0755));
	CHECK(hears_change());
	scratch_text("ws/d/e/new", "1");
	CHECK(hears_change());
	MUST(unlink("ws/d/e/new"));
	CHECK(hears_change());
	tear_down();
}

static void hears_of_names_that_come_before_it_is_ready(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	set_up();
	MUST(watch_tree(rig.watcher, &events, NULL, &rig.watch, NULL));
	scratch_text("ws/a", "1");
	CHECK(hear(TIMEOUT_MS) && rig.ready == 1 && rig.changed == 0);
	CHECK(hears_change());
	CHECK(!hear(QUIET_MS));
	tear_down();
}

static void refuses_what_is_too_deep(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char path[2 * WATCH_DEPTH_MAX + 3];

	set_up();
	for (size_t i = 0; i + 1 < sizeof path; i++)
		path[i] = i % 2 ? '/' : 'd';
	path[sizeof path - 1] = '\0';
	CHECK(watch_path(path) < 0);
	CHECK_INT(rig.err.code, ERR_LIMIT);
	tear_down();
}

static void may_be_freed_while_it_looks(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	set_up();
	for (int i = 0; i < 20; i++) {
		MUST(watch_path("a"));
		watch_free(rig.watch);
		rig.watch = NULL;
	}
	CHECK(!hear(QUIET_MS));
	CHECK_INT(rig.ready, 0);
	MUST(watch_path("a"));
	CHECK(hear(TIMEOUT_MS) && rig.ready == 1);
	tear_down();
}

TESTS(CASE(hears_of_a_file_that_comes_changes_and_goes), CASE(hears_nothing_of_its_neighbours),
	CASE(hears_of_directories_in_the_workspace),
	CASE(hears_of_names_that_come_before_it_is_ready), CASE(refuses_what_is_too_deep),
	CASE(may_be_freed_while_it_looks))
