#include "keeper/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "keeper/table.h"
#include "scratch.h"
#include "test.h"

struct pair {
	struct wire a, b;
};

static void join(struct pair *pair, size_t out_max)
{
	int fds[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	wire_init(&pair->a, fds[0], out_max);
	wire_init(&pair->b, fds[1], out_max);
}

static void part(struct pair *pair)
{
	wire_release(&pair->a);
	wire_release(&pair->b);
}

/* What came last, and how many in all. */
struct seen {
	int messages;
	struct wire_head head;
	size_t len;
	unsigned sum;
	ino_t inode; /* of the first descriptor */
	struct err fail;
};

static int see(struct wire_message *message, void *data, struct err *err)
{
	struct seen *seen = data;
	struct stat st;

	seen->messages++;
	seen->head = message->head;
	seen->len = message->len;
	seen->sum = 0;
	for (size_t i = 0; i < message->len; i++)
		seen->sum += ((const unsigned char *)message->body)[i];
	if (message->fds_len > 0 && fstat(message->fds[0], &st) == 0)
		seen->inode = st.st_ino;
	if (seen->fail.code) {
		*err = seen->fail;
		return -1;
	}
	return 0;
}

static struct buf bytes(char *data, size_t len)
{
	return (struct buf){ .data = data, .len = len, .max = len };
}

static void carries_a_message_with_its_number(void)
{
	struct pair pair;
	struct seen seen = { 0 };
	struct buf body = bytes((char[]){ 1, 2, 3 }, 3);

	join(&pair, 1000);
	CHECK_INT(wire_send(&pair.a, WIRE_START, 42, &body, NULL, 0, NULL), 0);
	CHECK_INT(wire_send(&pair.a, WIRE_KILL, 43, NULL, NULL, 0, NULL), 0);
	CHECK_INT(wire_receive(&pair.b, see, &seen, NULL), 0);
	CHECK_INT(seen.messages, 2);
	CHECK_INT(seen.head.type, WIRE_KILL);
	CHECK_INT(seen.head.number, 43);
	CHECK_INT(seen.len, 0);
	part(&pair);
}

static void carries_descriptors_with_the_message_they_belong_to(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct pair pair;
	struct seen seen = { 0 };
	struct stat st;
	int fd = open(".", O_RDONLY | O_CLOEXEC);

	MUST(fstat(fd, &st));
	join(&pair, 1000);
	wire_send(&pair.a, WIRE_KILL, 1, NULL, NULL, 0, NULL);
	wire_send(&pair.a, WIRE_START, 2, NULL, &fd, 1, NULL);
	close(fd);
	while (seen.messages < 2)
		CHECK_INT(wire_receive(&pair.b, see, &seen, NULL), 0);
	CHECK_INT(seen.inode, st.st_ino);
	CHECK_INT(pair.b.fds_in_len, 0);
	part(&pair);
}

static void keeps_what_the_socket_does_not_take_and_sends_it_later(void)
{
	enum { SIZE = 1024 * 1024, COUNT = 5 };
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char *data = calloc(1, SIZE);
	struct pair pair;
	struct seen seen = { 0 };
	struct stat st;
	int fd = open(".", O_RDONLY | O_CLOEXEC);

	memset(data, 1, SIZE);
	MUST(fstat(fd, &st));
	join(&pair, COUNT * (size_t)SIZE + 1000);
	struct buf body = bytes(data, SIZE);
	for (int i = 0; i < COUNT; i++)
		CHECK_INT(wire_send(&pair.a, WIRE_START, 7, &body, &fd, 1, NULL), 0);
	close(fd);
	CHECK(pair.a.out.len > 0);
	for (int i = 0; i < 100000 && seen.messages < COUNT; i++) {
		CHECK_INT(wire_flush(&pair.a, NULL), 0);
		CHECK_INT(wire_receive(&pair.b, see, &seen, NULL), 0);
		if (seen.messages > 0) {
			CHECK_INT(seen.sum, SIZE);
			CHECK_INT(seen.inode, st.st_ino);
		}
	}
	CHECK_INT(seen.messages, COUNT);
	CHECK_INT(pair.a.out.len, 0);
	CHECK(!pair.a.fds_out);
	free(data);
	part(&pair);
}

static void refuses_more_than_may_wait(void)
{
	char data[5000] = { 0 };
	struct pair pair;
	struct buf body = bytes(data, sizeof data);
	struct err err = { 0 };
	int sent = 0;

	join(&pair, 20 * 1000);
	while (sent < 100000 && wire_send(&pair.a, WIRE_START, 1, &body, NULL, 0, &err) == 0)
		sent++;
	CHECK_INT(err.code, ERR_LIMIT);
	CHECK(pair.a.out.len <= 20 * 1000);
	/* what was taken is whole */
	struct seen seen = { 0 };
	for (int i = 0; i < 100000 && seen.messages < sent; i++) {
		wire_flush(&pair.a, NULL);
		CHECK_INT(wire_receive(&pair.b, see, &seen, NULL), 0);
	}
	CHECK_INT(seen.messages, sent);
	part(&pair);
}

static void refuses_a_message_that_is_too_large(void)
{
	struct pair pair;
	struct err err;
	char *data = calloc(1, WIRE_MESSAGE_MAX);
	struct buf body = bytes(data, WIRE_MESSAGE_MAX);

	join(&pair, (size_t)2 * WIRE_MESSAGE_MAX);
	CHECK_INT(wire_send(&pair.a, WIRE_START, 1, &body, NULL, 0, &err), -1);
	CHECK_INT(err.code, ERR_LIMIT);
	free(data);
	part(&pair);
}

static void tells_a_closed_connection(void)
{
	struct pair pair;
	struct seen seen = { 0 };

	join(&pair, 1000);
	wire_send(&pair.a, WIRE_KILL, 1, NULL, NULL, 0, NULL);
	wire_release(&pair.a);
	CHECK_INT(wire_receive(&pair.b, see, &seen, NULL), 0); /* first what was said before */
	CHECK_INT(seen.messages, 1);
	CHECK_INT(wire_receive(&pair.b, see, &seen, NULL), 1);
	struct err err;
	CHECK_INT(wire_send(&pair.b, WIRE_KILL, 1, NULL, NULL, 0, &err), -1);
	CHECK_INT(err.sysno, EPIPE);
	part(&pair);
}

static void refuses_what_is_no_message(void)
{
	struct wire_head bad[] = {
		{ .size = 3, .type = WIRE_KILL },
		{ .size = UINT32_MAX, .type = WIRE_KILL },
		{ .size = sizeof(struct wire_head), .type = WIRE_START, .fds = 1 },
		{ .size = sizeof(struct wire_head), .type = WIRE_START, .fds = UINT16_MAX },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct pair pair;
		struct seen seen = { 0 };
		struct err err = { 0 };
		join(&pair, 1000);
		MUST(write(pair.a.fd, &bad[i], sizeof bad[i]));
		CHECK_INT(wire_receive(&pair.b, see, &seen, &err), -1);
		CHECK_INT(err.code, ERR_INVALID);
		CHECK_INT(seen.messages, 0);
		part(&pair);
	}
}

static void passes_the_errors_of_the_receiver_on(void)
{
	struct pair pair;
	struct seen seen = { .fail = { .code = ERR_CONFLICT } };
	struct err err = { 0 };

	join(&pair, 1000);
	wire_send(&pair.a, WIRE_KILL, 1, NULL, NULL, 0, NULL);
	wire_send(&pair.a, WIRE_KILL, 2, NULL, NULL, 0, NULL);
	CHECK_INT(wire_receive(&pair.b, see, &seen, &err), -1);
	CHECK_INT(err.code, ERR_CONFLICT);
	CHECK_INT(seen.messages, 1);
	part(&pair);
}

static void reads_texts_up_to_the_end(void)
{
	static const char raw[] = "4444one\0\0three";
	struct wire_message message = { .body = raw, .len = sizeof raw - 1 };
	struct wire_texts texts;
	uint32_t body;

	CHECK_INT(wire_body(&message, &body, sizeof body, &texts, NULL), 0);
	CHECK_TEXT(wire_text(&texts), "one");
	CHECK_TEXT(wire_text(&texts), "");
	CHECK(!wire_text(&texts)); /* "three" has no NUL */
	message.len = 3;
	CHECK_INT(wire_body(&message, &body, sizeof body, &texts, NULL), -1);
}

static void makes_ids_that_sort_by_age(void)
{
	char a[WIRE_ID_LEN + 1], b[WIRE_ID_LEN + 1];

	wire_id(1795238957823000, a);
	wire_id(1795238957823001, b);
	CHECK(strcmp(a, b) < 0);
	CHECK_INT(wire_number(a), 1795238957823000);
	CHECK_INT(wire_number("00000000001"), 1);
	CHECK_INT(wire_number("0000000000"), 0);
	CHECK_INT(wire_number("000000000001"), 0);
	CHECK_INT(wire_number("0000000000i"), 0); /* i, l, o, u are no digits */
	CHECK_INT(wire_number("..........."), 0);
	CHECK_INT(wire_number(""), 0);
}

static void finds_commands_by_number(void)
{
	struct table table = { 0 };
	int values[100];

	for (int i = 0; i < 100; i++)
		table_insert(&table, (uint64_t)(i * 7 % 100 + 1), &values[i * 7 % 100]);
	for (int i = 0; i < 100; i++)
		CHECK(table_find(&table, (uint64_t)i + 1) == &values[i]);
	CHECK(!table_find(&table, 101));
	CHECK_INT(table.entries[0].number, 1);
	CHECK_INT(table.entries[99].number, 100);
	table_remove(&table, 50);
	table_remove(&table, 500);
	CHECK(!table_find(&table, 50));
	CHECK_INT(table.len, 99);
	table_release(&table);
}

TESTS(CASE(carries_a_message_with_its_number),
	CASE(carries_descriptors_with_the_message_they_belong_to),
	CASE(keeps_what_the_socket_does_not_take_and_sends_it_later),
	CASE(refuses_more_than_may_wait), CASE(refuses_a_message_that_is_too_large),
	CASE(tells_a_closed_connection), CASE(refuses_what_is_no_message),
	CASE(passes_the_errors_of_the_receiver_on), CASE(reads_texts_up_to_the_end),
	CASE(makes_ids_that_sort_by_age), CASE(finds_commands_by_number))
