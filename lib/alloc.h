#ifndef ALLOC_H
#define ALLOC_H

/*
 * Memory that is there or the process ends: every size that comes from outside is bounded
 * before it gets here, so running out means the machine has none left.
 */
#include <stddef.h>

void *alloc_zero(size_t size) __attribute__((malloc, returns_nonnull));
void *alloc_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull)); /* zeroed */
void *alloc_grow(void *old, size_t size) __attribute__((returns_nonnull));
void *alloc_pages(size_t size) __attribute__((malloc, returns_nonnull)); /* begins a page */
char *alloc_text(const char *text) __attribute__((malloc, returns_nonnull));
char *alloc_textn(const char *text, size_t len) __attribute__((malloc, returns_nonnull));
char *alloc_printf(const char *fmt, ...)
	__attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

#endif
