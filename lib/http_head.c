#include "http_head.h"

#include <string.h>

#include "err.h"

static int refuse(struct err *err, const char *why)
{
	return err_set(err, ERR_INVALID, "malformed HTTP: %s", why);
}

/* ---- texts ---- */

static char lower_of(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* RFC 9110, section 5.6.2 */
static bool is_token_char(char c)
{
	char l = lower_of(c);

	return (l >= 'a' && l <= 'z') || is_digit(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct http_text text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (!is_token_char(text.at[i]))
			return false;
	}
	return text.len > 0;
}

static bool same_text(struct http_text a, struct http_text b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (lower_of(a.at[i]) != lower_of(b.at[i]))
			return false;
	}
	return true;
}

bool http_text_is(struct http_text text, const char *lower)
{
	return same_text(text, (struct http_text){ lower, strlen(lower) });
}

static struct http_text trim(struct http_text text)
{
	while (text.len > 0 && is_blank(text.at[0]))
		text.at++, text.len--;
	while (text.len > 0 && is_blank(text.at[text.len - 1]))
		text.len--;
	return text;
}

/* Cuts the next item off a comma-separated list; false at its end. */
static bool next_item(struct http_text *list, struct http_text *item)
{
	if (list->len == 0)
		return false;
	const char *comma = memchr(list->at, ',', list->len);
	size_t len = comma ? (size_t)(comma - list->at) : list->len;
	*item = trim((struct http_text){ list->at, len });
	len += comma != NULL;
	list->at += len;
	list->len -= len;
	return true;
}

/* ---- fields ---- */

const struct http_field *http_head_field(const struct http_head *head, const char *lower)
{
	for (size_t i = 0; i < head->count; i++) {
		if (http_text_is(head->fields[i].name, lower))
			return &head->fields[i];
	}
	return NULL;
}

static size_t field_count(const struct http_head *head, const char *lower)
{
	size_t count = 0;

	for (size_t i = 0; i < head->count; i++)
		count += http_text_is(head->fields[i].name, lower);
	return count;
}

static bool connection_names(const struct http_head *head, struct http_text name)
{
	for (size_t i = 0; i < head->count; i++) {
		struct http_text list = head->fields[i].value, item;
		if (!http_text_is(head->fields[i].name, "connection"))
			continue;
		while (next_item(&list, &item)) {
			if (same_text(item, name))
				return true;
		}
	}
	return false;
}

bool http_head_is_hop(const struct http_head *head, const struct http_field *field)
{
	static const char *const known[] = { "connection", "keep-alive", "proxy-connection",
		"proxy-authorization", "te", "upgrade" };

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (http_text_is(field->name, known[i]))
			return true;
	}
	return connection_names(head, field->name);
}

/* RFC 9110, section 5.5, without obsolete text: blanks, visible characters, bytes from 0x80. */
static bool is_value(struct http_text value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.at[i];
		if (c != '\t' && (c < ' ' || c == 0x7f))
			return false;
	}
	return true;
}

/* A folded line begins with a blank, which is no token, and so is refused. */
static int parse_field(struct http_text line, struct http_head *head, struct err *err)
{
	const char *colon = memchr(line.at, ':', line.len);

	if (!colon)
		return refuse(err, "a header line without a colon");
	if (head->count == HTTP_FIELDS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d header fields", HTTP_FIELDS_MAX);
	struct http_field *field = &head->fields[head->count++];
	size_t name = (size_t)(colon - line.at);
	field->name = (struct http_text){ line.at, name };
	field->value = trim((struct http_text){ colon + 1, line.len - name - 1 });
	if (!is_token(field->name))
		return refuse(err, "a header name with a character that has no place there");
	if (!is_value(field->value))
		return refuse(err, "a header value with a control character");
	return 0;
}

/* ---- framing (RFC 9112, section 6.3) ---- */

static int parse_length(struct http_text text, uint64_t *out)
{
	uint64_t length = 0;

	if (text.len == 0 || text.len > 18)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		if (!is_digit(text.at[i]))
			return -1;
		length = length * 10 + (uint64_t)(text.at[i] - '0');
	}
	*out = length;
	return 0;
}

static int find_framing(struct http_head *head, struct err *err)
{
	static const char *const kept[] = { "host", "content-length", "transfer-encoding",
		"content-encoding", "content-type", "authorization", "cookie", "origin" };
	const struct http_field *length = http_head_field(head, "content-length");
	const struct http_field *coding = http_head_field(head, "transfer-encoding");

	if (length && coding)
		return refuse(err, "Content-Length and Transfer-Encoding at once");
	if (field_count(head, "content-length") > 1)
		return refuse(err, "two Content-Lengths");
	if (field_count(head, "transfer-encoding") > 1)
		return refuse(err, "two Transfer-Encodings");
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
		if (connection_names(head, (struct http_text){ kept[i], strlen(kept[i]) }))
			return refuse(err, "Connection names a header that has to stay");
	}
	if (length) {
		head->framing = HTTP_COUNTED;
		if (parse_length(length->value, &head->length) < 0)
			return refuse(err, "Content-Length is not a number");
	} else if (coding) {
		head->framing = HTTP_CHUNKED;
		if (!http_text_is(coding->value, "chunked") || head->minor == 0)
			return refuse(err, "a Transfer-Encoding other than chunked");
	}
	head->upgrade = head->minor == 1 && http_head_field(head, "upgrade") &&
			connection_names(head, (struct http_text){ "upgrade", 7 });
	return 0;
}

/* ---- lines ---- */

/*
 * The size of a head, with its empty line; 0 where that has not come yet. Lines end in CRLF, and
 * neither of the two stands alone.
 */
static int head_size(const char *bytes, size_t len, size_t *out, struct err *err)
{
	size_t start = 0;

	*out = 0;
	while (start < len) {
		const char *end = memchr(bytes + start, '\n', len - start);
		size_t stop = end ? (size_t)(end - bytes) : len;
		const char *cr = memchr(bytes + start, '\r', stop - start);
		if (memchr(bytes + start, '\0', stop - start))
			return refuse(err, "a NUL byte");
		if (end ? cr != end - 1 : cr && cr != bytes + len - 1)
			return refuse(err, "a line that does not end in CR LF");
		if (!end)
			return 0;
		if (cr == bytes + start) {
			*out = stop + 1;
			return start > 0 ? 0 : refuse(err, "an empty first line");
		}
		start = stop + 1;
	}
	return 0;
}

/* Cuts the next line off `rest`, without its CRLF. */
static struct http_text next_line(struct http_text *rest)
{
	const char *end = memchr(rest->at, '\r', rest->len);
	struct http_text line = { rest->at, (size_t)(end - rest->at) };

	rest->at += line.len + 2;
	rest->len -= line.len + 2;
	return line;
}

typedef int first_line_fn(struct http_text line, struct http_head *head, struct err *err);

static int parse(const char *bytes, size_t len, first_line_fn *first, struct http_head *head,
	struct err *err)
{
	memset(head, 0, offsetof(struct http_head, fields));
	head->count = 0;
	if (head_size(bytes, len, &head->size, err) < 0)
		return -1;
	if (head->size == 0)
		return 0;
	struct http_text rest = { bytes, head->size - 2 };
	head->line = next_line(&rest);
	if (first(head->line, head, err) < 0)
		return -1;
	while (rest.len > 0) {
		if (parse_field(next_line(&rest), head, err) < 0)
			return -1;
	}
	return find_framing(head, err) < 0 ? -1 : 1;
}

static int parse_version(struct http_text text, struct http_head *head, struct err *err)
{
	if (text.len != 8 || memcmp(text.at, "HTTP/1.", 7) != 0 ||
		(text.at[7] != '0' && text.at[7] != '1'))
		return refuse(err, "not HTTP/1.1 or HTTP/1.0");
	head->minor = (unsigned)(text.at[7] - '0');
	return 0;
}

/* ---- requests ---- */

static int request_line(struct http_text line, struct http_head *head, struct err *err)
{
	const char *space = memchr(line.at, ' ', line.len);

	if (!space)
		return refuse(err, "a request line without a target");
	head->method = (struct http_text){ line.at, (size_t)(space - line.at) };
	line.len -= head->method.len + 1;
	line.at = space + 1;
	space = memchr(line.at, ' ', line.len);
	if (!space)
		return refuse(err, "a request line without a version");
	head->target = (struct http_text){ line.at, (size_t)(space - line.at) };
	line.len -= head->target.len + 1;
	line.at = space + 1;
	if (!is_token(head->method))
		return refuse(err, "a method that is no word");
	for (size_t i = 0; i < head->target.len; i++) {
		char c = head->target.at[i];
		if (c <= ' ' || c == 0x7f || c == '#')
			return refuse(err, "a target with a character that has no place there");
	}
	return parse_version(line, head, err);
}

/* A name or an address, and a port in digits (RFC 9110, section 7.2). */
static bool is_host(struct http_text host)
{
	size_t end = host.len;

	while (end > 0 && is_digit(host.at[end - 1]))
		end--;
	if (end > 0 && host.at[end - 1] == ':')
		host.len = end - 1;
	bool v6 = host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
	for (size_t i = v6; i < host.len - v6; i++) {
		char l = lower_of(host.at[i]);
		if (!(l >= 'a' && l <= 'z') && !is_digit(l) && l != '.' &&
			(v6 ? l != ':' : l != '-' && l != '_'))
			return false;
	}
	return host.len > 0;
}

/* Takes scheme and authority off an absolute target; that has to be the Host (RFC 9112, 3.2.2). */
static int make_origin_form(struct http_head *head, struct err *err)
{
	static const char *const schemes[] = { "http://", "https://" };
	struct http_text *target = &head->target;

	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		size_t len = strlen(schemes[i]);
		struct http_text scheme = { target->at, len };
		if (target->len <= len || !http_text_is(scheme, schemes[i]))
			continue;
		const char *slash = memchr(target->at + len, '/', target->len - len);
		size_t end = slash ? (size_t)(slash - target->at) : target->len;
		if (!slash ||
			!same_text((struct http_text){ target->at + len, end - len }, head->host))
			return refuse(err, "a target on another host than the Host header's");
		target->at = slash;
		target->len -= end;
	}
	if (target->len > 0 && target->at[0] == '/')
		return 0;
	if (http_text_is(*target, "*") && http_text_is(head->method, "options"))
		return 0;
	return refuse(err, "a target that is no path");
}

int http_head_request(const char *bytes, size_t len, struct http_head *out, struct err *err)
{
	int whole = parse(bytes, len, request_line, out, err);

	if (whole != 1)
		return whole;
	if (field_count(out, "host") != 1)
		return refuse(err, "not exactly one Host header");
	out->host = http_head_field(out, "host")->value;
	if (!is_host(out->host))
		return refuse(err, "a Host with a character that has no place there");
	return make_origin_form(out, err) < 0 ? -1 : 1;
}

/* ---- responses ---- */

static int status_line(struct http_text line, struct http_head *head, struct err *err)
{
	if (line.len < 12 || line.at[8] != ' ' || (line.len > 12 && line.at[12] != ' ') ||
		!is_value(line))
		return refuse(err, "a status line of another form");
	for (int i = 9; i < 12; i++) {
		if (!is_digit(line.at[i]))
			return refuse(err, "a status that is no number");
		head->status = head->status * 10 + (unsigned)(line.at[i] - '0');
	}
	if (head->status < 100 || head->status > 599)
		return refuse(err, "a status out of range");
	return parse_version((struct http_text){ line.at, 8 }, head, err);
}

int http_head_response(const char *bytes, size_t len, struct http_head *out, struct err *err)
{
	return parse(bytes, len, status_line, out, err);
}
