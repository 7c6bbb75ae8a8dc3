#ifndef SESSION_H
#define SESSION_H

struct call;
struct session;

/* The session's calls in flight: so that a cancellation finds its request. */
void session_add_call(struct session *session, struct call *call);
void session_remove_call(struct session *session, struct call *call);

#endif
