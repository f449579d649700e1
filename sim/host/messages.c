/* Messages through the socket layer above a TAP whose other end is this program: what a guest's sockets execute above its
 * network driver. It answers the handshake itself, reads what the stack sends and writes what a peer would.
 *
 * Usage: messages [KEY=NUMBER]... (keys and what they start with: `keys` below). One kind of operation runs on the CPU that
 * is counted, the others on CPU 0. Prints one JSON object per line: `stretch` for N and 2N operations. */
#define _GNU_SOURCE
#include "bench.h"
#include "mark.h"
#include "tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/tcp.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WARM 64 /* operations */
#define MOST_BYTES 65160
#define SEGMENT 1448 /* bytes of an Ethernet frame behind TCP's timestamps */
#define HEADERS (ETH_HLEN + 20 + 32)
#define PORT 5001
#define BUFFER (8 << 20)

/* What is counted: a call that sends, the acknowledgement of what was sent, a segment that comes in, a call that reads it,
 * and the same of datagrams; a call that asks whether sockets are ready. */
enum { SEND, ACKNOWLEDGE, ARRIVE, READ, SEND_DATAGRAM, DATAGRAM_ARRIVES, READ_DATAGRAM, SELECT, OPERATIONS };

static struct {
	long cpu, operation, size, each, count, marks;
} settings = {.operation = SEND, .size = 64, .each = 1, .count = 200};

static const struct key keys[] = {
	{"cpu", &settings.cpu, 0, 4095},
	{"operation", &settings.operation, SEND, OPERATIONS - 1},
	{"size", &settings.size, 1, MOST_BYTES},
	{"each", &settings.each, 1, 4096}, /* SEND: calls between two acknowledgements; READ: calls that read a segment;
					   * SELECT: sockets that are asked, all but the last idle */
	{"count", &settings.count, 1, 1 << 20},
	{"marks", &settings.marks, 0, 1},
};

static struct {
	struct virtio_net_hdr_mrg_rxbuf vnet;
	unsigned char frame[ETH_HLEN + 65536];
} __attribute__((packed)) in, out;

static struct tun tun;
static int socket_file, idle[2], idle_count;
static unsigned char bytes[MOST_BYTES + 4096], mac[ETH_ALEN];
static uint32_t local_address, peer_address, sent, received, timestamp; /* the peer's sequence numbers */
static uint16_t local_port;

static void fail(const char *doing)
{
	fprintf(stderr, "messages: %s: %s\n", doing, strerror(errno));
	exit(3);
}

/* The operation that is counted runs on its CPU, whatever belongs to it on the first one. */
static void on_cpu(int operation) { pin(operation == settings.operation ? settings.cpu : 0); }

static uint16_t checksum(const void *data, int length)
{
	const uint16_t *words = data;
	uint32_t sum = 0;
	for (int i = 0; i < length / 2; i++)
		sum += words[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static void change(unsigned long operation, struct ifreq *request)
{
	int control = socket(AF_INET, SOCK_DGRAM, 0);
	strcpy(request->ifr_name, tun.name);
	if (control < 0 || ioctl(control, operation, request))
		fail("the interface");
	close(control);
}

static void open_interface(void)
{
	struct ifreq request = {0};
	struct sockaddr_in *address = (void *)&request.ifr_addr;
	if (tun_open(&tun, TUN_VNET_HEADER | TUN_NONBLOCK, BUFFER) ||
	    ioctl(tun.file, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4))
		fail("a TAP");
	local_address = inet_addr("10.0.0.1");
	peer_address = inet_addr("10.0.0.2");
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = local_address;
	change(SIOCSIFADDR, &request);
	address->sin_addr.s_addr = inet_addr("255.255.255.0");
	change(SIOCSIFNETMASK, &request);
	change(SIOCGIFHWADDR, &request);
	memcpy(mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
}

/* Take every frame that waits; remember the sequence number behind the last bytes. Returns how many there were. */
static int take(int protocol)
{
	int frames = 0;
	ssize_t length;
	while ((length = read(tun.file, &in, sizeof in)) > 0) {
		const unsigned char *ip = in.frame + ETH_HLEN, *tcp = ip + 20;
		if (ip[9] != protocol)
			continue;
		frames++;
		if (protocol != IPPROTO_TCP)
			continue;
		local_port = ntohs(*(const uint16_t *)tcp);
		received = ntohl(*(const uint32_t *)(tcp + 4)) + length - sizeof in.vnet - ETH_HLEN - 20 - (tcp[12] >> 4) * 4 +
			   (tcp[13] & 2 ? 1 : 0);
		for (const unsigned char *option = tcp + 20; option < tcp + (tcp[12] >> 4) * 4; option += *option == 1 ? 1 : option[1])
			if (*option == 8)
				memcpy(&timestamp, option + 2, sizeof timestamp);
			else if (!*option)
				break;
	}
	return frames;
}

static void put(int protocol, int length)
{
	unsigned char *ip = out.frame + ETH_HLEN;
	memcpy(out.frame, mac, ETH_ALEN);
	memset(out.frame + ETH_ALEN, 2, ETH_ALEN);
	memcpy(out.frame + 12, "\x08\x00", 2);
	memcpy(ip, "\x45\0\0\0\0\0\x40\0\x40\0\0\0", 12);
	*(uint16_t *)(ip + 2) = htons(length - ETH_HLEN);
	ip[9] = protocol;
	memcpy(ip + 12, &peer_address, 4);
	memcpy(ip + 16, &local_address, 4);
	*(uint16_t *)(ip + 10) = checksum(ip, 20);
	if (raw_write(tun.file, &out, sizeof out.vnet + length) != (long)sizeof out.vnet + length)
		fail("a frame");
}

static void put_segment(int flags, int length)
{
	static uint32_t clock = 1;
	unsigned char *tcp = out.frame + ETH_HLEN + 20, *options = tcp + 20;
	int header = flags & 2 ? 40 : 32;
	uint32_t now = htonl(clock++);
	memset(tcp, 0, header);
	*(uint16_t *)tcp = htons(PORT);
	*(uint16_t *)(tcp + 2) = htons(local_port);
	*(uint32_t *)(tcp + 4) = htonl(sent);
	*(uint32_t *)(tcp + 8) = htonl(received);
	tcp[12] = header / 4 << 4;
	tcp[13] = flags;
	*(uint16_t *)(tcp + 14) = htons(65535);
	memcpy(options, "\1\1\10\12", 4);
	memcpy(options + 4, &now, 4);
	memcpy(options + 8, &timestamp, 4);
	if (flags & 2)
		memcpy(options + 12, "\2\4\5\264\1\3\3\12", 8); /* a maximum of 1460 bytes, windows in units of 1024 */
	memset(&out.vnet, 0, sizeof out.vnet);
	out.vnet.hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM; /* nobody looks at the checksum */
	out.vnet.hdr.csum_start = ETH_HLEN + 20;
	out.vnet.hdr.csum_offset = 16;
	if (length > SEGMENT) {
		out.vnet.hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		out.vnet.hdr.gso_size = SEGMENT;
		out.vnet.hdr.hdr_len = HEADERS;
	}
	put(IPPROTO_TCP, ETH_HLEN + 20 + header + length);
	sent += length + (flags & 2 ? 1 : 0);
}

static void put_datagram(int length)
{
	unsigned char *udp = out.frame + ETH_HLEN + 20;
	*(uint16_t *)udp = htons(PORT);
	*(uint16_t *)(udp + 2) = htons(PORT);
	*(uint16_t *)(udp + 4) = htons(8 + length);
	*(uint16_t *)(udp + 6) = 0;
	memset(&out.vnet, 0, sizeof out.vnet);
	put(IPPROTO_UDP, ETH_HLEN + 28 + length);
}

static void connect_socket(int datagrams)
{
	struct sockaddr_in here = {AF_INET, htons(PORT), {local_address}, {0}}, there = {AF_INET, htons(PORT), {peer_address}, {0}};
	int size = BUFFER;
	socket_file = socket(AF_INET, (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
	setsockopt(socket_file, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	setsockopt(socket_file, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
	if (datagrams && bind(socket_file, (void *)&here, sizeof here))
		fail("bind");
	if (connect(socket_file, (void *)&there, sizeof there) && errno != EINPROGRESS)
		fail("connect");
	if (datagrams)
		return;
	while (!take(IPPROTO_TCP))
		usleep(1000);
	put_segment(0x12, 0); /* SYN, ACK */
	take(IPPROTO_TCP);
}

/* Sockets of which nothing comes, with lower numbers than the one above the TAP: one that listens, one connected to it. */
static void open_idle(int count)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	struct sockaddr_in here = {AF_INET, htons(PORT), {htonl(INADDR_LOOPBACK)}, {0}};
	int control = socket(AF_INET, SOCK_DGRAM, 0);
	if (control < 0 || ioctl(control, SIOCSIFFLAGS, &request))
		fail("the loopback interface");
	close(control);
	for (idle_count = 0; idle_count < count; idle_count++) {
		int file = idle[idle_count] = socket(AF_INET, SOCK_STREAM, 0);
		if (file < 0 || (idle_count ? connect(file, (void *)&here, sizeof here)
					    : bind(file, (void *)&here, sizeof here) || listen(file, 1)))
			fail("an idle socket");
		if (idle_count && accept(idle[0], NULL, NULL) < 0)
			fail("an idle socket");
	}
}

static void expect(long got, long wanted, const char *doing)
{
	if (got != wanted) {
		fprintf(stderr, "messages: %s: %ld in place of %ld (%s)\n", doing, got, wanted, got < 0 ? strerror(errno) : "");
		exit(3);
	}
}

static void stream_out(void)
{
	on_cpu(SEND);
	for (long call = 0; call < settings.each; call++)
		expect(send(socket_file, bytes, settings.size, 0), settings.size, "send");
	pin(0);
	for (int tries = 0; tries < 2; tries++) { /* what was gathered leaves with the acknowledgement of the rest */
		take(IPPROTO_TCP);
		on_cpu(ACKNOWLEDGE);
		put_segment(0x10, 0);
		pin(0);
		if (settings.each == 1)
			break;
	}
}

static void stream_in(void)
{
	fd_set ready;
	struct timeval limit = {.tv_sec = 1};
	long calls = settings.operation == READ ? settings.each : 1;
	on_cpu(ARRIVE);
	put_segment(0x18, settings.size);
	FD_ZERO(&ready);
	FD_SET(socket_file, &ready);
	for (int number = 0; number < idle_count; number++)
		FD_SET(idle[number], &ready);
	on_cpu(SELECT);
	expect(syscall(SYS_select, socket_file + 1, &ready, NULL, NULL, &limit), 1, "select");
	on_cpu(READ);
	for (long call = 0; call < calls; call++)
		expect(recv(socket_file, bytes, settings.size / calls, 0), settings.size / calls, "recv");
	pin(0);
	take(IPPROTO_TCP);
}

static void datagram_out(void)
{
	on_cpu(SEND_DATAGRAM);
	expect(send(socket_file, bytes, settings.size, 0), settings.size, "send");
	pin(0);
	take(IPPROTO_UDP);
}

static void datagram_in(void)
{
	on_cpu(DATAGRAM_ARRIVES);
	put_datagram(settings.size);
	on_cpu(READ_DATAGRAM);
	expect(recv(socket_file, bytes, sizeof bytes, 0), settings.size, "recv");
}

static void operate(long count)
{
	for (long number = 0; number < count; number++)
		switch (settings.operation) {
		case SEND:
		case ACKNOWLEDGE: stream_out(); break;
		case ARRIVE:
		case READ:
		case SELECT: stream_in(); break;
		case SEND_DATAGRAM: datagram_out(); break;
		default: datagram_in();
		}
}

int main(int count, char **arguments)
{
	read_keys("messages", keys, sizeof keys / sizeof *keys, count, arguments);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	if (die_with_parent())
		fail("the parent");
	if (enter_namespace())
		fail("a network namespace");
	open_interface();
	pin(0);
	if (settings.operation == SELECT)
		open_idle(settings.each - 1);
	connect_socket(settings.operation >= SEND_DATAGRAM && settings.operation != SELECT);
	operate(WARM);
	for (int number = 0; number < 2; number++) {
		usleep(20000);
		pin(settings.cpu);
		if (settings.marks)
			MARK(MARK_BEGIN, number);
		operate(settings.count << number);
		pin(settings.cpu);
		if (settings.marks)
			MARK(MARK_END, number);
		printf("{\"record\": \"stretch\", \"k\": %d, \"messages\": %ld}\n", number, settings.count << number);
	}
	return 0;
}
