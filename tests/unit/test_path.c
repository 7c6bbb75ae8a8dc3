#include "path.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "cleanup.h"
#include "err.h"

#include "deny.h"
#include "scratch.h"
#include "test.h"

/*
 * Every case has: ws/ the root, with ws/a.txt ("inside") and ws/sub/b.txt; secret.txt
 * ("outside") beside it.
 */
struct world {
	struct scratch scratch;
	struct path_roots *roots;
	struct err err;
};

static void world_leave(struct world *world)
{
	path_roots_free(world->roots);
	scratch_leave(&world->scratch);
}

#define AUTO_WORLD __attribute__((cleanup(world_leave)))

static struct world world_enter(void)
{
	struct world world = { .scratch = scratch_enter(), .roots = path_roots_new() };
	char root[PATH_MAX];

	MUST(mkdir("ws", 0755));
	MUST(mkdir("ws/sub", 0755));
	scratch_text("ws/a.txt", "inside");
	scratch_text("ws/sub/b.txt", "inside");
	scratch_text("secret.txt", "outside");
	snprintf(root, sizeof root, "%s/ws", world.scratch.dir);
	MUST(path_roots_add(world.roots, root, 0, &world.err));
	return world;
}

/* Opens and reads: the content, or NULL and world->err. */
static const char *content(struct world *world, const char *path, char out[64])
{
	AUTO_CLOSE int fd = -1;

	world->err = (struct err){ 0 };
	if (path_open(world->roots, path, strlen(path), O_RDONLY, 0, &fd, &world->err) < 0)
		return NULL;
	ssize_t n = read(fd, out, 63);
	MUST(n);
	out[n] = '\0';
	return out;
}

#define CHECK_OPENS(world, path)                                   \
	do {                                                       \
		char text_[64];                                    \
		CHECK_TEXT(content(world, path, text_), "inside"); \
	} while (0)

#define CHECK_REFUSED(world, path, want)              \
	do {                                          \
		char text_[64];                       \
		CHECK(!content(world, path, text_));  \
		CHECK_INT((world)->err.code, want);   \
		CHECK(strlen((world)->err.msg) > 20); \
	} while (0)

static const char *absolute(struct world *world, const char *rest)
{
	static char text[PATH_MAX];

	snprintf(text, sizeof text, "%s/%s", world->scratch.dir, rest);
	return text;
}

static void opens_beneath_the_workspace(void)
{
	AUTO_WORLD struct world world = world_enter();

	CHECK_OPENS(&world, "a.txt");
	CHECK_OPENS(&world, "./a.txt");
	CHECK_OPENS(&world, "sub//b.txt");
	CHECK_OPENS(&world, "sub/../a.txt");
	CHECK_OPENS(&world, absolute(&world, "ws/a.txt"));
	CHECK_OPENS(&world, absolute(&world, "/ws/.//sub/../a.txt"));
}

static void says_what_is_missing(void)
{
	AUTO_WORLD struct world world = world_enter();

	CHECK_REFUSED(&world, "none.txt", ERR_NOT_FOUND);
	CHECK(strstr(world.err.msg, "none.txt does not exist in /tmp/scratch-"));
	CHECK_REFUSED(&world, "none/none.txt", ERR_NOT_FOUND);
	CHECK_REFUSED(&world, "a.txt/none.txt", ERR_NOT_FOUND);
	CHECK_REFUSED(&world, "a.txt/", ERR_NOT_FOUND);
}

static void refuses_empty_long_and_nul_paths(void)
{
	AUTO_WORLD struct world world = world_enter();
	char text[2 * PATH_MAX_BYTES];
	int fd = -1;

	CHECK_REFUSED(&world, "", ERR_INVALID);
	CHECK_INT(path_open(world.roots, "a.txt\0.png", 10, O_RDONLY, 0, &fd, &world.err), -1);
	CHECK_INT(world.err.code, ERR_INVALID);
	CHECK_INT(path_open(world.roots, "\0", 1, O_RDONLY, 0, &fd, &world.err), -1);

	memset(text, 'n', sizeof text);
	text[NAME_MAX + 1] = '\0';
	CHECK_REFUSED(&world, text, ERR_INVALID);
	text[NAME_MAX] = '\0';
	CHECK_REFUSED(&world, text, ERR_NOT_FOUND);

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 2 ? '/' : '.';
	memcpy(text + PATH_MAX_BYTES - 6, "a.txt", 6);
	CHECK_INT(strlen(text), PATH_MAX_BYTES - 1);
	CHECK_OPENS(&world, text);
	memcpy(text + PATH_MAX_BYTES - 6, "/a.txt", 7);
	CHECK_REFUSED(&world, text, ERR_INVALID);
	memset(text, '\xE2', sizeof text);
	text[sizeof text - 1] = '\0';
	CHECK_REFUSED(&world, text, ERR_INVALID);
}

static void takes_no_more_than_the_length_given(void)
{
	AUTO_WORLD struct world world = world_enter();
	AUTO_CLOSE int fd = -1;

	CHECK_INT(path_open(world.roots, "a.txt.png", 5, O_RDONLY, 0, &fd, &world.err), 0);
}

static void refuses_dots_that_lead_out(void)
{
	AUTO_WORLD struct world world = world_enter();

	CHECK_REFUSED(&world, "..", ERR_DENIED);
	CHECK_REFUSED(&world, "../secret.txt", ERR_DENIED);
	CHECK_REFUSED(&world, "sub/../../secret.txt", ERR_DENIED);
	CHECK_REFUSED(&world, "sub/../../ws/a.txt", ERR_DENIED);
	CHECK_REFUSED(&world, absolute(&world, "ws/../secret.txt"), ERR_DENIED);
	CHECK_REFUSED(&world, absolute(&world, "ws/../ws/a.txt"), ERR_DENIED);
}

static void refuses_absolute_paths_outside(void)
{
	AUTO_WORLD struct world world = world_enter();

	CHECK_REFUSED(&world, "/etc/passwd", ERR_DENIED);
	CHECK(strstr(world.err.msg, world.scratch.dir));
	CHECK_REFUSED(&world, "/", ERR_DENIED);
	CHECK_REFUSED(&world, "//", ERR_DENIED);
	CHECK_REFUSED(&world, absolute(&world, "secret.txt"), ERR_DENIED);
	CHECK_REFUSED(&world, absolute(&world, "wsecret"), ERR_DENIED);
}

static void looks_at_whole_names_only(void)
{
	AUTO_WORLD struct world world = world_enter();

	MUST(mkdir("ws-evil", 0755));
	scratch_text("ws-evil/a.txt", "outside");
	CHECK_REFUSED(&world, absolute(&world, "ws-evil/a.txt"), ERR_DENIED);
	CHECK_REFUSED(&world, absolute(&world, "ws.txt"), ERR_DENIED);
}

static void follows_links_inside_only(void)
{
	AUTO_WORLD struct world world = world_enter();

	MUST(symlink("a.txt", "ws/link"));
	MUST(symlink("../a.txt", "ws/sub/up"));
	MUST(symlink("sub", "ws/dir"));
	CHECK_OPENS(&world, "link");
	CHECK_OPENS(&world, "sub/up");
	CHECK_OPENS(&world, "dir/b.txt");
	CHECK_OPENS(&world, "dir/../a.txt");

	MUST(symlink("../secret.txt", "ws/out"));
	MUST(symlink("..", "ws/outdir"));
	MUST(symlink("sub/../../secret.txt", "ws/detour"));
	CHECK_REFUSED(&world, "out", ERR_DENIED);
	CHECK_REFUSED(&world, "outdir/secret.txt", ERR_DENIED);
	CHECK_REFUSED(&world, "outdir/ws/a.txt", ERR_DENIED);
	CHECK_REFUSED(&world, "detour", ERR_DENIED);
}

static void refuses_absolute_links_with_a_sentence(void)
{
	AUTO_WORLD struct world world = world_enter();

	MUST(symlink("/etc/passwd", "ws/passwd"));
	MUST(symlink(absolute(&world, "ws/a.txt"), "ws/absolute"));
	CHECK_REFUSED(&world, "passwd", ERR_DENIED);
	CHECK_REFUSED(&world, "absolute", ERR_DENIED);
	CHECK(strstr(world.err.msg, "absolute target"));
}

static void ends_in_circles_of_links(void)
{
	AUTO_WORLD struct world world = world_enter();

	MUST(symlink("two", "ws/one"));
	MUST(symlink("one", "ws/two"));
	CHECK_REFUSED(&world, "one", ERR_DENIED);
}

static void takes_a_root_by_both_of_its_names(void)
{
	AUTO_WORLD struct world world = world_enter();

	MUST(symlink("ws", "alias"));
	path_roots_free(world.roots);
	world.roots = path_roots_new();
	CHECK_INT(path_roots_add(world.roots, absolute(&world, "/alias/"), 0, &world.err), 0);
	CHECK_TEXT(path_root_name(world.roots, 0), absolute(&world, "alias"));
	CHECK_OPENS(&world, absolute(&world, "alias/a.txt"));
	CHECK_OPENS(&world, absolute(&world, "ws/a.txt"));
}

static void names_roots_by_absolute_paths(void)
{
	AUTO_WORLD struct world world = world_enter();

	CHECK_INT(path_roots_add(world.roots, "ws/sub/..", 0, &world.err), 0);
	CHECK_TEXT(path_root_name(world.roots, 1), absolute(&world, "ws"));
	CHECK_INT(path_roots_add(world.roots, "/", 0, &world.err), 0);
	CHECK_TEXT(path_root_name(world.roots, 2), "/");
	CHECK_INT(path_roots_count(world.roots), 3);
	CHECK_INT(path_roots_add(world.roots, "ws/a.txt", 0, &world.err), -1);
	CHECK_INT(path_roots_add(world.roots, "ws/none", 0, &world.err), -1);
	CHECK_INT(path_roots_count(world.roots), 3);
	CHECK_OPENS(&world, absolute(&world, "ws/a.txt"));
}

static void picks_the_longest_root(void)
{
	AUTO_WORLD struct world world = world_enter();
	int fd = -1;

	CHECK_INT(path_roots_add(world.roots, "/", 0, &world.err), 0);
	CHECK_INT(path_roots_add(world.roots, "ws/sub", PATH_ROOT_READ_ONLY, &world.err), 0);
	CHECK_OPENS(&world, absolute(&world, "ws/sub/b.txt"));
	const char *inner = absolute(&world, "ws/sub/new.txt");
	CHECK_INT(path_open(world.roots, inner, strlen(inner), O_WRONLY | O_CREAT, 0644, &fd,
			  &world.err),
		-1);
	CHECK_INT(world.err.code, ERR_DENIED);
	/* Out of the inner root is out, although another one is above it. */
	CHECK_REFUSED(&world, absolute(&world, "ws/sub/../a.txt"), ERR_DENIED);
}

static void keeps_read_only_roots_as_they_are(void)
{
	AUTO_WORLD struct world world = world_enter();
	char name[NAME_MAX + 1];
	int fd = -1;

	MUST(mkdir("log", 0755));
	scratch_text("log/a.txt", "inside");
	CHECK_INT(path_roots_add(world.roots, "log", PATH_ROOT_READ_ONLY, &world.err), 0);
	const char *path = absolute(&world, "log/a.txt");
	size_t len = strlen(path);
	static const int writing[] = { O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_RDONLY | O_CREAT };
	for (size_t i = 0; i < 4; i++) {
		CHECK_INT(path_open(world.roots, path, len, writing[i], 0644, &fd, &world.err), -1);
		CHECK_INT(world.err.code, ERR_DENIED);
	}
	CHECK_INT(path_open_parent(world.roots, path, len, false, &fd, name, &world.err), -1);
	CHECK_INT(world.err.code, ERR_DENIED);
	CHECK_INT(path_open_target(world.roots, path, len, false, &fd, name, &world.err), -1);
	CHECK_INT(world.err.code, ERR_DENIED);
	CHECK_OPENS(&world, path);
}

static void never_waits_for_pipes_and_devices(void)
{
	AUTO_WORLD struct world world = world_enter();
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "ws/socket" };
	AUTO_CLOSE int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = -1;

	MUST(mkfifo("ws/pipe", 0644));
	MUST(bind(sock, (struct sockaddr *)&name, sizeof name));
	alarm(10); /* a wait would end here, loudly */
	CHECK_REFUSED(&world, "pipe", ERR_INVALID);
	CHECK_REFUSED(&world, "socket", ERR_INVALID);
	CHECK_INT(path_open(world.roots, "pipe", 4, O_WRONLY, 0, &fd, &world.err), -1);
	CHECK_INT(world.err.code, ERR_INVALID);
	CHECK_INT(path_open(world.roots, "pipe", 4, O_RDWR, 0, &fd, &world.err), -1);
	CHECK_INT(world.err.code, ERR_INVALID);

	CHECK_INT(path_roots_add(world.roots, "/dev", 0, &world.err), 0);
	CHECK_REFUSED(&world, "/dev/null", ERR_INVALID);
	CHECK_REFUSED(&world, "/dev/zero", ERR_INVALID);
	alarm(0);
}

static void refuses_magic_links(void)
{
	AUTO_WORLD struct world world = world_enter();
	static const char *const magic[] = { "/proc/self/exe", "/proc/self/root/etc/passwd",
		"/proc/self/cwd/secret.txt", "/proc/self/fd/0", "/proc/thread-self/root" };

	CHECK_INT(path_roots_add(world.roots, "/proc", 0, &world.err), 0);
	for (size_t i = 0; i < sizeof magic / sizeof *magic; i++)
		CHECK_REFUSED(&world, magic[i], ERR_DENIED);
	char text[64];
	CHECK(content(&world, "/proc/self/comm", text)); /* this one is no magic */
}

static void opens_no_directory_as_a_file_to_write(void)
{
	AUTO_WORLD struct world world = world_enter();
	int fd = -1;

	CHECK_INT(path_open(world.roots, "sub", 3, O_WRONLY, 0, &fd, &world.err), -1);
	CHECK_INT(world.err.code, ERR_INVALID);
	CHECK_INT(
		path_open(world.roots, "a.txt", 5, O_RDONLY | O_DIRECTORY, 0, &fd, &world.err), -1);
	CHECK_INT(world.err.code, ERR_INVALID);
	CHECK(strstr(world.err.msg, "a.txt is a file, not a directory"));
	CHECK_INT(path_open(world.roots, "a.txt", 5, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd,
			  &world.err),
		-1);
	CHECK_INT(world.err.code, ERR_CONFLICT);
}

static void closes_descriptors_on_exec(void)
{
	AUTO_WORLD struct world world = world_enter();
	AUTO_CLOSE int fd = -1;

	CHECK_INT(path_open(world.roots, "a.txt", 5, O_RDONLY, 0, &fd, &world.err), 0);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK(fcntl(path_root_fd(world.roots, 0), F_GETFD) & FD_CLOEXEC);
}

static void opens_from_the_cache_what_was_just_opened(void)
{
	AUTO_WORLD struct world world = world_enter();
	AUTO_CLOSE int fd = -1;
	struct stat st;

	CHECK_OPENS(&world, "a.txt");
	int got = path_open_cached(world.roots, "a.txt", 5, O_RDONLY, &fd, &st, &world.err);
	CHECK(got == 0 || got == 1);
	if (got == 0)
		CHECK_INT(st.st_size, 6);
	/* Dots are for the worker to decide. */
	CHECK(path_open_cached(world.roots, "../secret.txt", 13, O_RDONLY, &fd, &st, &world.err));
	CHECK_INT(path_open_cached(world.roots, "/etc", 4, O_RDONLY, &fd, &st, &world.err), -1);
	CHECK_INT(world.err.code, ERR_DENIED);
}

static void makes_parents_beneath_the_root(void)
{
	AUTO_WORLD struct world world = world_enter();
	char name[NAME_MAX + 1];
	struct stat st;
	int fd = -1;

	CHECK_INT(path_open_parent(world.roots, "x/y/z.txt", 9, false, &fd, name, &world.err), -1);
	CHECK_INT(world.err.code, ERR_NOT_FOUND);
	CHECK_INT(
		path_open_parent(world.roots, "x//./y/../w/z.txt", 17, true, &fd, name, &world.err),
		0);
	CHECK_TEXT(name, "z.txt");
	CHECK_INT(stat("ws/x/w", &st), 0);
	CHECK_INT(stat("ws/x/y", &st), 0);
	CHECK(faccessat(fd, ".", F_OK, 0) == 0);
	close(fd);

	MUST(symlink("../new", "ws/leads-out"));
	CHECK_INT(
		path_open_parent(world.roots, "leads-out/deep/z", 16, true, &fd, name, &world.err),
		-1);
	CHECK_INT(world.err.code, ERR_DENIED);
	CHECK_INT(
		path_open_parent(world.roots, "new/../../deep/z", 16, true, &fd, name, &world.err),
		-1);
	CHECK_INT(world.err.code, ERR_DENIED);
	CHECK_INT(stat("deep", &st), -1);
	CHECK_INT(stat("new", &st), -1);

	MUST(symlink("nowhere", "ws/dangling"));
	CHECK_INT(path_open_parent(world.roots, "dangling/z", 10, true, &fd, name, &world.err), -1);
	CHECK_INT(world.err.code, ERR_NOT_FOUND);
	CHECK_INT(path_open_parent(world.roots, "a.txt/z", 7, true, &fd, name, &world.err), -1);
	CHECK_INT(world.err.code, ERR_NOT_FOUND);
}

static void asks_for_a_name_at_the_end(void)
{
	AUTO_WORLD struct world world = world_enter();
	static const char *const none[] = { ".", "..", "sub/", "sub/.", "sub/..", "/" };
	char name[NAME_MAX + 1], text[NAME_MAX + 8];
	int fd = -1;

	CHECK_INT(path_roots_add(world.roots, "/", 0, &world.err), 0);
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		CHECK_INT(path_open_parent(world.roots, none[i], strlen(none[i]), true, &fd, name,
				  &world.err),
			-1);
		CHECK_INT(world.err.code, ERR_INVALID);
	}
	memset(text, 'n', sizeof text);
	CHECK_INT(path_open_parent(world.roots, text, NAME_MAX + 1, false, &fd, name, &world.err),
		-1);
	CHECK_INT(world.err.code, ERR_INVALID);
	CHECK_INT(path_open_parent(world.roots, text, NAME_MAX, false, &fd, name, &world.err), 0);
	close(fd);
}

/* The file that path_open_target() finds, as device and inode of its directory and its name. */
static void check_target(struct world *world, const char *path, const char *dir, const char *want)
{
	char name[NAME_MAX + 1];
	struct stat have_st, want_st;
	AUTO_CLOSE int fd = -1;

	world->err = (struct err){ 0 };
	CHECK_INT(path_open_target(world->roots, path, strlen(path), true, &fd, name, &world->err),
		0);
	if (fd < 0) {
		printf("# %s\n", world->err.msg);
		return;
	}
	CHECK_TEXT(name, want);
	MUST(fstat(fd, &have_st));
	MUST(stat(dir, &want_st));
	CHECK(have_st.st_ino == want_st.st_ino);
}

static void finds_what_a_link_stands_for(void)
{
	AUTO_WORLD struct world world = world_enter();

	MUST(symlink("sub", "ws/dir"));
	MUST(symlink("../a.txt", "ws/sub/up"));
	MUST(symlink("dir/up", "ws/chain"));
	MUST(symlink("new/dangling.txt", "ws/dangling"));
	check_target(&world, "a.txt", "ws", "a.txt");
	check_target(&world, "none.txt", "ws", "none.txt");
	check_target(&world, "sub/up", "ws", "a.txt");
	check_target(&world, "dir/up", "ws", "a.txt");
	check_target(&world, "chain", "ws", "a.txt");
	check_target(&world, absolute(&world, "ws/chain"), "ws", "a.txt");
	check_target(&world, "dangling", "ws/new", "dangling.txt");
}

static void finds_no_target_outside(void)
{
	AUTO_WORLD struct world world = world_enter();
	static const char *const links[] = { "out", "detour", "absolute", "one" };
	char name[NAME_MAX + 1], deep[PATH_MAX_BYTES];
	int fd = -1;

	for (size_t i = 0; i < sizeof deep; i++)
		deep[i] = i % 2 ? '/' : '.';
	memcpy(deep + sizeof deep - 2, "x", 2);
	MUST(symlink("../secret.txt", "ws/out"));
	MUST(symlink("sub/../../secret.txt", "ws/detour"));
	MUST(symlink(absolute(&world, "ws/a.txt"), "ws/absolute"));
	MUST(symlink("two", "ws/one"));
	MUST(symlink("one", "ws/two"));
	MUST(symlink(deep, "ws/long"));
	for (size_t i = 0; i < 4; i++) {
		CHECK_INT(path_open_target(world.roots, links[i], strlen(links[i]), true, &fd, name,
				  &world.err),
			-1);
		CHECK_INT(world.err.code, ERR_DENIED);
	}
	CHECK_INT(path_open_target(world.roots, "long", 4, true, &fd, name, &world.err), -1);
	CHECK_INT(world.err.code, ERR_INVALID);
	CHECK_INT(fd, -1);
}

static void refuses_a_kernel_without_openat2(void)
{
	AUTO_WORLD struct world world = world_enter();
	int status = -1;

	fflush(stdout);
	pid_t pid = fork();
	MUST(pid);
	if (pid == 0) {
		deny(SYS_openat2, 0, 0, ENOSYS);
		int rc = path_roots_add(world.roots, "ws", 0, &world.err);
		_exit(rc == 0 ? 1 : strstr(world.err.msg, "Linux 5.6") ? 0 : 2);
	}
	MUST(waitpid(pid, &status, 0));
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}

/* ---- Races ---- */

struct swapper {
	atomic_bool stop;
	atomic_int swaps;
};

/* Swaps ws/flip, a directory, and ws/trap, a link to the outside, as fast as it can. */
static void *swap(void *data)
{
	struct swapper *swapper = data;

	while (!atomic_load(&swapper->stop)) {
		MUST(renameat2(AT_FDCWD, "ws/flip", AT_FDCWD, "ws/trap", RENAME_EXCHANGE));
		atomic_fetch_add(&swapper->swaps, 1);
	}
	return NULL;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void holds_while_a_directory_becomes_a_link(void)
{
	AUTO_WORLD struct world world = world_enter();
	struct swapper swapper = { 0 };
	pthread_t thread;
	int opened = 0, refused = 0, other = 0;

	MUST(mkdir("target", 0755));
	scratch_text("target/f.txt", "outside");
	MUST(mkdir("ws/flip", 0755));
	scratch_text("ws/flip/f.txt", "inside");
	MUST(symlink("../target", "ws/trap"));
	MUST(-pthread_create(&thread, NULL, swap, &swapper));
	/* Until both sides were seen often enough; the clock only ends a broken test. */
	for (int64_t end = now_ms() + 20000; (opened < 500 || refused < 500) && now_ms() < end;) {
		static const char *const paths[] = { "flip/f.txt", "sub/../flip/f.txt" };
		for (size_t i = 0; i < 2; i++) {
			char text[64];
			const char *have = content(&world, paths[i], text);
			if (have && strcmp(have, "inside") == 0)
				opened++;
			else if (!have &&
				 (world.err.code == ERR_DENIED || world.err.code == ERR_CONFLICT))
				refused++;
			else
				other++;
		}
	}
	atomic_store(&swapper.stop, true);
	pthread_join(thread, NULL);
	CHECK(opened >= 500);
	CHECK(refused >= 500);
	CHECK_INT(other, 0);
	CHECK(atomic_load(&swapper.swaps) > 100);
}

static void creates_nothing_outside_in_a_race(void)
{
	AUTO_WORLD struct world world = world_enter();
	struct swapper swapper = { 0 };
	struct stat st;
	pthread_t thread;
	int made = 0, refused = 0;

	MUST(mkdir("target", 0755));
	MUST(mkdir("ws/flip", 0755));
	MUST(symlink("../target", "ws/trap"));
	MUST(-pthread_create(&thread, NULL, swap, &swapper));
	for (int64_t end = now_ms() + 20000; (made < 200 || refused < 200) && now_ms() < end;) {
		char path[64], name[NAME_MAX + 1];
		AUTO_CLOSE int dirfd = -1;
		snprintf(path, sizeof path, "flip/d%d/e/f.txt", made);
		if (path_open_target(
			    world.roots, path, strlen(path), true, &dirfd, name, &world.err) == 0)
			made++;
		else
			refused++;
	}
	atomic_store(&swapper.stop, true);
	pthread_join(thread, NULL);
	CHECK(made >= 200);
	CHECK(refused >= 200);
	CHECK_INT(stat("target", &st), 0);
	CHECK_INT(st.st_nlink, 2); /* no directory was made in there */
}

TESTS(CASE(opens_beneath_the_workspace), CASE(says_what_is_missing),
	CASE(refuses_empty_long_and_nul_paths), CASE(takes_no_more_than_the_length_given),
	CASE(refuses_dots_that_lead_out), CASE(refuses_absolute_paths_outside),
	CASE(looks_at_whole_names_only), CASE(follows_links_inside_only),
	CASE(refuses_absolute_links_with_a_sentence), CASE(ends_in_circles_of_links),
	CASE(takes_a_root_by_both_of_its_names), CASE(names_roots_by_absolute_paths),
	CASE(picks_the_longest_root), CASE(keeps_read_only_roots_as_they_are),
	CASE(never_waits_for_pipes_and_devices), CASE(refuses_magic_links),
	CASE(opens_no_directory_as_a_file_to_write), CASE(closes_descriptors_on_exec),
	CASE(opens_from_the_cache_what_was_just_opened), CASE(makes_parents_beneath_the_root),
	CASE(asks_for_a_name_at_the_end), CASE(finds_what_a_link_stands_for),
	CASE(finds_no_target_outside), CASE(refuses_a_kernel_without_openat2),
	CASE(holds_while_a_directory_becomes_a_link), CASE(creates_nothing_outside_in_a_race))
