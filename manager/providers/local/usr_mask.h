#ifndef USR_MASK_H
#define USR_MASK_H

/*
 * An overlay layer that hides what a sandbox must not see of the host's /usr: `local`, and every
 * file and directory that others may not read (inside, root would be shown it).
 */
struct err;

/* Makes directory `to`, the layer for above `from`. */
int usr_mask_make(const char *from, const char *to, struct err *err);

#endif
