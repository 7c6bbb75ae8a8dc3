#include "passwords.h"

#include <stdlib.h>
#include <time.h>

#include "cleanup.h"
#include "err.h"

#include "test.h"

static struct err err;

static void the_right_one_is_right(void)
{
	AUTO_FREE char *hash = NULL;

	CHECK_INT(password_hash("correct horse \xc3\xa4", &hash, &err), 0);
	CHECK(strncmp(hash, "$y$", 3) == 0);
	CHECK(password_check("correct horse \xc3\xa4", hash));
	CHECK(!password_check("correct horse", hash));
	CHECK(!password_check("", hash));
}

static void the_same_password_has_many_hashes(void)
{
	AUTO_FREE char *one = NULL;
	AUTO_FREE char *two = NULL;

	CHECK_INT(password_hash("x", &one, &err), 0);
	CHECK_INT(password_hash("x", &two, &err), 0);
	CHECK(strcmp(one, two) != 0);
}

static void all_of_a_long_one_counts(void)
{
	char password[PASSWORD_MAX + 2];
	AUTO_FREE char *hash = NULL;

	memset(password, 'x', sizeof password);
	password[PASSWORD_MAX + 1] = '\0';
	CHECK(!password_check(password, NULL));
	CHECK_INT(password_hash(password, &hash, &err), -1);
	password[PASSWORD_MAX] = '\0';
	CHECK_INT(password_hash(password, &hash, &err), 0);
	CHECK(password_check(password, hash));
	password[PASSWORD_MAX - 1] = 'y';
	CHECK(!password_check(password, hash));
}

static void refuses_what_nobody_could_type(void)
{
	static const char *const wrong[] = { "", "a\nb", "a\r" };
	char *hash = NULL;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		CHECK_INT(password_hash(wrong[i], &hash, &err), -1);
		CHECK_INT(err.code, ERR_INVALID);
	}
	CHECK(!hash);
}

static void a_hash_that_is_none_is_nobody_s(void)
{
	static const char *const hashes[] = { "", "*", "!", "x", "*0", "$y$", "$y$j9T$" };

	for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
		CHECK(!password_check("", hashes[i]));
		CHECK(!password_check("x", hashes[i]));
		CHECK(!password_check(hashes[i], hashes[i]));
	}
}

static long long cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* The fastest of a few, which is what it costs when nothing else runs. */
static long long cost_of(const char *hash)
{
	long long best = 0;

	for (int i = 0; i < 5; i++) {
		long long start = cpu_us();
		CHECK(!password_check("wrong", hash));
		long long took = cpu_us() - start;
		best = i == 0 || took < best ? took : best;
	}
	return best;
}

static void an_unknown_user_costs_as_much_as_a_wrong_password(void)
{
	AUTO_FREE char *hash = NULL;

	CHECK_INT(password_hash("right", &hash, &err), 0);
	long long known = cost_of(hash), unknown = cost_of(NULL);
	printf("# known %lld us, unknown %lld us\n", known, unknown);
	CHECK(unknown * 2 > known && known * 2 > unknown);
}

TESTS(CASE(the_right_one_is_right), CASE(the_same_password_has_many_hashes),
	CASE(all_of_a_long_one_counts), CASE(refuses_what_nobody_could_type),
	CASE(a_hash_that_is_none_is_nobody_s),
	CASE(an_unknown_user_costs_as_much_as_a_wrong_password))
