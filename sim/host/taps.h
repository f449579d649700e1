/* Writes to TAPs that differ in what becomes of the frame, and to /dev/null. */
#ifndef VHOST_SIM_TAPS_H
#define VHOST_SIM_TAPS_H

/* /dev/null; the interface is down; no program; XDP_DROP on a frame that is an skb (the program in its generic form); xdp1
 * and a bare XDP_DROP on a frame in the TAP's own buffer. */
enum way { WAY_NULL, WAY_DOWN, WAY_SKB, WAY_GENERIC, WAY_PROGRAM, WAY_NATIVE, WAYS };

#define MOST_FRAME 4000

/* 0, or -1 with errno. */
int open_way(enum way way);
/* Write a frame of so many bytes behind a vnet header; whether it was taken as it must be. */
int write_frame(enum way way, long bytes);

#endif
