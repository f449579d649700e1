/* Writes of frames to TAPs: what the kernel's tun does with each, and calls and returns in an XDP program that it runs.
 *
 * Needs root, /dev/net/tun and bpf(): elsewhere every benchmark is not possible. The TAPs stand in a network namespace
 * of their own, with nothing else in it, and go with the process. */
#include "bench.h"
#include "taps.h"
#include "tun.h"

#include <limits.h>
#include <math.h>
#include <unistd.h>

#define BATCHES 24
#define WRITES 200
#define FRAME_BYTES 64
#define MOST 512 /* instructions of a program */

/* Programs that are timed for what is in them, each on a TAP of its own. */
static struct {
	long calls, additions;
	int file; /* -1: not possible */
} programs[] = {{0, 0, -1}, {16, 0, -1}, {64, 0, -1}, {128, 0, -1}, {0, 400, -1}};
#define PROGRAMS (sizeof programs / sizeof *programs)

static int opened[WAYS];

static struct bpf_insn set(int place, int value)
{
	return (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = place, .imm = value};
}

static const struct bpf_insn leave = {.code = BPF_JMP | BPF_EXIT};

/* Calls of a function that sets one register, and additions each of which needs the one before; then the drop. */
static int load_work(long calls, long additions)
{
	struct bpf_insn program[MOST];
	int count = 0;
	program[count++] = set(BPF_REG_0, 0);
	for (long number = 0; number < additions; number++)
		program[count++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_ADD | BPF_K, .imm = 1};
	for (long left = calls; left; left--) /* to behind the exit of the caller, from the next instruction on */
		program[count++] = (struct bpf_insn){.code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_CALL, .imm = left + 1};
	program[count++] = set(BPF_REG_0, XDP_DROP);
	program[count++] = leave;
	if (calls) {
		program[count++] = set(BPF_REG_0, 0);
		program[count++] = leave;
	}
	return load_instructions(program, count);
}

static int open_program(long calls, long additions)
{
	struct tun tun;
	int loaded = load_work(calls, additions);
	if (loaded < 0 || tun_open(&tun, TUN_NONBLOCK, INT_MAX) || attach_program(&tun, loaded))
		return -1;
	close(loaded);
	return tun.file;
}

void open_taps(void)
{
	opened[WAY_NULL] = !open_way(WAY_NULL);
	if (enter_namespace())
		return;
	for (enum way way = WAY_DOWN; way < WAYS; way++)
		opened[way] = !open_way(way);
	for (size_t number = 0; number < PROGRAMS; number++)
		programs[number].file = open_program(programs[number].calls, programs[number].additions);
}

/* Ticks of one write in batches; `written` of a way writes a frame, or of a program. */
static double timed(int (*written)(long, long), long which, long bytes, int *disturbed)
{
	struct batches all;
	batches_begin(&all);
	for (int batch = 0; batch < BATCHES; batch++) {
		int taken = 0;
		batches_start(&all);
		uint64_t from = ticks();
		for (int number = 0; number < WRITES; number++)
			taken += written(which, bytes);
		uint64_t elapsed = ticks() - from;
		if (batch && taken == WRITES)
			batches_add(&all, elapsed, WRITES);
	}
	*disturbed += all.disturbed;
	return midmean(all.value, all.kept);
}

static int write_way(long way, long bytes) { return write_frame(way, bytes); }

static double timed_way(enum way way, long bytes, int *disturbed)
{
	return opened[way] && bytes <= MOST_FRAME ? timed(write_way, way, bytes, disturbed) : NAN;
}

/* Arguments: bytes of the frame. */
static double tap_null(long bytes, int *disturbed) { return timed_way(WAY_NULL, bytes, disturbed); }
static double tap_down(long bytes, int *disturbed) { return timed_way(WAY_DOWN, bytes, disturbed); }
static double tap_skb(long bytes, int *disturbed) { return timed_way(WAY_SKB, bytes, disturbed); }
static double tap_generic(long bytes, int *disturbed) { return timed_way(WAY_GENERIC, bytes, disturbed); }
static double tap_program(long bytes, int *disturbed) { return timed_way(WAY_PROGRAM, bytes, disturbed); }
static double tap_native(long bytes, int *disturbed) { return timed_way(WAY_NATIVE, bytes, disturbed); }

static int write_file(long file, long bytes)
{
	static char frame[FRAME_BYTES] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8};
	return raw_write(file, frame, bytes) == bytes;
}

static double timed_program(long calls, long additions, int *disturbed)
{
	for (size_t number = 0; number < PROGRAMS; number++)
		if (programs[number].calls == calls && programs[number].additions == additions && programs[number].file >= 0)
			return timed(write_file, programs[number].file, FRAME_BYTES, disturbed);
	return NAN;
}

static double tap_calls(long calls, int *disturbed) { return timed_program(calls, 0, disturbed); }
static double tap_additions(long additions, int *disturbed) { return timed_program(0, additions, disturbed); }

const struct entry tap_benchmarks[] = {
	{"tap_null", tap_null},
	{"tap_down", tap_down},
	{"tap_skb", tap_skb},
	{"tap_generic", tap_generic},
	{"tap_program", tap_program},
	{"tap_native", tap_native},
	{"tap_calls", tap_calls},
	{"tap_additions", tap_additions},
	{0},
};
