/* What the micro-benchmarks share: the clock, batches and their mean, and the two pinned threads. */
#ifndef VHOST_SIM_BENCH_H
#define VHOST_SIM_BENCH_H

#include <stddef.h>
#include <stdint.h>

#define LINE 64
#define PAGE 4096
#define MOST_BATCHES 256
#define SHUFFLED(number, count) ((number) * ((number) + 1) / 2 % (count)) /* triangular, count a power of two: no stride for a prefetcher */

static inline uint64_t ticks(void)
{
	uint32_t low, high;
	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
	return ((uint64_t)high << 32) | low;
}

static inline void relax(void) { __asm__ volatile("pause" : : : "memory"); }

/* Ticks per operation of each undisturbed batch; a batch during which the kernel switched us out is thrown away. */
struct batches {
	double value[MOST_BATCHES];
	int kept, disturbed;
	long switches;
};

void batches_begin(struct batches *all);
void batches_start(struct batches *all);
void batches_add(struct batches *all, uint64_t elapsed, double operations);
double midmean(double *values, int count);

/* A benchmark returns ticks per operation (NAN: not possible here) and adds to `disturbed`. */
typedef double benchmark(long argument, int *disturbed);

struct entry {
	const char *name;
	benchmark *run;
};

extern const struct entry instruction_benchmarks[];
extern const struct entry serialising_benchmarks[];
extern const struct entry memory_benchmarks[];
extern const struct entry core_benchmarks[];
extern const struct entry copy_benchmarks[];
extern const struct entry kernel_benchmarks[];
extern const struct entry tap_benchmarks[];

/* Open what only root may, before root is given up; without root, or where it is refused, tap_benchmarks are not possible. */
void open_taps(void);

/* Those that the ring program runs beside its ring. */
benchmark transfer, stream_loads, copy_pool, copy_warm, copy_warm_fenced, copy_dirty_head, copy_dirty_head_open;

/* What may stand on a command line as KEY=NUMBER. */
struct key {
	const char *name;
	long *place, least, most;
};

/* Read the command line; one line on stderr and exit code 2 for what is no key, no number, or out of range. */
void read_keys(const char *program, const struct key *keys, size_t known, int count, char **arguments);

/* The process is killed when its parent is gone, which wrote its id into VHOST_SIM_PARENT: 0, or -1 with errno. */
int die_with_parent(void);
/* The calling thread, and what it starts from then on, gives root and all capabilities up for good; also as above. */
int drop_privileges(void);

double ticks_per_ns(void);
double core_ratio(void); /* core cycles per tick, from a chain of dependent additions */

/* The second thread, started once (0: it runs, or CPU is -1 and there is none): runs a task on the other CPU while the caller goes on (start, wait) or waits (other_core). */
typedef void task(void *);
int start_other_core(int cpu);
void other_core_start(task *run, void *what);
void other_core_wait(void);
void other_core(task *run, void *what);
int have_other_core(void);
void pin(int cpu);
void *memory(size_t bytes, int huge);

#endif
