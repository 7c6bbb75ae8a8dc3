#ifndef CLOCK_H
#define CLOCK_H

/*
 * What time brings to a sandbox: its deadline (idle for its own time-out, or as old as any may
 * get), the end of its frozen memory, the end of a paused one, the next try of a delete. All from
 * stored times, so that it goes on after a restart. Loop thread only.
 */
struct sandbox;

/* Its timer, not armed. */
void clock_init(struct sandbox *sandbox);

#endif
