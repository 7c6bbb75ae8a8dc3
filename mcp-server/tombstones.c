#include "tombstones.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"

enum { SEAL = 16, PLACES = 8192 };

struct tombstones {
	int fd;
	size_t next; /* the place of the next one */
	size_t count;
	unsigned char *seals;
};

static const unsigned char nothing[SEAL];

struct tombstones *tombstones_open(int state_fd)
{
	struct tombstones *t = alloc_zero(sizeof *t);

	t->fd = openat(state_fd, "ended-sessions",
		O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (t->fd < 0)
		return t;
	t->seals = alloc_array(PLACES, SEAL);
	ssize_t n = pread(t->fd, t->seals, (size_t)PLACES * SEAL, 0);
	t->count = n > 0 ? (size_t)n / SEAL : 0;
	/* The newest is followed by an empty place; a full ring begins anew after a restart. */
	while (t->next < t->count && memcmp(t->seals + t->next * SEAL, nothing, SEAL) != 0)
		t->next++;
	if (t->next == PLACES)
		t->next = 0;
	return t;
}

void tombstones_close(struct tombstones *t)
{
	if (!t)
		return;
	cleanup_close(&t->fd);
	free(t->seals);
	free(t);
}

static void put(struct tombstones *t, size_t place, const unsigned char seal[SEAL])
{
	memcpy(t->seals + place * SEAL, seal, SEAL);
	/* Best effort: the session is ended in memory in any case. */
	if (t->fd >= 0 && pwrite(t->fd, seal, SEAL, (off_t)(place * SEAL)) != SEAL)
		return;
}

void tombstones_add(struct tombstones *t, const unsigned char seal[SEAL])
{
	if (!t->seals)
		t->seals = alloc_array(PLACES, SEAL);
	size_t place = t->next;
	t->next = (place + 1) % PLACES;
	put(t, place, seal);
	if (t->count < PLACES)
		t->count = place + 1 > t->count ? place + 1 : t->count;
	if (t->count == PLACES || t->next < t->count)
		put(t, t->next, nothing);
}

bool tombstones_has(const struct tombstones *t, const unsigned char seal[SEAL])
{
	for (size_t i = 0; i < t->count; i++) {
		if (memcmp(t->seals + i * SEAL, seal, SEAL) == 0)
			return true;
	}
	return false;
}
