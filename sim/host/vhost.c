/* The experiment: this program is the virtio driver, the kernel's vhost worker serves it, a TAP with XDP takes the packets.
 *
 * Usage: vhost [KEY=NUMBER]... (keys and what they start with: `keys` below). Needs root, /dev/vhost-net and
 * /dev/net/tun; root is given up before anything is timed. Prints one JSON object per line: `setup`, then `counts` of a
 * stretch in which used descriptors, the TAP's statistics and runs of the XDP program are laid beside each other, then
 * `window` for each timed window (free-running) or `stretch` for N and 2N packets (lockstep). */
#define _GNU_SOURCE
#include "bench.h"
#include "mark.h"
#include "network.h"
#include "vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#ifndef VIRTIO_F_ACCESS_PLATFORM
#define VIRTIO_F_ACCESS_PLATFORM VIRTIO_F_IOMMU_PLATFORM
#endif
#define MOST_REGIONS 8
#define FURTHER_REGION (1 << 20) /* bytes */
#define SETTLE_MS 5		 /* of driving in front of each window */
#define MOST_PACKET (PAGE - VNET_HEADER)

static struct settings settings = {
	.size = 64, .ring = 256, .burst = 32, .free_threshold = 32, .descriptors = 1, .mergeable = 1, .regions = 1,
	.xdp = XDP_BARE_DROP, .check = 1024, .windows = 5, .window_ms = 200, .driver_cpu = 0, .worker_cpu = 1,
};

static const struct key keys[] = {
	{"receive", &settings.receive, 0, 1},
	{"size", &settings.size, 14, MOST_PACKET},
	{"ring", &settings.ring, 4, MOST_RING},
	{"burst", &settings.burst, 1, MOST_RING},
	{"free_threshold", &settings.free_threshold, 0, MOST_RING},
	{"descriptors", &settings.descriptors, 1, 2},
	{"indirect", &settings.indirect, 0, 1},
	{"event_idx", &settings.event_idx, 0, 1},
	{"in_order", &settings.in_order, 0, 1},
	{"mergeable", &settings.mergeable, 0, 1},
	{"iotlb", &settings.iotlb, 0, 1},
	{"interrupts", &settings.interrupts, 0, 1},
	{"regions", &settings.regions, 1, MOST_REGIONS},
	{"xdp", &settings.xdp, XDP_NONE, XDP1}, /* 0 none, 1 drop, 2 pass, 3 xdp1 */
	{"sndbuf", &settings.sndbuf, 0, INT_MAX},
	{"behind", &settings.behind, NOTHING, FORWARDERS - 1},
	{"port", &settings.port, DUMMY, PORTS - 1},
	{"rx_frames", &settings.rx_frames, 0, 64},
	{"lockstep", &settings.lockstep, 0, 1},
	{"packets", &settings.packets, 0, 1 << 24}, /* lockstep: N; 0: by burst and direction */
	{"marks", &settings.marks, 0, 1},
	{"check", &settings.check, 0, 1 << 24}, /* packets of the stretch that is counted on three sides */
	{"windows", &settings.windows, 0, 1000},
	{"window_ms", &settings.window_ms, 1, 10000},
	{"driver_cpu", &settings.driver_cpu, 0, 4095},
	{"worker_cpu", &settings.worker_cpu, 0, 4095},
};

static void fail(const char *doing)
{
	fprintf(stderr, "vhost: %s: %s\n", doing, strerror(errno));
	exit(3);
}

static void try(int result, const char *doing)
{
	if (result < 0)
		fail(doing);
}

/* What a kernel may be without, as it may be without a feature. */
static void try_offered(int result, const char *doing)
{
	if (result < 0) {
		fprintf(stderr, "vhost: this kernel does not offer %s: %s\n", doing, strerror(errno));
		exit(4);
	}
}

static void read_settings(int count, char **arguments)
{
	read_keys("vhost", keys, sizeof keys / sizeof *keys, count, arguments);
	long slots = settings.ring / (settings.indirect ? 1 : settings.descriptors);
	if (settings.ring & (settings.ring - 1) || settings.burst > slots || settings.free_threshold > settings.ring) {
		fprintf(stderr, "vhost: ring is no power of two, or burst or free_threshold does not fit it\n");
		exit(2);
	}
	if (!settings.packets)
		settings.packets = settings.receive ? (settings.burst == 1 ? 256 : 1024) : settings.burst == 1 ? 512 : 2048;
	settings.packets = settings.packets < settings.burst ? settings.burst : settings.packets / settings.burst * settings.burst;
}

/* --- the device ---------------------------------------------------------------------------------------------------- */

static int device;

static uint64_t bit(int number) { return 1ull << number; }

static uint64_t negotiate(void)
{
	uint64_t offered, wanted = bit(VIRTIO_F_VERSION_1) | bit(VIRTIO_RING_F_INDIRECT_DESC);
	wanted |= settings.mergeable ? bit(VIRTIO_NET_F_MRG_RXBUF) : 0;
	wanted |= settings.event_idx ? bit(VIRTIO_RING_F_EVENT_IDX) : 0;
	wanted |= settings.in_order ? bit(VIRTIO_F_IN_ORDER) : 0;
	wanted |= settings.iotlb ? bit(VIRTIO_F_ACCESS_PLATFORM) : 0;
	try(ioctl(device, VHOST_GET_FEATURES, &offered), "features of /dev/vhost-net");
	if (wanted & ~offered) {
		fprintf(stderr, "vhost: this kernel does not offer feature bits %#llx\n", (unsigned long long)(wanted & ~offered));
		exit(4);
	}
	if (settings.iotlb) {
		uint64_t messages = bit(VHOST_BACKEND_F_IOTLB_MSG_V2);
		try(ioctl(device, VHOST_SET_BACKEND_FEATURES, &messages), "messages of the device IOTLB");
	}
	try(ioctl(device, VHOST_SET_FEATURES, &wanted), "features");
	return wanted;
}

static void set_memory_table(const struct vring_memory *memory)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region regions[MOST_REGIONS];
	} table = {.head = {.nregions = settings.regions}};
	table.regions[0] = (struct vhost_memory_region){GUEST_ADDRESS, memory->bytes, (uint64_t)memory->base, 0};
	for (long number = 1; number < settings.regions; number++)
		table.regions[number] =
			(struct vhost_memory_region){(uint64_t)number << 24, FURTHER_REGION, (uint64_t)memory->base, 0};
	try(ioctl(device, VHOST_SET_MEM_TABLE, &table), "memory table");
}

static uint64_t ring_address(const struct vring_memory *memory, const void *place)
{
	return settings.iotlb ? guest_address(memory, place) : (uint64_t)place;
}

static void set_vring(struct driver *driver, unsigned queue)
{
	const struct vring_memory *memory = &driver->memory;
	struct vhost_vring_state state = {queue, settings.ring};
	struct vhost_vring_addr addresses = {
		.index = queue,
		.desc_user_addr = ring_address(memory, memory->descriptors),
		.avail_user_addr = ring_address(memory, memory->avail),
		.used_user_addr = ring_address(memory, memory->used),
	};
	try(ioctl(device, VHOST_SET_VRING_NUM, &state), "size of the ring");
	state.num = 0;
	try(ioctl(device, VHOST_SET_VRING_BASE, &state), "start of the ring");
	try(ioctl(device, VHOST_SET_VRING_ADDR, &addresses), "addresses of the ring");
	try(driver->kick = eventfd(0, EFD_CLOEXEC), "eventfd of kicks");
	try(driver->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd of calls");
	struct vhost_vring_file file = {queue, driver->kick};
	try(ioctl(device, VHOST_SET_VRING_KICK, &file), "kicks");
	file.fd = driver->call;
	try(ioctl(device, VHOST_SET_VRING_CALL, &file), "calls");
}

static void map_all(const struct vring_memory *memory)
{
	struct vhost_msg_v2 message = {.type = VHOST_IOTLB_MSG_V2};
	message.iotlb = (struct vhost_iotlb_msg){GUEST_ADDRESS, memory->bytes, (uint64_t)memory->base, VHOST_ACCESS_RW,
						 VHOST_IOTLB_UPDATE};
	try(write(device, &message, sizeof message), "mapping of the device IOTLB");
}

static uint64_t ns_of(clockid_t clock)
{
	struct timespec time;
	try(clock_gettime(clock, &time), "a clock");
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

/* --- what is printed ----------------------------------------------------------------------------------------------- */

static int zerocopy(void)
{
	FILE *parameter = fopen("/sys/module/vhost_net/parameters/experimental_zcopytx", "r");
	int value = -1;
	if (parameter && fscanf(parameter, "%d", &value) != 1)
		value = -1;
	if (parameter)
		fclose(parameter);
	return value;
}

static void print_number(const char *name, int known, uint64_t value)
{
	if (known)
		printf(", \"%s\": %llu", name, (unsigned long long)value);
	else
		printf(", \"%s\": null", name);
}

static struct tun port;

struct sides {
	struct tun_statistics tap, port;
	uint64_t used, runs, counted, calls;
};

static struct sides look(const struct driver *driver, const struct program *program)
{
	struct sides sides = {.used = used_packets(driver)};
	uint64_t calls = 0;
	try(tun_statistics(driver->tun, &sides.tap), "statistics of the TAP");
	if (settings.behind)
		try(tun_statistics(&port, &sides.port), "statistics of the port");
	sides.runs = program->file < 0 ? 0 : run_count(program);
	sides.counted = program->map < 0 ? 0 : counted_packets(program);
	sides.calls = read(driver->call, &calls, sizeof calls) == sizeof calls ? calls : 0;
	return sides;
}

/* `runs_known`: run counts were on; `counted_known`: the program counts packets, and its map can be read. */
static void print_sides(struct sides before, struct sides after, int runs_known, int counted_known)
{
	print_number("used", 1, after.used - before.used);
	print_number("rx_packets", 1, after.tap.rx_packets - before.tap.rx_packets);
	print_number("rx_dropped", 1, after.tap.rx_dropped - before.tap.rx_dropped);
	print_number("tx_packets", 1, after.tap.tx_packets - before.tap.tx_packets);
	print_number("tx_dropped", 1, after.tap.tx_dropped - before.tap.tx_dropped);
	print_number("xdp_runs", runs_known, after.runs - before.runs);
	print_number("xdp_counted", counted_known, after.counted - before.counted);
	print_number("calls", 1, after.calls);
	print_number("port_packets", settings.behind != NOTHING, after.port.tx_packets - before.port.tx_packets);
}

/* --- stretches and windows ----------------------------------------------------------------------------------------- */

static void hang(void)
{
	errno = ETIMEDOUT;
	fail("the worker uses no more descriptors");
}

/* As root: some kernels let nobody else read a program's counts. */
static void check_counts(struct driver *driver, const struct program *program)
{
	int enabled = program->file < 0 ? -1 : enable_run_counts();
	struct sides before = look(driver, program);
	if (drive_lockstep(driver, settings.check))
		hang();
	struct sides after = look(driver, program);
	printf("{\"record\": \"counts\", \"packets\": %ld", settings.check);
	print_sides(before, after, enabled >= 0, program->map >= 0);
	printf("}\n");
	if (enabled >= 0)
		close(enabled);
}

static void run_lockstep(struct driver *driver, const struct program *program)
{
	long warm = 2 * settings.burst > 512 ? 2 * settings.burst : 512;
	if (settings.marks)
		MARK(MARK_MEMORY, driver->memory.base);
	if (drive_lockstep(driver, warm))
		hang();
	for (int number = 0; number < 2; number++) {
		struct sides before = look(driver, program);
		long packets = settings.packets << number;
		if (settings.marks)
			MARK(MARK_BEGIN, number);
		int hangs = drive_lockstep(driver, packets);
		if (settings.marks)
			MARK(MARK_END, number);
		if (hangs)
			hang();
		struct sides after = look(driver, program);
		printf("{\"record\": \"stretch\", \"k\": %d, \"packets\": %ld", number, packets);
		print_sides(before, after, 0, program->map >= 0);
		printf("}\n");
	}
}

static uint64_t deadline(double ticks_each_ns, long milliseconds) { return ticks() + milliseconds * 1e6 * ticks_each_ns; }

static void run_windows(struct driver *driver, const struct worker *worker, double ticks_each_ns)
{
	for (long number = 0; number < settings.windows; number++) {
		drive_until(driver, deadline(ticks_each_ns, SETTLE_MS));
		uint64_t kicks = driver->kicks, used = used_packets(driver), time = ns_of(CLOCK_MONOTONIC_RAW);
		uint64_t busy = ns_of(worker_clock(worker)), cycles = count_of(worker->cycles);
		uint64_t instructions = count_of(worker->instructions);
		drive_until(driver, deadline(ticks_each_ns, settings.window_ms));
		printf("{\"record\": \"window\", \"packets\": %llu, \"ns\": %llu",
		       (unsigned long long)(used_packets(driver) - used),
		       (unsigned long long)(ns_of(CLOCK_MONOTONIC_RAW) - time));
		print_number("worker_ns", 1, ns_of(worker_clock(worker)) - busy);
		print_number("cycles", worker->cycles >= 0, count_of(worker->cycles) - cycles);
		print_number("instructions", worker->instructions >= 0, count_of(worker->instructions) - instructions);
		print_number("kicks", 1, driver->kicks - kicks);
		printf(", \"core_ghz\": %.4f}\n", core_ratio() * ticks_each_ns);
	}
}

static void run_free(struct driver *driver, const struct worker *worker)
{
	double ticks_each_ns = ticks_per_ns();
	struct tun_statistics before, after;
	try(drop_privileges(), "giving up root");
	try(tun_statistics(driver->tun, &before), "statistics of the TAP");
	uint64_t used = used_packets(driver);
	run_windows(driver, worker, ticks_each_ns);
	if (drain(driver))
		hang();
	try(tun_statistics(driver->tun, &after), "statistics of the TAP");
	printf("{\"record\": \"total\"");
	print_number("used", 1, used_packets(driver) - used);
	print_number("rx_packets", 1, after.rx_packets - before.rx_packets);
	print_number("rx_dropped", 1, after.rx_dropped - before.rx_dropped);
	print_number("tx_packets", 1, after.tx_packets - before.tx_packets);
	print_number("misplaced", 1, driver->misplaced);
	printf("}\n");
}

static int set_backend(int queue, int file)
{
	struct vhost_vring_file backend = {queue, file};
	return ioctl(device, VHOST_NET_SET_BACKEND, &backend);
}

static void open_tap(struct tun *tun)
{
	int sndbuf = settings.sndbuf ? settings.sndbuf : INT_MAX;
	try(enter_network(settings.port), "a network namespace");
	if (settings.behind)
		try_offered(make_port(settings.port, &port), "the port behind the TAP");
	if (settings.behind == MACVTAP)
		try_offered(macvtap_open(tun, &port, sndbuf), "a macvtap device");
	else
		try(tun_open(tun, TUN_VNET_HEADER, sndbuf), "a TAP");
	try_offered(join_port(settings.behind, tun, &port), "what stands between TAP and port");
	if (settings.rx_frames)
		try_offered(gather_frames(tun, settings.rx_frames), "rx-frames of the TAP");
}

int main(int count, char **arguments)
{
	struct tun tun;
	struct program program = {-1, -1};
	struct worker worker;
	struct driver driver = {.settings = &settings, .tun = &tun, .sender = -1};
	read_settings(count, arguments);
	setvbuf(stdout, NULL, _IOLBF, 0);
	unsigned queue = settings.receive ? 0 : 1;
	try(die_with_parent(), "the parent");
	try(device = open("/dev/vhost-net", O_RDWR | O_CLOEXEC), "/dev/vhost-net");
	open_tap(&tun);
	if (settings.xdp != XDP_NONE) {
		try(load_program(settings.xdp, &program), "an XDP program");
		try(attach_program(&tun, program.file), "the XDP program on the TAP");
	}
	if (settings.receive) {
		try(tun_hold(&tun, settings.ring, settings.size), "the queue of the TAP");
		try(driver.sender = packet_socket(&tun, settings.ring), "a packet socket");
	}
	pin(settings.worker_cpu); /* since 6.4 the worker is created with the affinity of its maker */
	try(start_worker(device, &worker), "the worker thread");
	pin(settings.driver_cpu);
	uint64_t features = negotiate();
	try(vring_allocate(&driver), "memory");
	set_memory_table(&driver.memory);
	set_vring(&driver, queue);
	try(vring_fill(&driver), "the ring");
	if (settings.iotlb)
		map_all(&driver.memory);
	try(set_backend(queue, tun.file), "the TAP behind the device");
	try(find_worker(settings.worker_cpu, &worker), "the worker thread");
	printf("{\"record\": \"setup\", \"features\": %llu, \"worker\": %d, \"kernel_thread\": %d, \"user\": %d, \"zerocopy\": %d}\n",
	       (unsigned long long)features, worker.thread, worker.kernel_thread, worker.user, zerocopy());
	usleep(50000);
	if (settings.lockstep)
		run_lockstep(&driver, &program);
	if (settings.check)
		check_counts(&driver, &program);
	if (!settings.lockstep)
		run_free(&driver, &worker);
	set_backend(queue, -1);
	return 0;
}
