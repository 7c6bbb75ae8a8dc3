#include "throttle.h"

#include "test.h"

#define NOW 5000000

static void five_tries_a_minute_are_taken(void)
{
	struct throttle *throttle = throttle_new();

	for (int i = 0; i < THROTTLE_TRIES; i++)
		CHECK_INT(throttle_try(throttle, "eve", "10.0.0.1", NOW + i * 1000), 0);
	CHECK_INT(throttle_try(throttle, "eve", "10.0.0.1", NOW + 5000), 55);
	CHECK_INT(throttle_try(throttle, "eve", "10.0.0.1", NOW + 59999), 1);
	/* What was refused does not count, and each try is forgotten after a minute of its own. */
	CHECK_INT(throttle_try(throttle, "eve", "10.0.0.1", NOW + 60000), 0);
	CHECK_INT(throttle_try(throttle, "eve", "10.0.0.1", NOW + 60001), 1);
	CHECK_INT(throttle_try(throttle, "eve", "10.0.0.1", NOW + 61000), 0);
	throttle_free(throttle);
}

static void exhaust(struct throttle *throttle, const char *user, const char *address)
{
	for (int i = 0; i < THROTTLE_TRIES; i++)
		CHECK_INT(throttle_try(throttle, user, address, NOW), 0);
	CHECK_INT(throttle_try(throttle, user, address, NOW), 60);
}

static void other_users_and_addresses_have_their_own(void)
{
	struct throttle *throttle = throttle_new();

	exhaust(throttle, "eve", "10.0.0.1");
	exhaust(throttle, "bob", "10.0.0.1");
	exhaust(throttle, "eve", "10.0.0.2");
	exhaust(throttle, "eve", "2001:db8::1");
	exhaust(throttle, "eve", "2001:db8:0:1::1");
	exhaust(throttle, "eve", "what is this");
	exhaust(throttle, "", "");
	throttle_free(throttle);
}

static void an_address_written_in_another_way_is_the_same(void)
{
	struct throttle *throttle = throttle_new();

	exhaust(throttle, "eve", "10.0.0.1");
	CHECK(throttle_try(throttle, "eve", "::ffff:10.0.0.1", NOW) > 0);
	exhaust(throttle, "eve", "2001:db8::1");
	CHECK(throttle_try(throttle, "eve", "2001:0db8::1", NOW) > 0);
	CHECK(throttle_try(throttle, "eve", "2001:db8::1234:5678:9abc:def0", NOW) > 0);
	throttle_free(throttle);
}

static void a_success_forgets_the_tries(void)
{
	struct throttle *throttle = throttle_new();

	exhaust(throttle, "eve", "10.0.0.1");
	throttle_clear(throttle, "bob", "10.0.0.1");
	CHECK_INT(throttle_try(throttle, "eve", "10.0.0.1", NOW), 60);
	throttle_clear(throttle, "eve", "10.0.0.1");
	exhaust(throttle, "eve", "10.0.0.1");
	throttle_free(throttle);
}

/* Strangers drive out the least recent first: who tries again and again stays known. */
static void a_flood_of_strangers_lets_nobody_try_without_end(void)
{
	struct throttle *throttle = throttle_new();
	int taken = 0;
	char name[32];

	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof name, "10.1.%d.%d", i / 256, i % 256);
		throttle_try(throttle, "stranger", name, NOW + i / 1000);
		taken += throttle_try(throttle, "eve", "10.0.0.1", NOW + i / 1000) == 0;
	}
	printf("# %d tries of 20000 were taken\n", taken);
	CHECK(taken >= THROTTLE_TRIES && taken < 400);
	throttle_free(throttle);
}

static void one_address_tries_thirty_names_a_minute(void)
{
	struct throttle *throttle = throttle_new();
	char name[32];

	for (int i = 0; i < THROTTLE_ADDRESS_TRIES; i++) {
		snprintf(name, sizeof name, "name%d", i);
		CHECK_INT(throttle_try(throttle, name, "10.0.0.1", NOW), 0);
	}
	CHECK_INT(throttle_try(throttle, "eve", "10.0.0.1", NOW + 1000), 59);
	CHECK_INT(throttle_try(throttle, "eve", "10.0.0.2", NOW + 1000), 0);
	/* A right one was none of the thirty. */
	throttle_clear(throttle, "name0", "10.0.0.1");
	CHECK_INT(throttle_try(throttle, "eve", "10.0.0.1", NOW + 1000), 0);
	CHECK(throttle_try(throttle, "bob", "10.0.0.1", NOW + 1000) > 0);
	CHECK_INT(throttle_try(throttle, "bob", "10.0.0.1", NOW + 60000), 0);
	throttle_free(throttle);
}

static void what_was_refused_for_its_name_is_not_counted_for_its_address(void)
{
	struct throttle *throttle = throttle_new();

	exhaust(throttle, "eve", "10.0.0.1");
	for (int i = 0; i < 100; i++)
		CHECK_INT(throttle_try(throttle, "eve", "10.0.0.1", NOW), 60);
	CHECK_INT(throttle_try(throttle, "bob", "10.0.0.1", NOW), 0);
	throttle_free(throttle);
}

TESTS(CASE(one_address_tries_thirty_names_a_minute),
	CASE(what_was_refused_for_its_name_is_not_counted_for_its_address),
	CASE(five_tries_a_minute_are_taken), CASE(other_users_and_addresses_have_their_own),
	CASE(an_address_written_in_another_way_is_the_same), CASE(a_success_forgets_the_tries),
	CASE(a_flood_of_strangers_lets_nobody_try_without_end))
