/*
 * Templates that are not the host: a system without glibc, without a single library, as one tree
 * and in layers. busybox-static is its only program.
 */
#include "local_talk.h"
#include "scratch.h"
#include "test.h"

#include <errno.h>
#include <sys/wait.h>

static const char busybox[] = "/bin/busybox";

static void copy_busybox(const char *to)
{
	char chunk[64 * 1024];
	FILE *in = fopen(busybox, "re"), *out = fopen(to, "we");

	if (!in || !out) {
		printf("Bail out! %s is needed: apt-get install busybox-static\n", busybox);
		exit(99);
	}
	for (size_t n; (n = fread(chunk, 1, sizeof chunk, in)) > 0;)
		if (fwrite(chunk, 1, n, out) != n)
			exit(99);
	fclose(in);
	MUST(fclose(out) == 0 ? 0 : -1);
	MUST(chmod(to, 0755));
}

/* Directories, one after the other, up to NULL. */
static void make_dirs(const char *const *paths)
{
	for (; *paths; paths++)
		if (mkdir(*paths, 0755) < 0 && errno != EEXIST)
			MUST(-1);
}

static struct kit kit;
static struct kit_calls calls;

static const char *make(const char *template)
{
	const struct kit_call *call = kit_make(&kit, &calls, template);

	kit_await(&kit, &calls);
	CHECK_INT(call->err.code, 0);
	return call->id;
}

static void drop(const char *id)
{
	kit_remove(&kit, &calls, id);
	kit_await(&kit, &calls);
}

static void runs_in_an_image_without_glibc(void)
{
	static const char *const dirs[] = { "templates", "templates/tiny", "templates/tiny/rootfs",
		"templates/tiny/rootfs/bin", "templates/tiny/rootfs/etc", NULL };
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char out[256];

	make_dirs(dirs);
	copy_busybox("templates/tiny/rootfs/bin/busybox");
	MUST(symlink("busybox", "templates/tiny/rootfs/bin/sh"));
	scratch_text("templates/tiny/rootfs/etc/kept", "of the image\n");
	MUST(kit_open(&kit, scratch.dir, 0));
	const char *id = make("tiny");
	CHECK_INT(talk_output(&kit, id, "busybox id -u; busybox ls /; busybox cat /etc/kept", out,
			  sizeof out),
		0);
	CHECK_TEXT(out, "1000\nbin\ndev\netc\nhome\nproc\nrun\nsys\ntmp\nvar\nworkspace\n"
			"of the image\n");
	CHECK_INT(
		talk_code(&kit, id, "echo x > /workspace/x && echo y > ~/y && echo z > /tmp/z"), 0);
	CHECK(talk_code(&kit, id, "echo x > /etc/kept") != 0);
	drop(id);
	kit_close(&kit);
}

static void puts_layers_on_each_other(void)
{
	static const char *const dirs[] = { "templates", "templates/two", "templates/two/base",
		"templates/two/base/bin", "templates/two/base/etc", "templates/two/more",
		"templates/two/more/etc", NULL };
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char out[256];

	make_dirs(dirs);
	copy_busybox("templates/two/base/bin/busybox");
	MUST(symlink("busybox", "templates/two/base/bin/sh"));
	scratch_text("templates/two/base/etc/a", "base\n");
	scratch_text("templates/two/base/etc/b", "base\n");
	scratch_text("templates/two/more/etc/b", "more\n");
	scratch_text("templates/two/layers", "more\nbase\n");
	MUST(kit_open(&kit, scratch.dir, 0));
	const char *id = make("two");
	CHECK_INT(talk_output(&kit, id, "busybox cat /etc/a /etc/b", out, sizeof out), 0);
	CHECK_TEXT(out, "base\nmore\n");
	drop(id);
	scratch_text("templates/two/layers", "../../secret\n");
	const struct kit_call *refused = kit_make(&kit, &calls, "two");
	kit_await(&kit, &calls);
	CHECK_INT(refused->err.code, ERR_INVALID);
	kit_close(&kit);
}

/* Programs of another libc, beside ours: with its loader, its threads, its reading of /etc. */
static const char musl_program[] =
	"#include <pthread.h>\n#include <pwd.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
	"static void *whose(void *uid) { return getpwuid(*(uid_t *)uid); }\n"
	"int main(int argc, char **argv) {\n"
	"  uid_t uid = 1000; void *user; pthread_t thread;\n"
	"  if (pthread_create(&thread, NULL, whose, &uid) || pthread_join(thread, &user)) return 1;\n"
	"  printf(\"%s %d\\n\", user ? ((struct passwd *)user)->pw_name : \"?\", argc);\n"
	"  fflush(stdout);\n"
	"  return argc > 1 ? WEXITSTATUS(system(argv[1])) : 0; }\n";

static int shell(const char *command)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static void make_musl_image(void)
{
	static const char *const dirs[] = { "templates", "templates/musl", "templates/musl/rootfs",
		"templates/musl/rootfs/bin", "templates/musl/rootfs/etc",
		"templates/musl/rootfs/lib", NULL };

	make_dirs(dirs);
	scratch_text("program.c", musl_program);
	if (shell("musl-gcc -o templates/musl/rootfs/bin/program program.c && "
		  "cp -L /lib/ld-musl-$(uname -m).so.1 templates/musl/rootfs/lib/") != 0) {
		printf("Bail out! musl-gcc is needed: apt-get install musl-tools\n");
		exit(99);
	}
	copy_busybox("templates/musl/rootfs/bin/busybox");
	MUST(symlink("busybox", "templates/musl/rootfs/bin/sh"));
	scratch_text("templates/musl/rootfs/etc/passwd",
		"root:x:0:0::/root:/bin/sh\nagent:x:1000:1000::/home/user:/bin/sh\n");
}

static void runs_in_an_image_of_musl(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char out[256];

	make_musl_image();
	MUST(kit_open(&kit, scratch.dir, 0));
	const char *id = make("musl");
	CHECK_INT(talk_output(&kit, id, "program && program 'program 1; exit 7'", out, sizeof out),
		7);
	CHECK_TEXT(out, "agent 1\nagent 2\nagent 2\n");
	/* Nothing of the tool server's own loader and libraries is in the way of programs. */
	CHECK_INT(talk_output(&kit, id, "busybox env | busybox grep -e ^LD_ -e sandbox", out,
			  sizeof out),
		1);
	json_t *written = talk_call(&kit, id, "write_file",
		json_pack("{s:s, s:s}", "path", "/workspace/new", "content", "text\n"));
	CHECK_INT(json_integer_value(json_object_get(written, "bytes")), 5);
	json_decref(written);
	CHECK_INT(
		talk_output(&kit, id, "program 'busybox cat /workspace/new'", out, sizeof out), 0);
	CHECK_TEXT(out, "agent 2\ntext\n");
	json_t *found = talk_call(&kit, id, "list_directory", json_pack("{s:s}", "path", "."));
	CHECK_INT(json_array_size(json_object_get(found, "entries")), 1);
	json_decref(found);
	drop(id);
	kit_close(&kit);
}

TESTS(CASE(runs_in_an_image_of_musl), CASE(runs_in_an_image_without_glibc),
	CASE(puts_layers_on_each_other))
