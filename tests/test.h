#ifndef TEST_H
#define TEST_H

/*
 * The unit tests' header: a table of cases whose names are sentences, results as TAP.
 *
 *	static void refuses_past_its_limit(void) { … CHECK(buf.over); }
 *	TESTS(CASE(refuses_past_its_limit))
 */
#include <stdio.h>
#include <string.h>

struct test_case {
	const char *name;
	void (*run)(void);
};

static int test_failures;

#define CHECK(what)                                                                       \
	do {                                                                              \
		if (!(what)) {                                                            \
			printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #what);     \
			test_failures++;                                                  \
		}                                                                         \
	} while (0)
#define CHECK_TEXT(have, want)                                                            \
	do {                                                                              \
		const char *have_ = (have), *want_ = (want);                              \
		if (!have_ || strcmp(have_, want_) != 0) {                                \
			printf("# %s:%d: \"%s\" is not \"%s\"\n", __FILE__, __LINE__,     \
				have_ ? have_ : "(null)", want_);                         \
			test_failures++;                                                  \
		}                                                                         \
	} while (0)
#define CHECK_INT(have, want)                                                             \
	do {                                                                              \
		long long have_ = (long long)(have), want_ = (long long)(want);           \
		if (have_ != want_) {                                                     \
			printf("# %s:%d: %lld is not %lld\n", __FILE__, __LINE__, have_, want_); \
			test_failures++;                                                  \
		}                                                                         \
	} while (0)

/* clang-format off */
#define CASE(f) { #f, f }
/* clang-format on */
#define TESTS(...)                                                                        \
	int main(void)                                                                    \
	{                                                                                 \
		static const struct test_case cases[] = { __VA_ARGS__ };                  \
		int n = (int)(sizeof cases / sizeof *cases), failed = 0;                  \
		printf("1..%d\n", n);                                                     \
		for (int i = 0; i < n; i++) {                                             \
			test_failures = 0;                                                \
			cases[i].run();                                                   \
			failed += test_failures != 0;                                     \
			printf("%sok %d - %s\n", test_failures ? "not " : "", i + 1,      \
				cases[i].name);                                           \
			fflush(stdout);                                                   \
		}                                                                         \
		return failed != 0;                                                       \
	}

#endif
