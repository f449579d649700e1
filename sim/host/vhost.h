/* What the parts of the experiment share: its settings, the ring that the driver fills, and the device behind it. */
#ifndef VHOST_SIM_VHOST_H
#define VHOST_SIM_VHOST_H

#include "tun.h"

#include <linux/virtio_ring.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define MOST_RING 4096
#define GUEST_ADDRESS (1ull << 32) /* of the first byte of the guest's memory */

struct settings {
	long receive, size, ring, burst, free_threshold; /* size: bytes of a frame without vnet header and FCS */
	long descriptors, indirect, event_idx, in_order, mergeable, iotlb, interrupts, regions;
	long xdp, sndbuf; /* 0: no limit */
	long behind, port, rx_frames; /* what stands behind the TAP (network.h); skbs that it gathers */
	long lockstep, packets, marks, check, windows, window_ms;
	long driver_cpu, worker_cpu;
};

/* The guest's memory: ring areas, indirect tables, buffers. Packet p stands in avail slot p % ring. */
struct vring_memory {
	char *base;
	size_t bytes, stride; /* from a buffer to the next one in memory */
	struct vring_desc *descriptors;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vring_desc *tables; /* two descriptors for each indirect packet */
	char *buffers;
	uint32_t slots; /* packets that the ring holds */
};

struct driver {
	const struct settings *settings;
	struct vring_memory memory;
	const struct tun *tun;
	int kick, call, sender; /* eventfds; packet socket, -1: transmit */
	uint64_t posted, reclaimed, sent, kicks, misplaced;
};

struct worker {
	int thread, kernel_thread; /* before 6.4 a kernel thread, since then a thread of this process */
	int maker, user;	   /* the thread that it is named after; whom it runs as (a kernel thread: 0) */
	int cycles, instructions;  /* counters, -1: none */
};

/* Let the kernel make the thread, from one that has given root up: since 6.4 it runs as whoever makes it. */
int start_worker(int device, struct worker *worker);
/* Find and pin the thread that the kernel has made for this process; 0, or -1 with errno. */
int find_worker(int cpu, struct worker *worker);
/* Its CPU time, up to the moment that it is read. */
clockid_t worker_clock(const struct worker *worker);
/* 0 for a counter that there is none of. */
uint64_t count_of(int counter);

/* Each returns 0, or -1 with errno. */
int vring_allocate(struct driver *driver);
int vring_fill(struct driver *driver);

uint64_t guest_address(const struct vring_memory *memory, const void *place);
uint64_t used_packets(const struct driver *driver);

/* Bursts as DPDK virtio-user posts them, until the time-stamp counter is there (a set number of packets: none). */
void drive_until(struct driver *driver, uint64_t end);
/* A burst at a time, each kicked and waited for, and the worker asleep between them; 0, or -1 when it hangs. */
int drive_lockstep(struct driver *driver, long packets);
/* Wait until everything posted is used; receive: until nothing more comes. 0, or -1 when it hangs. */
int drain(struct driver *driver);

#endif
