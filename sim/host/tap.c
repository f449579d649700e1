/* Calls and returns in the kernel's own context: a packet written to a TAP runs an XDP program with n of them in it.
 *
 * Needs root, /dev/net/tun and bpf(): elsewhere every benchmark is not possible. The TAP stands in a network namespace
 * of its own, with nothing else in it, and goes with the process. */
#define _GNU_SOURCE
#include "bench.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <math.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BATCHES 24
#define WRITES 200
#define FRAME_BYTES 64
#define MOST 512 /* instructions of a program */

static int tap = -1, interface;

/* A TAP whose packets take the path of XDP in the driver: writes do not block, and the send buffer has no limit. */
static int open_tap(void)
{
	static int tried;
	struct ifreq request = {.ifr_name = "tap%d"};
	int unlimited = INT_MAX, control, up;
	if (tried++)
		return tap >= 0;
	if (unshare(CLONE_NEWNET))
		return 0;
	request.ifr_flags = IFF_TAP | IFF_NO_PI;
	int opened = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (opened < 0 || ioctl(opened, TUNSETIFF, &request) || ioctl(opened, TUNSETSNDBUF, &unlimited))
		return 0;
	control = socket(AF_INET, SOCK_DGRAM, 0);
	request.ifr_flags = IFF_UP;
	up = control >= 0 && !ioctl(control, SIOCSIFFLAGS, &request);
	close(control);
	interface = if_nametoindex(request.ifr_name);
	tap = up && interface ? opened : -1;
	return tap >= 0;
}

/* Load a program and attach it to the TAP; the link holds it. */
static int attach(const struct bpf_insn *program, int count)
{
	union bpf_attr load, create;
	memset(&load, 0, sizeof load);
	load.prog_type = BPF_PROG_TYPE_XDP;
	load.insns = (uint64_t)program;
	load.insn_cnt = count;
	load.license = (uint64_t) "GPL";
	int loaded = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
	if (loaded < 0)
		return -1;
	memset(&create, 0, sizeof create);
	create.link_create.prog_fd = loaded;
	create.link_create.target_ifindex = interface;
	create.link_create.attach_type = BPF_XDP;
	int link = syscall(SYS_bpf, BPF_LINK_CREATE, &create, sizeof create);
	close(loaded);
	return link;
}

static double timed(const struct bpf_insn *program, int count, int *disturbed)
{
	static char frame[FRAME_BYTES] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8};
	struct batches all;
	if (!open_tap())
		return NAN;
	int link = attach(program, count);
	if (link < 0)
		return NAN;
	batches_begin(&all);
	for (int batch = 0; batch < BATCHES; batch++) {
		int written = 0;
		batches_start(&all);
		uint64_t from = ticks();
		for (int number = 0; number < WRITES; number++)
			written += write(tap, frame, sizeof frame) == sizeof frame;
		uint64_t elapsed = ticks() - from;
		if (batch && written == WRITES)
			batches_add(&all, elapsed, WRITES);
	}
	close(link);
	*disturbed += all.disturbed;
	return midmean(all.value, all.kept);
}

static struct bpf_insn set(int place, int value)
{
	return (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = place, .imm = value};
}

static const struct bpf_insn leave = {.code = BPF_JMP | BPF_EXIT};

/* Argument: calls of a function that sets one register. */
static double tap_calls(long calls, int *disturbed)
{
	struct bpf_insn program[MOST];
	int count = 0;
	if (calls + 4 > MOST)
		return NAN;
	for (; count < calls; count++) /* to behind the exit of the caller, from the next instruction on */
		program[count] = (struct bpf_insn){
			.code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_CALL, .imm = calls + 2 - (count + 1)};
	program[count++] = set(BPF_REG_0, XDP_DROP);
	program[count++] = leave;
	if (calls) {
		program[count++] = set(BPF_REG_0, 0);
		program[count++] = leave;
	}
	return timed(program, count, disturbed);
}

/* Argument: additions, each of which needs the one before. */
static double tap_additions(long additions, int *disturbed)
{
	struct bpf_insn program[MOST];
	int count = 0;
	if (additions + 3 > MOST)
		return NAN;
	program[count++] = set(BPF_REG_0, 0);
	for (long number = 0; number < additions; number++)
		program[count++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_ADD | BPF_K, .imm = 1};
	program[count++] = set(BPF_REG_0, XDP_DROP);
	program[count++] = leave;
	return timed(program, count, disturbed);
}

const struct entry tap_benchmarks[] = {
	{"tap_calls", tap_calls},
	{"tap_additions", tap_additions},
	{0},
};
