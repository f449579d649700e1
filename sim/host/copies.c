/* Copies of 8 to 9000 bytes: warm, fenced, and with the source modified in another core's cache. */
#include "bench.h"

#include <math.h>
#include <string.h>

#define BATCHES 32
#define BUFFERS 64 /* that the other core writes */
#define BUFFER_BYTES 16384
#define POOL 256
#define FRAGMENT 32768 /* as in ring.c */
#define POOL_BYTES 2048
#define POOL_STRIDE (2 * PAGE + LINE) /* as in ring.c: no two buffers in a page, and all cache sets used alike */

static void copy_rep(void *to, const void *from, size_t bytes)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

/* The kernel's loop for short copies: 8 bytes at a time, then single bytes. */
static void copy_loop(void *to, const void *from, size_t bytes)
{
	size_t words = bytes / 8, rest = bytes % 8;
	uint64_t kept;
	if (words)
		__asm__ volatile("1: mov (%1), %3\n mov %3, (%0)\n add $8, %1\n add $8, %0\n dec %2\n jnz 1b"
				 : "+r"(to), "+r"(from), "+r"(words), "=&r"(kept)
				 :
				 : "memory", "cc");
	if (rest)
		__asm__ volatile("1: movb (%1), %b3\n movb %b3, (%0)\n inc %1\n inc %0\n dec %2\n jnz 1b"
				 : "+r"(to), "+r"(from), "+r"(rest), "=&q"(kept)
				 :
				 : "memory", "cc");
}

typedef void copier(void *, const void *, size_t);

static char *destination(void)
{
	static char *place;
	return place ? place : (place = memory(FRAGMENT, 1));
}

static double warm(copier *copy, long bytes, int fenced, int *disturbed)
{
	static char *source;
	struct batches all;
	int times = bytes > 1024 ? 100 : 400;
	char *to = destination();
	if (!source)
		source = memory(32768, 1);
	batches_begin(&all);
	for (int batch = 0; batch < BATCHES; batch++) {
		batches_start(&all);
		uint64_t from = ticks();
		for (int number = 0; number < times; number++) {
			copy(to, source, bytes);
			if (fenced)
				__asm__ volatile("lfence" : : : "memory");
		}
		uint64_t elapsed = ticks() - from;
		if (batch)
			batches_add(&all, elapsed, times);
	}
	*disturbed += all.disturbed;
	return midmean(all.value, all.kept);
}

double copy_warm(long bytes, int *disturbed) { return warm(copy_rep, bytes, 0, disturbed); }
double copy_warm_fenced(long bytes, int *disturbed) { return warm(copy_rep, bytes, 1, disturbed); }
static double loop_warm(long bytes, int *disturbed) { return warm(copy_loop, bytes, 0, disturbed); }

static struct {
	char *base;
	long dirty; /* bytes that are written at the start of each buffer */
} pool;

static void dirty_pool(void *unused)
{
	(void)unused;
	for (int number = 0; number < BUFFERS; number++)
		for (long at = 0; at < pool.dirty; at += LINE)
			*(volatile uint64_t *)(pool.base + number * BUFFER_BYTES + at) += 1;
	__asm__ volatile("mfence" : : : "memory");
}

/* Copies of buffers whose first `dirty` bytes the other core has just written, with a fence behind each or none. */
static double dirty_source(copier *copy, long bytes, long dirty, int fenced, int *disturbed)
{
	struct batches all;
	char *to = destination();
	if (!have_other_core())
		return NAN;
	if (!pool.base)
		pool.base = memory((size_t)BUFFERS * BUFFER_BYTES, 1);
	batches_begin(&all);
	pool.dirty = dirty;
	for (int batch = 0; batch < BATCHES; batch++) {
		other_core(dirty_pool, NULL);
		batches_start(&all);
		uint64_t from = ticks();
		for (int number = 0; number < BUFFERS; number++) {
			copy(to, pool.base + SHUFFLED(number, BUFFERS) * BUFFER_BYTES, bytes);
			if (fenced)
				__asm__ volatile("lfence" : : : "memory");
		}
		uint64_t elapsed = ticks() - from;
		if (batch)
			batches_add(&all, elapsed, BUFFERS);
	}
	*disturbed += all.disturbed;
	return midmean(all.value, all.kept);
}

static double copy_dirty(long bytes, int *disturbed) { return dirty_source(copy_rep, bytes, bytes, 1, disturbed); }
static double loop_dirty(long bytes, int *disturbed) { return dirty_source(copy_loop, bytes, bytes, 1, disturbed); }

double copy_dirty_head(long bytes, int *disturbed)
{
	return dirty_source(copy_rep, bytes, LINE, 1, disturbed);
}

double copy_dirty_head_open(long bytes, int *disturbed)
{
	return dirty_source(copy_rep, bytes, LINE, 0, disturbed);
}

/* Copies out of a pool of 256 clean buffers in turn into a page fragment, as a ring of 256 meets them: from L2 or L3. */
double copy_pool(long bytes, int *disturbed)
{
	static char *base;
	struct batches all;
	char *to = destination();
	long step = (bytes + LINE - 1) / LINE * LINE, offset = 0;
	if (bytes > POOL_BYTES)
		return NAN;
	if (!base)
		base = memory((size_t)POOL * POOL_STRIDE, 1);
	batches_begin(&all);
	for (int batch = 0; batch < BATCHES; batch++) {
		batches_start(&all);
		uint64_t from = ticks();
		for (int number = 0; number < POOL; number++) {
			copy_rep(to + offset, base + SHUFFLED(number, POOL) * POOL_STRIDE, bytes);
			__asm__ volatile("lfence" : : : "memory");
			offset = offset + 2 * step > FRAGMENT ? 0 : offset + step;
		}
		uint64_t elapsed = ticks() - from;
		if (batch)
			batches_add(&all, elapsed, POOL);
	}
	*disturbed += all.disturbed;
	return midmean(all.value, all.kept);
}

const struct entry copy_benchmarks[] = {
	{"copy_warm", copy_warm},
	{"copy_warm_fenced", copy_warm_fenced},
	{"loop_warm", loop_warm},
	{"copy_dirty", copy_dirty},
	{"copy_dirty_head", copy_dirty_head},
	{"copy_dirty_head_open", copy_dirty_head_open},
	{"loop_dirty", loop_dirty},
	{"copy_pool", copy_pool},
	{0},
};
