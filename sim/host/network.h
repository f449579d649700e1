/* What stands behind a TAP: a bridge, a filter of traffic control, a datapath of Open vSwitch, and the port behind them. */
#ifndef VHOST_SIM_NETWORK_H
#define VHOST_SIM_NETWORK_H

#include "tun.h"

/* What forwards: nothing, or the host's own parts. With macvtap there is no TAP: the file is that of a macvtap device. */
enum forwarder {
	NOTHING, BRIDGE, FILTER_DROP, FILTER_REDIRECT, OPEN_VSWITCH, MACVTAP, XDP_REDIRECTED, FORWARDERS
};
/* Where it goes: a device that frees what it is given, one end of a veth pair, or the machine's own NIC. */
enum port { DUMMY, VETH, NIC, PORTS };

/* Each returns 0, or -1 with errno. */
/* Enter a network namespace of its own; the NIC comes along where it is the port. */
int enter_network(enum port port);
/* Make the port, by that name. */
int make_port(enum port kind, struct tun *port);
/* Join the TAP to the port. */
int join_port(enum forwarder forwarder, const struct tun *tun, const struct tun *port);
/* A macvtap device above the port in place of a TAP. */
int macvtap_open(struct tun *tun, const struct tun *port, int sndbuf);
/* Gather so many skbs before they go up the stack (ethtool -C rx-frames). */
int gather_frames(const struct tun *tun, int frames);

#endif
