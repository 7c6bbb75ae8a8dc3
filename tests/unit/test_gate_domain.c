#include "gate_kit.h"

#include "alloc.h"

static uint16_t domain_port;

#define NAME "6060-abcdefghij0123456789.sandbox.test"
#define HOST "Host: " NAME "\r\n"
#define FROM "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"

static void start_domain(void)
{
	start();
	CHECK_INT(gate_serve_domain(gate, "127.0.0.1", 0, "Sandbox.test", &domain_port, NULL), 0);
}

static int ask(const char *request)
{
	int client = socket_at("127.0.0.1", domain_port, false);

	say(client, request);
	return client;
}

/* Everything until the end, which has to be in order. */
static void hear_all(int fd, char *text, size_t size)
{
	size_t have = 0;
	ssize_t n;

	while ((n = hear_some(fd, text + have, size - 1 - have)) > 0)
		have += (size_t)n;
	text[have] = '\0';
	CHECK_INT(n, 0);
}

static void check_refused(const char *request, unsigned status)
{
	char text[4096], line[32];
	int client = ask(request);

	hear_all(client, text, sizeof text);
	snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
	if (strncmp(text, line, strlen(line)) != 0) {
		printf("# for: %s\n# came: %s\n", request, text);
		test_failures++;
	}
	CHECK(strstr(text, "\r\nConnection: close\r\n"));
	close(client);
}

/* ---- what passes ---- */

static void passes_one_request_and_its_answer(void)
{
	start_domain();
	int client = ask("GET /a?b=c HTTP/1.1\r\n" HOST "Accept: */*\r\n\r\n");
	int server = arrive();
	hear(server,
		"GET /a?b=c HTTP/1.1\r\n" HOST "Accept: */*\r\n" FROM "Connection: close\r\n\r\n");
	UNTIL(actives == 1);
	say(server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\nConnection: keep-alive\r\n"
		    "\r\nhi");
	hear(client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\nConnection: close\r\n"
		     "\r\nhi");
	close(server);
	CHECK_INT(hear_end(client), 0);
	close(client);
	UNTIL(gate_stats(gate).open == 0);
	end();
}

static void takes_the_host_in_any_case_and_with_a_port(void)
{
	start_domain();
	int client =
		ask("GET / HTTP/1.1\r\nHOST: 6060-ABCDEFGHIJ0123456789.SandBox.TEST:8080\r\n\r\n");
	int server = arrive();
	hear(server, "GET / HTTP/1.1\r\nHOST: 6060-ABCDEFGHIJ0123456789.SandBox.TEST:8080\r\n");
	close(client);
	close(server);
	end();
}

static void passes_a_head_that_comes_byte_by_byte(void)
{
	static const char text[] = "GET / HTTP/1.1\r\n" HOST "\r\n";

	start_domain();
	int client = ask("");
	for (size_t i = 0; text[i]; i++) {
		say(client, (char[]){ text[i], '\0' });
		turn();
	}
	int server = arrive();
	hear(server, "GET / HTTP/1.1\r\n" HOST FROM "Connection: close\r\n\r\n");
	const char *answer = "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n";
	for (size_t i = 0; answer[i]; i++) {
		say(server, (char[]){ answer[i], '\0' });
		turn();
	}
	hear(client, "HTTP/1.1 204 No Content\r\nA: b\r\nConnection: close\r\n\r\n");
	close(client);
	close(server);
	end();
}

static void forwards_nothing_after_a_counted_body(void)
{
	start_domain();
	int client = ask("POST / HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabc");
	int server = arrive();
	hear(server, "POST / HTTP/1.1\r\n" HOST "Content-Length: 6\r\n" FROM
		     "Connection: close\r\n\r\nabc");
	say(client, "defGET /second HTTP/1.1\r\n" HOST "\r\n");
	hear(server, "def");
	settle();
	CHECK(silent(server));
	say(server, "HTTP/1.1 200 OK\r\n\r\n");
	hear(client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	close(server);
	CHECK_INT(hear_end(client), 0);
	close(client);
	CHECK_INT(dials, 1);
	end();
}

static void forwards_nothing_after_a_chunked_body(void)
{
	static const char body[] = "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";

	start_domain();
	int client = ask("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
	int server = arrive();
	hear(server, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" FROM
		     "Connection: close\r\n\r\n");
	say(client, body);
	say(client, "GET /second HTTP/1.1\r\n" HOST "\r\n");
	hear(server, body);
	settle();
	CHECK(silent(server));
	close(client);
	CHECK_INT(hear_end(server), 0);
	close(server);
	end();
}

static void cuts_at_a_malformed_chunk(void)
{
	start_domain();
	int client = ask("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
	int server = arrive();
	hear(server, "POST / HTTP/1.1\r\n" HOST);
	say(client, "3;x=y\r\nabc\r\n");
	CHECK_INT(hear_end(client), -ECONNRESET);
	close(client);
	close(server);
	end();
}

static void cuts_where_a_body_ends_early(void)
{
	char bytes[4096];
	ssize_t n;

	start_domain();
	int client = ask("POST / HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabc");
	int server = arrive();
	shutdown(client, SHUT_WR);
	while ((n = hear_some(server, bytes, sizeof bytes)) > 0)
		;
	CHECK_INT(n, -ECONNRESET);
	close(client);
	close(server);
	end();
}

static void passes_interim_answers_and_streams(void)
{
	start_domain();
	int client = ask("POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n"
			 "\r\n");
	int server = arrive();
	hear(server, "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n");
	say(server, "HTTP/1.1 100 Continue\r\n\r\n");
	hear(client, "HTTP/1.1 100 Continue\r\n\r\n");
	say(client, "ok");
	say(server, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
	hear(client, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
		     "\r\ndata: 1\n\n");
	say(server, "data: 2\n\n");
	hear(client, "data: 2\n\n");
	close(client);
	close(server);
	end();
}

static void tunnels_after_a_101_alone(void)
{
	start_domain();
	int client = ask("GET /ws HTTP/1.1\r\n" HOST "Connection: keep-alive, Upgrade\r\n"
			 "Upgrade: websocket\r\nSec-WebSocket-Key: k\r\nOrigin: http://" NAME "\r\n"
			 "\r\n");
	int server = arrive();
	hear(server, "GET /ws HTTP/1.1\r\n" HOST "Sec-WebSocket-Key: k\r\nOrigin: http://" NAME
		     "\r\n" FROM "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
	say(server, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		    "Connection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\nhello");
	hear(client, "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: a\r\n"
		     "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
	say(client, "\x81\x05"
		    "frame");
	hear(server, "\x81\x05"
		     "frame");
	say(server, "back");
	hear(client, "back");
	close(client);
	CHECK_INT(hear_end(server), 0);
	close(server);
	end();
}

static void has_no_tunnel_without_a_101(void)
{
	start_domain();
	int client = ask("GET /ws HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n"
			 "\r\n");
	int server = arrive();
	hear(server, "GET /ws HTTP/1.1\r\n" HOST FROM "Connection: Upgrade\r\n");
	say(server, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
	hear(client, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	say(client, "GET /hidden HTTP/1.1\r\n\r\n");
	CHECK_INT(hear_end(client), -ECONNRESET);
	close(client);
	close(server);
	end();
}

static void strips_what_a_client_may_not_say(void)
{
	start_domain();
	int client = ask("GET http://" NAME "/x HTTP/1.1\r\n" HOST "X-Forwarded-Host: evil\r\n"
			 "x-real-ip: 1.2.3.4\r\nForwarded: for=1\r\nConnection: X-Secret\r\n"
			 "X-Secret: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
			 "X-Forwarded-Proto: https\r\n\r\n");
	int server = arrive();
	hear(server, "GET /x HTTP/1.1\r\n" HOST "X-Forwarded-Proto: https\r\n"
		     "X-Forwarded-For: 127.0.0.1\r\nConnection: close\r\n\r\n");
	close(client);
	close(server);
	end();
}

/* ---- what is refused ---- */

static void refuses_unknown_names(void)
{
	start_domain();
	check_refused("GET / HTTP/1.1\r\nHost: sandbox.test\r\n\r\n", 404);
	check_refused(
		"GET / HTTP/1.1\r\nHost: 6061-abcdefghij0123456789.sandbox.test\r\n\r\n", 404);
	check_refused(
		"GET / HTTP/1.1\r\nHost: 6060-bbcdefghij0123456789.sandbox.test\r\n\r\n", 404);
	check_refused("GET / HTTP/1.1\r\nHost: " NAME ".evil.test\r\n\r\n", 404);
	check_refused(
		"GET / HTTP/1.1\r\nHost: 06060-abcdefghij0123456789.sandbox.test\r\n\r\n", 404);
	check_refused(
		"GET / HTTP/1.1\r\nHost: 71596-abcdefghij0123456789.sandbox.test\r\n\r\n", 404);
	check_refused("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404);
	CHECK_INT(dials, 0);
	end();
}

static void refuses_what_smuggles(void)
{
	static const char *const requests[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST HOST "\r\n",
		"POST / HTTP/1.1\r\n" HOST
		"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n",
		"POST / HTTP/1.1\r\n" HOST "Content-Length : 1\r\n\r\n",
		"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n",
		"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		"GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n",
		"GET / HTTP/1.1\n" HOST "\r\n",
		"GET / HTTP/1.1\r\n" HOST "A: b\rC: d\r\n\r\n",
		"GET http://evil.test/ HTTP/1.1\r\n" HOST "\r\n",
		"GET / HTTP/1.1\r\n" HOST "Connection: Host\r\n\r\n",
		"CONNECT " NAME ":80 HTTP/1.1\r\n" HOST "\r\n",
		"GET / HTTP/2.0\r\n" HOST "\r\n",
		"GET /\r\n" HOST "\r\n",
		"\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
	};

	start_domain();
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
		check_refused(requests[i], 400);
	CHECK_INT(dials, 0);
	end();
}

static void refuses_a_head_that_is_too_large(void)
{
	char *text = alloc_zero(64 * 1024);
	size_t len = (size_t)snprintf(text, 100, "GET / HTTP/1.1\r\n" HOST "A: ");

	start_domain();
	memset(text + len, 'a', 40 * 1024);
	check_refused(text, 431);
	free(text);
	end();
}

static void says_502_for_a_dead_port(void)
{
	start_domain();
	close(inside);
	check_refused("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nab", 502);
	inside = socket_at("127.0.0.1", 0, true);
	end();
}

static void says_502_for_a_wrong_answer(void)
{
	static const char *const answers[] = {
		"220 mail ready\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
	};
	char text[4096];

	start_domain();
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		int client = ask("GET / HTTP/1.1\r\n" HOST "\r\n");
		int server = arrive();
		hear(server, "GET / HTTP/1.1\r\n" HOST FROM "Connection: close\r\n\r\n");
		say(server, answers[i]);
		hear_all(client, text, sizeof text);
		CHECK(strncmp(text, "HTTP/1.1 502 ", 13) == 0);
		close(client);
		close(server);
	}
	end();
}

static void says_502_for_no_answer(void)
{
	char text[4096];

	start_domain();
	for (int i = 0; i < 2; i++) {
		int client = ask("GET / HTTP/1.1\r\n" HOST "\r\n");
		int server = arrive();
		if (i == 0)
			close(server);
		else
			reset(server);
		hear_all(client, text, sizeof text);
		CHECK(strncmp(text, "HTTP/1.1 502 ", 13) == 0);
		close(client);
	}
	end();
}

static void bounds_the_head_of_an_answer(void)
{
	char text[4096], line[1024];

	start_domain();
	int client = ask("GET / HTTP/1.1\r\n" HOST "\r\n");
	int server = arrive();
	say(server, "HTTP/1.1 200 OK\r\n");
	memset(line, 'a', sizeof line);
	memcpy(line, "A: ", 3);
	memcpy(line + sizeof line - 3, "\r\n", 3);
	for (int i = 0; i < 100; i++) {
		if (send(server, line, strlen(line), MSG_NOSIGNAL) < 0)
			break;
	}
	hear_all(client, text, sizeof text);
	CHECK(strncmp(text, "HTTP/1.1 502 ", 13) == 0);
	close(client);
	close(server);
	end();
}

static void gives_an_early_answer_to_a_client_that_still_sends(void)
{
	start_domain();
	int client = ask("POST / HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\nabc");
	int server = arrive();
	UNTIL(!silent(server));
	say(server, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
	close(server); /* with bytes unread: a reset */
	for (int i = 0; i < 10; i++) {
		say(client, "more");
		turn();
	}
	hear(client, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n"
		     "\r\n");
	close(client);
	end();
}

static void wakes_a_paused_sandbox_for_a_request(void)
{
	start_domain();
	gate_set_paused(sandbox, true);
	int client = ask("GET / HTTP/1.1\r\n" HOST "\r\n");
	UNTIL(wakes == 1);
	CHECK_INT(dials, 0);
	gate_set_paused(sandbox, false);
	int server = arrive();
	hear(server, "GET / HTTP/1.1\r\n" HOST);
	close(client);
	close(server);
	end();
}

static void frees_whatever_stage_a_request_is_in(void)
{
	start_domain();
	int reading = ask("GET / HT"), passing = ask("GET / HTTP/1.1\r\n" HOST "\r\n");
	int server = arrive();
	gate_set_paused(sandbox, true);
	int waiting = ask("GET / HTTP/1.1\r\n" HOST "\r\n");
	UNTIL(wakes == 1);
	end();
	close(reading);
	close(passing);
	close(waiting);
	close(server);
}

TESTS(CASE(passes_one_request_and_its_answer), CASE(takes_the_host_in_any_case_and_with_a_port),
	CASE(passes_a_head_that_comes_byte_by_byte), CASE(forwards_nothing_after_a_counted_body),
	CASE(forwards_nothing_after_a_chunked_body), CASE(cuts_at_a_malformed_chunk),
	CASE(cuts_where_a_body_ends_early), CASE(passes_interim_answers_and_streams),
	CASE(tunnels_after_a_101_alone), CASE(has_no_tunnel_without_a_101),
	CASE(strips_what_a_client_may_not_say), CASE(refuses_unknown_names),
	CASE(refuses_what_smuggles), CASE(refuses_a_head_that_is_too_large),
	CASE(says_502_for_a_dead_port), CASE(says_502_for_a_wrong_answer),
	CASE(says_502_for_no_answer), CASE(bounds_the_head_of_an_answer),
	CASE(gives_an_early_answer_to_a_client_that_still_sends),
	CASE(wakes_a_paused_sandbox_for_a_request), CASE(frees_whatever_stage_a_request_is_in))
