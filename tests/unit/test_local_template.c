/*
 * Templates that are not the host: a system without glibc, without a single library, as one tree
 * and in layers. busybox-static is its only program.
 */
#include "local_talk.h"
#include "scratch.h"
#include "test.h"

#include <errno.h>

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

TESTS(CASE(runs_in_an_image_without_glibc), CASE(puts_layers_on_each_other))
