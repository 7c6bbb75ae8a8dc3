#ifndef FAMILY_H
#define FAMILY_H

/*
 * Families: a process and all that descends from it, whatever session, group, parent or
 * environment a descendant picked. Each family has a mark, a number that fork and exec hand on
 * and that can be read from outside, so no process of another family is ever signalled. A mark
 * can be lowered but not raised: a family within a family takes a smaller one. Any thread.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { FAMILY_MARK_BITS = 60 }; /* a mark is below 1 << 60, and not 0 */

/* Makes the calling process the founder of a family. Async-signal-safe; where the kernel
 * refuses, the family is found by descent alone. */
void family_mark(uint64_t mark);

/* Sends a signal (0: none, only counts) to the families with one of the `marks` (ascending),
 * but not to the process group `except` (0: none), which kill(2) can reach in one step. The
 * number of processes found; zombies do not count. */
size_t family_signal(const uint64_t *marks, size_t len, pid_t except, int signo);

/* Kills the families: everything is stopped first, until nothing new turns up, so that none
 * escapes by forking. */
void family_kill(const uint64_t *marks, size_t len);

#endif
