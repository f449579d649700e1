/* Server of micro-benchmarks: reads `NAME ARGUMENT` lines, answers `TICKS RATIO_BEFORE RATIO_AFTER DISTURBED`.
 *
 * Usage: bench CPU OTHER_CPU (OTHER_CPU -1: there is none). One line `ready TICKS_PER_NS` is printed at the start.
 * All times are ticks of the time-stamp counter; core cycles are ticks times the ratio measured beside them. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static benchmark *find(const char *name)
{
	static const struct entry *const tables[] = {
		instruction_benchmarks, serialising_benchmarks, memory_benchmarks, core_benchmarks,
		copy_benchmarks,	kernel_benchmarks,	tap_benchmarks,
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
	if (die_with_parent()) {
		fprintf(stderr, "the parent is gone\n");
		return 3;
	}
	open_taps();
	pin(atoi(arguments[1]));
	if (drop_privileges()) {
		fprintf(stderr, "cannot give up root\n");
		return 3;
	}
	if (start_other_core(atoi(arguments[2]))) {
		fprintf(stderr, "cannot start a second thread\n");
		return 3;
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
