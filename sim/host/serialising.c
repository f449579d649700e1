/* What a barrier or a locked operation adds to n instructions that run in front of it: ticks per n of them and it.
 *
 * The work is independent instructions, seven in three cycles (three multiplications on the one port that has them), so
 * that it takes the same time on every CPU, depends on nothing and keeps nothing waiting when the next n begin. */
#include "bench.h"

#include <math.h>

#define BATCHES 40
#define LAPS 100
#define COPIES "4"

#define SEVEN                                                                                                        \
	"imul $3, %%rbx, %%r8\n lea 8(%%rbx), %%r9\n imul $5, %%rbx, %%r10\n lea 16(%%rbx), %%r11\n"                 \
	"imul $7, %%rbx, %%rdx\n lea 24(%%rbx), %%rcx\n mov (%%rdi), %%rsi\n"
#define WORK(sevens) ".rept " #sevens "\n" SEVEN ".endr\n"

/* Ticks of `before`, the text and `behind`, in a loop of four copies. */
#define TIMED(name, before, text, behind)                                                                            \
	static double name(int *disturbed)                                                                           \
	{                                                                                                            \
		static _Alignas(2 * LINE) uint64_t place[16];                                                        \
		struct batches all;                                                                                  \
		batches_begin(&all);                                                                                 \
		for (int batch = 0; batch < BATCHES; batch++) {                                                      \
			uint64_t a = 0, laps = LAPS;                                                                 \
			batches_start(&all);                                                                         \
			uint64_t from = ticks();                                                                     \
			__asm__ volatile(".balign 64\n1:\n.rept " COPIES "\n" before text "\n" behind ".endr\n"        \
					 " dec %1\n jnz 1b"                                                           \
					 : "+a"(a), "+r"(laps)                                                       \
					 : "D"(place), "b"(3UL)                                                      \
					 : "memory", "cc", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11");           \
			uint64_t elapsed = ticks() - from;                                                           \
			if (batch >= 2) /* the first ones warm up */                                                 \
				batches_add(&all, elapsed, LAPS * 4.0);                                              \
		}                                                                                                    \
		*disturbed += all.disturbed;                                                                         \
		return midmean(all.value, all.kept);                                                                  \
	}

/* A function that picks one of these by its number of instructions. */
#define CASE(name, instructions)                                                                                     \
	case instructions:                                                                                           \
		return name##_##instructions(disturbed);
#define PICKED(name, cases)                                                                                          \
	static double name(long instructions, int *disturbed)                                                        \
	{                                                                                                            \
		switch (instructions) {                                                                              \
			cases                                                                                        \
		}                                                                                                    \
		return NAN;                                                                                          \
	}

/* The text behind 0, 14, 28, 56 and 112 instructions of work. */
#define BEHIND(name, text)                                                                                           \
	TIMED(name##_0, "", text, "")                                                                                \
	TIMED(name##_14, WORK(2), text, "")                                                                          \
	TIMED(name##_28, WORK(4), text, "")                                                                          \
	TIMED(name##_56, WORK(8), text, "")                                                                          \
	TIMED(name##_112, WORK(16), text, "")                                                                        \
	PICKED(name, CASE(name, 0) CASE(name, 14) CASE(name, 28) CASE(name, 56) CASE(name, 112))

BEHIND(work, "")
BEHIND(work_lfence, "lfence")
BEHIND(work_two_lfences, "lfence\n lfence")
BEHIND(work_lfence_load_lfence, "lfence\n mov (%%rdi), %%rsi\n lfence")
BEHIND(work_lock_add, "lock addl $0, 64(%%rdi)")
/* As spin_lock() and spin_unlock() around one load. */
BEHIND(work_spin_lock, "xor %%eax, %%eax\n mov $1, %%edx\n lock cmpxchgl %%edx, 64(%%rdi)\n mov (%%rdi), %%rsi\n movb $0, 64(%%rdi)")
BEHIND(work_two_bit_locks, "lock btsq $3, 64(%%rdi)\n lock btrq $3, 64(%%rdi)")

/* One barrier behind work that is as wide as the core: another end of the block, another drain. */
#define WIDE                                                                                                         \
	"lea 8(%%rbx), %%r8\n lea 16(%%rbx), %%r9\n lea 24(%%rbx), %%r10\n lea 32(%%rbx), %%r11\n"                   \
	"lea 40(%%rbx), %%rdx\n lea 48(%%rbx), %%rcx\n mov (%%rdi), %%rsi\n"
#define WIDE_WORK(sevens) ".rept " #sevens "\n" WIDE ".endr\n"
#define BEHIND_WIDE(name, text)                                                                                      \
	TIMED(name##_14, WIDE_WORK(2), text, "")                                                                     \
	TIMED(name##_28, WIDE_WORK(4), text, "")                                                                     \
	TIMED(name##_56, WIDE_WORK(8), text, "")                                                                     \
	PICKED(name, CASE(name, 14) CASE(name, 28) CASE(name, 56))

BEHIND_WIDE(wide, "")
BEHIND_WIDE(wide_lfence, "lfence")

/* Two chains of n dependent additions, which overlap; a barrier between them holds the second one back until it has
 * been issued anew, n instructions at the width of the core. */
#define CHAIN(count, from, to) ".rept " #count "\n add %%" #from ", %%" #to "\n .endr\n"
#define CHAINS(name, text)                                                                                           \
	TIMED(name##_14, CHAIN(14, rbx, r8), text, CHAIN(14, rbx, r9))                                               \
	TIMED(name##_28, CHAIN(28, rbx, r8), text, CHAIN(28, rbx, r9))                                               \
	TIMED(name##_42, CHAIN(42, rbx, r8), text, CHAIN(42, rbx, r9))                                               \
	PICKED(name, CASE(name, 14) CASE(name, 28) CASE(name, 42))

CHAINS(two_chains, "")
CHAINS(two_chains_lfence, "lfence")

const struct entry serialising_benchmarks[] = {
	{"work", work},
	{"work_lfence", work_lfence},
	{"work_two_lfences", work_two_lfences},
	{"work_lfence_load_lfence", work_lfence_load_lfence},
	{"work_lock_add", work_lock_add},
	{"work_spin_lock", work_spin_lock},
	{"work_two_bit_locks", work_two_bit_locks},
	{"wide", wide},
	{"wide_lfence", wide_lfence},
	{"two_chains", two_chains},
	{"two_chains_lfence", two_chains_lfence},
	{0},
};
