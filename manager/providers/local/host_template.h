#ifndef HOST_TEMPLATE_H
#define HOST_TEMPLATE_H

/*
 * The template `host`: a small made-up system around the machine's own /usr, without /usr/local
 * and without what others may not read there, since root inside could. Nothing of /root, /home,
 * /var, /run.
 */
struct err;
struct site;
struct template;

/* Made when it is first asked for, and made anew when the machine's packages have changed. */
int host_template_find(const struct site *site, struct template *out, struct err *err);

#endif
