/* What every benchmark stands on: batches of timings that were not disturbed, and the second pinned thread. */
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
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

int start_other_core(int cpu)
{
	pthread_t thread;
	other.cpu = cpu;
	return have_other_core() && pthread_create(&thread, NULL, serve, NULL);
}

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
