#include "allow.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buf.h"
#include "err.h"

enum { LOOKUP_S = 5, NAME_MAX_LEN = 253 };

static const char own_line[] = "127.0.0.1 localhost sandbox\n";

static bool is_network(const char *text)
{
	char address[INET_ADDRSTRLEN], *end;
	struct in_addr parsed;
	size_t len = strcspn(text, "/");

	if (len >= sizeof address)
		return false;
	snprintf(address, sizeof address, "%.*s", (int)len, text);
	if (inet_pton(AF_INET, address, &parsed) != 1)
		return false;
	if (!text[len])
		return true;
	long bits = strtol(text + len + 1, &end, 10);
	return text[len + 1] >= '0' && text[len + 1] <= '9' && !*end && bits <= 32;
}

static bool is_name(const char *text)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._";
	size_t len = strlen(text);

	return len > 0 && len <= NAME_MAX_LEN && strspn(text, bytes) == len && text[0] != '-' &&
	       text[0] != '.' && strspn(text, "0123456789.") != len;
}

int allow_check(const json_t *allow, struct err *err)
{
	size_t i;
	const json_t *entry;

	if (!json_is_array(allow) || json_array_size(allow) > ALLOW_MAX)
		return err_set(
			err, ERR_INVALID, "network: a list of %d entries at most", ALLOW_MAX);
	json_array_foreach(allow, i, entry) {
		const char *text = json_string_value(entry);
		if (!text || strlen(text) != json_string_length(entry) ||
			(!is_network(text) && !is_name(text)))
			return err_set(err, ERR_INVALID,
				"network: '%s' is neither an IPv4 address or network nor the "
				"whole name of a host",
				text ? text : "(no text)");
	}
	return 0;
}

static void add_element(struct buf *out, const char *text, size_t len)
{
	buf_addf(out, "%s%.*s", out->len ? ", " : "", (int)len, text);
}

void allow_networks(const json_t *allow, struct buf *out)
{
	size_t i;
	const json_t *entry;

	json_array_foreach(allow, i, entry) {
		const char *text = json_string_value(entry);
		if (text && is_network(text))
			add_element(out, text, strlen(text));
	}
}

static void look_up(const char *name, struct buf *out)
{
	const struct addrinfo want = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char text[INET_ADDRSTRLEN];

	if (getaddrinfo(name, NULL, &want, &list) != 0)
		return;
	for (const struct addrinfo *at = list; at; at = at->ai_next) {
		struct sockaddr_in address;
		memcpy(&address, at->ai_addr, sizeof address);
		if (inet_ntop(AF_INET, &address.sin_addr, text, sizeof text))
			buf_addf(out, "%s %s\n", text, name);
	}
	freeaddrinfo(list);
}

void allow_hosts(const json_t *allow, struct buf *out)
{
	struct timespec start, now;
	size_t i;
	const json_t *entry;

	buf_add_text(out, own_line);
	clock_gettime(CLOCK_MONOTONIC, &start);
	json_array_foreach(allow, i, entry) {
		const char *text = json_string_value(entry);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec > LOOKUP_S)
			break;
		if (text && !is_network(text))
			look_up(text, out);
	}
}

void allow_addresses(const char *hosts, struct buf *out)
{
	for (const char *at = strchr(hosts, '\n'); at && at[1]; at = strchr(at + 1, '\n'))
		add_element(out, at + 1, strcspn(at + 1, " "));
}
