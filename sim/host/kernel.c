/* System calls that differ by one user access: ticks per call. Raw `syscall`, no vDSO, no C library in between. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 40
#define CALLS 200

static inline long raw(long number, long a, long b, long c, long d, long e)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}

/* What the calls write to and read from. */
static _Alignas(PAGE) struct {
	uint32_t words[16];
	uint64_t ids[8];
	struct timeval bad_time; /* usec out of range: refused after both fields were read */
	struct timezone zone;
	int flag;
	struct timespec times[2];
	char bytes[8192];
} user = {.bad_time = {0, 2000000}};

static int event_fd = -1, memory_fd = -1;

/* Time one call in batches; `expected` is what it must return (a sandbox may answer otherwise). */
static double timed(long number, long a, long b, long c, long d, long expected, int *disturbed)
{
	struct batches all;
	long got = raw(number, a, b, c, d, 0);
	if (expected <= 0 ? got != expected : got < 0)
		return NAN;
	batches_begin(&all);
	for (int batch = 0; batch < BATCHES; batch++) {
		batches_start(&all);
		uint64_t from = ticks();
		for (int call = 0; call < CALLS; call++)
			raw(number, a, b, c, d, 0);
		uint64_t elapsed = ticks() - from;
		if (batch)
			batches_add(&all, elapsed, CALLS);
	}
	*disturbed += all.disturbed;
	return midmean(all.value, all.kept);
}

#define CALL(name, number, a, b, c, d, expected)                                                                     \
	static double name(long unused, int *disturbed)                                                              \
	{                                                                                                            \
		(void)unused;                                                                                        \
		return timed(number, (long)(a), (long)(b), (long)(c), (long)(d), expected, disturbed);               \
	}

CALL(sys_invalid, 100000, 0, 0, 0, 0, -ENOSYS)
CALL(sys_getuid, SYS_getuid, 0, 0, 0, 0, 1)
CALL(sys_getresuid, SYS_getresuid, user.words, user.words + 1, user.words + 2, 0, 0)
CALL(sys_getcpu_0, SYS_getcpu, 0, 0, 0, 0, 0)
CALL(sys_getcpu_1, SYS_getcpu, user.words, 0, 0, 0, 0)
CALL(sys_getcpu_2, SYS_getcpu, user.words, user.words + 1, 0, 0, 0)
CALL(sys_time_0, SYS_time, 0, 0, 0, 0, 1)
CALL(sys_time_1, SYS_time, user.ids, 0, 0, 0, 1)
CALL(sys_gettimeofday_0, SYS_gettimeofday, 0, 0, 0, 0, 0)
CALL(sys_gettimeofday_zone, SYS_gettimeofday, 0, &user.zone, 0, 0, 0)
CALL(sys_settimeofday_bad, SYS_settimeofday, &user.bad_time, 0, 0, 0, -EINVAL)
CALL(sys_ioctl_fioclex, SYS_ioctl, event_fd, FIOCLEX, 0, 0, 0)
CALL(sys_ioctl_fionbio, SYS_ioctl, event_fd, FIONBIO, &user.flag, 0, 0)
CALL(sys_utimensat_0, SYS_utimensat, 9999, 0, 0, 0, -EBADF)
CALL(sys_utimensat_2, SYS_utimensat, 9999, 0, user.times, 0, -EBADF)

static int open_eventfd(void)
{
	if (event_fd < 0)
		event_fd = eventfd(0, EFD_NONBLOCK);
	return event_fd >= 0;
}

static double ioctl_fioclex(long argument, int *disturbed)
{
	return open_eventfd() ? sys_ioctl_fioclex(argument, disturbed) : NAN;
}

static double ioctl_fionbio(long argument, int *disturbed)
{
	user.flag = 1; /* the descriptor is non-blocking already */
	return open_eventfd() ? sys_ioctl_fionbio(argument, disturbed) : NAN;
}

static double write_eventfd(long unused, int *disturbed)
{
	(void)unused;
	user.ids[0] = 1;
	return open_eventfd() ? timed(SYS_write, event_fd, (long)user.ids, 8, 0, 1, disturbed) : NAN;
}

/* 64 bytes, as the packets that tap.c writes. */
static double write_null(long unused, int *disturbed)
{
	static int null = -1;
	(void)unused;
	if (null < 0)
		null = open("/dev/null", O_WRONLY);
	return null >= 0 ? timed(SYS_write, null, (long)user.bytes, 64, 0, 1, disturbed) : NAN;
}

static int open_memory(void)
{
	if (memory_fd < 0) {
		memory_fd = syscall(SYS_memfd_create, "vhost-sim", 0u);
		if (memory_fd >= 0 && pwrite(memory_fd, user.bytes, sizeof user.bytes, 0) < 0)
			return 0;
	}
	return memory_fd >= 0;
}

/* Arguments: bytes. Their slope is a copy_to_user (copy_from_user) of that many bytes. */
static double memfd_pread(long bytes, int *disturbed)
{
	return open_memory() ? timed(SYS_pread64, memory_fd, (long)user.bytes, bytes, 0, 1, disturbed) : NAN;
}

static double memfd_pwrite(long bytes, int *disturbed)
{
	return open_memory() ? timed(SYS_pwrite64, memory_fd, (long)user.bytes, bytes, 0, 1, disturbed) : NAN;
}

/* process_vm_readv of one byte with `pages` pages named: the slope is a page pinned and released. */
static double pin_pages(long pages, int *disturbed)
{
	static char *base;
	struct iovec local = {user.bytes, 1}, remote;
	struct batches all;
	if (!base)
		base = memory(256 * PAGE, 0);
	remote = (struct iovec){base, pages * PAGE};
	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1)
		return NAN;
	batches_begin(&all);
	for (int batch = 0; batch < 16; batch++) {
		batches_start(&all);
		uint64_t from = ticks();
		for (int call = 0; call < 20; call++)
			process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
		uint64_t elapsed = ticks() - from;
		if (batch)
			batches_add(&all, elapsed, 20);
	}
	*disturbed += all.disturbed;
	return midmean(all.value, all.kept);
}

/* settimeofday with a time whose two fields lie on two lines, `flushed` of them flushed before the call: do two windows
 * on two cold lines cost two latencies, or one? */
static double two_fields(long flushed, int *disturbed)
{
	static _Alignas(2 * PAGE) char place[2 * PAGE];
	struct batches all;
	struct timeval *time = (struct timeval *)(place + PAGE - 8);
	time->tv_sec = 0;
	time->tv_usec = 2000000;
	if (raw(SYS_settimeofday, (long)time, 0, 0, 0, 0) != -EINVAL)
		return NAN;
	batches_begin(&all);
	for (int call = 0; call < 240; call++) {
		if (flushed & 1)
			__asm__ volatile("clflush (%0)" : : "r"(&time->tv_sec) : "memory");
		if (flushed & 2)
			__asm__ volatile("clflush (%0)" : : "r"(&time->tv_usec) : "memory");
		__asm__ volatile("mfence" : : : "memory");
		batches_start(&all);
		uint64_t from = ticks();
		raw(SYS_settimeofday, (long)time, 0, 0, 0, 0);
		batches_add(&all, ticks() - from, 1);
	}
	*disturbed += all.disturbed;
	return midmean(all.value, all.kept);
}

/* --- wake-up of a thread that sleeps in a read of an eventfd ----------------------------------------------------- */

static int wake_there = -1, wake_back = -1;
static long wake_rounds;

static void answer(void *unused)
{
	uint64_t one;
	(void)unused;
	for (long round = 0; round < wake_rounds; round++)
		if (read(wake_there, &one, 8) != 8 || write(wake_back, &(uint64_t){1}, 8) != 8)
			return;
}

/* Half of a round trip: write, wake-up of the other CPU, its return from read. */
static double wake_up(long rounds, int *disturbed)
{
	uint64_t one;
	struct batches all;
	if (!have_other_core())
		return NAN;
	if (wake_there < 0) {
		wake_there = eventfd(0, 0);
		wake_back = eventfd(0, 0);
	}
	if (wake_there < 0 || wake_back < 0)
		return NAN;
	batches_begin(&all);
	wake_rounds = rounds;
	other_core_start(answer, NULL);
	for (long round = 0; round < rounds; round++) {
		uint64_t from = ticks();
		if (write(wake_there, &(uint64_t){1}, 8) != 8 || read(wake_back, &one, 8) != 8)
			return NAN;
		batches_start(&all); /* sleeping is a switch: nothing to tell apart here */
		batches_add(&all, ticks() - from, 2);
	}
	other_core_wait();
	*disturbed += all.disturbed;
	return midmean(all.value, all.kept);
}

const struct entry kernel_benchmarks[] = {
	{"sys_invalid", sys_invalid},
	{"sys_getuid", sys_getuid},
	{"sys_getresuid", sys_getresuid},
	{"sys_getcpu_0", sys_getcpu_0},
	{"sys_getcpu_1", sys_getcpu_1},
	{"sys_getcpu_2", sys_getcpu_2},
	{"sys_time_0", sys_time_0},
	{"sys_time_1", sys_time_1},
	{"sys_gettimeofday_0", sys_gettimeofday_0},
	{"sys_gettimeofday_zone", sys_gettimeofday_zone},
	{"sys_settimeofday_bad", sys_settimeofday_bad},
	{"sys_ioctl_fioclex", ioctl_fioclex},
	{"sys_ioctl_fionbio", ioctl_fionbio},
	{"sys_utimensat_0", sys_utimensat_0},
	{"sys_utimensat_2", sys_utimensat_2},
	{"sys_eventfd_write", write_eventfd},
	{"sys_write_null", write_null},
	{"sys_pread", memfd_pread},
	{"sys_pwrite", memfd_pwrite},
	{"pin_pages", pin_pages},
	{"two_fields", two_fields},
	{"wake_up", wake_up},
	{0},
};
