#ifndef BUNDLE_H
#define BUNDLE_H

/* The config.json of a sandbox: its rights, limits, mounts and its first process. */
struct err;
struct record;
struct site;

/* Writes `dir`/config.json. */
int bundle_write(
	const struct site *site, const struct record *record, const char *dir, struct err *err);

#endif
