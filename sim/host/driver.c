/* The virtio driver in user space: a split ring, posted and reclaimed as DPDK's virtio-user does, or a burst at a time. */
#define _GNU_SOURCE
#include "bench.h"
#include "mark.h"
#include "vhost.h"

#include <linux/if_ether.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RING_512 512 /* entries that the areas of mark.h hold; larger rings move them */
#define MOST_COUNTED_BUFFERS 0x3e0 /* pages of a lockstep run */
#define LEAST_RECEIVE_BYTES 1536
#define HEADERS 42 /* bytes of Ethernet, IPv4 and UDP, which the driver writes anew for each frame */
#define PATIENCE_S 10

#define READ(place) (*(const volatile __typeof__(place) *)&(place))
#define WRITE(place, value) (*(volatile __typeof__(place) *)&(place) = (value))

static inline uint64_t now(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return ((uint64_t)high << 32) | low;
}

uint64_t guest_address(const struct vring_memory *memory, const void *place)
{
	return (uint64_t)((const char *)place - memory->base) + GUEST_ADDRESS;
}

static uint16_t *used_event(const struct driver *driver)
{
	return &driver->memory.avail->ring[driver->settings->ring];
}

static uint32_t avail_slot(const struct driver *driver, uint64_t packet)
{
	return packet & (driver->settings->ring - 1);
}

/* The first descriptor of a packet in the ring. */
static uint16_t head(const struct driver *driver, uint64_t packet)
{
	long chain = driver->settings->indirect ? 1 : driver->settings->descriptors;
	return packet % driver->memory.slots * chain;
}

/* A page for each buffer in the counted runs. In timed ones no two in a page, and first lines in all sets of the caches. */
int vring_allocate(struct driver *driver)
{
	const struct settings *settings = driver->settings;
	struct vring_memory *memory = &driver->memory;
	size_t larger = settings->ring > RING_512 ? settings->ring / RING_512 : 1;
	memory->stride = settings->lockstep ? PAGE : 2 * PAGE + LINE;
	memory->bytes = MEMORY_BUFFERS * larger + settings->ring * memory->stride + PAGE;
	if (memory->bytes < MEMORY_BYTES)
		memory->bytes = MEMORY_BYTES;
	memory->bytes = (memory->bytes + PAGE - 1) / PAGE * PAGE;
	memory->base = mmap(NULL, memory->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory->base == MAP_FAILED)
		return -1;
	memory->descriptors = (void *)memory->base;
	memory->avail = (void *)(memory->base + MEMORY_AVAIL * larger);
	memory->used = (void *)(memory->base + MEMORY_USED * larger);
	memory->tables = (void *)(memory->base + MEMORY_INDIRECT * larger);
	memory->buffers = memory->base + MEMORY_BUFFERS * larger;
	memory->slots = settings->ring / (settings->indirect ? 1 : settings->descriptors);
	return 0;
}

/* Counted: numbered as the first descriptors of their packets. Timed: in shuffled order, as those of a mempool are, so that
 * no prefetcher runs on to the next one. */
static char *buffer(const struct driver *driver, size_t slot)
{
	size_t ring = driver->settings->ring;
	size_t place = driver->settings->lockstep ? head(driver, slot) % MOST_COUNTED_BUFFERS : slot * (slot + 1) / 2 % ring;
	return driver->memory.buffers + place * driver->memory.stride;
}

static void write_headers(const struct driver *driver, char *place, uint64_t packet)
{
	const struct settings *settings = driver->settings;
	struct ethhdr ethernet;
	memset(place, 0, VNET_HEADER);
	if (settings->lockstep) {
		memset(place + VNET_HEADER, 0x22, ETH_ALEN);
		memset(place + VNET_HEADER + ETH_ALEN, 0x24, ETH_ALEN); /* a bridge sends nothing back to where it is from */
		place[VNET_HEADER + 12] = (char)0x88; /* a protocol that nobody serves */
		place[VNET_HEADER + 13] = (char)0xb5;
		return;
	}
	memset(&ethernet, 2, sizeof ethernet);
	ethernet.h_proto = settings->xdp == XDP1 ? 0x0008 : 0xb588; /* big-endian; IPv4 if the program parses it */
	uint8_t headers[HEADERS - ETH_HLEN] = {0x45, 0, (settings->size - ETH_HLEN) >> 8, settings->size - ETH_HLEN, packet >> 8,
					       packet, 0, 0, 64, 17};
	memcpy(place + VNET_HEADER, &ethernet, sizeof ethernet);
	memcpy(place + VNET_HEADER + ETH_HLEN, headers, sizeof headers);
}

static void write_chain(const struct driver *driver, struct vring_desc *first, int index, char *place, int writable)
{
	const struct vring_memory *memory = &driver->memory;
	const struct settings *settings = driver->settings;
	uint32_t bytes = VNET_HEADER + settings->size;
	if (settings->receive && bytes < LEAST_RECEIVE_BYTES)
		bytes = LEAST_RECEIVE_BYTES;
	if (settings->descriptors == 1) {
		first[0] = (struct vring_desc){guest_address(memory, place), bytes, writable, 0};
		return;
	}
	first[0] = (struct vring_desc){guest_address(memory, place), VNET_HEADER, VRING_DESC_F_NEXT | writable, index + 1};
	first[1] = (struct vring_desc){guest_address(memory, place + VNET_HEADER), bytes - VNET_HEADER, writable, 0};
}

static void write_descriptors(const struct driver *driver, uint64_t packet)
{
	const struct vring_memory *memory = &driver->memory;
	uint16_t slot = packet % memory->slots, first = head(driver, packet);
	int writable = driver->settings->receive ? VRING_DESC_F_WRITE : 0;
	struct vring_desc *table = memory->tables + 2 * slot;
	if (!driver->settings->indirect) {
		write_chain(driver, memory->descriptors + first, first, buffer(driver, slot), writable);
		return;
	}
	write_chain(driver, table, 0, buffer(driver, slot), writable);
	memory->descriptors[first] = (struct vring_desc){guest_address(memory, table),
							 driver->settings->descriptors * sizeof *table, VRING_DESC_F_INDIRECT, 0};
}

int vring_fill(struct driver *driver)
{
	const struct settings *settings = driver->settings;
	struct vring_memory *memory = &driver->memory;
	memory->avail->flags = settings->event_idx || settings->interrupts ? 0 : VRING_AVAIL_F_NO_INTERRUPT;
	for (uint32_t slot = 0; slot < memory->slots; slot++) {
		write_headers(driver, buffer(driver, slot), slot);
		write_descriptors(driver, slot);
	}
	for (long slot = 0; slot < settings->ring; slot++)
		memory->avail->ring[slot] = head(driver, slot);
	return 0;
}

uint64_t used_packets(const struct driver *driver)
{
	return driver->reclaimed + (uint16_t)(READ(driver->memory.used->idx) - (uint16_t)driver->reclaimed);
}

/* With IN_ORDER a device writes one used element for many packets, and the driver goes by its own count. */
static void reclaim(struct driver *driver)
{
	uint64_t packet = driver->reclaimed++;
	if (!driver->settings->in_order)
		driver->misplaced += READ(driver->memory.used->ring[avail_slot(driver, packet)].id) != head(driver, packet);
}

static void send_frames(struct driver *driver, long count)
{
	static char frame[PAGE];
	memset(frame, 0x11, 2 * ETH_ALEN);
	frame[12] = (char)0x88;
	frame[13] = (char)0xb5;
	for (long number = 0; number < count; number++) {
		driver->sent += write(driver->sender, frame, driver->settings->size) == driver->settings->size;
		if (driver->settings->lockstep && !number)
			usleep(1500); /* the worker wakes up, sees no buffers, and sleeps */
	}
}

/* Make the posted packets visible; whether the device asks for a kick. */
static int publish(struct driver *driver)
{
	struct vring_memory *memory = &driver->memory;
	const uint16_t *avail_event = (const void *)&memory->used->ring[driver->settings->ring];
	uint16_t before = READ(memory->avail->idx), after = driver->posted;
	if (driver->settings->event_idx)
		WRITE(*used_event(driver), driver->settings->interrupts ? after - 1 : after + 0x4000);
	__atomic_store_n(&memory->avail->idx, after, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!driver->settings->event_idx)
		return !(READ(memory->used->flags) & VRING_USED_F_NO_NOTIFY);
	return vring_need_event(READ(*avail_event), after, before);
}

static void kick(struct driver *driver)
{
	driver->kicks += write(driver->kick, &(uint64_t){1}, sizeof(uint64_t)) == sizeof(uint64_t);
}

static void post(struct driver *driver)
{
	uint64_t packet = driver->posted;
	uint32_t slot = avail_slot(driver, packet);
	uint16_t first = head(driver, packet);
	if (!driver->settings->receive)
		write_headers(driver, buffer(driver, packet % driver->memory.slots), packet);
	write_descriptors(driver, packet);
	if (READ(driver->memory.avail->ring[slot]) != first)
		WRITE(driver->memory.avail->ring[slot], first);
	driver->posted++;
}

/* Transmit: bulk reclaim above the threshold, else one at a time while the ring is full. */
static void transmit_burst(struct driver *driver, long bulk_from)
{
	long left = driver->settings->burst;
	uint64_t used = used_packets(driver), before = driver->posted;
	if ((long)(used - driver->reclaimed) >= bulk_from)
		while (driver->reclaimed != used)
			reclaim(driver);
	while (left) {
		if (driver->posted - driver->reclaimed == driver->memory.slots) {
			if (used_packets(driver) == driver->reclaimed)
				break;
			reclaim(driver);
		}
		post(driver);
		left--;
	}
	if (driver->posted != before && publish(driver))
		kick(driver);
}

/* Receive: as many frames as the ring has buffers are under way at most; each used buffer is posted again. */
static void receive_burst(struct driver *driver)
{
	uint64_t used = used_packets(driver), before = driver->posted;
	static volatile uint64_t sum;
	for (long left = driver->settings->burst; left && driver->reclaimed != used; left--) {
		sum += *(uint64_t *)buffer(driver, driver->reclaimed % driver->memory.slots);
		reclaim(driver);
	}
	while (driver->posted - driver->reclaimed < driver->memory.slots)
		post(driver);
	if (driver->posted != before && publish(driver))
		kick(driver);
	if (driver->sent + driver->settings->burst <= driver->reclaimed + driver->memory.slots)
		send_frames(driver, driver->settings->burst);
}

void drive_until(struct driver *driver, uint64_t end)
{
	const struct settings *settings = driver->settings;
	long chain = settings->indirect ? 1 : settings->descriptors;
	long bulk_from = (settings->ring - settings->free_threshold) / chain + 1;
	while (now() < end) {
		if (settings->receive)
			receive_burst(driver);
		else
			transmit_burst(driver, bulk_from < 1 ? 1 : bulk_from);
	}
}

static int wait_until_used(struct driver *driver, uint64_t packets)
{
	struct timespec from, to;
	clock_gettime(CLOCK_MONOTONIC, &from);
	while (used_packets(driver) < packets) {
		relax();
		clock_gettime(CLOCK_MONOTONIC, &to);
		if (to.tv_sec - from.tv_sec > PATIENCE_S)
			return -1;
	}
	return 0;
}

int drain(struct driver *driver)
{
	if (wait_until_used(driver, driver->settings->receive ? driver->sent : driver->posted))
		return -1;
	while (driver->reclaimed != used_packets(driver))
		reclaim(driver);
	usleep(30000);
	return 0;
}

int drive_lockstep(struct driver *driver, long packets)
{
	for (long left = packets, count; left > 0; left -= count) {
		count = driver->settings->burst < left ? driver->settings->burst : left;
		if (driver->settings->receive)
			send_frames(driver, count);
		for (long number = 0; number < count; number++) {
			WRITE(driver->memory.avail->ring[avail_slot(driver, driver->posted)], head(driver, driver->posted));
			driver->posted++;
		}
		publish(driver);
		kick(driver);
		if (wait_until_used(driver, driver->posted))
			return -1;
		while (driver->reclaimed != driver->posted)
			reclaim(driver);
		usleep(300); /* the worker looks once more, and sleeps */
	}
	usleep(30000);
	return 0;
}
