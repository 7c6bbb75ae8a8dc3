#ifndef DATA_LOCK_H
#define DATA_LOCK_H

/*
 * One process at a time: a lock on a file, which ends with the process whatever way it ends. The
 * file stays; it holds the owner's process id, for the message that the next one gets.
 */
struct err;

/* Makes the file (mode 0600) where it is not there. `fd` is the lock: closing it gives it back.
 * ERR_CONFLICT says who has it. */
int data_lock_take(const char *path, int *fd, struct err *err);

#endif
