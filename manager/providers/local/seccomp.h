#ifndef SECCOMP_H
#define SECCOMP_H

/* The system calls that no process of a sandbox may make, as an OCI runtime takes them. */
#include <jansson.h>

/* A new `linux.seccomp` object. */
json_t *seccomp_profile(void);

#endif
