#include "lines.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { STEP = 4080 }; /* 255 vectors of 16: a byte can count that many */

static size_t count(const char *bytes, size_t len)
{
	size_t n = 0, i = 0;

#ifdef __SSE2__
	const __m128i newline = _mm_set1_epi8('\n'), zero = _mm_setzero_si128();
	__m128i counts = zero;

	for (; len - i >= 16; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(bytes + i));
		/* Equal bytes are -1. */
		counts = _mm_sub_epi8(counts, _mm_cmpeq_epi8(v, newline));
	}
	__m128i sums = _mm_sad_epu8(counts, zero);
	n = (size_t)(_mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4));
#endif
	for (; i < len; i++)
		n += bytes[i] == '\n';
	return n;
}

size_t lines_span(const char *bytes, size_t len, size_t want, size_t *found)
{
	size_t at = 0, n = 0;

	*found = 0;
	while (at < len && *found < want) {
		size_t step = len - at < STEP ? len - at : STEP;
		n = count(bytes + at, step);
		if (*found + n >= want)
			break;
		*found += n;
		at += step;
	}
	while (at < len && *found < want) {
		const char *newline = memchr(bytes + at, '\n', len - at);
		if (!newline)
			return len;
		at = (size_t)(newline - bytes) + 1;
		++*found;
	}
	return at;
}

size_t lines_span16(const char *bytes, size_t len, bool big_endian, size_t want, size_t *found)
{
	char first = big_endian ? 0 : '\n', second = big_endian ? '\n' : 0;
	size_t at = 0;

	for (*found = 0; *found < want && len - at >= 2; at += 2)
		*found += bytes[at] == first && bytes[at + 1] == second;
	return *found == want ? at : len;
}
