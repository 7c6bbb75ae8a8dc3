#ifndef DOCTOR_H
#define DOCTOR_H

/* What this machine can do for local sandboxes, and the command that mends each lack. */
#include <stdio.h>

/* Writes a table, a line a check. 0: sandboxes can be made here; else how many needs are not
 * met. `data_dir` must exist; `oci_runtime` may be NULL. */
int local_doctor(const char *data_dir, const char *oci_runtime, FILE *out);

#endif
