/* TAPs by what becomes of a frame that is written to them. */
#include "taps.h"
#include "tun.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define LIMIT (1 << 20)

/* Without a limit of the send buffer, and with writes that do not block, a program meets the frame in the TAP's own buffer;
 * else the frame is an skb from the start, and the same program runs in its generic form. */
static const struct {
	int flags, sndbuf;
	enum xdp xdp;
} ways[WAYS] = {
	[WAY_DOWN] = {TUN_DOWN, LIMIT, XDP_NONE},
	[WAY_SKB] = {0, LIMIT, XDP_NONE},
	[WAY_GENERIC] = {0, LIMIT, XDP_BARE_DROP},
	[WAY_PROGRAM] = {0, INT_MAX, XDP1},
	[WAY_NATIVE] = {0, INT_MAX, XDP_BARE_DROP},
};

static int files[WAYS]; /* 0: not opened */

int open_way(enum way way)
{
	struct tun tun;
	struct program program;
	if (way == WAY_NULL)
		return (files[way] = open("/dev/null", O_WRONLY | O_CLOEXEC)) < 0 ? -1 : 0;
	if (tun_open(&tun, ways[way].flags | TUN_NONBLOCK | TUN_VNET_HEADER, ways[way].sndbuf))
		return -1;
	if (ways[way].xdp != XDP_NONE) {
		if (load_program(ways[way].xdp, &program) || attach_program(&tun, program.file))
			return -1;
		close(program.file);
		if (program.map >= 0)
			close(program.map);
	}
	files[way] = tun.file;
	return 0;
}

/* A broadcast of a protocol that nobody serves; xdp1 gets an IPv4 header, so that it reads it. */
int write_frame(enum way way, long bytes)
{
	static _Alignas(64) unsigned char frames[2][VNET_HEADER + MOST_FRAME];
	unsigned char *frame = frames[way == WAY_PROGRAM], *ethernet = frame + VNET_HEADER;
	if (!ethernet[0]) {
		memset(ethernet, 0xff, 6);
		memcpy(ethernet + 12, way == WAY_PROGRAM ? "\x08\x00\x45" : "\x88\xb5", way == WAY_PROGRAM ? 3 : 2);
	}
	long written = raw_write(files[way], frame, VNET_HEADER + bytes);
	return written == VNET_HEADER + bytes || (way == WAY_DOWN && written == -EIO);
}
