#include "http_head.h"

#include "buf.h"
#include "err.h"
#include "test.h"

static struct http_head head;

static int request(const char *text)
{
	return http_head_request(text, strlen(text), &head, NULL);
}

static int response(const char *text)
{
	return http_head_response(text, strlen(text), &head, NULL);
}

static void check(struct http_text have, const char *want)
{
	char text[256] = "";

	memcpy(text, have.at, have.len);
	CHECK_TEXT(text, want);
}

static void reads_a_request(void)
{
	static const char text[] = "POST /a?b HTTP/1.1\r\nHost: x.test:80\r\nA:  b c \t\r\nB:\r\n"
				   "content-LENGTH: 012\r\n\r\nbody";

	CHECK_INT(request(text), 1);
	check(head.method, "POST");
	check(head.target, "/a?b");
	check(head.host, "x.test:80");
	CHECK_INT(head.minor, 1);
	CHECK_INT(head.count, 4);
	check(head.fields[1].value, "b c");
	check(head.fields[2].value, "");
	CHECK_INT(head.framing, HTTP_COUNTED);
	CHECK_INT(head.length, 12);
	CHECK_INT(head.size, sizeof text - 1 - strlen("body"));
}

static void reads_a_response(void)
{
	CHECK_INT(response("HTTP/1.0 200\r\n\r\n"), 1);
	CHECK_INT(head.status, 200);
	CHECK_INT(head.minor, 0);
	CHECK_INT(response("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: Chunked\r\n\r\n"), 1);
	CHECK_INT(head.status, 404);
	CHECK_INT(head.framing, HTTP_CHUNKED);
	CHECK_INT(response("HTTP/1.1 999 X\r\n\r\n"), -1);
	CHECK_INT(response("HTTP/1.1 20 OK\r\n\r\n"), -1);
	CHECK_INT(response("HTTP/1.1 200OK\r\n\r\n"), -1);
	CHECK_INT(response("ICY 200 OK\r\n\r\n"), -1);
}

static void waits_for_the_whole_head(void)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

	for (size_t len = 0; len < sizeof text - 1; len++)
		CHECK_INT(http_head_request(text, len, &head, NULL), 0);
	CHECK_INT(request(text), 1);
}

static void refuses_bad_lines_before_the_head_is_whole(void)
{
	CHECK_INT(request("GET / HTTP/1.1\nHo"), -1);
	CHECK_INT(request("GET / HTTP/1.1\r\nA: b\rc"), -1);
	CHECK_INT(http_head_request("GET \0", 5, &head, NULL), -1);
	CHECK_INT(request("\r\n"), -1);
}

static void refuses_what_can_be_read_in_two_ways(void)
{
	static const char *const fields[] = {
		"", /* no Host */
		"Host: a\r\nHost: a\r\n",
		"Host: a b\r\n",
		"Host: a/b\r\n",
		"Host:\r\n",
		"Host: :80\r\n",
		"Host: a:b\r\n",
		"Host: a:1:2\r\n",
		"Host: ::1\r\n",
		"Host: [a.b]c\r\n",
		"Host: u@a\r\n",
		"Host: a\r\n A: folded\r\n",
		"Host: a\r\n\tA: folded\r\n",
		"Host : a\r\n",
		"Host: a\r\nno colon\r\n",
		"Host: a\r\n: no name\r\n",
		"Host: a\r\nA(: b\r\n",
		"Host: a\r\nA: \x01\r\n",
		"Host: a\r\nA: \x7f\r\n",
		"Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
		"Host: a\r\nContent-Length: 1\r\ncontent-length: 1\r\n",
		"Host: a\r\nContent-Length: 1, 1\r\n",
		"Host: a\r\nContent-Length: -1\r\n",
		"Host: a\r\nContent-Length: 0x1\r\n",
		"Host: a\r\nContent-Length:\r\n",
		"Host: a\r\nContent-Length: 9999999999999999999\r\n",
		"Host: a\r\nTransfer-Encoding: identity\r\n",
		"Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
		"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Host: a\r\nTransfer-Encoding: \x0b"
		"chunked\r\n",
		"Host: a\r\nConnection: close, content-length\r\n",
	};
	char text[512];

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		snprintf(text, sizeof text, "POST / HTTP/1.1\r\n%s\r\n", fields[i]);
		if (request(text) != -1) {
			printf("# taken: %s\n", text);
			test_failures++;
		}
	}
}

static void refuses_bad_request_lines(void)
{
	static const char *const lines[] = { "GET  / HTTP/1.1", "GET / HTTP/1.1 ",
		" GET / HTTP/1.1", "GET /a b HTTP/1.1", "GET\t/ HTTP/1.1", "GET / http/1.1",
		"GET / HTTP/1.2", "GET /", "G(T / HTTP/1.1", "GET a HTTP/1.1", "GET * HTTP/1.1",
		"GET  HTTP/1.1", "GET /#x HTTP/1.1", "GET /\x80 HTTP/1.1", "GET http://b/ HTTP/1.1",
		"GET http://a HTTP/1.1", "GET http://u@a/ HTTP/1.1", "GET ftp://a/ HTTP/1.1",
		"GET http:/// HTTP/1.1", "CONNECT a:80 HTTP/1.1" };
	char text[512];

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		snprintf(text, sizeof text, "%s\r\nHost: a\r\n\r\n", lines[i]);
		if (request(text) != -1) {
			printf("# taken: %s\n", lines[i]);
			test_failures++;
		}
	}
}

static void makes_an_absolute_target_a_path(void)
{
	CHECK_INT(request("GET HTTP://A.test:80/b HTTP/1.1\r\nHost: a.TEST:80\r\n\r\n"), 1);
	check(head.target, "/b");
	CHECK_INT(request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 1);
	check(head.target, "*");
}

static void takes_hosts_with_ports_and_addresses(void)
{
	CHECK_INT(request("GET / HTTP/1.1\r\nHost: a-b_c.D:\r\n\r\n"), 1);
	CHECK_INT(request("GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"), 1);
	CHECK_INT(request("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), 1);
}

static void refuses_chunks_in_http_1_0(void)
{
	CHECK_INT(request("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), -1);
}

static void bounds_the_number_of_fields(void)
{
	AUTO_BUF struct buf text = BUF_INIT(4096);
	struct err err;

	buf_add_text(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < HTTP_FIELDS_MAX; i++)
		buf_add_text(&text, "A: b\r\n");
	buf_add_text(&text, "\r\n");
	CHECK_INT(http_head_request(text.data, text.len, &head, &err), -1);
	CHECK_INT(err.code, ERR_LIMIT);
}

static void tells_an_upgrade_and_what_is_not_passed_on(void)
{
	CHECK_INT(request("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, UPGRADE\r\nUpgrade: w\r\n"
			  "X: 1\r\nY: 2\r\nTE: t\r\n\r\n"),
		1);
	CHECK(head.upgrade);
	CHECK(http_head_is_hop(&head, http_head_field(&head, "x")));
	CHECK(!http_head_is_hop(&head, http_head_field(&head, "y")));
	CHECK(http_head_is_hop(&head, http_head_field(&head, "te")));
	CHECK_INT(request("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: w\r\n\r\n"), 1);
	CHECK(!head.upgrade);
}

/* ---- bodies ---- */

/* What is taken of `text` behind a head with this field: whole, then byte by byte. */
static ssize_t take(const char *field, const char *text, bool *done)
{
	struct http_body body, again;
	char start[256];
	ssize_t taken = 0, n = 1;

	snprintf(start, sizeof start, "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n", field);
	CHECK_INT(request(start), 1);
	http_body_init(&body, &head);
	again = body;
	ssize_t whole = http_body_take(&body, text, strlen(text));
	for (size_t i = 0; i < strlen(text) && n == 1; i++) {
		n = http_body_take(&again, text + i, 1);
		taken = n < 0 ? n : taken + n;
	}
	CHECK_INT(taken, whole);
	CHECK_INT(again.done, body.done);
	*done = body.done;
	return whole;
}

static void counts_bodies(void)
{
	bool done;

	CHECK_INT(take("", "next", &done), 0);
	CHECK(done);
	CHECK_INT(take("Content-Length: 0\r\n", "next", &done), 0);
	CHECK(done);
	CHECK_INT(take("Content-Length: 3\r\n", "abcnext", &done), 3);
	CHECK(done);
	CHECK_INT(take("Content-Length: 3\r\n", "ab", &done), 2);
	CHECK(!done);
}

static void counts_chunks(void)
{
	static const char chunked[] = "Transfer-Encoding: chunked\r\n";
	bool done;

	CHECK_INT(take(chunked, "0\r\n\r\nnext", &done), 5);
	CHECK(done);
	CHECK_INT(take(chunked, "2\r\nab\r\n00A\r\n0123456789\r\n0\r\n\r\nnext", &done), 29);
	CHECK(done);
	CHECK_INT(take(chunked, "2\r\nab\r\n", &done), 7);
	CHECK(!done);
}

static void refuses_malformed_chunks(void)
{
	static const char *const bodies[] = { "\r\n", "g\r\n", "2\nab\r\n", "2 \r\n", "2;a\r\n",
		"-2\r\n", "2\r\nabc\r\n", "2\r\nab\n", "2\r\nabX\r\n", "0\r\nA: b\r\n\r\n",
		"0\r\n\n", "1000000000000000\r\n", "0x2\r\nab\r\n", "2\rXab" };
	bool done;

	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
		CHECK_INT(take("Transfer-Encoding: chunked\r\n", bodies[i], &done), -1);
}

TESTS(CASE(reads_a_request), CASE(reads_a_response), CASE(waits_for_the_whole_head),
	CASE(refuses_bad_lines_before_the_head_is_whole),
	CASE(refuses_what_can_be_read_in_two_ways), CASE(refuses_bad_request_lines),
	CASE(makes_an_absolute_target_a_path), CASE(takes_hosts_with_ports_and_addresses),
	CASE(refuses_chunks_in_http_1_0), CASE(bounds_the_number_of_fields),
	CASE(tells_an_upgrade_and_what_is_not_passed_on), CASE(counts_bodies), CASE(counts_chunks),
	CASE(refuses_malformed_chunks))
