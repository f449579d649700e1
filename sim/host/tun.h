/* A TAP in a network namespace of its own, the XDP program on it, its statistics, and a socket that sends through it. */
#ifndef VHOST_SIM_TUN_H
#define VHOST_SIM_TUN_H

#include <linux/bpf.h>
#include <stdint.h>

enum { TUN_NONBLOCK = 1, TUN_VNET_HEADER = 2, TUN_DOWN = 4 };
#define VNET_HEADER 12

/* A write without the C library, which looks at every system call whether threads could be cancelled in it. */
static inline long raw_write(long file, const void *bytes, long count)
{
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(1), "D"(file), "S"(bytes), "d"(count) : "rcx", "r11", "memory");
	return result;
}

struct tun {
	int file, interface;
	char name[16];
};

struct tun_statistics {
	uint64_t rx_packets, rx_dropped, tx_packets, tx_dropped;
};

/* XDP programs: none, one that drops or passes at once, and xdp1, which parses the headers and counts in a per-CPU map. */
enum xdp { XDP_NONE, XDP_BARE_DROP, XDP_BARE_PASS, XDP1 };

struct program {
	int file, map; /* -1: none */
};

/* Each returns 0, or -1 with errno. */
int enter_namespace(void);
int tun_open(struct tun *tun, int flags, int sndbuf);
int tun_statistics(const struct tun *tun, struct tun_statistics *seen);
/* Let so many frames of so many bytes wait for the reader. */
int tun_hold(const struct tun *tun, int frames, int bytes);
/* A socket that sends them. */
int packet_socket(const struct tun *tun, int frames);

int load_instructions(const struct bpf_insn *instructions, int count);
int load_program(enum xdp kind, struct program *loaded);
/* One that redirects every packet to the only entry of its map, a device. */
int load_redirection(const struct tun *to, struct program *loaded);
int attach_program(const struct tun *tun, int program);

/* How often a program ran, while run counts are on (a descriptor that keeps them on, or -1); packets that xdp1 counted. */
int enable_run_counts(void);
uint64_t run_count(const struct program *loaded);
uint64_t counted_packets(const struct program *loaded);

#endif
