#ifndef NOTIFY_H
#define NOTIFY_H

/*
 * Tells a service manager how the daemon is (sd_notify(3): one datagram to the socket that
 * NOTIFY_SOCKET names). Does nothing where there is none, and failing is nobody's concern.
 */

/* `state` is "READY=1", "STOPPING=1" … */
void notify_state(const char *state);

#endif
