/* Frames that wait in a TAP for its reader: `queue FRAMES BYTES` sends so many, reads them back, and prints both counts. */
#define _GNU_SOURCE
#include "tun.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	static char frame[4096];
	long frames = count > 1 ? atol(arguments[1]) : 0, bytes = count > 2 ? atol(arguments[2]) : 0, sent = 0, received = 0;
	long read_bytes;
	struct tun tun;
	memset(frame, 0x11, 12);
	memcpy(frame + 12, "\x88\xb5", 2);
	if (enter_namespace() || tun_open(&tun, TUN_NONBLOCK | TUN_VNET_HEADER, INT_MAX) || tun_hold(&tun, frames, bytes))
		return 3;
	int sender = packet_socket(&tun, frames);
	if (sender < 0)
		return 3;
	for (long number = 0; number < frames; number++)
		sent += write(sender, frame, bytes) == bytes;
	while ((read_bytes = read(tun.file, frame, sizeof frame)) > 0) /* IPv6 may have sent something of its own */
		received += read_bytes >= bytes && !memcmp(frame + read_bytes - bytes + 12, "\x88\xb5", 2);
	printf("%ld %ld\n", sent, received);
	return 0;
}
