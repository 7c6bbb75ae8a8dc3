#include "gate_impl.h"

#include <string.h>

#include "err.h"

enum { INTERIM_MAX = 16 };

/* ---- heads, as they go on ---- */

static int add(struct buf *out, struct http_text text)
{
	return buf_add(out, text.at, text.len);
}

static int add_field(struct buf *out, const struct http_field *field)
{
	return add(out, field->name) < 0 || buf_add_text(out, ": ") < 0 ||
			       add(out, field->value) < 0 || buf_add_text(out, "\r\n") < 0
		       ? -1
		       : 0;
}

/* Where a request came from is ours to say, or that of a front on this machine, which alone knows
 * whether it came by TLS. Its host is the Host, which goes on as it came. */
static bool is_forgery(const struct http_field *field, bool peer_trusted)
{
	static const char *const origins[] = { "x-forwarded-for", "x-forwarded-proto" };
	static const char *const others[] = { "x-forwarded-host", "x-forwarded-port",
		"x-forwarded-server", "x-forwarded-prefix", "x-real-ip", "forwarded" };

	for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
		if (http_text_is(field->name, origins[i]))
			return !peer_trusted;
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		if (http_text_is(field->name, others[i]))
			return true;
	}
	return false;
}

static int add_end(struct buf *out, const struct http_head *head, bool upgrade)
{
	if (upgrade) {
		buf_add_text(out, "Connection: Upgrade\r\n");
		add_field(out, http_head_field(head, "upgrade"));
	} else if (head->status == 0 || head->status >= 200) {
		buf_add_text(out, "Connection: close\r\n");
	}
	return buf_add_text(out, "\r\n");
}

int exchange_add_request(
	struct buf *out, const struct http_head *head, const char *peer, bool peer_trusted)
{
	add(out, head->method);
	buf_add_char(out, ' ');
	add(out, head->target);
	buf_addf(out, " HTTP/1.%u\r\n", head->minor);
	for (size_t i = 0; i < head->count; i++) {
		const struct http_field *field = &head->fields[i];
		if (!http_head_is_hop(head, field) && !is_forgery(field, peer_trusted))
			add_field(out, field);
	}
	if (!peer_trusted || !http_head_field(head, "x-forwarded-for"))
		buf_addf(out, "X-Forwarded-For: %s\r\n", peer);
	if (!peer_trusted || !http_head_field(head, "x-forwarded-proto"))
		buf_add_text(out, "X-Forwarded-Proto: http\r\n");
	return add_end(out, head, head->upgrade && head->framing == HTTP_NO_LENGTH);
}

static int add_answer(struct buf *out, const struct http_head *head)
{
	add(out, head->line);
	buf_add_text(out, "\r\n");
	for (size_t i = 0; i < head->count; i++) {
		if (!http_head_is_hop(head, &head->fields[i]))
			add_field(out, &head->fields[i]);
	}
	return add_end(out, head, head->status == 101);
}

/* ---- pages ---- */

static const struct page {
	unsigned status;
	const char *reason, *text;
} pages[] = {
	{ 400, "Bad Request", "This request is not well-formed HTTP, so it was not passed on." },
	{ 404, "Not Found",
		"No sandbox's port is known by this name. Names are PORT-ID.DOMAIN; look the "
		"address up in the sandbox's info." },
	{ 408, "Request Timeout", "The request's head did not come within ten seconds." },
	{ 431, "Request Header Fields Too Large",
		"The request's head has more than 32 KiB or more than 128 fields." },
	{ 502, "Bad Gateway",
		"Nothing in the sandbox answers on this port. Start a server there, one that "
		"listens on this very port and speaks HTTP, and try again." },
	{ 503, "Service Unavailable",
		"The sandbox is paused and did not resume, or has too many connections. Resume "
		"it, or close some, and try again." },
};

int exchange_add_page(struct buf *out, unsigned status)
{
	const struct page *page = pages;

	while (page->status != status)
		page++;
	return buf_addf(out,
		"HTTP/1.1 %u %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Content-Length: %zu\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%s\n",
		page->status, page->reason, strlen(page->text) + 1, page->text);
}

/* ---- what passes ---- */

void exchange_init(struct exchange *exchange, const struct http_head *head)
{
	http_body_init(&exchange->body, head);
	exchange->wants_upgrade = head->upgrade && head->framing == HTTP_NO_LENGTH;
	buf_init(&exchange->answer, (size_t)2 * HEAD_MAX);
}

ssize_t exchange_request(const char *bytes, size_t len, void *data)
{
	struct exchange *exchange = data;

	if (exchange->refused)
		return 0;
	if (len == 0)
		return exchange->body.done ? 0 : -1; /* half a request must not look like one */
	if (exchange->wants_upgrade)
		return -1; /* bytes for a tunnel that there is not yet */
	return http_body_take(&exchange->body, bytes, len);
}

static ssize_t refuse_answer(struct exchange *exchange)
{
	AUTO_BUF struct buf page = BUF_INIT(HEAD_MAX);

	exchange->refused = true;
	buf_release(&exchange->answer);
	splice_end(exchange->splice, SPLICE_DOWN);
	exchange_add_page(&page, 502);
	return splice_put(exchange->splice, SPLICE_DOWN, page.data, page.len);
}

/* One head that is whole: 1 where another follows, 0 where what follows is a body or a tunnel. */
static int pass_head(struct exchange *exchange, const struct http_head *head)
{
	AUTO_BUF struct buf out = BUF_INIT((size_t)2 * HEAD_MAX);
	bool interim = head->status < 200 && head->status != 101;

	if (head->size > HEAD_MAX || (interim && ++exchange->interim > INTERIM_MAX))
		return -1;
	if (head->status == 101 && (!exchange->wants_upgrade || !head->upgrade))
		return -1;
	if (add_answer(&out, head) < 0)
		return -1;
	if (splice_put(exchange->splice, SPLICE_DOWN, out.data, out.len) < 0)
		return -1;
	buf_consume(&exchange->answer, head->size);
	if (head->status == 101)
		splice_filter(exchange->splice, SPLICE_UP, NULL, NULL);
	return interim;
}

ssize_t exchange_answer(const char *bytes, size_t len, void *data)
{
	struct exchange *exchange = data;
	struct buf *answer = &exchange->answer;
	struct http_head head;
	int whole, more = 1;

	if (len == 0 || buf_add(answer, bytes, len) < 0)
		return refuse_answer(exchange);
	do {
		whole = http_head_response(answer->data, answer->len, &head, NULL);
		if (whole == 1)
			more = pass_head(exchange, &head);
	} while (whole == 1 && more == 1 && answer->len > 0);
	if (whole < 0 || more < 0 || (more == 1 && answer->len > HEAD_MAX))
		return refuse_answer(exchange);
	if (more == 1)
		return 0;
	splice_filter(exchange->splice, SPLICE_DOWN, NULL, NULL);
	int put = splice_put(exchange->splice, SPLICE_DOWN, answer->data, answer->len);
	buf_release(answer);
	return put;
}
