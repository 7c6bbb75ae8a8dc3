#ifndef BUF_H
#define BUF_H

/*
 * Bytes that grow up to a maximum set at the start, so that nothing can grow without bound.
 * What does not fit is refused whole and remembered: `over` stays set, later additions are
 * refused too, and the caller looks once, at the end. Used by one thread at a time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
	char *data; /* NUL-terminated where not NULL; the NUL is not counted */
	size_t len, cap, max;
	bool over; /* something did not fit */
};

/* A variable of its own: AUTO_BUF struct buf text = BUF_INIT(1024); */
#define AUTO_BUF __attribute__((cleanup(buf_release)))
#define BUF_INIT(limit) { .max = (limit) }

/* An empty buffer that takes `max` bytes; allocates nothing. */
void buf_init(struct buf *buf, size_t max);

/* Frees the bytes; the buffer is empty and usable again. */
void buf_release(struct buf *buf);

/* Forgets the content and `over`, keeps the memory. */
void buf_clear(struct buf *buf);

/* Cuts it to `len` bytes, at most what is there. */
void buf_truncate(struct buf *buf, size_t len);

/* Room for `n` more bytes behind the content, or NULL where they do not fit. */
char *buf_reserve(struct buf *buf, size_t n);

/* Counts `n` bytes, written into what buf_reserve() gave, to the content. */
void buf_commit(struct buf *buf, size_t n);

/* Each of these appends and returns 0, or -1 where it does not fit. */
int buf_add(struct buf *buf, const void *bytes, size_t len);
int buf_add_char(struct buf *buf, char c);
int buf_add_int(struct buf *buf, int64_t number); /* decimal */
int buf_addf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Inline, so that the length of a constant text is a constant. */
static inline int buf_add_text(struct buf *buf, const char *text)
{
	return buf_add(buf, text, strlen(text));
}

/* Drops `n` bytes from the front. */
void buf_consume(struct buf *buf, size_t n);

/* The content as a text that the caller frees (never NULL); the buffer is empty afterwards. */
char *buf_steal(struct buf *buf, size_t *len);

#endif
