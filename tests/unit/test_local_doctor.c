#include "cgroup.h"
#include "doctor.h"
#include "runtime.h"
#include "scratch.h"
#include "test.h"

#include <fcntl.h>

static int table(const char *dir, const char *runtime, char *out, size_t size)
{
	FILE *file = fmemopen(out, size, "w");
	int needs = local_doctor(dir, runtime, file);

	fclose(file);
	return needs;
}

static void finds_what_a_machine_that_makes_sandboxes_has(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char out[8192];

	CHECK_INT(table(scratch.dir, NULL, out, sizeof out), 0);
	CHECK(strstr(out, "ok  OCI runtime"));
	CHECK(strstr(out, "ok  user namespaces"));
	CHECK(!strstr(out, "NO "));
}

static void names_what_mends_a_lack(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char out[8192];

	CHECK_INT(table(scratch.dir, "no-such-runtime", out, sizeof out), 1);
	CHECK(strstr(out, "NO  OCI runtime"));
	CHECK(strstr(out, "there is no such program"));
}

/* Made up, so that it holds on machines of either kind. */
static void knows_which_runtime_takes_no_hybrid(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct cgroups pure = { .kind = CGROUP_V2 }, hybrid = { .kind = CGROUP_V1, .hybrid = true };

	scratch_text("a", "#!/bin/sh\necho crun version 1.8.1\n");
	scratch_text("b", "#!/bin/sh\necho runc version 1.1.5\n");
	scratch_text("c", "#!/bin/sh\nexit 1\n");
	MUST(chmod("a", 0755) | chmod("b", 0755) | chmod("c", 0755));
	const char *why = runtime_unfit("./a", &hybrid);
	CHECK(why && strstr(why, "apt-get install runc"));
	CHECK(!runtime_unfit("./a", &pure));
	CHECK(!runtime_unfit("./b", &hybrid));
	CHECK(!runtime_unfit("./c", &hybrid));
}

TESTS(CASE(knows_which_runtime_takes_no_hybrid),
	CASE(finds_what_a_machine_that_makes_sandboxes_has), CASE(names_what_mends_a_lack))
