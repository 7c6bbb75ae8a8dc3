#ifndef ALLOW_H
#define ALLOW_H

/*
 * Allow-lists: a sandbox of NETWORK_ALLOW reaches networks by their numbers and hosts by their
 * names, and nothing else. It has no resolver: the engine looks the names up, writes what it
 * learns to the sandbox's /etc/hosts and lets exactly those addresses pass. Blocking; any thread.
 */
#include <jansson.h>

struct buf;
struct err;

enum { ALLOW_MAX = 256, HOSTS_MAX = 256 * 1024 };

/* ERR_INVALID names the first entry that is neither IPv4 `address[/bits]` nor a host's name. */
int allow_check(const json_t *allow, struct err *err);

/* The networks of the list as elements of an nftables set, separated by commas. */
void allow_networks(const json_t *allow, struct buf *out);

/* Appends an /etc/hosts with what the names stand for now; those that are not answered for within
 * some seconds are left out. */
void allow_hosts(const json_t *allow, struct buf *out);

/* The addresses of an /etc/hosts, but its own first line's, as elements of a set. */
void allow_addresses(const char *hosts, struct buf *out);

#endif
