/* What both programs need: pinning, memory, the clock and its ratio to the core clock. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <linux/capability.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NOBODY 65534

static int by_value(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

/* Mean of the middle half: as robust as the median, and finer than the counter's steps (26 ticks on some CPUs). */
double midmean(double *values, int count)
{
	double sum = 0;
	int from = count / 4, to = count - count / 4;
	if (!count)
		return NAN;
	qsort(values, count, sizeof *values, by_value);
	for (int number = from; number < to; number++)
		sum += values[number];
	return sum / (to - from);
}

void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set)) {
		fprintf(stderr, "cannot pin to CPU %d\n", cpu);
		exit(3);
	}
}

void *memory(size_t bytes, int huge)
{
	size_t align = 2 << 20, whole = (bytes + align - 1) / align * align + align;
	char *raw = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw == MAP_FAILED) {
		fprintf(stderr, "no memory for %zu bytes\n", bytes);
		exit(3);
	}
	char *start = (char *)(((uintptr_t)raw + align - 1) / align * align);
	madvise(start, whole - align, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	for (size_t at = 0; at < bytes; at += PAGE)
		start[at] = 0;
	return start;
}

double ticks_per_ns(void)
{
	double found[5];
	for (int round = 0; round < 5; round++) {
		struct timespec from, to;
		clock_gettime(CLOCK_MONOTONIC_RAW, &from);
		uint64_t start = ticks(), end;
		double ns;
		do {
			clock_gettime(CLOCK_MONOTONIC_RAW, &to);
			end = ticks();
			ns = (to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec);
		} while (ns < 1e7);
		found[round] = (end - start) / ns;
	}
	return midmean(found, 5);
}

double core_ratio(void)
{
	/* Three short chains; the shortest is the least disturbed one. */
	double best = 0;
	for (int round = 0; round < 3; round++) {
		uint64_t a = 1, b = 1, n = 4000;
		uint64_t from = ticks();
		__asm__ volatile(".balign 64\n1:\n.rept 16\nadd %1, %0\n.endr\ndec %2\njnz 1b"
				 : "+r"(a), "+r"(b), "+r"(n)
				 :
				 : "cc");
		double ratio = 4000 * 16.0 / (double)(ticks() - from);
		best = ratio > best ? ratio : best;
	}
	return best;
}

void read_keys(const char *program, const struct key *keys, size_t known, int count, char **arguments)
{
	for (int number = 1; number < count; number++) {
		char *sign = strchr(arguments[number], '='), *end = NULL;
		size_t length = sign ? sign - arguments[number] : 0, place = 0;
		while (place < known && (strlen(keys[place].name) != length || strncmp(keys[place].name, arguments[number], length)))
			place++;
		long value = sign ? strtol(sign + 1, &end, 10) : 0;
		if (place == known || end == sign + 1 || *end || value < keys[place].least || value > keys[place].most) {
			fprintf(stderr, "%s: %s: unknown, no number, or out of range\n", program, arguments[number]);
			exit(2);
		}
		*keys[place].place = value;
	}
}

/* A parent that went before the signal was asked for sends none: it is told by the id that it left. */
int die_with_parent(void)
{
	const char *parent = getenv("VHOST_SIM_PARENT");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return -1;
	if (parent && atol(parent) != getppid()) {
		errno = ESRCH;
		return -1;
	}
	return 0;
}

/* By system calls: the C library would change threads that were started before, but not those that the kernel made. Changing
 * the user resets the signal that the parent's death sends. */
int drop_privileges(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
	if (!geteuid() && (syscall(SYS_setgroups, 0, NULL) || syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) ||
			   syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY)))
		return -1;
	return syscall(SYS_capset, &head, none) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || die_with_parent() ? -1 : 0;
}
