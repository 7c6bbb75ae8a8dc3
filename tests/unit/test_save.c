#include "save.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "cleanup.h"
#include "err.h"

#include "deny.h"
#include "scratch.h"
#include "test.h"

static int open_here(void)
{
	int fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	MUST(fd);
	return fd;
}

/* Writes a whole file in the working directory: 0, or -1 and `err`. */
static int save(const char *name, const char *text, bool replace, bool *created, struct err *err)
{
	AUTO_SAVE struct save draft = { .dirfd = -1, .fd = -1 };

	*err = (struct err){ 0 };
	if (save_begin(&draft, open_here(), name, replace, err) < 0 ||
		save_write(&draft, text, strlen(text), err) < 0)
		return -1;
	return save_commit(&draft, created, err);
}

static void check_saved(const char *name, const char *text, bool new)
{
	char have[256];
	struct err err;
	bool created = !new;

	CHECK_INT(save(name, text, true, &created, &err), 0);
	if (err.code)
		printf("# %s\n", err.msg);
	CHECK_INT(created, new);
	CHECK_TEXT(scratch_read(name, have, sizeof have), text);
}

static void check_alone(const char *name)
{
	AUTO_CLOSEDIR DIR *dir = opendir(".");
	int others = 0;

	for (struct dirent *entry; (entry = readdir(dir));)
		others += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
			  strcmp(entry->d_name, name);
	CHECK_INT(others, 0);
}

static struct stat stat_of(const char *name)
{
	struct stat st;

	MUST(lstat(name, &st));
	return st;
}

static void makes_and_replaces_a_file(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	check_saved("a", "first", true);
	ino_t first = stat_of("a").st_ino;
	check_saved("a", "second, and longer", false);
	CHECK(stat_of("a").st_ino != first); /* whoever has it open keeps the old one */
	check_saved("a", "", false);
	check_alone("a");
}

static void gives_new_files_the_mode_of_the_umask(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	mode_t old = umask(027);

	check_saved("a", "text", true);
	umask(old);
	CHECK_INT(stat_of("a").st_mode & 07777, 0640);
}

static void shows_nothing_before_the_commit(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct err err;
	char have[64];

	scratch_text("a", "old");
	{
		AUTO_SAVE struct save draft = { .dirfd = -1, .fd = -1 };
		CHECK_INT(save_begin(&draft, open_here(), "a", true, &err), 0);
		CHECK_INT(save_write(&draft, "new", 3, &err), 0);
		CHECK_TEXT(scratch_read("a", have, sizeof have), "old");
		if (!draft.temp[0])
			check_alone("a");
	}
	CHECK_TEXT(scratch_read("a", have, sizeof have), "old");
	check_alone("a");
}

static void keeps_mode_owner_and_attributes(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char value[16] = "";

	scratch_text("a", "old");
	MUST(chmod("a", 0751));
	CHECK(chown("a", 12345, 54321) == 0 || geteuid() != 0);
	MUST(setxattr("a", "user.colour", "blue", 4, 0));
	struct stat before = stat_of("a");
	check_saved("a", "new", false);
	struct stat after = stat_of("a");
	CHECK_INT(after.st_mode, before.st_mode);
	CHECK_INT(after.st_uid, before.st_uid);
	CHECK_INT(after.st_gid, before.st_gid);
	CHECK(after.st_ino != before.st_ino);
	CHECK_INT(getxattr("a", "user.colour", value, sizeof value), 4);
	CHECK_TEXT(value, "blue");
}

/* An ACL as the kernel has it: owner rw, user 1234 r, group none, mask r, others none. */
static const char acl[] = "\2\0\0\0"
			  "\1\0\6\0\xFF\xFF\xFF\xFF"
			  "\2\0\4\0\xD2\4\0\0"
			  "\4\0\0\0\xFF\xFF\xFF\xFF"
			  "\x10\0\4\0\xFF\xFF\xFF\xFF"
			  "\x20\0\0\0\xFF\xFF\xFF\xFF";

static void keeps_the_acl_and_only_that(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char have[256];

	scratch_text("a", "old");
	scratch_text("plain", "old");
	MUST(chmod("plain", 0644));
	MUST(setxattr("a", "system.posix_acl_access", acl, sizeof acl - 1, 0));
	MUST(setxattr(".", "system.posix_acl_default", acl, sizeof acl - 1, 0));
	check_saved("a", "new", false);
	CHECK_INT(getxattr("a", "system.posix_acl_access", have, sizeof have), sizeof acl - 1);
	CHECK(memcmp(have, acl, sizeof acl - 1) == 0);
	check_saved("plain", "new", false);
	CHECK_INT(getxattr("plain", "system.posix_acl_access", have, sizeof have), -1);
	CHECK_INT(stat_of("plain").st_mode & 07777, 0644);
}

static void writes_in_place_where_there_are_more_links(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char have[64];

	scratch_text("a", "old and long");
	MUST(link("a", "b"));
	check_saved("a", "new", false);
	CHECK_TEXT(scratch_read("b", have, sizeof have), "new");
	CHECK_INT(stat_of("a").st_nlink, 2);
}

static void refuses_to_make_what_exists(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct err err;
	bool created = false;
	char have[64];

	CHECK_INT(save("a", "first", false, &created, &err), 0);
	CHECK(created);
	CHECK_INT(save("a", "second", false, &created, &err), -1);
	CHECK_INT(err.code, ERR_CONFLICT);
	CHECK_TEXT(scratch_read("a", have, sizeof have), "first");
	MUST(symlink("nowhere", "link"));
	CHECK_INT(save("link", "text", false, &created, &err), -1);
	CHECK_INT(err.code, ERR_CONFLICT);
	MUST(unlink("link"));

	/* Made by somebody else between begin and commit. */
	AUTO_SAVE struct save draft = { .dirfd = -1, .fd = -1 };
	CHECK_INT(save_begin(&draft, open_here(), "b", false, &err), 0);
	scratch_text("b", "theirs");
	CHECK_INT(save_commit(&draft, &created, &err), -1);
	CHECK_INT(err.code, ERR_CONFLICT);
	CHECK_TEXT(scratch_read("b", have, sizeof have), "theirs");
}

static void writes_only_files(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct err err;
	bool created;

	MUST(mkdir("dir", 0755));
	MUST(mkfifo("pipe", 0644));
	MUST(symlink("target", "link"));
	CHECK_INT(save("dir", "text", true, &created, &err), -1);
	CHECK_INT(err.code, ERR_INVALID);
	alarm(10);
	CHECK_INT(save("pipe", "text", true, &created, &err), -1);
	CHECK_INT(err.code, ERR_INVALID);
	alarm(0);
	CHECK_INT(save("link", "text", true, &created, &err), -1);
	CHECK_INT(err.code, ERR_CONFLICT);
	CHECK_INT(access("target", F_OK), -1);
	CHECK_INT(save_append(AT_FDCWD, "dir", "x", 1, &created, &err), -1);
	CHECK_INT(save_append(AT_FDCWD, "pipe", "x", 1, &created, &err), -1);
	CHECK_INT(save_append(AT_FDCWD, "link", "x", 1, &created, &err), -1);
	CHECK_INT(access("target", F_OK), -1);
}

static void takes_the_longest_name_there_is(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char name[NAME_MAX + 1];

	for (size_t i = 0; i + 1 < sizeof name; i++)
		name[i] = "\xE4\xB8\xAD"[i % 3];
	name[NAME_MAX] = '\0';
	check_saved(name, "first", true);
	check_saved(name, "second", false);
	check_alone(name);
}

/* Runs `fn` in a child; its exit status. A failed check there is one here. */
static void in_child(int (*fn)(void))
{
	int status = -1;

	fflush(stdout);
	pid_t pid = fork();
	MUST(pid);
	if (pid == 0)
		_exit(fn());
	MUST(waitpid(pid, &status, 0));
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}

static int write_too_much(void)
{
	struct rlimit limit = { 1000, 1000 };
	char text[3000], have[4000];
	struct err err;
	bool created = false;

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	signal(SIGXFSZ, SIG_IGN);
	MUST(setrlimit(RLIMIT_FSIZE, &limit));
	test_failures = 0;
	CHECK_INT(save("a", text, true, &created, &err), -1);
	CHECK_INT(err.code, ERR_LIMIT);
	CHECK_TEXT(scratch_read("a", have, sizeof have), "old");
	CHECK_INT(save("new", text, true, &created, &err), -1);
	CHECK_INT(access("new", F_OK), -1);
	CHECK_INT(save_append(AT_FDCWD, "a", text, strlen(text), &created, &err), -1);
	CHECK_INT(err.code, ERR_LIMIT);
	CHECK_TEXT(scratch_read("a", have, sizeof have), "old");
	CHECK_INT(save_append(AT_FDCWD, "new", text, strlen(text), &created, &err), -1);
	CHECK_INT(access("new", F_OK), -1);
	check_alone("a");
	return test_failures;
}

static void leaves_the_old_file_when_there_is_no_room(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	scratch_text("a", "old");
	in_child(write_too_much);
}

/* As a user who owns the file `a`, but not the directory it is in. */
static int write_in_a_foreign_directory(void)
{
	struct err err;
	bool created = true;
	char have[64];

	if (geteuid() == 0 && (setgid(12345) < 0 || setuid(12345) < 0))
		return 1;
	test_failures = 0;
	CHECK_INT(save("a", "new", true, &created, &err), 0);
	CHECK(!created);
	CHECK_TEXT(scratch_read("a", have, sizeof have), "new");
	CHECK_INT(save("b", "new", true, &created, &err), -1);
	CHECK_INT(err.code, ERR_DENIED);
	CHECK_INT(save("c", "new", true, &created, &err), -1);
	CHECK_INT(err.code, ERR_DENIED);
	CHECK_TEXT(scratch_read("c", have, sizeof have), "theirs");
	return test_failures;
}

static void writes_in_place_in_a_directory_of_others(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	scratch_text("a", "old");
	scratch_text("c", "theirs");
	MUST(chmod("c", 0444));
	if (geteuid() == 0)
		MUST(chown("a", 12345, 12345));
	MUST(chmod(".", 0555));
	in_child(write_in_a_foreign_directory);
	MUST(chmod(".", 0755));
}

static pid_t start_program(int from)
{
	int ready[2];
	char byte;

	MUST(pipe2(ready, O_CLOEXEC));
	fflush(stdout);
	pid_t pid = fork();
	MUST(pid);
	if (pid == 0) {
		dup2(from, 0);
		execl("./prog", "prog", NULL);
		_exit(1);
	}
	close(ready[1]);
	CHECK_INT(read(ready[0], &byte, 1), 0); /* closed by exec */
	close(ready[0]);
	return pid;
}

static void copy_file(const char *from, const char *to)
{
	AUTO_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	char bytes[1 << 16];
	ssize_t n;

	while ((n = read(in, bytes, sizeof bytes)) > 0)
		MUST(write(out, bytes, (size_t)n));
}

static void replaces_a_program_that_runs(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	int input[2], status = -1;

	copy_file("/bin/cat", "prog");
	MUST(pipe2(input, O_CLOEXEC));
	pid_t pid = start_program(input[0]);
	CHECK_INT(open("prog", O_WRONLY | O_CLOEXEC), -1);
	CHECK_INT(errno, ETXTBSY);
	check_saved("prog", "new", false);
	CHECK_INT(stat_of("prog").st_mode & 07777, 0755);
	close(input[0]);
	close(input[1]);
	MUST(waitpid(pid, &status, 0));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int write_without_nameless_files(void)
{
	char have[64];
	struct err err;
	bool created = false;

	deny(SYS_openat, 2, O_TMPFILE, EOPNOTSUPP);
	test_failures = 0;
	check_saved("a", "first", true);
	check_saved("a", "second", false);
	CHECK_INT(save("a", "third", false, &created, &err), -1);
	CHECK_INT(save("b", "new", false, &created, &err), 0);
	CHECK_TEXT(scratch_read("b", have, sizeof have), "new");
	CHECK_INT(stat_of("b").st_nlink, 1);
	MUST(unlink("b"));

	struct save draft;
	CHECK_INT(save_begin(&draft, open_here(), "a", true, &err), 0);
	CHECK_INT(stat_of(draft.temp).st_mode & 07777, 0600);
	save_release(&draft);
	deny(SYS_renameat2, 4, RENAME_NOREPLACE, EINVAL);
	CHECK_INT(save("b", "new", false, &created, &err), 0);
	CHECK_INT(stat_of("b").st_nlink, 1);
	MUST(unlink("b"));
	check_alone("a");
	return test_failures;
}

static void does_without_nameless_files(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	in_child(write_without_nameless_files);
}

static void appends_and_says_what_was_new(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct err err;
	bool created = false;
	char have[64];

	CHECK_INT(save_append(AT_FDCWD, "log", "one\n", 4, &created, &err), 0);
	CHECK(created);
	CHECK_INT(save_append(AT_FDCWD, "log", "two\0\n", 5, &created, &err), 0);
	CHECK(!created);
	CHECK_INT(stat_of("log").st_size, 9);
	CHECK_TEXT(scratch_read("log", have, sizeof have), "one\ntwo");
	CHECK_INT(save_append(AT_FDCWD, "log", "", 0, &created, &err), 0);
	CHECK_INT(stat_of("log").st_size, 9);
}

/* ---- Many at once ---- */

enum { WRITERS = 4, ROUNDS = 40, LENGTH = 20000 };

static atomic_int strange;

static void *write_many(void *data)
{
	static char text[WRITERS][LENGTH + 1];
	int self = *(int *)data;

	memset(text[self], 'a' + self, LENGTH);
	for (int i = 0; i < ROUNDS; i++) {
		struct err err;
		bool created;
		if (save("replaced", text[self], true, &created, &err) < 0 ||
			save("linked", text[self], true, &created, &err) < 0 ||
			save_append(AT_FDCWD, "log", text[self], LENGTH, &created, &err) < 0)
			atomic_fetch_add(&strange, 1);
	}
	return NULL;
}

/* Whether the file is whole pieces of LENGTH equal letters. */
static int pieces_of(const char *name)
{
	static char text[WRITERS * ROUNDS * LENGTH + 1];
	size_t len = strlen(scratch_read(name, text, sizeof text));

	for (size_t i = 0; i < len; i++) {
		if (text[i] != text[i - i % LENGTH])
			return -1;
	}
	return len % LENGTH ? -1 : (int)(len / LENGTH);
}

static void never_mixes_writers(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	pthread_t threads[WRITERS];
	int numbers[WRITERS];

	scratch_text("linked", "");
	MUST(link("linked", "other"));
	for (int i = 0; i < WRITERS; i++) {
		numbers[i] = i;
		MUST(-pthread_create(&threads[i], NULL, write_many, &numbers[i]));
	}
	for (int i = 0; i < 200; i++) {
		if (access("replaced", F_OK) == 0)
			CHECK_INT(pieces_of("replaced"), 1); /* at any moment */
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(atomic_load(&strange), 0);
	CHECK_INT(pieces_of("replaced"), 1);
	CHECK_INT(pieces_of("other"), 1);
	CHECK_INT(pieces_of("log"), WRITERS * ROUNDS);
}

TESTS(CASE(makes_and_replaces_a_file), CASE(gives_new_files_the_mode_of_the_umask),
	CASE(shows_nothing_before_the_commit), CASE(keeps_mode_owner_and_attributes),
	CASE(keeps_the_acl_and_only_that), CASE(writes_in_place_where_there_are_more_links),
	CASE(refuses_to_make_what_exists), CASE(writes_only_files),
	CASE(takes_the_longest_name_there_is), CASE(leaves_the_old_file_when_there_is_no_room),
	CASE(writes_in_place_in_a_directory_of_others), CASE(replaces_a_program_that_runs),
	CASE(does_without_nameless_files), CASE(appends_and_says_what_was_new),
	CASE(never_mixes_writers))
