#include "gate.h"
#include "err.h"
int gate_serve_domain(struct gate *gate, const char *host, uint16_t port, const char *domain, struct err *err)
{ (void)gate;(void)host;(void)port;(void)domain; return err_set(err, ERR_INVALID, "soon"); }
