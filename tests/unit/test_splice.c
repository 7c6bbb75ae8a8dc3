#include "splice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"
#include "loop.h"
#include "test.h"

/* A splice between two socket pairs; the cases hold their other ends. */
static struct loop *loop;
static struct splicer *splicer;
static struct splice *splice;
static int client, server; /* the cases' */
static int closed, knocks;
static size_t passed[2];

static void on_passed(enum splice_way way, size_t n, void *data)
{
	(void)data;
	passed[way] += n;
}

static void on_knock(void *data)
{
	(void)data;
	knocks++;
}

static void on_closed(void *data)
{
	(void)data;
	closed++;
}

static const struct splice_events events = {
	.passed = on_passed, .knocked = on_knock, .closed = on_closed
};

static int bound(void *data)
{
	(void)data;
	return 1;
}

static void start(void)
{
	int clients[2], servers[2];
	const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

	closed = knocks = 0;
	passed[0] = passed[1] = 0;
	CHECK_INT(socketpair(AF_UNIX, type, 0, clients), 0);
	CHECK_INT(socketpair(AF_UNIX, type, 0, servers), 0);
	CHECK_INT(loop_new(&loop, NULL), 0);
	loop_before_wait(loop, bound, NULL);
	splicer = splicer_new(loop);
	CHECK_INT(splice_new(splicer, clients[0], servers[0], &events, NULL, &splice, NULL), 0);
	client = clients[1];
	server = servers[1];
}

static void end(void)
{
	if (!closed)
		splice_cut(splice);
	CHECK_INT(closed, 1);
	splicer_free(splicer);
	loop_free(loop);
	close(client);
	close(server);
}

static void stop(void *data)
{
	(void)data;
	loop_stop(loop);
}

static void turns(int count)
{
	while (count-- > 0) {
		loop_post(loop, stop, NULL);
		CHECK_INT(loop_run(loop, NULL), 0);
	}
}

static void say(int fd, const char *text)
{
	CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turns(5);
}

static void hear(int fd, const char *text)
{
	char bytes[256];
	ssize_t n = recv(fd, bytes, sizeof bytes - 1, 0);

	bytes[n > 0 ? n : 0] = '\0';
	CHECK_TEXT(bytes, text);
}

static bool silent(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

static void passes_between_unix_sockets(void)
{
	start();
	say(client, "up");
	hear(server, "up");
	say(server, "down");
	hear(client, "down");
	CHECK_INT(passed[SPLICE_UP], 2);
	CHECK_INT(passed[SPLICE_DOWN], 4);
	shutdown(client, SHUT_WR);
	turns(5);
	hear(server, "");
	CHECK_INT(closed, 0);
	shutdown(server, SHUT_WR);
	turns(5);
	CHECK_INT(closed, 1);
	end();
}

/* Sends until nothing more fits anywhere, and returns how much that was. */
static size_t fill(int fd)
{
	char bytes[8192];
	size_t sent = 0;

	for (int quiet = 0; quiet < 10; quiet++) {
		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = (char)((sent + i) * 31 >> 3);
		ssize_t n = send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);
		if (n > 0) {
			sent += (size_t)n;
			quiet = 0;
		}
		turns(2);
	}
	return sent;
}

static size_t empty(int fd)
{
	char bytes[8192];
	size_t heard = 0;
	bool right = true;

	for (int quiet = 0; quiet < 10; quiet++) {
		ssize_t n = recv(fd, bytes, sizeof bytes, 0);
		for (ssize_t i = 0; i < n; i++, heard++)
			right &= bytes[i] == (char)(heard * 31 >> 3);
		if (n > 0)
			quiet = 0;
		turns(2);
	}
	CHECK(right);
	return heard;
}

static void keeps_back_what_a_slow_reader_does_not_take(void)
{
	start();
	for (int way = 0; way < 2; way++) {
		int from = way ? server : client, to = way ? client : server;
		size_t sent = fill(from);
		CHECK(sent < 2 << 20);
		CHECK(sent > 0);
		CHECK_INT(empty(to), sent);
		passed[way] = 0;
	}
	end();
}

static void passes_an_end_on_behind_all_that_waits(void)
{
	start();
	size_t sent = fill(client);
	shutdown(client, SHUT_WR);
	turns(5);
	CHECK_INT(empty(server), sent);
	char byte;
	CHECK_INT(recv(server, &byte, 1, 0), 0);
	end();
}

static int count_turns(void *data)
{
	++*(int *)data;
	return -1;
}

static void sleeps_while_a_reader_takes_nothing(void)
{
	int woken = 0;

	start();
	fill(client);
	shutdown(client, SHUT_RDWR); /* what was sent waits; the socket has ended for good */
	turns(5);
	struct loop_timer *timer = loop_timer_new(loop, stop, NULL);
	loop_before_wait(loop, count_turns, &woken);
	loop_timer_set(timer, 50);
	CHECK_INT(loop_run(loop, NULL), 0);
	CHECK(woken < 5);
	loop_timer_free(timer);
	end();
}

static void knocks_while_it_is_held(void)
{
	start();
	splice_hold(splice, true);
	say(client, "a");
	CHECK_INT(knocks, 1);
	CHECK(silent(server));
	say(server, "b");
	hear(client, "b");
	shutdown(server, SHUT_WR);
	turns(5);
	CHECK(silent(client));
	splice_hold(splice, false);
	turns(5);
	hear(server, "a");
	hear(client, "");
	end();
}

/* ---- filters ---- */

static ssize_t take_three(const char *bytes, size_t len, void *data)
{
	size_t *left = data;
	size_t some = len < *left ? len : *left;

	(void)bytes;
	*left -= some;
	return (ssize_t)some;
}

static void drops_what_a_filter_does_not_let_pass(void)
{
	size_t left = 3;

	start();
	splice_filter(splice, SPLICE_UP, take_three, &left);
	say(client, "ab");
	hear(server, "ab");
	say(client, "cdef");
	hear(server, "c");
	say(client, "g");
	CHECK(silent(server));
	end();
}

static ssize_t replace(const char *bytes, size_t len, void *data)
{
	(void)bytes, (void)data;
	if (len == 0)
		return splice_put(splice, SPLICE_DOWN, "(end)", 5);
	splice_put(splice, SPLICE_DOWN, "<", 1);
	splice_put(splice, SPLICE_DOWN, bytes, len);
	return splice_put(splice, SPLICE_DOWN, ">", 1);
}

static void sends_what_a_filter_puts(void)
{
	start();
	splice_filter(splice, SPLICE_DOWN, replace, NULL);
	say(server, "x");
	hear(client, "<x>");
	shutdown(server, SHUT_WR);
	turns(5);
	hear(client, "(end)");
	hear(client, "");
	end();
}

static ssize_t deny(const char *bytes, size_t len, void *data)
{
	(void)bytes, (void)len, (void)data;
	return -1;
}

static void cuts_where_a_filter_says_so(void)
{
	start();
	splice_filter(splice, SPLICE_UP, deny, NULL);
	say(client, "x");
	CHECK_INT(closed, 1);
	end();
}

static ssize_t end_it(const char *bytes, size_t len, void *data)
{
	(void)bytes, (void)data;
	splice_end(splice, SPLICE_DOWN);
	return (ssize_t)len;
}

static void ends_one_way_where_a_filter_says_so(void)
{
	start();
	splice_filter(splice, SPLICE_DOWN, end_it, NULL);
	say(server, "last");
	hear(client, "last");
	hear(client, "");
	say(client, "up");
	hear(server, "up");
	CHECK_INT(closed, 0);
	end();
}

static void sends_first_what_was_put_before(void)
{
	start();
	CHECK_INT(splice_put(splice, SPLICE_UP, "first ", 6), 0);
	say(client, "second");
	hear(server, "first second");
	end();
}

TESTS(CASE(passes_between_unix_sockets), CASE(keeps_back_what_a_slow_reader_does_not_take),
	CASE(passes_an_end_on_behind_all_that_waits), CASE(sleeps_while_a_reader_takes_nothing),
	CASE(knocks_while_it_is_held), CASE(drops_what_a_filter_does_not_let_pass),
	CASE(sends_what_a_filter_puts), CASE(cuts_where_a_filter_says_so),
	CASE(ends_one_way_where_a_filter_says_so), CASE(sends_first_what_was_put_before))
