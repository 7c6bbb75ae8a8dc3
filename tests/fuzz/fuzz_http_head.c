/* Any bytes as a request and as a response: what is taken is a head by its own words, no part of
 * it is one, and its body ends at the same byte however it is cut. */
#include "http_head.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int parse_fn(const char *bytes, size_t len, struct http_head *out, struct err *err);

static void check_inside(struct http_text text, const char *bytes, size_t len)
{
	if (text.at < bytes || text.at + text.len > bytes + len ||
		memchr(text.at, '\r', text.len) || memchr(text.at, '\n', text.len) ||
		memchr(text.at, '\0', text.len))
		abort();
}

static void check_body(const struct http_head *head, const char *bytes, size_t len)
{
	struct http_body whole, pieces;
	ssize_t taken = 0, n = 1;

	http_body_init(&whole, head);
	http_body_init(&pieces, head);
	ssize_t all = http_body_take(&whole, bytes, len);
	for (size_t i = 0; i < len && n == 1; i++) {
		n = http_body_take(&pieces, bytes + i, 1);
		taken = n < 0 ? n : taken + n;
	}
	if (all != taken || all > (ssize_t)len || whole.done != pieces.done)
		abort();
}

static void check(parse_fn *parse, const char *bytes, size_t len)
{
	struct http_head head, part;
	int whole = parse(bytes, len, &head, NULL);

	if (whole == 0 && parse(bytes, len / 2, &part, NULL) != 0)
		abort();
	if (whole != 1)
		return;
	if (head.size > len || memcmp(bytes + head.size - 4, "\r\n\r\n", 4) != 0)
		abort();
	if (parse(bytes, head.size - 1, &part, NULL) != 0 ||
		parse(bytes, head.size, &part, NULL) != 1)
		abort();
	for (size_t i = 0; i < head.count; i++) {
		check_inside(head.fields[i].name, bytes, head.size);
		check_inside(head.fields[i].value, bytes, head.size);
		http_head_is_hop(&head, &head.fields[i]);
	}
	check_body(&head, bytes + head.size, len - head.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(http_head_request, (const char *)data, size);
	check(http_head_response, (const char *)data, size);
	return 0;
}
