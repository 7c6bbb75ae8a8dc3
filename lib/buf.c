#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

enum { FIRST_CAPACITY = 128 };

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){ .max = max };
}

void buf_release(struct buf *buf)
{
	free(buf->data);
	buf_init(buf, buf->max);
}

void buf_clear(struct buf *buf)
{
	buf->over = false;
	buf_truncate(buf, 0);
}

void buf_truncate(struct buf *buf, size_t len)
{
	if (len > buf->len || !buf->data)
		return;
	buf->len = len;
	buf->data[len] = '\0';
}

char *buf_reserve(struct buf *buf, size_t n)
{
	if (buf->over || n > buf->max - buf->len) {
		buf->over = true;
		return NULL;
	}

	size_t need = buf->len + n + 1;
	if (need > buf->cap) {
		size_t cap = buf->cap ? buf->cap : FIRST_CAPACITY;
		while (cap < need)
			cap += cap;
		if (cap > buf->max + 1)
			cap = buf->max + 1;
		buf->data = alloc_grow(buf->data, cap);
		buf->cap = cap;
	}
	return buf->data + buf->len;
}

void buf_commit(struct buf *buf, size_t n)
{
	buf->len += n;
	buf->data[buf->len] = '\0';
}

int buf_add(struct buf *buf, const void *bytes, size_t len)
{
	char *room = buf_reserve(buf, len);

	if (!room)
		return -1;
	if (len > 0)
		memcpy(room, bytes, len);
	buf_commit(buf, len);
	return 0;
}

int buf_add_char(struct buf *buf, char c)
{
	return buf_add(buf, &c, 1);
}

int buf_add_int(struct buf *buf, int64_t number)
{
	char digits[24], *p = digits + sizeof digits;
	uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;

	do {
		*--p = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (number < 0)
		*--p = '-';
	return buf_add(buf, p, (size_t)(digits + sizeof digits - p));
}

int buf_addf(struct buf *buf, const char *fmt, ...)
{
	va_list args, again;

	va_start(args, fmt);
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	char *room = len < 0 ? NULL : buf_reserve(buf, (size_t)len);
	if (room) {
		vsnprintf(room, (size_t)len + 1, fmt, again);
		buf_commit(buf, (size_t)len);
	}
	va_end(again);
	return room ? 0 : -1;
}

void buf_consume(struct buf *buf, size_t n)
{
	if (n == 0)
		return;
	memmove(buf->data, buf->data + n, buf->len - n);
	buf_truncate(buf, buf->len - n);
}

char *buf_steal(struct buf *buf, size_t *len)
{
	char *data = buf->data ? buf->data : alloc_text("");

	if (len)
		*len = buf->len;
	buf_init(buf, buf->max);
	return data;
}
