#include "doctor.h"
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

TESTS(CASE(finds_what_a_machine_that_makes_sandboxes_has), CASE(names_what_mends_a_lack))
