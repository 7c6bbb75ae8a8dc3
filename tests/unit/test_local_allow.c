#include "allow.h"
#include "buf.h"
#include "err.h"
#include "test.h"

static int check(const char *entry)
{
	json_auto_t *list = json_pack("[s]", entry);
	struct err err;

	return allow_check(list, &err);
}

static void takes_networks_and_whole_names(void)
{
	CHECK_INT(check("192.0.2.7"), 0);
	CHECK_INT(check("192.0.2.0/24"), 0);
	CHECK_INT(check("0.0.0.0/0"), 0);
	CHECK_INT(check("example.org"), 0);
	CHECK_INT(check("xn--bcher-kva.example"), 0);
}

static void refuses_what_is_neither(void)
{
	static const char *const wrong[] = { "", "*.example.org", "192.0.2.0/33", "192.0.2.0/",
		"192.0.2.0/-1", "192.0.2.0/+8", "1.2.3", "::1", "a b", "a\nb", "a;b", "-a", "a/8",
		"http://a", ".a" };

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		if (check(wrong[i]) == 0) {
			printf("# taken: '%s'\n", wrong[i]);
			test_failures++;
		}
	}
	json_auto_t *number = json_pack("[i]", 7);
	json_auto_t *text = json_string("example.org");
	CHECK_INT(allow_check(number, NULL), -1);
	CHECK_INT(allow_check(text, NULL), -1);
	CHECK_INT(allow_check(NULL, NULL), -1);
}

static void refuses_a_list_that_is_too_long(void)
{
	json_auto_t *list = json_array();

	for (int i = 0; i < ALLOW_MAX; i++)
		json_array_append_new(list, json_string("example.org"));
	CHECK_INT(allow_check(list, NULL), 0);
	json_array_append_new(list, json_string("example.org"));
	CHECK_INT(allow_check(list, NULL), -1);
}

static void looks_names_up_and_lets_their_addresses_in(void)
{
	AUTO_BUF struct buf hosts = BUF_INIT(HOSTS_MAX);
	AUTO_BUF struct buf addresses = BUF_INIT(HOSTS_MAX);
	AUTO_BUF struct buf networks = BUF_INIT(HOSTS_MAX);
	json_auto_t *list = json_pack("[s, s, s, s]", "192.0.2.0/24", "localhost",
		"no-such-name.invalid", "198.51.100.7");

	allow_hosts(list, &hosts);
	CHECK_TEXT(hosts.data, "127.0.0.1 localhost sandbox\n127.0.0.1 localhost\n");
	allow_addresses(hosts.data, &addresses);
	CHECK_TEXT(addresses.data, "127.0.0.1");
	allow_networks(list, &networks);
	CHECK_TEXT(networks.data, "192.0.2.0/24, 198.51.100.7");
}

TESTS(CASE(takes_networks_and_whole_names), CASE(refuses_what_is_neither),
	CASE(refuses_a_list_that_is_too_long), CASE(looks_names_up_and_lets_their_addresses_in))
