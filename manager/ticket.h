#ifndef TICKET_H
#define TICKET_H

/*
 * Tickets for a sandbox's editor: `expiry.nonce.mac` with the expiry in seconds since the epoch,
 * sixteen random bytes, and HMAC-SHA-256 over "expiry.nonce" under a key that HKDF (RFC 5869) makes
 * from the sandbox's token with the label "front ticket". Any thread.
 */
#include <stdint.h>

enum { TICKET_S = 15 * 60 };

/* A fresh ticket, which the caller frees. */
char *ticket_new(const char *token, int64_t now_s);

#endif
