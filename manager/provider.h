#ifndef PROVIDER_H
#define PROVIDER_H

/*
 * What makes, keeps and ends sandboxes: this machine, or somebody's cloud. The manager decides
 * when; a provider knows how. Called on the loop thread, answers on the loop thread, and never
 * blocks it. The manager asks nothing about a sandbox while an earlier change of it is under way,
 * but status() and dial(). A provider knows nothing of rows, users or HTTP.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox_limits.h"

struct err;
struct loop;
struct worker_pool;

enum { SANDBOX_ID_LEN = 20, SANDBOX_TOKEN_LEN = 43 };

enum network { NETWORK_INTERNET, NETWORK_NONE, NETWORK_ALLOW };

/* How a sandbox really is, by the kernel or the provider's own word. */
enum provider_state {
	PROVIDER_GONE,    /* there is none, or nothing of it that could run again */
	PROVIDER_RUNNING,
	PROVIDER_PAUSED,  /* frozen: goes on where it was */
	PROVIDER_COLD,    /* its files are kept; its processes have ended */
};

/* What a sandbox is made from. Borrowed for the time of the call. */
struct provider_spec {
	const char *id;          /* ours, [a-z0-9]{20} */
	const char *token;       /* of its tool server: 43 base64url characters */
	const char *template_id; /* NULL: the provider's own choice */
	struct sandbox_limits limits;
	enum network network;
	const json_t *allow; /* array of host names and CIDRs for NETWORK_ALLOW */
	const json_t *envs;  /* object of strings, or NULL */
	const json_t *metadata;
	int64_t timeout_s; /* a hint for providers with a clock of their own */
};

struct provider_answer {
	enum provider_state state;
	const char *provider_id; /* what the provider calls it. Borrowed */
	const char *address;     /* a loopback address of its own for the gate, or NULL */
	bool restarted;          /* its processes were started anew */
};

/* Exactly one of `answer` and `err` is given. */
typedef void provider_done(
	const struct provider_answer *answer, const struct err *err, void *data);

/* One sandbox of list(). */
typedef void provider_each(const char *id, const struct provider_answer *answer, void *data);
/* After the last one; `err`: the list is not complete. */
typedef void provider_listed(const struct err *err, void *data);

struct provider {
	const char *name;

	/*
	 * Hands out a prepared sandbox that fits, whose id and token are copied (with NUL), or
	 * returns false: the manager then makes both itself. Followed by create() with that id.
	 * NULL: there are none.
	 */
	bool (*reserve)(struct provider *self, const struct provider_spec *spec, char *id,
		char *token);

	/*
	 * Makes it and starts its tool server. Asked again with the same id after a crash, it
	 * finds what is there and goes on; after an error nothing is left.
	 */
	void (*create)(struct provider *self, const struct provider_spec *spec, provider_done *done,
		void *data);

	/* Lets a paused or cold one go on. A running one is no error. */
	void (*resume)(struct provider *self, const char *id, provider_done *done, void *data);

	/* Freezes it, or with `cold` ends its processes and keeps its files. */
	void (*pause)(struct provider *self, const char *id, bool cold, provider_done *done,
		void *data);

	/* Removes all of it; answers PROVIDER_GONE, also where there was nothing. */
	void (*destroy)(struct provider *self, const char *id, provider_done *done, void *data);

	/* The truth; `done` may be called before this returns. */
	void (*status)(struct provider *self, const char *id, provider_done *done, void *data);

	/* Calls `each` for every sandbox that bears an id of ours, then `listed`. */
	void (*list)(struct provider *self, provider_each *each, provider_listed *listed,
		void *data);

	/*
	 * A stream socket (non-blocking, perhaps still connecting) to a TCP port inside. The
	 * caller owns it. NULL where ports are reached by url() instead.
	 */
	int (*dial)(struct provider *self, const char *id, uint16_t port, int *fd,
		struct err *err);

	/* The public base URL of a port, which the caller frees. NULL where dial() is there. */
	char *(*url)(struct provider *self, const char *id, uint16_t port);

	/* Facts for people: isolation, limits that could not be set, memory. A new object. */
	json_t *(*info)(struct provider *self, const char *id);

	/* Figures for /metrics and doctor: a new object of numbers and texts. */
	json_t *(*figures)(struct provider *self);

	/*
	 * Ends what it keeps for later, such as prepared sandboxes: nothing of that outlives the
	 * manager. Sandboxes stay. `done` is called later; what could not be ended is in the log,
	 * and the next start sees to it. NULL: it keeps nothing.
	 */
	void (*stop)(struct provider *self, void (*done)(void *data), void *data);

	/* Leaves sandboxes as they are. */
	void (*free)(struct provider *self);
};

/* What every provider is opened with. All borrowed and outlive it. */
struct provider_setup {
	struct loop *loop;
	struct worker_pool *workers;
	const char *data_dir;    /* absolute; exists; of mode 0700 */
	const char *oci_runtime; /* a name or path, or NULL: the provider's choice */
	struct sandbox_limits limits;    /* what a request that names none gets */
	int64_t pool_size;       /* prepared sandboxes to keep, 0: none */
	uint16_t mcp_port;       /* where the tool server listens inside */
	int64_t freeze_s;        /* a sandbox frozen for longer is made cold by the manager */
};

/* Opens what providers.def lists as `name`: provider_local_open() and so on. */
typedef int provider_open_fn(
	const struct provider_setup *setup, struct provider **out, struct err *err);

#define PROVIDER(name) provider_open_fn provider_##name##_open;
#include "providers.def"
#undef PROVIDER

#endif
