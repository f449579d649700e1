/* Load latency of cache levels, memory and TLBs: one chain of dependent loads through shuffled lines. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>

#define BATCHES 24
#define MOST_CHAINS 24
#define CACHED_LINES (1 << 18)

struct chain {
	long lines;
	size_t stride;
	int huge;
	void **at;
};

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* With a stride of a page every line lies at another offset in its page, so that all cache sets are used alike. */
static void **line_of(const struct chain *chain, char *base, long number)
{
	size_t offset = number * chain->stride;
	if (chain->stride >= PAGE)
		offset += number * LINE % PAGE;
	return (void **)(base + offset);
}

static struct chain *chain_of(long lines, size_t stride, int huge)
{
	static struct chain chains[MOST_CHAINS];
	struct chain *chain = chains;
	while (chain->lines && !(chain->lines == lines && chain->stride == stride && chain->huge == huge))
		if (++chain == chains + MOST_CHAINS)
			abort();
	if (chain->lines)
		return chain;
	*chain = (struct chain){.lines = lines, .stride = stride, .huge = huge};
	char *base = memory(lines * stride + PAGE, huge);
	uint32_t *order = malloc(lines * sizeof *order);
	for (long number = 0; number < lines; number++)
		order[number] = number;
	for (long number = lines - 1; number > 0; number--) {
		long with = random_number() % (number + 1);
		uint32_t kept = order[number];
		order[number] = order[with];
		order[with] = kept;
	}
	for (long number = 0; number < lines; number++)
		*line_of(chain, base, order[number]) = line_of(chain, base, order[(number + 1) % lines]);
	/* From the line that was written first: the last ones written are still in the caches. */
	chain->at = line_of(chain, base, order[0]);
	free(order);
	return chain;
}

static void **follow(void **at, long loads)
{
	for (long number = 0; number < loads; number++) {
		at = *at;
		__asm__ volatile("" : "+r"(at));
	}
	return at;
}

static void **follow_fenced(void **at, long loads)
{
	for (long number = 0; number < loads; number++) {
		at = *at;
		__asm__ volatile("lfence" : "+r"(at) : : "memory");
	}
	return at;
}

static double timed(struct chain *chain, long loads, void **(*walk)(void **, long), int *disturbed)
{
	struct batches all;
	batches_begin(&all);
	/* A chain that fits the caches is walked before; a longer one goes on where it stopped. */
	if (chain->lines <= CACHED_LINES)
		chain->at = follow(chain->at, 2 * chain->lines);
	for (int batch = 0; batch < BATCHES; batch++) {
		batches_start(&all);
		uint64_t from = ticks();
		chain->at = walk(chain->at, loads);
		batches_add(&all, ticks() - from, loads);
	}
	*disturbed += all.disturbed;
	return midmean(all.value, all.kept);
}

static long loads_of(long lines) { return lines > CACHED_LINES ? 300 : lines > 4096 ? 1000 : 4000; }

/* Argument: KiB. */
static double chase_huge(long kib, int *disturbed)
{
	long lines = kib * 1024 / LINE;
	return timed(chain_of(lines, LINE, 1), loads_of(lines), follow, disturbed);
}

static double chase_small(long kib, int *disturbed)
{
	long lines = kib * 1024 / LINE;
	return timed(chain_of(lines, LINE, 0), loads_of(lines), follow, disturbed);
}

static double chase_fenced(long kib, int *disturbed)
{
	long lines = kib * 1024 / LINE;
	return timed(chain_of(lines, LINE, 1), loads_of(lines) / 2, follow_fenced, disturbed);
}

/* Argument: number of 4 KiB pages, one line of each. */
static double chase_pages(long pages, int *disturbed)
{
	return timed(chain_of(pages, PAGE, 0), loads_of(pages), follow, disturbed);
}

/* Loads whose addresses do not depend on each other, a fence (or nothing) after each: what a fence does to a miss. */
static double independent(long kib, int fenced, int *disturbed)
{
	static char *base;
	static long mapped_kib;
	struct batches all;
	long lines = kib * 1024 / LINE;
	if (mapped_kib < kib) {
		base = memory(kib * 1024, 1);
		mapped_kib = kib;
	}
	batches_begin(&all);
	for (int batch = 0; batch < BATCHES; batch++) {
		uint64_t state = random_number(), sum = 0;
		batches_start(&all);
		uint64_t from = ticks();
		for (long number = 0; number < 500; number++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			sum += *(volatile uint64_t *)(base + (state >> 33) % lines * LINE);
			if (fenced)
				__asm__ volatile("lfence" : : : "memory");
		}
		__asm__ volatile("" : : "r"(sum));
		batches_add(&all, ticks() - from, 500);
	}
	*disturbed += all.disturbed;
	return midmean(all.value, all.kept);
}

static double independent_loads(long kib, int *disturbed) { return independent(kib, 0, disturbed); }
static double independent_loads_fenced(long kib, int *disturbed) { return independent(kib, 1, disturbed); }

const struct entry memory_benchmarks[] = {
	{"chase_huge", chase_huge},
	{"chase_small", chase_small},
	{"chase_fenced", chase_fenced},
	{"chase_pages", chase_pages},
	{"independent_loads", independent_loads},
	{"independent_loads_fenced", independent_loads_fenced},
	{0},
};
