#include "literals.h"

#include <stdlib.h>
#include <string.h>
#if defined __x86_64__
#include <immintrin.h>
#endif

#include "alloc.h"

/*
 * Each literal is found by a fingerprint, up to three places of it in a row, the rarest ones.
 * The literals are dealt to eight buckets, and for each place of a fingerprint and each half of
 * a byte a table says which buckets could have that half there. The tables are looked up for
 * 32 bytes at once; where a bucket is left in all of them, its literals are compared whole.
 * The method is known as Teddy, from Hyperscan.
 */
enum { BUCKETS = 8, PLACES = 3 };

#define RARE 0.0005

struct entry {
	struct literal literal;
	size_t offset; /* of its fingerprint */
};

struct literals {
	struct entry *entries; /* by bucket */
	size_t count, first[BUCKETS + 1];
	size_t places;
	uint8_t low[PLACES][16], high[PLACES][16];
	uint8_t whole[PLACES][256]; /* the same for whole bytes, exact */
	int single;                 /* the byte that alone begins all fingerprints, or -1 */

	/* One literal alone: its two rarest places that have one byte, or a letter in either
	 * case, which setting the bit 0x20 makes one. */
	bool pair;
	size_t pair_at[2];
	uint8_t pair_byte[2], pair_case[2];
};

bool literals_portable;

/* Bytes of text and source code from the most frequent down; what is not here is rare. */
static const char frequent[] =
	" etaoinrslcdu\nmph\tfg_.,b(y)v;=w\"k-*/>x0'1:2{}T<ASECI&3NRjOq#D[]LPzM4BF\\8U+6G5H79$!|WV@"
	"KXYJQZ%?~^`";

static double frequency(unsigned char c)
{
	const char *at = c ? memchr(frequent, c, sizeof frequent - 1) : NULL;

	if (!at)
		return c >= 0x80 ? 0.002 : 0.0002;
	return 0.1 / (1.0 + 0.4 * (double)(at - frequent));
}

static double set_frequency(const struct byteset *set)
{
	double sum = 0;

	for (unsigned c = 0; c < 256; c++)
		if (byteset_has(set, (unsigned char)c))
			sum += frequency((unsigned char)c);
	return sum < 1 ? sum : 1;
}

/* The rarest row of `places` places; its frequency into `rate`. */
static size_t rarest(const struct literal *literal, size_t places, double *rate)
{
	size_t best = 0;

	*rate = 2;
	for (size_t i = 0; i + places <= literal->len; i++) {
		double product = 1;
		for (size_t j = 0; j < places; j++)
			product *= set_frequency(&literal->at[i + j]);
		if (product < *rate) {
			*rate = product;
			best = i;
		}
	}
	return best;
}

static size_t places_of(const struct literal *literal, size_t count)
{
	size_t places = PLACES;
	double sum = 0, rate;

	for (size_t i = 0; i < count; i++)
		if (literal[i].len < places)
			places = literal[i].len;
	if (places < PLACES)
		return places;
	/* One place less is faster, where it does. */
	for (size_t i = 0; i < count; i++) {
		rarest(&literal[i], PLACES - 1, &rate);
		sum += rate;
	}
	return sum < RARE ? PLACES - 1 : PLACES;
}

double literals_rate(const struct literal *literal, size_t count)
{
	double sum = 0, rate;

	for (size_t i = 0; i < count; i++) {
		rarest(&literal[i], places_of(literal, count), &rate);
		sum += rate;
	}
	return sum;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return memcmp(
		&x->literal.at[x->offset], &y->literal.at[y->offset], sizeof x->literal.at[0]);
}

static void fill_tables(struct literals *l, const struct entry *entry, unsigned bucket)
{
	for (size_t j = 0; j < l->places; j++) {
		const struct byteset *set = &entry->literal.at[entry->offset + j];

		for (unsigned c = 0; c < 256; c++) {
			if (!byteset_has(set, (unsigned char)c))
				continue;
			l->low[j][c & 15] |= (uint8_t)(1U << bucket);
			l->high[j][c >> 4] |= (uint8_t)(1U << bucket);
			l->whole[j][c] |= (uint8_t)(1U << bucket);
		}
	}
}

/* The one byte that every occurrence has at the first place of its fingerprint, or -1. */
static int single_byte(const struct literals *l)
{
	int only = -1;

	for (int c = 0; c < 256; c++) {
		if (l->whole[0][c] && only >= 0)
			return -1;
		if (l->whole[0][c])
			only = c;
	}
	return only;
}

/* A place that can be compared at once: one byte, or both cases of a letter. */
static bool is_simple(const struct byteset *set, uint8_t *byte, uint8_t *or_case)
{
	int n = byteset_count(set), c = 0;

	while (!byteset_has(set, (unsigned char)c))
		c++;
	*or_case = n == 2 && c >= 'A' && c <= 'Z' && byteset_has(set, (unsigned char)c | 0x20)
			   ? 0x20
			   : 0;
	*byte = (uint8_t)c | *or_case;
	return n == 1 || *or_case;
}

static void find_pair(struct literals *l, const struct literal *literal)
{
	double best[2] = { 2, 2 };

	for (size_t i = 0; i < literal->len; i++) {
		double rate = set_frequency(&literal->at[i]);
		uint8_t byte, or_case;
		int k = rate < best[0] ? 0 : 1;

		if (rate >= best[1] || !is_simple(&literal->at[i], &byte, &or_case))
			continue;
		if (k == 0) {
			best[1] = best[0];
			l->pair_at[1] = l->pair_at[0];
			l->pair_byte[1] = l->pair_byte[0];
			l->pair_case[1] = l->pair_case[0];
		}
		best[k] = rate;
		l->pair_at[k] = i;
		l->pair_byte[k] = byte;
		l->pair_case[k] = or_case;
	}
	l->pair = best[1] <= 1;
}

struct literals *literals_new(const struct literal *literal, size_t count)
{
	struct literals *l = alloc_zero(sizeof *l);
	double rate;

	l->entries = alloc_array(count, sizeof *l->entries);
	l->count = count;
	l->places = places_of(literal, count);
	for (size_t i = 0; i < count; i++)
		l->entries[i] = (struct entry){ literal[i], rarest(&literal[i], l->places, &rate) };
	/* Neighbours share a bucket: similar ones blur its tables least. */
	qsort(l->entries, count, sizeof *l->entries, compare_entries);
	for (unsigned b = 0; b < BUCKETS; b++) {
		l->first[b + 1] = (b + 1) * count / BUCKETS;
		for (size_t i = l->first[b]; i < l->first[b + 1]; i++)
			fill_tables(l, &l->entries[i], b);
	}
	l->single = single_byte(l);
	if (count == 1)
		find_pair(l, &literal[0]);
	return l;
}

void literals_free(struct literals *l)
{
	if (!l)
		return;
	free(l->entries);
	free(l);
}

/* Whether a literal of one of the buckets has its fingerprint at `at`. */
static bool occurs(const struct literals *l, unsigned buckets, const char *begin, const char *end,
	const char *at)
{
	for (; buckets; buckets &= buckets - 1) {
		unsigned b = (unsigned)__builtin_ctz(buckets);

		for (size_t i = l->first[b]; i < l->first[b + 1]; i++) {
			const struct entry *entry = &l->entries[i];
			const struct literal *literal = &entry->literal;
			size_t k = 0;

			if ((size_t)(at - begin) < entry->offset ||
				(size_t)(end - at) < literal->len - entry->offset)
				continue;
			const unsigned char *from = (const void *)(at - entry->offset);
			while (k < literal->len && byteset_has(&literal->at[k], from[k]))
				k++;
			if (k == literal->len)
				return true;
		}
	}
	return false;
}

/* ---- Without special instructions ---- */

static const char *find_portable(const struct literals *l, const char *begin, const char *end)
{
	const unsigned char *at = (const void *)begin, *to = (const void *)end;

	for (; at < to; at++) {
		if (l->single >= 0) {
			at = memchr(at, l->single, (size_t)(to - at));
			if (!at)
				return NULL;
		}
		unsigned buckets = l->whole[0][at[0]];
		for (size_t j = 1; j < l->places && buckets; j++)
			buckets &= l->whole[j][at[j]];
		if (buckets && occurs(l, buckets, begin, end, (const char *)at))
			return (const char *)at;
	}
	return NULL;
}

static size_t count_portable(const char *bytes, size_t len, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += bytes[i] == c;
	return n;
}

static bool ascii_portable(const char *bytes, size_t len)
{
	uint64_t all = 0, word;
	size_t i = 0;

	for (; i + sizeof word <= len; i += sizeof word) {
		memcpy(&word, bytes + i, sizeof word);
		all |= word;
	}
	for (; i < len; i++)
		all |= (unsigned char)bytes[i];
	return !(all & 0x8080808080808080U);
}

/* ---- AVX2 ---- */

#if defined __x86_64__
#define AVX2 __attribute__((target("avx2")))

static bool have_avx2(void)
{
	return !literals_portable && __builtin_cpu_supports("avx2");
}

AVX2 static inline __m256i both_halves(const uint8_t *table)
{
	return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
}

/* The buckets that could have place `j` of a fingerprint at each of 32 bytes. */
AVX2 static inline __m256i look_up(__m256i bytes, __m256i low, __m256i high)
{
	const __m256i half = _mm256_set1_epi8(15);
	__m256i a = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, half));
	__m256i b = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half));

	return _mm256_and_si256(a, b);
}

AVX2 static inline __m256i load(const char *at)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

AVX2 static inline __attribute__((always_inline)) const char *find_avx2(
	const struct literals *l, const char *begin, const char *end, const int places)
{
	__m256i low[PLACES], high[PLACES];

	for (int j = 0; j < places; j++) {
		low[j] = both_halves(l->low[j]);
		high[j] = both_halves(l->high[j]);
	}
	for (const char *at = begin; at < end; at += 32) {
		__m256i left = look_up(load(at), low[0], high[0]);
		for (int j = 1; j < places; j++)
			left = _mm256_and_si256(left, look_up(load(at + j), low[j], high[j]));
		if (_mm256_testz_si256(left, left))
			continue;
		uint8_t buckets[32];
		_mm256_storeu_si256((__m256i *)(void *)buckets, left);
		unsigned hits = ~(unsigned)_mm256_movemask_epi8(
			_mm256_cmpeq_epi8(left, _mm256_setzero_si256()));
		for (; hits; hits &= hits - 1) {
			int i = __builtin_ctz(hits);
			if (at + i < end && occurs(l, buckets[i], begin, end, at + i))
				return at + i;
		}
	}
	return NULL;
}

AVX2 static const char *find1_avx2(const struct literals *l, const char *begin, const char *end)
{
	return find_avx2(l, begin, end, 1);
}

AVX2 static const char *find2_avx2(const struct literals *l, const char *begin, const char *end)
{
	return find_avx2(l, begin, end, 2);
}

AVX2 static const char *find3_avx2(const struct literals *l, const char *begin, const char *end)
{
	return find_avx2(l, begin, end, 3);
}

/* Whether literal 0 is where its rarest places are, from `at` on. */
AVX2 static const char *check_pair(
	const struct literals *l, const char *begin, const char *end, const char *at, unsigned hits)
{
	const struct entry *entry = &l->entries[0];

	for (; hits; hits &= hits - 1) {
		const char *start = at + __builtin_ctz(hits);

		if ((size_t)(end - begin) < entry->literal.len || start > end - entry->literal.len)
			return NULL;
		if (occurs(l, 1U << (BUCKETS - 1), begin, end, start + entry->offset))
			return start;
	}
	return NULL;
}

struct pair_places {
	__m256i byte[2], or_case[2];
	size_t at[2];
};

AVX2 static inline __m256i pair_hits(const struct pair_places *places, const char *at)
{
	__m256i a = _mm256_or_si256(load(at + places->at[0]), places->or_case[0]);
	__m256i b = _mm256_or_si256(load(at + places->at[1]), places->or_case[1]);

	return _mm256_and_si256(
		_mm256_cmpeq_epi8(a, places->byte[0]), _mm256_cmpeq_epi8(b, places->byte[1]));
}

AVX2 static const char *find_pair_avx2(const struct literals *l, const char *begin, const char *end)
{
	struct pair_places places;
	const char *at = begin;

	for (int k = 0; k < 2; k++) {
		places.byte[k] = _mm256_set1_epi8((char)l->pair_byte[k]);
		places.or_case[k] = _mm256_set1_epi8((char)l->pair_case[k]);
		places.at[k] = l->pair_at[k];
	}
	while (at < end) {
		/* The pad allows for places behind the end, not for four steps there. */
		if (end - at >= 128) {
			__m256i a = pair_hits(&places, at), b = pair_hits(&places, at + 32);
			__m256i c = pair_hits(&places, at + 64), d = pair_hits(&places, at + 96);
			__m256i any = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
			if (_mm256_testz_si256(any, any)) {
				at += 128;
				continue;
			}
		}
		for (int step = 0; step < 4 && at < end; step++, at += 32) {
			unsigned hits = (unsigned)_mm256_movemask_epi8(pair_hits(&places, at));
			const char *found = hits ? check_pair(l, begin, end, at, hits) : NULL;
			if (found)
				return found;
		}
	}
	return NULL;
}

AVX2 static size_t count_avx2(const char *bytes, size_t len, char c)
{
	const __m256i want = _mm256_set1_epi8(c), zero = _mm256_setzero_si256();
	__m256i sum = zero;
	size_t i = 0;

	while (len - i >= 128) {
		__m256i a = zero, b = zero;
		for (int k = 0; k < 127 && len - i >= 128; k++, i += 128) {
			const char *at = bytes + i;
			a = _mm256_sub_epi8(a, _mm256_cmpeq_epi8(load(at), want));
			b = _mm256_sub_epi8(b, _mm256_cmpeq_epi8(load(at + 32), want));
			a = _mm256_sub_epi8(a, _mm256_cmpeq_epi8(load(at + 64), want));
			b = _mm256_sub_epi8(b, _mm256_cmpeq_epi8(load(at + 96), want));
		}
		sum = _mm256_add_epi64(sum, _mm256_sad_epu8(a, zero));
		sum = _mm256_add_epi64(sum, _mm256_sad_epu8(b, zero));
	}
	size_t n = (size_t)_mm256_extract_epi64(sum, 0) + (size_t)_mm256_extract_epi64(sum, 1) +
		   (size_t)_mm256_extract_epi64(sum, 2) + (size_t)_mm256_extract_epi64(sum, 3);
	return n + count_portable(bytes + i, len - i, c);
}

AVX2 static bool ascii_avx2(const char *bytes, size_t len)
{
	size_t i = 0;

	for (; len - i >= 128; i += 128) {
		__m256i a = _mm256_or_si256(load(bytes + i), load(bytes + i + 32));
		__m256i b = _mm256_or_si256(load(bytes + i + 64), load(bytes + i + 96));
		if (_mm256_movemask_epi8(_mm256_or_si256(a, b)))
			return false;
	}
	return ascii_portable(bytes + i, len - i);
}
#endif

const char *literals_find(const struct literals *l, const char *begin, const char *end)
{
#if defined __x86_64__
	if (have_avx2()) {
		if (l->pair)
			return find_pair_avx2(l, begin, end);
		if (l->places == 3)
			return find3_avx2(l, begin, end);
		return l->places == 2 ? find2_avx2(l, begin, end) : find1_avx2(l, begin, end);
	}
#endif
	return find_portable(l, begin, end);
}

size_t count_byte(const char *bytes, size_t len, char c)
{
#if defined __x86_64__
	if (have_avx2())
		return count_avx2(bytes, len, c);
#endif
	return count_portable(bytes, len, c);
}

bool is_ascii(const char *bytes, size_t len)
{
#if defined __x86_64__
	if (have_avx2())
		return ascii_avx2(bytes, len);
#endif
	return ascii_portable(bytes, len);
}
