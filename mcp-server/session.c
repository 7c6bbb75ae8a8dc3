#include "session.h"

#include "call_impl.h"

struct session {
	struct call *calls;
};

void session_add_call(struct session *session, struct call *call)
{
	call->next = session->calls;
	call->link = &session->calls;
	if (call->next)
		call->next->link = &call->next;
	session->calls = call;
}

void session_remove_call(struct session *session, struct call *call)
{
	(void)session;
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
}
