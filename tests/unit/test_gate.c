#include "gate_kit.h"

#include <fcntl.h>
#include <sys/resource.h>

/* ---- cases: bytes ---- */

static void passes_bytes_both_ways(void)
{
	start();
	int client = join(), server = arrive();
	say(client, "question");
	hear(server, "question");
	say(server, "answer");
	hear(client, "answer");
	CHECK_INT(gate_stats(gate).open, 1);
	CHECK_INT(gate_stats(gate).connections, 1);
	CHECK_INT(gate_stats(gate).bytes_in, 8);
	CHECK_INT(gate_stats(gate).bytes_out, 6);
	close(client);
	CHECK_INT(hear_end(server), 0);
	close(server);
	UNTIL(gate_stats(gate).open == 0);
	end();
}

static void lets_the_server_speak_first(void)
{
	start();
	int client = join(), server = arrive();
	say(server, "220 ready");
	hear(client, "220 ready");
	close(client);
	close(server);
	end();
}

static void passes_half_closes_on(void)
{
	start();
	int client = join(), server = arrive();
	say(client, "all of it");
	shutdown(client, SHUT_WR);
	hear(server, "all of it");
	CHECK_INT(hear_end(server), 0);
	settle();
	say(server, "late answer");
	hear(client, "late answer");
	shutdown(server, SHUT_WR);
	CHECK_INT(hear_end(client), 0);
	UNTIL(gate_stats(gate).open == 0);
	close(client);
	close(server);
	end();
}

static void goes_on_upwards_after_the_server_ended(void)
{
	start();
	int client = join(), server = arrive();
	shutdown(server, SHUT_WR);
	CHECK_INT(hear_end(client), 0);
	say(client, "still here");
	hear(server, "still here");
	close(client);
	close(server);
	end();
}

static void passes_resets_on(void)
{
	start();
	int client = join(), server = arrive();
	reset(server);
	CHECK_INT(hear_end(client), -ECONNRESET);
	close(client);
	client = join(), server = arrive();
	reset(client);
	CHECK_INT(hear_end(server), -ECONNRESET);
	close(server);
	UNTIL(gate_stats(gate).open == 0);
	end();
}

static void passes_a_reset_on_after_a_half_close(void)
{
	start();
	int client = join(), server = arrive();
	shutdown(client, SHUT_WR);
	CHECK_INT(hear_end(server), 0);
	reset(client);
	UNTIL(gate_stats(gate).open == 0);
	CHECK_INT(send(server, "x", 1, MSG_NOSIGNAL), -1);
	close(server);
	end();
}

static void gives_the_last_words_of_a_server_that_reads_no_more(void)
{
	start();
	int client = join(), server = arrive();
	say(client, "a request too large");
	UNTIL(!silent(server));
	say(server, "413");
	close(server); /* with bytes unread: a reset */
	hear(client, "413");
	close(client);
	UNTIL(gate_stats(gate).open == 0);
	end();
}

static void resets_the_client_of_a_dead_port(void)
{
	start();
	close(inside);
	int client = join();
	CHECK_INT(hear_end(client), -ECONNRESET);
	close(client);
	inside = open("/dev/null", O_RDONLY | O_CLOEXEC);
	uint16_t other;
	CHECK_INT(gate_open_port(sandbox, 6061, &other, NULL), 0);
	client = socket_at(address, other, false); /* dial itself fails */
	CHECK_INT(hear_end(client), -ECONNRESET);
	close(client);
	CHECK_INT(gate_stats(gate).open, 0);
	end();
}

/* Bytes whose order can be told. */
static char pattern(size_t at)
{
	return (char)(at * 2654435761U >> 13);
}

struct flow {
	int from, to;
	size_t sent, heard, all;
	bool right;
};

static void flow_some(struct flow *flow)
{
	char bytes[50000];
	size_t left = flow->all - flow->sent, some = left < sizeof bytes ? left : sizeof bytes;

	for (size_t i = 0; i < some; i++)
		bytes[i] = pattern(flow->sent + i);
	ssize_t n = send(flow->from, bytes, some, MSG_NOSIGNAL);
	flow->sent += n > 0 ? (size_t)n : 0;
	n = recv(flow->to, bytes, sizeof bytes, 0);
	for (ssize_t i = 0; i < n; i++)
		flow->right &= bytes[i] == pattern(flow->heard++);
}

static void carries_much_both_ways_at_once(void)
{
	start();
	int client = join(), server = arrive();
	struct flow up = { .from = client, .to = server, .all = 20 << 20, .right = true };
	struct flow down = { .from = server, .to = client, .all = 20 << 20, .right = true };
	while (up.heard < up.all || down.heard < down.all) {
		size_t before = up.heard + down.heard + up.sent + down.sent;
		flow_some(&up);
		flow_some(&down);
		if (before == up.heard + down.heard + up.sent + down.sent)
			UNTIL(!silent(client) || !silent(server) || up.sent < up.all);
		turn();
		if (!up.right || !down.right)
			break;
	}
	CHECK(up.right && down.right);
	CHECK_INT(gate_stats(gate).bytes_in, up.all);
	CHECK_INT(gate_stats(gate).bytes_out, down.all);
	close(client);
	close(server);
	end();
}

static void bounds_what_waits_for_a_slow_reader(void)
{
	const int small = 4096;
	char bytes[65536] = { 0 };
	size_t sent = 0, heard = 0;
	ssize_t n;

	start();
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(client, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(outside_port) };
	inet_pton(AF_INET, address, &at.sin_addr);
	CHECK_INT(connect(client, (struct sockaddr *)&at, sizeof at), -1);
	CHECK_INT(errno, EINPROGRESS);
	int server = arrive();
	setsockopt(server, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	for (int quiet = 0; quiet < 50; quiet++) {
		while ((n = send(server, bytes, sizeof bytes, MSG_NOSIGNAL)) > 0) {
			sent += (size_t)n;
			quiet = 0;
		}
		turn();
	}
	CHECK(sent < 2 << 20);
	shutdown(server, SHUT_WR);
	while ((n = hear_some(client, bytes, sizeof bytes)) > 0)
		heard += (size_t)n;
	CHECK_INT(heard, sent);
	close(client);
	close(server);
	end();
}

/* ---- cases: pause ---- */

static void keeps_bytes_unread_while_paused_and_wakes_at_the_first(void)
{
	start();
	int client = join(), server = arrive();
	gate_set_paused(sandbox, true);
	settle();
	CHECK_INT(wakes, 0);
	say(client, "anybody?");
	UNTIL(wakes == 1);
	say(client, " hello?");
	settle();
	CHECK_INT(wakes, 1); /* not again within ten seconds */
	CHECK(silent(server));
	CHECK_INT(gate_stats(gate).bytes_in, 0);
	CHECK_INT(actives, 0);
	gate_set_paused(sandbox, false);
	hear(server, "anybody? hello?");
	close(client);
	close(server);
	end();
}

static void does_not_wake_for_connecting_alone(void)
{
	start();
	gate_set_paused(sandbox, true);
	int client = join(), other = join();
	UNTIL(gate_stats(gate).open == 2);
	settle();
	CHECK_INT(wakes, 0);
	CHECK_INT(dials, 0);
	close(other); /* nor for leaving again */
	UNTIL(gate_stats(gate).open == 1);
	CHECK_INT(wakes, 0);
	say(client, "now");
	UNTIL(wakes == 1);
	CHECK_INT(dials, 0);
	gate_set_paused(sandbox, false);
	int server = arrive();
	hear(server, "now");
	close(client);
	close(server);
	end();
}

static void gives_a_paused_sandboxs_last_words_to_the_client(void)
{
	start();
	int client = join(), server = arrive();
	gate_set_paused(sandbox, true);
	say(server, "done");
	hear(client, "done");
	close(client);
	close(server);
	end();
}

static void cuts_after_the_pause_what_died_in_it(void)
{
	start();
	int client = join(), server = arrive();
	int other = join(), other_server = arrive();
	gate_set_paused(sandbox, true);
	reset(server);
	close(other_server);
	settle();
	CHECK(silent(client));
	CHECK(silent(other));
	gate_set_paused(sandbox, false);
	CHECK_INT(hear_end(client), -ECONNRESET);
	CHECK_INT(hear_end(other), 0);
	close(client);
	close(other);
	UNTIL(gate_stats(gate).open == 0);
	end();
}

static void cuts_connections_and_keeps_those_that_wait(void)
{
	start();
	int client = join(), server = arrive();
	gate_set_paused(sandbox, true);
	int waiting = join();
	UNTIL(gate_stats(gate).open == 2);
	gate_cut(sandbox);
	CHECK_INT(hear_end(client), -ECONNRESET);
	CHECK_INT(hear_end(server), -ECONNRESET);
	close(client);
	close(server);
	gate_set_paused(sandbox, false);
	server = arrive();
	say(waiting, "me");
	hear(server, "me");
	close(waiting);
	close(server);
	end();
}

static void dials_for_all_that_waited(void)
{
	enum { MANY = 100 };
	int clients[MANY];

	start();
	gate_set_paused(sandbox, true);
	for (int i = 0; i < MANY; i++)
		clients[i] = join();
	UNTIL(gate_stats(gate).open == MANY);
	gate_set_paused(sandbox, false);
	UNTIL(dials == MANY);
	for (int i = 0; i < MANY; i++)
		close(clients[i]);
	end();
}

/* ---- cases: the rest ---- */

static void tells_activity_once_a_second_at_most(void)
{
	start();
	int client = join(), server = arrive();
	say(server, "not activity");
	hear(client, "not activity");
	CHECK_INT(actives, 0);
	int64_t first = loop_now_ms(loop);
	for (int i = 0; i < 10; i++) {
		say(client, "x");
		hear(server, "x");
	}
	CHECK(actives == 1 || loop_now_ms(loop) - first >= 1000);
	UNTIL(loop_now_ms(loop) - first >= 1100);
	say(client, "x");
	UNTIL(actives == 2);
	close(client);
	close(server);
	end();
}

static void takes_another_port_where_a_wildcard_listener_holds_it(void)
{
	uint16_t held, again, other;

	start();
	int holder = socket_at("0.0.0.0", 0, true);
	held = port_of(holder);
	CHECK_INT(gate_open_port(sandbox, held, &other, NULL), 0);
	CHECK(other != held && other != 0);
	CHECK_INT(gate_open_port(sandbox, held, &again, NULL), 0);
	CHECK_INT(again, other);
	close(holder);
	int client = socket_at(address, other, false);
	UNTIL(gate_stats(gate).connections == 1);
	close(client);
	end();
}

static void resets_connections_past_its_limit(void)
{
	struct rlimit before;
	int clients[25];

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 64, before.rlim_max }), 0);
	start(); /* looks at the limit */
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
	for (int i = 0; i < 25; i++) {
		clients[i] = join();
		UNTIL(gate_stats(gate).connections == (uint64_t)(i < 24 ? i + 1 : 24));
	}
	CHECK_INT(hear_end(clients[24]), -ECONNRESET);
	CHECK_INT(gate_stats(gate).open, 24);
	for (int i = 0; i < 25; i++)
		close(clients[i]);
	end();
}

static void accepts_again_after_it_was_out_of_descriptors(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct rlimit before;

	start();
	int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ (rlim_t)client + 1, before.rlim_max }),
		0);
	inet_pton(AF_INET, address, &at.sin_addr);
	at.sin_port = htons(outside_port);
	CHECK_INT(connect(client, (struct sockaddr *)&at, sizeof at), -1);
	settle();
	CHECK_INT(gate_stats(gate).connections, 0);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
	int server = arrive();
	say(client, "at last");
	hear(server, "at last");
	close(client);
	close(server);
	end();
}

static void listens_on_the_true_port(void)
{
	start();
	CHECK_INT(outside_port, PORT);
	end();
}

static void refuses_addresses_that_are_not_loopback(void)
{
	struct gate_sandbox *other;
	struct err err;

	start();
	CHECK_INT(gate_add(gate, "x", "10.0.0.1", &other, &err), -1);
	CHECK_INT(err.code, ERR_INVALID);
	CHECK_INT(gate_add(gate, "x", "localhost", &other, &err), -1);
	CHECK_INT(gate_open_port(sandbox, 0, &outside_port, &err), -1);
	end();
}

static void closes_everything_of_a_sandbox_that_is_removed(void)
{
	start();
	int client = join(), server = arrive();
	gate_remove(sandbox);
	CHECK_INT(hear_end(client), -ECONNRESET);
	CHECK_INT(hear_end(server), -ECONNRESET);
	close(client);
	close(server);
	client = join();
	CHECK_INT(hear_end(client), -ECONNREFUSED);
	close(client);
	end();
}

/* ---- everything at once ---- */

static unsigned chance(unsigned below)
{
	static unsigned state = 1;

	state = state * 1103515245 + 12345;
	return (state >> 16) % below;
}

static void do_something(int *fd)
{
	static char bytes[40000];

	switch (chance(8)) {
	case 0:
		reset(*fd);
		*fd = -1;
		break;
	case 1:
		close(*fd);
		*fd = -1;
		break;
	case 2:
		shutdown(*fd, SHUT_WR);
		break;
	case 3:
	case 4:
		(void)!recv(*fd, bytes, chance(sizeof bytes), 0);
		break;
	default:
		(void)!send(*fd, bytes, chance(sizeof bytes), MSG_NOSIGNAL);
	}
}

static void survives_whatever_both_sides_do(void)
{
	enum { MANY = 40 };
	int fds[2 * MANY];

	start();
	for (int i = 0; i < 2 * MANY; i++)
		fds[i] = -1;
	for (int step = 0; step < 30000; step++) {
		int *fd = &fds[chance(2 * MANY)];
		if (*fd >= 0)
			do_something(fd);
		else if (fd < fds + MANY)
			*fd = join();
		else if (came_in())
			*fd = fd_inside;
		if (chance(100) == 0)
			gate_set_paused(sandbox, chance(2) == 0);
		if (chance(500) == 0)
			gate_cut(sandbox);
		if (chance(3) == 0)
			turn();
	}
	gate_set_paused(sandbox, false);
	for (int i = 0; i < 2 * MANY; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	close(inside);
	UNTIL(gate_stats(gate).open == 0);
	CHECK(gate_stats(gate).connections > MANY);
	inside = open("/dev/null", O_RDONLY | O_CLOEXEC);
	end();
}

TESTS(CASE(passes_bytes_both_ways), CASE(lets_the_server_speak_first), CASE(passes_half_closes_on),
	CASE(goes_on_upwards_after_the_server_ended), CASE(passes_resets_on),
	CASE(passes_a_reset_on_after_a_half_close),
	CASE(gives_the_last_words_of_a_server_that_reads_no_more),
	CASE(resets_the_client_of_a_dead_port), CASE(carries_much_both_ways_at_once),
	CASE(bounds_what_waits_for_a_slow_reader),
	CASE(keeps_bytes_unread_while_paused_and_wakes_at_the_first),
	CASE(does_not_wake_for_connecting_alone),
	CASE(gives_a_paused_sandboxs_last_words_to_the_client),
	CASE(cuts_after_the_pause_what_died_in_it),
	CASE(cuts_connections_and_keeps_those_that_wait), CASE(dials_for_all_that_waited),
	CASE(tells_activity_once_a_second_at_most),
	CASE(takes_another_port_where_a_wildcard_listener_holds_it),
	CASE(resets_connections_past_its_limit),
	CASE(accepts_again_after_it_was_out_of_descriptors), CASE(listens_on_the_true_port),
	CASE(refuses_addresses_that_are_not_loopback),
	CASE(closes_everything_of_a_sandbox_that_is_removed), CASE(survives_whatever_both_sides_do))
