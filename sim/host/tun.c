/* A TAP in a network namespace of its own: it goes with the process, and nobody else sends to it. */
#define _GNU_SOURCE
#include "tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define USUAL_QUEUE 1000	       /* frames that a TAP holds, as it is made */
#define MOST_FRAME_MEMORY 8192 /* bytes that a frame of a page takes of its sender's buffer */
#define MOST_CPUS 8192
#define PROTOCOLS 256 /* entries of the map of xdp1 */

int enter_namespace(void)
{
	int file, failed;
	if (unshare(CLONE_NEWNET))
		return -1;
	file = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (file < 0) /* without IPv6 no interface that comes up sends frames of its own */
		return 0;
	failed = write(file, "1", 1) != 1;
	close(file);
	return failed ? -1 : 0;
}

static int change(const struct tun *tun, unsigned long operation, struct ifreq *request)
{
	int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), failed;
	strcpy(request->ifr_name, tun->name);
	failed = control < 0 || ioctl(control, operation, request);
	if (control >= 0)
		close(control);
	return failed ? -1 : 0;
}

int tun_open(struct tun *tun, int flags, int sndbuf)
{
	struct ifreq request = {.ifr_name = "tap%d"};
	int header = VNET_HEADER;
	request.ifr_flags = IFF_TAP | IFF_NO_PI | (flags & TUN_VNET_HEADER ? IFF_VNET_HDR : 0);
	tun->file = open("/dev/net/tun", O_RDWR | O_CLOEXEC | (flags & TUN_NONBLOCK ? O_NONBLOCK : 0));
	if (tun->file < 0 || ioctl(tun->file, TUNSETIFF, &request) || ioctl(tun->file, TUNSETSNDBUF, &sndbuf))
		return -1;
	if (flags & TUN_VNET_HEADER && (ioctl(tun->file, TUNSETVNETHDRSZ, &header) || ioctl(tun->file, TUNSETOFFLOAD, 0)))
		return -1;
	strcpy(tun->name, request.ifr_name);
	tun->interface = if_nametoindex(tun->name);
	request.ifr_flags = IFF_UP | IFF_NOARP;
	return flags & TUN_DOWN ? 0 : change(tun, SIOCSIFFLAGS, &request);
}

int tun_hold(const struct tun *tun, int frames, int bytes)
{
	struct ifreq queue = {.ifr_qlen = frames > USUAL_QUEUE ? frames : USUAL_QUEUE};
	struct ifreq mtu = {.ifr_mtu = bytes > ETH_FRAME_LEN ? bytes - ETH_HLEN : ETH_DATA_LEN};
	return change(tun, SIOCSIFTXQLEN, &queue) || change(tun, SIOCSIFMTU, &mtu) ? -1 : 0;
}

int tun_statistics(const struct tun *tun, struct tun_statistics *seen)
{
	FILE *table = fopen("/proc/self/net/dev", "r");
	char line[512], name[32];
	int found = -1;
	if (!table)
		return -1;
	while (found && fgets(line, sizeof line, table)) {
		unsigned long rx_packets, rx_dropped, tx_packets, tx_dropped;
		if (sscanf(line, " %31[^:]: %*u %lu %*u %lu %*u %*u %*u %*u %*u %lu %*u %lu", name, &rx_packets, &rx_dropped,
			   &tx_packets, &tx_dropped) != 5 ||
		    strcmp(name, tun->name))
			continue;
		*seen = (struct tun_statistics){rx_packets, rx_dropped, tx_packets, tx_dropped};
		found = 0;
	}
	fclose(table);
	if (found)
		errno = ENODEV;
	return found;
}

/* What is sent here, the TAP's reader receives: no queueing discipline, and no limit that its reader must lift. */
int packet_socket(const struct tun *tun, int frames)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = tun->interface};
	int waiting = frames > USUAL_QUEUE ? frames : USUAL_QUEUE;
	int bytes = waiting * MOST_FRAME_MEMORY, yes = 1, opened = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (opened < 0 || bind(opened, (struct sockaddr *)&address, sizeof address) ||
	    setsockopt(opened, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) ||
	    setsockopt(opened, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes))
		return -1;
	return opened;
}

/* --- XDP programs -------------------------------------------------------------------------------------------------- */

static int bpf(int command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

int load_instructions(const struct bpf_insn *instructions, int count)
{
	union bpf_attr attributes;
	memset(&attributes, 0, sizeof attributes);
	attributes.prog_type = BPF_PROG_TYPE_XDP;
	attributes.insns = (uint64_t)instructions;
	attributes.insn_cnt = count;
	attributes.license = (uint64_t) "GPL";
	return bpf(BPF_PROG_LOAD, &attributes);
}

#define INSTRUCTION(code_, to, from, offset, value)                                                                  \
	((struct bpf_insn){.code = code_, .dst_reg = BPF_REG_##to, .src_reg = BPF_REG_##from, .off = offset, .imm = value})
#define SET(to, value) INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value)
#define COPY(to, from) INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0)
#define ADD(to, value) INSTRUCTION(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value)
#define LOAD(size, to, from, offset) INSTRUCTION(BPF_LDX | BPF_MEM | size, to, from, offset, 0)
#define STORE(size, to, from, offset) INSTRUCTION(BPF_STX | BPF_MEM | size, to, from, offset, 0)
#define JUMP_ABOVE(left, right, by) INSTRUCTION(BPF_JMP | BPF_JGT | BPF_X, left, right, by, 0)
#define JUMP_NOT(left, value, by) INSTRUCTION(BPF_JMP | BPF_JNE | BPF_K, left, 0, by, value)
#define JUMP_EQUAL(left, value, by) INSTRUCTION(BPF_JMP | BPF_JEQ | BPF_K, left, 0, by, value)
#define CALL_HELPER(number) INSTRUCTION(BPF_JMP | BPF_CALL, 0, 0, 0, number)
#define EXIT INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static int load_xdp1(int map)
{
	const int protocol = ETH_HLEN + 9; /* of an IPv4 header */
	const struct bpf_insn instructions[] = {
		LOAD(BPF_W, 2, 1, offsetof(struct xdp_md, data)),
		LOAD(BPF_W, 3, 1, offsetof(struct xdp_md, data_end)),
		SET(6, 0), /* the protocol */
		COPY(4, 2),
		ADD(4, ETH_HLEN),
		JUMP_ABOVE(4, 3, 16), /* to the exit */
		LOAD(BPF_H, 5, 2, 12),
		JUMP_NOT(5, htons(ETH_P_IP), 4), /* to the count */
		COPY(4, 2),
		ADD(4, ETH_HLEN + 20),
		JUMP_ABOVE(4, 3, 1), /* to the count */
		LOAD(BPF_B, 6, 2, protocol),
		STORE(BPF_W, 10, 6, -4), /* the count */
		COPY(2, 10),
		ADD(2, -4),
		INSTRUCTION(BPF_LD | BPF_DW | BPF_IMM, 1, 1 /* BPF_PSEUDO_MAP_FD */, 0, map),
		INSTRUCTION(0, 0, 0, 0, 0),
		CALL_HELPER(BPF_FUNC_map_lookup_elem),
		JUMP_EQUAL(0, 0, 3), /* to the exit */
		LOAD(BPF_DW, 1, 0, 0),
		ADD(1, 1),
		STORE(BPF_DW, 0, 1, 0),
		SET(0, XDP_DROP), /* the exit */
		EXIT,
	};
	return load_instructions(instructions, sizeof instructions / sizeof *instructions);
}

static int create_map(int type, int value_bytes, int entries)
{
	union bpf_attr attributes;
	memset(&attributes, 0, sizeof attributes);
	attributes.map_type = type;
	attributes.key_size = sizeof(uint32_t);
	attributes.value_size = value_bytes;
	attributes.max_entries = entries;
	return bpf(BPF_MAP_CREATE, &attributes);
}

int load_program(enum xdp kind, struct program *loaded)
{
	const struct bpf_insn bare[] = {SET(0, kind == XDP_BARE_PASS ? XDP_PASS : XDP_DROP), EXIT};
	loaded->map = kind == XDP1 ? create_map(BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(uint64_t), PROTOCOLS) : -1;
	if (kind == XDP1 && loaded->map < 0)
		return -1;
	loaded->file = kind == XDP1 ? load_xdp1(loaded->map) : load_instructions(bare, 2);
	return loaded->file < 0 ? -1 : 0;
}

int load_redirection(const struct tun *to, struct program *loaded)
{
	union bpf_attr attributes;
	uint32_t key = 0, device = to->interface;
	loaded->map = create_map(BPF_MAP_TYPE_DEVMAP, sizeof device, 1);
	memset(&attributes, 0, sizeof attributes);
	attributes.map_fd = loaded->map;
	attributes.key = (uint64_t)&key;
	attributes.value = (uint64_t)&device;
	if (loaded->map < 0 || bpf(BPF_MAP_UPDATE_ELEM, &attributes))
		return -1;
	const struct bpf_insn instructions[] = {
		INSTRUCTION(BPF_LD | BPF_DW | BPF_IMM, 1, 1 /* BPF_PSEUDO_MAP_FD */, 0, loaded->map),
		INSTRUCTION(0, 0, 0, 0, 0),
		SET(2, 0), /* the entry */
		SET(3, 0), /* flags */
		CALL_HELPER(BPF_FUNC_redirect_map),
		EXIT,
	};
	loaded->file = load_instructions(instructions, sizeof instructions / sizeof *instructions);
	return loaded->file < 0 ? -1 : 0;
}

int attach_program(const struct tun *tun, int program)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg interface;
		struct nlattr nest, file;
		int32_t descriptor;
		struct nlattr flags;
		uint32_t mode;
	} request = {
		.header = {sizeof request, RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0},
		.interface = {.ifi_index = tun->interface},
		.nest = {sizeof request - offsetof(typeof(request), nest), NLA_F_NESTED | IFLA_XDP},
		.file = {sizeof(struct nlattr) + 4, IFLA_XDP_FD},
		.descriptor = program,
		.flags = {sizeof(struct nlattr) + 4, IFLA_XDP_FLAGS},
		.mode = XDP_FLAGS_DRV_MODE,
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char more[1024];
	} answer;
	int route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), refused = -1;
	if (route >= 0 && send(route, &request, sizeof request, 0) == sizeof request &&
	    recv(route, &answer, sizeof answer, 0) >= (ssize_t)offsetof(typeof(answer), more) &&
	    answer.header.nlmsg_type == NLMSG_ERROR) {
		refused = answer.error.error;
		errno = -refused;
	}
	if (route >= 0)
		close(route);
	return refused ? -1 : 0;
}

int enable_run_counts(void)
{
	union bpf_attr attributes;
	memset(&attributes, 0, sizeof attributes);
	attributes.enable_stats.type = BPF_STATS_RUN_TIME;
	return bpf(BPF_ENABLE_STATS, &attributes);
}

uint64_t run_count(const struct program *loaded)
{
	struct bpf_prog_info information;
	union bpf_attr attributes;
	memset(&information, 0, sizeof information);
	memset(&attributes, 0, sizeof attributes);
	attributes.info.bpf_fd = loaded->file;
	attributes.info.info_len = sizeof information;
	attributes.info.info = (uint64_t)&information;
	return bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes) ? 0 : information.run_cnt;
}

uint64_t counted_packets(const struct program *loaded)
{
	static uint64_t values[MOST_CPUS];
	union bpf_attr attributes;
	uint64_t sum = 0;
	for (uint32_t key = 0; key < PROTOCOLS; key++) {
		memset(values, 0, sizeof values);
		memset(&attributes, 0, sizeof attributes);
		attributes.map_fd = loaded->map;
		attributes.key = (uint64_t)&key;
		attributes.value = (uint64_t)values;
		if (bpf(BPF_MAP_LOOKUP_ELEM, &attributes))
			return 0;
		for (int cpu = 0; cpu < MOST_CPUS; cpu++)
			sum += values[cpu];
	}
	return sum;
}
