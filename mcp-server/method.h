#ifndef METHOD_H
#define METHOD_H

/* The methods of MCP, one table for all eras. A handler ends its call, now or later. */
#include <stddef.h>

struct call;
struct inbound;

enum method_flags {
	METHOD_LEGACY = 1 << 0, /* there up to 2025-11-25 */
	METHOD_MODERN = 1 << 1, /* there since 2026-07-28 */
	METHOD_BOTH = METHOD_LEGACY | METHOD_MODERN,
};

struct method {
	const char *name;
	unsigned flags;
	const char *named_by; /* the member of params that the Mcp-Name header repeats, or NULL */
	void (*run)(const struct inbound *in, struct call *call);
};

/* NULL where there is none of that name. */
const struct method *method_find(const char *name);

/* ---- the handlers, by file ---- */

/* catalog.c */
void method_discover(const struct inbound *in, struct call *call);
void method_list_tools(const struct inbound *in, struct call *call);

/* tools_call.c */
void method_call_tool(const struct inbound *in, struct call *call);

/* resources.c */
void method_list_resources(const struct inbound *in, struct call *call);
void method_list_templates(const struct inbound *in, struct call *call);
void method_read_resource(const struct inbound *in, struct call *call);

/* subscriptions.c */
void method_subscribe(const struct inbound *in, struct call *call);
void method_unsubscribe(const struct inbound *in, struct call *call);
void method_listen(const struct inbound *in, struct call *call);

/* prompts.c */
void method_list_prompts(const struct inbound *in, struct call *call);
void method_get_prompt(const struct inbound *in, struct call *call);

/* completion.c */
void method_complete(const struct inbound *in, struct call *call);

#endif
