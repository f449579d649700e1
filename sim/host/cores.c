/* Cache lines that another core has modified: one at a time, in a stream, loads and requests for ownership. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>

#define BATCHES 64
#define CHAIN_LINES 128
#define SPREAD 17 /* chained lines lie this many lines apart at least, so that no prefetcher helps */
#define MOST_STREAM 512
#define PAIR_LOADS 4
#define PREFETCH_NS 500 /* between two lines of a pair: any prefetch has ended by then */

struct region {
	char *base;
	void **first;
	long lines;
	double ticks_per_ns;
	unsigned which; /* load of a pair that is timed */
};

static struct region *region(void)
{
	static struct region one;
	if (one.base)
		return &one;
	one.base = memory(CHAIN_LINES * SPREAD * LINE + MOST_STREAM * LINE, 1);
	int order[CHAIN_LINES];
	for (int number = 0; number < CHAIN_LINES; number++)
		order[number] = number;
	srand(7);
	for (int number = CHAIN_LINES - 1; number > 0; number--) {
		int with = rand() % (number + 1), kept = order[number];
		order[number] = order[with];
		order[with] = kept;
	}
	for (int number = 0; number < CHAIN_LINES; number++)
		*(void **)(one.base + order[number] * SPREAD * LINE) =
			one.base + order[(number + 1) % CHAIN_LINES] * SPREAD * LINE;
	one.first = (void **)(one.base + order[0] * SPREAD * LINE);
	return &one;
}

/* Modify the second word of every chained line; the first one is the link. */
static void dirty_chain(void *what)
{
	struct region *one = what;
	for (int number = 0; number < CHAIN_LINES; number++)
		((volatile uint64_t *)(one->base + number * SPREAD * LINE))[1]++;
	__asm__ volatile("mfence" : : : "memory");
}

static void dirty_stream(void *what)
{
	struct region *one = what;
	char *at = one->base + CHAIN_LINES * SPREAD * LINE;
	for (long number = 0; number < one->lines; number++)
		*(volatile uint64_t *)(at + number * LINE) += 1;
	__asm__ volatile("mfence" : : : "memory");
}

/* The first of two lines in one 128 bytes, far from those of other numbers. */
static char *pair(const struct region *one, long number)
{
	long at = SHUFFLED(number, CHAIN_LINES) * SPREAD;
	return one->base + at / 2 * 2 * LINE;
}

static void dirty_pairs(void *what)
{
	for (int number = 0; number < CHAIN_LINES; number++) {
		char *first = pair(what, number);
		((volatile uint64_t *)first)[1]++;
		((volatile uint64_t *)(first + LINE))[1]++;
	}
	__asm__ volatile("mfence" : : : "memory");
}

struct timing {
	struct region *where;
	struct batches *all;
};

static void timed_chain(void *what)
{
	struct timing *timing = what;
	void **at = timing->where->first;
	batches_start(timing->all);
	uint64_t from = ticks();
	for (int number = 0; number < CHAIN_LINES; number++) {
		at = *at;
		__asm__ volatile("" : "+r"(at));
	}
	batches_add(timing->all, ticks() - from, CHAIN_LINES);
}

static void timed_stream(void *what)
{
	struct timing *timing = what;
	char *at = timing->where->base + CHAIN_LINES * SPREAD * LINE;
	uint64_t sum = 0;
	batches_start(timing->all);
	uint64_t from = ticks();
	for (long number = 0; number < timing->where->lines; number++)
		sum += *(volatile uint64_t *)(at + number * LINE);
	__asm__ volatile("" : : "r"(sum));
	batches_add(timing->all, ticks() - from, 1);
}

static void timed_stores(void *what)
{
	struct timing *timing = what;
	char *at = timing->where->base + CHAIN_LINES * SPREAD * LINE;
	batches_start(timing->all);
	uint64_t from = ticks();
	for (long number = 0; number < timing->where->lines; number++)
		*(volatile uint64_t *)(at + number * LINE) = from;
	__asm__ volatile("mfence" : : : "memory");
	batches_add(timing->all, ticks() - from, 1);
}

static uint64_t one_load(const char *at)
{
	uint64_t from = ticks();
	(void)((const volatile uint64_t *)at)[1];
	return ticks() - from;
}

/* One load at a time, of the first lines of all pairs (0), of the lines behind them (1), or of those once more (2); or of
   the first ones again (3), for another look at how far apart the CPUs are. */
static void timed_pairs(void *what)
{
	struct timing *timing = what;
	uint64_t elapsed[PAIR_LOADS - 1] = {0}, pause = PREFETCH_NS * timing->where->ticks_per_ns;
	batches_start(timing->all);
	for (int number = 0; number < CHAIN_LINES; number++) {
		char *first = pair(timing->where, number);
		elapsed[0] += one_load(first);
		for (uint64_t from = ticks(); ticks() - from < pause;)
			;
		elapsed[1] += one_load(first + LINE);
		elapsed[2] += one_load(first + LINE);
	}
	batches_add(timing->all, elapsed[timing->where->which % (PAIR_LOADS - 1)], CHAIN_LINES);
}

/* One core modifies, then the other measures; `backward` swaps them. */
static double between(task *modify, task *measure, long lines, int backward, int *disturbed)
{
	struct batches all;
	struct timing timing = {region(), &all};
	if (!have_other_core())
		return NAN;
	batches_begin(&all);
	timing.where->lines = lines;
	for (int batch = 0; batch < BATCHES; batch++) {
		if (backward) {
			modify(timing.where);
			other_core(measure, &timing);
		} else {
			other_core(modify, timing.where);
			measure(&timing);
		}
	}
	*disturbed += all.disturbed;
	return midmean(all.value, all.kept);
}

double transfer(long backward, int *disturbed)
{
	return between(dirty_chain, timed_chain, 0, backward, disturbed);
}

/* Argument: lines; the whole of them is timed. */
double stream_loads(long lines, int *disturbed) { return between(dirty_stream, timed_stream, lines, 0, disturbed); }
static double stream_stores(long lines, int *disturbed) { return between(dirty_stream, timed_stores, lines, 0, disturbed); }

static double next_line(long which, int *disturbed)
{
	if (which < 0 || which >= PAIR_LOADS)
		return NAN;
	region()->which = which;
	if (!region()->ticks_per_ns)
		region()->ticks_per_ns = ticks_per_ns();
	return between(dirty_pairs, timed_pairs, 0, 0, disturbed);
}

/* Ping-pong of one word: one way. */
static struct {
	_Alignas(2 * LINE) volatile uint64_t word;
	_Alignas(2 * LINE) uint64_t rounds;
} ball;

static void return_ball(void *unused)
{
	(void)unused;
	for (uint64_t number = 0; number < ball.rounds; number++) {
		while (ball.word != 2 * number + 1)
			;
		ball.word = 2 * number + 2;
	}
}

static double ping_pong(long rounds, int *disturbed)
{
	struct batches all;
	if (!have_other_core())
		return NAN;
	batches_begin(&all);
	for (int batch = 0; batch < 16; batch++) {
		ball.word = 0;
		ball.rounds = rounds;
		other_core_start(return_ball, NULL);
		ball.word = 1;
		while (ball.word != 2)
			;
		batches_start(&all);
		uint64_t from = ticks();
		for (long number = 1; number < rounds; number++) {
			ball.word = 2 * number + 1;
			while (ball.word != (uint64_t)(2 * number + 2))
				;
		}
		batches_add(&all, ticks() - from, 2.0 * (rounds - 1));
		other_core_wait();
	}
	*disturbed += all.disturbed;
	return midmean(all.value, all.kept);
}

const struct entry core_benchmarks[] = {
	{"transfer", transfer},
	{"stream_loads", stream_loads},
	{"stream_stores", stream_stores},
	{"next_line", next_line},
	{"ping_pong", ping_pong},
	{0},
};
