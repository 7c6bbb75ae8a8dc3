#include "throttle.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "alloc.h"

enum { KEY = 32, DIGEST = 32, SETS = 512, WAYS = 8 };

/* Who tries, as a keyed digest: of a fixed size, and nobody knows which ones share a set. */
struct who {
	unsigned char digest[DIGEST];
};

struct entry {
	struct who who;
	unsigned count;
	int64_t tries_ms[THROTTLE_ADDRESS_TRIES]; /* the oldest first */
};

struct throttle {
	unsigned char key[KEY];
	struct entry sets[SETS][WAYS];
};

struct throttle *throttle_new(void)
{
	struct throttle *throttle = alloc_zero(sizeof *throttle);

	if (getrandom(throttle->key, sizeof throttle->key, 0) != sizeof throttle->key)
		abort();
	return throttle;
}

void throttle_free(struct throttle *throttle)
{
	free(throttle);
}

/* The part of an address that one host cannot change at will, as bytes. */
static size_t network_of(const char *address, unsigned char out[16])
{
	static const unsigned char mapped[12] = { [10] = 0xFF, [11] = 0xFF };

	if (inet_pton(AF_INET, address, out) == 1)
		return 4;
	if (inet_pton(AF_INET6, address, out) != 1)
		return 0;
	if (memcmp(out, mapped, sizeof mapped) != 0)
		return 8;
	memmove(out, out + sizeof mapped, 4);
	return 4;
}

/* `user` NULL: the address alone. */
static struct who who_is(const struct throttle *throttle, const char *user, const char *address)
{
	unsigned char network[1 + 16] = { 0 };
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct who who;

	network[0] = (unsigned char)network_of(address, network + 1);
	memset(network + 1 + network[0], 0, 16 - network[0]);
	if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1 ||
		EVP_DigestUpdate(ctx, throttle->key, sizeof throttle->key) != 1 ||
		EVP_DigestUpdate(ctx, network, sizeof network) != 1 ||
		EVP_DigestUpdate(ctx, user, user ? strlen(user) + 1 : 0) != 1 ||
		EVP_DigestFinal_ex(ctx, who.digest, NULL) != 1)
		abort();
	EVP_MD_CTX_free(ctx);
	return who;
}

static struct entry *set_of(struct throttle *throttle, const struct who *who)
{
	uint32_t number;

	memcpy(&number, who->digest, sizeof number);
	return throttle->sets[number % SETS];
}

static bool is(const struct entry *entry, const struct who *who)
{
	return entry->count > 0 && memcmp(&entry->who, who, sizeof *who) == 0;
}

static int64_t last_try(const struct entry *entry)
{
	return entry->count == 0 ? INT64_MIN : entry->tries_ms[entry->count - 1];
}

/* The entry of `who`, or in its place the one whose last try is the longest ago. */
static struct entry *entry_of(struct throttle *throttle, const struct who *who)
{
	struct entry *set = set_of(throttle, who), *oldest = set;

	for (size_t i = 0; i < WAYS; i++) {
		if (is(&set[i], who))
			return &set[i];
		if (last_try(&set[i]) < last_try(oldest))
			oldest = &set[i];
	}
	*oldest = (struct entry){ .who = *who };
	return oldest;
}

static void forget_old(struct entry *entry, int64_t now_ms)
{
	unsigned old = 0;

	while (old < entry->count && entry->tries_ms[old] + THROTTLE_WINDOW_MS <= now_ms)
		old++;
	entry->count -= old;
	memmove(entry->tries_ms, entry->tries_ms + old, entry->count * sizeof entry->tries_ms[0]);
}

/* Seconds until there is room for one more try; 0: there is. */
static int64_t wait_of(struct entry *entry, unsigned most, int64_t now_ms)
{
	forget_old(entry, now_ms);
	return entry->count < most
		       ? 0
		       : (entry->tries_ms[0] + THROTTLE_WINDOW_MS - now_ms + 999) / 1000;
}

int64_t throttle_try(
	struct throttle *throttle, const char *user, const char *address, int64_t now_ms)
{
	struct who host = who_is(throttle, NULL, address), who = who_is(throttle, user, address);
	struct entry *entry = entry_of(throttle, &host);
	int64_t wait = wait_of(entry, THROTTLE_ADDRESS_TRIES, now_ms);

	if (wait > 0)
		return wait;
	entry->tries_ms[entry->count++] = now_ms;
	struct entry *users = entry_of(throttle, &who);
	wait = wait_of(users, THROTTLE_TRIES, now_ms);
	if (wait == 0)
		users->tries_ms[users->count++] = now_ms;
	else if (is(entry, &host))
		entry->count--;
	return wait;
}

static struct entry *find(struct throttle *throttle, const struct who *who)
{
	struct entry *set = set_of(throttle, who);

	for (size_t i = 0; i < WAYS; i++) {
		if (is(&set[i], who))
			return &set[i];
	}
	return NULL;
}

void throttle_clear(struct throttle *throttle, const char *user, const char *address)
{
	struct who host = who_is(throttle, NULL, address), who = who_is(throttle, user, address);
	struct entry *users = find(throttle, &who), *entry = find(throttle, &host);

	if (users)
		users->count = 0;
	if (entry)
		entry->count--;
}
