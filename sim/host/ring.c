/* A real split ring in shared memory: a driver and a device thread on two cores, with the accesses of the model.
 *
 * Usage: ring DEVICE_CPU DRIVER_CPU SIZE BURST BATCH PACKET_BYTES FENCED(0|1) FREE_THRESHOLD MILLISECONDS
 * Each step carries the name of its row in sim/datapath (worker.py, driver.py), so that the two can be laid side by
 * side. The device never enters the kernel: there is no SMAP window, a kick is a counter in shared memory, and a
 * device that has gone to sleep spins on it. Before and after it, between the same two threads, what moves with the place
 * of the CPUs is timed. Printed as JSON: that, and ns per packet of each window of undisturbed flushes. */
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VNET_HEADER 12
#define WRITTEN 56	   /* vnet header and the 42 header bytes of a frame, in words of 8 */
/* No two buffers in a page, or prefetchers fetch the first line of one while the other is copied (docs/mismatches.md),
 * and a line more than pages, so that first lines use all cache sets. */
#define BUFFER (2 * PAGE + LINE)
#define FRAGMENT 32768 /* as a page fragment */
#define ROUND 256	   /* VHOST_NET_PKT_WEIGHT */
#define MOST_RING 4096
#define MOST_WINDOWS 4000
#define WINDOW 8192   /* packets */
#define GAP_NS 20000.0 /* between two flushes: one of the threads did not run */
#define NO_NOTIFY 1

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct used_element {
	uint32_t id, length;
};

static struct {
	_Alignas(PAGE) struct descriptor descriptors[MOST_RING];
	_Alignas(PAGE) struct {
		uint16_t flags, index, ring[MOST_RING + 1];
	} avail;
	_Alignas(PAGE) struct {
		uint16_t flags, index;
		struct used_element ring[MOST_RING];
		uint16_t avail_event;
	} used;
	_Alignas(PAGE) uint64_t kicks;
	_Alignas(2 * LINE) int stop;
} ring;

static struct {
	int device_cpu, driver_cpu, fenced;
	uint32_t size, burst, batch, packet, free_threshold, milliseconds;
	double ticks_per_ns;
	char *fragment;
	uint64_t *buffers[MOST_RING]; /* in shuffled order, as those of a mempool are: no prefetcher runs on to the next one */
} setup;

static struct {
	uint64_t packets, refills, drains, sleeps, flushes, disturbed, kicks;
	double ratio_before, ratio_after;
	/* ticks, before and after */
	double there[2], back[2], stream_64[2], stream_8[2], pool[2], warm[2], head[2], fenced[2], head_open[2], open[2];
	int windows;
	double ns[MOST_WINDOWS];
} found;

#define READ(place) (*(const volatile __typeof__(place) *)&(place))
#define WRITE(place, value) (*(volatile __typeof__(place) *)&(place) = (value))
#define BARRIER() __asm__ volatile("lock addl $0, -4(%%rsp)" : : : "memory", "cc")
#define FENCE()                                                                                                      \
	do {                                                                                                         \
		if (fenced)                                                                                          \
			__asm__ volatile("lfence" : : : "memory");                                                   \
	} while (0)
/* A mark in the assembly output, for counting the instructions of a step. */
#define STEP(name) __asm__ volatile("# STEP " name)

static inline void copy(void *to, const void *from, uint64_t bytes)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static inline uint64_t now(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return ((uint64_t)high << 32) | low;
}

/* --- windows: where the time is taken, once per flush ------------------------------------------------------------- */

static struct {
	uint64_t started, last, packets;
	int open, broken;
} window;

static void count_flush(uint32_t packets)
{
	uint64_t time = now();
	if (window.open && (time - window.last) > GAP_NS * setup.ticks_per_ns)
		window.broken = 1;
	window.last = time;
	window.packets += packets;
	if (!window.open || window.packets >= WINDOW) {
		if (window.open && window.broken)
			found.disturbed++;
		else if (window.open && found.windows < MOST_WINDOWS)
			found.ns[found.windows++] = (time - window.started) / setup.ticks_per_ns / window.packets;
		window.open = 1;
		window.broken = 0;
		window.packets = 0;
		window.started = time;
	}
}

/* --- the device: rows of the worker ------------------------------------------------------------------------------- */

static inline __attribute__((always_inline)) void device(const int fenced)
{
	const uint16_t mask = setup.size - 1;
	const uint32_t batch = setup.batch, bytes = VNET_HEADER + setup.packet;
	const uint32_t step = (bytes + LINE - 1) / LINE * LINE;
	static _Alignas(LINE) struct used_element heads[1024];
	uint16_t seen = 0, last = 0, flags;
	uint32_t done = 0, sent = 0, offset = 0;
	uint64_t kicks_seen = 0;
	int quiet = 0, mode;
	enum { CONTINUE, REQUEUE, RECHECK };

round:
	STEP("round_start");
	sent = 0;
	mode = CONTINUE;
	if (!quiet) {
		STEP("disable_notify");
		WRITE(ring.used.flags, NO_NOTIFY);
		quiet = 1;
	}
	STEP("refill");
	if (seen == last)
		goto refill;
head:
	STEP("head");
	FENCE();
	uint16_t head = READ(ring.avail.ring[last & mask]);
	STEP("descriptor");
	FENCE();
	uint64_t address = READ(ring.descriptors[head & mask].address);
	uint64_t rest = READ(((uint64_t *)&ring.descriptors[head & mask])[1]);
	STEP("payload_copy");
	copy(setup.fragment + offset, (const void *)address, (uint32_t)rest);
	STEP("packet_done");
	heads[done].id = head;
	heads[done].length = 0;
	offset = offset + 2 * step > FRAGMENT ? 0 : offset + step;
	STEP("get_descriptor");
	last++;
	done++;
	sent++;
	if (sent >= ROUND) {
		mode = REQUEUE;
		goto flush;
	}
	if (done >= batch)
		goto flush;
	if (seen != last)
		goto head;
refill:
	STEP("refill");
	FENCE();
	seen = READ(ring.avail.index);
	found.refills++;
	if (seen != last)
		goto head;
	STEP("drain");
	mode = RECHECK;
	if (done)
		goto flush;
enable:
	STEP("enable_notify");
	found.drains++;
	WRITE(ring.used.flags, 0);
	quiet = 0;
	BARRIER();
	STEP("recheck");
	FENCE();
	seen = READ(ring.avail.index);
	if (seen != last) {
		STEP("found_work");
		WRITE(ring.used.flags, NO_NOTIFY);
		quiet = 1;
		mode = CONTINUE;
		goto head;
	}
	STEP("round_end");
	if (READ(ring.kicks) == kicks_seen) {
		STEP("idle");
		found.sleeps++;
		while (READ(ring.kicks) == kicks_seen)
			if (READ(ring.stop))
				return;
	}
	kicks_seen = READ(ring.kicks);
	goto round;
flush:
	STEP("used_elements");
	{
		uint32_t first = (uint16_t)(last - done) & mask, room = setup.size - first;
		uint32_t front = done < room ? done : room;
		copy(&ring.used.ring[first], heads, front * sizeof *heads);
		if (front < done)
			copy(ring.used.ring, heads + front, (done - front) * sizeof *heads);
	}
	STEP("used_index");
	WRITE(ring.used.index, last);
	BARRIER();
	STEP("notify_check");
	FENCE();
	flags = READ(ring.avail.flags);
	__asm__ volatile("" : : "r"(flags));
	STEP("count");
	found.flushes++;
	found.packets += done;
	count_flush(done);
	if (READ(ring.stop))
		return;
	STEP("flush_end");
	done = 0;
	if (mode == REQUEUE)
		goto round;
	if (mode == RECHECK)
		goto enable;
	if (seen == last)
		goto refill;
	goto head;
}

static __attribute__((noinline)) void device_plain(void) { device(0); }
static __attribute__((noinline)) void device_fenced(void) { device(1); }

/* --- the driver: rows of virtio_user_rows -------------------------------------------------------------------------- */

static __attribute__((noinline)) void driver(void)
{
	const uint16_t mask = setup.size - 1;
	const uint32_t size = setup.size, bulk_from = size - setup.free_threshold + 1;
	uint64_t posted = 0, reclaimed = 0, published = 0;
	uint32_t free = size;
	uint16_t used;
	uint32_t sum = 0;

	while (!READ(ring.stop)) {
		STEP("burst");
		uint32_t left = setup.burst;
		used = READ(ring.used.index);
		if ((uint16_t)(used - reclaimed) >= bulk_from)
			while (used != (uint16_t)reclaimed) {
				STEP("bulk");
				sum += READ(ring.used.ring[reclaimed++ & mask].id);
				free++;
			}
		while (left) {
			if (!free) {
				STEP("reclaim");
				used = READ(ring.used.index);
				if (used == (uint16_t)reclaimed)
					break;
				sum += READ(ring.used.ring[reclaimed++ & mask].id);
				free++;
			}
			STEP("write");
			uint16_t slot = posted & mask;
			uint64_t *buffer = setup.buffers[slot];
			for (int word = 0; word < WRITTEN / 8; word++)
				WRITE(buffer[word], posted + word);
			STEP("write_chain");
			WRITE(ring.descriptors[slot].address, (uint64_t)buffer);
			WRITE(((uint64_t *)&ring.descriptors[slot])[1], (uint64_t)(VNET_HEADER + setup.packet));
			posted++;
			free--;
			left--;
			if (posted <= size)
				WRITE(ring.avail.ring[slot], slot);
		}
		STEP("full");
		if (posted == published) {
			while (READ(ring.used.index) == (uint16_t)reclaimed)
				if (READ(ring.stop))
					break;
			continue;
		}
		STEP("publish");
		WRITE(ring.avail.index, (uint16_t)posted);
		published = posted;
		BARRIER();
		STEP("kick_check");
		if (READ(ring.used.flags) != NO_NOTIFY) {
			WRITE(ring.kicks, ring.kicks + 1);
			found.kicks++;
		}
		STEP("driver_end");
	}
	__asm__ volatile("" : : "r"(sum));
}

static void run_driver(void *unused)
{
	(void)unused;
	driver();
}

static void *stop_later(void *unused)
{
	struct timespec *wait = unused;
	nanosleep(wait, NULL);
	WRITE(ring.stop, 1);
	return NULL;
}

/* --- what moves with the place of the CPUs, and where clean lines of this ring lie --------------------------------- */

static void look_around(int after)
{
	const long bytes = VNET_HEADER + setup.packet;
	int unused = 0;
	found.there[after] = transfer(0, &unused);
	found.back[after] = transfer(1, &unused);
	found.stream_64[after] = stream_loads(64, &unused);
	found.stream_8[after] = stream_loads(8, &unused);
	found.pool[after] = copy_pool(bytes, &unused);
	found.warm[after] = copy_warm_fenced(bytes, &unused);
	found.head[after] = copy_dirty_head(64, &unused);
	found.fenced[after] = copy_warm_fenced(64, &unused);
	found.head_open[after] = copy_dirty_head_open(64, &unused);
	found.open[after] = copy_warm(64, &unused);
}

/* Print both readings of a benchmark in ns; one that gave nothing is null. */
static void print_ns(const char *name, const double *ticks)
{
	printf("\"%s\": [", name);
	for (int after = 0; after < 2; after++) {
		if (ticks[after] == ticks[after])
			printf("%.4f", ticks[after] / setup.ticks_per_ns);
		else
			printf("null");
		printf(after ? "], " : ", ");
	}
}

static void report(void)
{
	printf("{\"ticks_per_ns\": %.9f, \"core_ratio\": [%.5f, %.5f], \"packets\": %lu, \"refills\": %lu, ", setup.ticks_per_ns,
	       found.ratio_before, found.ratio_after, found.packets, found.refills);
	print_ns("there_ns", found.there);
	print_ns("back_ns", found.back);
	print_ns("stream_64_ns", found.stream_64);
	print_ns("stream_8_ns", found.stream_8);
	print_ns("pool_ns", found.pool);
	print_ns("warm_ns", found.warm);
	print_ns("head_ns", found.head);
	print_ns("fenced_ns", found.fenced);
	print_ns("head_open_ns", found.head_open);
	print_ns("open_ns", found.open);
	printf("\"drains\": %lu, \"sleeps\": %lu, \"flushes\": %lu, \"kicks\": %lu, \"disturbed\": %lu, \"ns_per_packet\": [",
	       found.drains, found.sleeps, found.flushes, found.kicks, found.disturbed);
	for (int number = 0; number < found.windows; number++)
		printf("%s%.3f", number ? ", " : "", found.ns[number]);
	printf("]}\n");
}

int main(int count, char **arguments)
{
	pthread_t clock_thread;
	if (count != 10) {
		fprintf(stderr, "usage: ring DEVICE_CPU DRIVER_CPU SIZE BURST BATCH PACKET_BYTES FENCED FREE_THRESHOLD MS\n");
		return 2;
	}
	long value[10];
	for (int number = 1; number < 10; number++)
		value[number] = atol(arguments[number]);
	setup.device_cpu = value[1];
	setup.driver_cpu = value[2];
	setup.size = value[3];
	setup.burst = value[4];
	setup.batch = value[5];
	setup.packet = value[6];
	setup.fenced = value[7];
	setup.free_threshold = value[8];
	setup.milliseconds = value[9];
	if (setup.size > MOST_RING || setup.size & (setup.size - 1) || setup.batch > 1024 ||
	    setup.packet + VNET_HEADER > BUFFER || setup.free_threshold > setup.size) {
		fprintf(stderr, "ring: a size, batch or packet is out of range\n");
		return 2;
	}
	if (drop_privileges()) {
		fprintf(stderr, "ring: cannot give up root\n");
		return 3;
	}
	char *buffers = memory((size_t)setup.size * BUFFER, 1);
	for (size_t slot = 0; slot < setup.size; slot++) /* triangular numbers meet each slot once */
		setup.buffers[slot] = (uint64_t *)(buffers + slot * (slot + 1) / 2 % setup.size * BUFFER);
	setup.fragment = memory(2 * FRAGMENT, 1);
	setup.ticks_per_ns = ticks_per_ns();
	pin(setup.device_cpu);
	found.ratio_before = core_ratio();
	struct timespec wait = {setup.milliseconds / 1000, setup.milliseconds % 1000 * 1000000L};
	if (start_other_core(setup.driver_cpu)) {
		fprintf(stderr, "ring: cannot start a thread\n");
		return 3;
	}
	look_around(0);
	if (pthread_create(&clock_thread, NULL, stop_later, &wait)) {
		fprintf(stderr, "ring: cannot start a thread\n");
		return 3;
	}
	other_core_start(run_driver, NULL);
	(setup.fenced ? device_fenced : device_plain)();
	WRITE(ring.stop, 1);
	other_core_wait();
	pthread_join(clock_thread, NULL);
	look_around(1);
	found.ratio_after = core_ratio();
	report();
	return 0;
}
