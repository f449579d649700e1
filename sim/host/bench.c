/* Server of micro-benchmarks: reads `NAME ARGUMENT` lines, answers `TICKS RATIO_BEFORE RATIO_AFTER DISTURBED`.
 *
 * Usage: bench CPU OTHER_CPU (OTHER_CPU -1: there is none). One line `ready TICKS_PER_NS` is printed at the start.
 * All times are ticks of the time-stamp counter; core cycles are ticks times the ratio measured beside them. */
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static long switches(void)
{
	struct rusage usage;
	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw + usage.ru_nvcsw;
}

void batches_begin(struct batches *all) { memset(all, 0, sizeof *all); }

void batches_start(struct batches *all) { all->switches = switches(); }

void batches_add(struct batches *all, uint64_t elapsed, double operations)
{
	if (switches() != all->switches)
		all->disturbed++;
	else if (all->kept < MOST_BATCHES)
		all->value[all->kept++] = (double)elapsed / operations;
}

/* --- the second thread ------------------------------------------------------------------------------------------ */

static struct {
	_Alignas(2 * LINE) volatile uint64_t asked;
	task *run;
	void *what;
	_Alignas(2 * LINE) volatile uint64_t done;
	_Alignas(2 * LINE) int cpu;
} other = {.cpu = -1};

static void *serve(void *unused)
{
	uint64_t seen = 0;
	(void)unused;
	pin(other.cpu);
	for (;;) {
		/* Asleep between requests, so that a single-threaded benchmark has the machine to itself. */
		for (long spins = 0; other.asked == seen; spins++)
			if (spins < 20000)
				relax();
			else {
				struct timespec nap = {0, 50000};
				nanosleep(&nap, NULL);
			}
		seen = other.asked;
		other.run(other.what);
		__atomic_store_n(&other.done, seen, __ATOMIC_RELEASE);
	}
	return NULL;
}

int have_other_core(void) { return other.cpu >= 0; }

void other_core_start(task *run, void *what)
{
	other.run = run;
	other.what = what;
	__atomic_store_n(&other.asked, other.asked + 1, __ATOMIC_RELEASE);
}

void other_core_wait(void)
{
	while (__atomic_load_n(&other.done, __ATOMIC_ACQUIRE) != other.asked)
		relax();
}

void other_core(task *run, void *what)
{
	other_core_start(run, what);
	other_core_wait();
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

static benchmark *find(const char *name)
{
	static const struct entry *const tables[] = {
		instruction_benchmarks, memory_benchmarks, core_benchmarks, copy_benchmarks, kernel_benchmarks,
	};
	for (size_t table = 0; table < sizeof tables / sizeof *tables; table++)
		for (const struct entry *one = tables[table]; one->name; one++)
			if (!strcmp(one->name, name))
				return one->run;
	return NULL;
}

int main(int count, char **arguments)
{
	char name[64];
	long argument;
	if (count != 3) {
		fprintf(stderr, "usage: bench CPU OTHER_CPU\n");
		return 2;
	}
	pin(atoi(arguments[1]));
	other.cpu = atoi(arguments[2]);
	if (have_other_core()) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, serve, NULL)) {
			fprintf(stderr, "cannot start a second thread\n");
			return 3;
		}
	}
	printf("ready %.9f\n", ticks_per_ns());
	fflush(stdout);
	while (scanf("%63s %ld", name, &argument) == 2) {
		benchmark *run = find(name);
		if (!run) {
			fprintf(stderr, "unknown benchmark %s\n", name);
			return 2;
		}
		int disturbed = 0;
		double before = core_ratio(), value = run(argument, &disturbed), after = core_ratio();
		printf("%.6f %.6f %.6f %d\n", value, before, after, disturbed);
		fflush(stdout);
	}
	return 0;
}
