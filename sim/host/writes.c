/* Writes of frames of one size to one TAP: sampled, for the share of each kernel function, or between marks.
 *
 * Usage: writes [KEY=NUMBER]... (keys and what they start with: `keys` below; `way` as in taps.h). Prints one JSON object
 * per line: `profile` with the address of each sample that fell into the kernel, or `stretch` for N and 2N writes. */
#define _GNU_SOURCE
#include "bench.h"
#include "mark.h"
#include "taps.h"
#include "tun.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WARM 300		 /* writes */
#define SAMPLE_PAGES 512 /* 131072 samples */

static struct {
	long cpu, way, size, ms, hz, writes, marks;
} settings = {.way = WAY_NATIVE, .size = 64, .ms = 1000, .hz = 5000};

static const struct key keys[] = {
	{"cpu", &settings.cpu, 0, 4095},
	{"way", &settings.way, WAY_NULL, WAYS - 1}, /* 0 null, 1 down, 2 skb, 3 generic, 4 program, 5 native */
	{"size", &settings.size, 14, MOST_FRAME},
	{"ms", &settings.ms, 1, 60000},
	{"hz", &settings.hz, 100, 50000},
	{"writes", &settings.writes, 0, 1 << 24}, /* above 0: N of them, then 2N, instead of a profile */
	{"marks", &settings.marks, 0, 1},
};

static void fail(const char *doing)
{
	fprintf(stderr, "writes: %s: %s\n", doing, strerror(errno));
	exit(3);
}

static void write_frames(long count)
{
	for (long number = 0; number < count; number++)
		if (!write_frame(settings.way, settings.size)) {
			fprintf(stderr, "writes: the TAP did not take a frame as it must\n");
			exit(3);
		}
}

static void run_stretches(void)
{
	write_frames(WARM);
	for (int number = 0; number < 2; number++) {
		long count = settings.writes << number;
		usleep(20000);
		if (settings.marks)
			MARK(MARK_BEGIN, number);
		write_frames(count);
		if (settings.marks)
			MARK(MARK_END, number);
		printf("{\"record\": \"stretch\", \"k\": %d, \"writes\": %ld}\n", number, count);
	}
}

/* Samples of this thread by the kernel's timer: there is no need of hardware counters. */
static struct perf_event_mmap_page *open_samples(int *file)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof attributes,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_freq = settings.hz,
		.freq = 1,
		.sample_type = PERF_SAMPLE_IP,
		.disabled = 1,
	};
	void *mapped;
	*file = syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (*file < 0)
		fail("samples of the CPU clock");
	mapped = mmap(NULL, (1 + SAMPLE_PAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, *file, 0);
	if (mapped == MAP_FAILED)
		fail("memory for samples");
	return mapped;
}

static void print_samples(struct perf_event_mmap_page *samples, uint64_t writes, uint64_t ns)
{
	const char *data = (const char *)samples + samples->data_offset;
	uint64_t user = 0, kernel = 0, lost = 0;
	printf("{\"record\": \"profile\", \"addresses\": [");
	for (uint64_t at = samples->data_tail; at < samples->data_head;) {
		const struct perf_event_header *head = (const void *)(data + at % samples->data_size);
		uint64_t address;
		memcpy(&address, data + (at + sizeof *head) % samples->data_size, sizeof address);
		if (head->type == PERF_RECORD_LOST)
			lost++;
		else if (head->type == PERF_RECORD_SAMPLE && (head->misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_KERNEL)
			printf("%s\"%llx\"", kernel++ ? ", " : "", (unsigned long long)address);
		else if (head->type == PERF_RECORD_SAMPLE)
			user++;
		at += head->size;
	}
	printf("], \"user\": %llu, \"lost\": %llu, \"writes\": %llu, \"ns\": %llu}\n", (unsigned long long)user,
	       (unsigned long long)lost, (unsigned long long)writes, (unsigned long long)ns);
}

static uint64_t now_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC_RAW, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void run_profile(int file, struct perf_event_mmap_page *samples)
{
	uint64_t writes = 0, from, until;
	write_frames(WARM);
	ioctl(file, PERF_EVENT_IOC_ENABLE, 0);
	from = until = now_ns();
	while (until - from < settings.ms * 1000000ull) {
		write_frames(WARM);
		writes += WARM;
		until = now_ns();
	}
	ioctl(file, PERF_EVENT_IOC_DISABLE, 0);
	print_samples(samples, writes, until - from);
}

int main(int count, char **arguments)
{
	struct perf_event_mmap_page *samples = NULL;
	int file = -1;
	read_keys("writes", keys, sizeof keys / sizeof *keys, count, arguments);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	if (die_with_parent())
		fail("the parent");
	if (settings.way != WAY_NULL && enter_namespace())
		fail("a network namespace");
	if (open_way(settings.way))
		fail("a TAP");
	if (!settings.writes)
		samples = open_samples(&file);
	if (drop_privileges())
		fail("giving up root");
	pin(settings.cpu);
	if (settings.writes)
		run_stretches();
	else
		run_profile(file, samples);
	return 0;
}
