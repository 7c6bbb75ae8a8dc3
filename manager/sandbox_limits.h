#ifndef SANDBOX_LIMITS_H
#define SANDBOX_LIMITS_H

/* What one sandbox may use. 0 stands for the configured default, in a request and in storage. */
#include <stdint.h>

struct sandbox_limits {
	int64_t memory_mb, disk_mb, pids;
	int64_t cpu_millis; /* thousandths of a processor */
};

#endif
