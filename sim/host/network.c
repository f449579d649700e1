/* What stands behind a TAP, made by netlink in the namespace of the process. */
#define _GNU_SOURCE
#include "network.h"
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/openvswitch.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NIC_NAME "eth0"
#define PATIENCE 200 /* times */
#define PAUSE_US 50000
#define MTU 1500

static int outside = -1; /* the namespace that the process came from */

/* --- links --------------------------------------------------------------------------------------------------------- */

static int control(int network, unsigned long operation, struct ifreq *request)
{
	int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), file, failed;
	if (network >= 0 && setns(network, CLONE_NEWNET))
		return -1;
	file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	failed = file < 0 || ioctl(file, operation, request);
	if (file >= 0)
		close(file);
	if (network >= 0 && setns(before, CLONE_NEWNET))
		failed = 1;
	close(before);
	return failed ? -1 : 0;
}

static int set_up(int network, const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_UP | IFF_NOARP};
	strcpy(request.ifr_name, name);
	return control(network, SIOCSIFFLAGS, &request);
}

static int wait_for_carrier(const char *name)
{
	for (int tries = 0; tries < PATIENCE; tries++) {
		struct ifreq request = {0};
		strcpy(request.ifr_name, name);
		if (control(-1, SIOCGIFFLAGS, &request))
			return -1;
		if (request.ifr_flags & IFF_RUNNING)
			return 0;
		usleep(PAUSE_US);
	}
	errno = ENETDOWN;
	return -1;
}

/* A new link of a kind, with its name; what else it is comes in `more`. */
static int make_link(const char *kind, const char *name, int below, void (*more)(struct message *))
{
	struct ifinfomsg link = {0};
	struct message message;
	struct nlattr *information, *data;
	message_begin(&message, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
	message_text(&message, IFLA_IFNAME, name);
	if (below)
		message_number(&message, IFLA_LINK, below);
	information = message_nest(&message, IFLA_LINKINFO);
	message_text(&message, IFLA_INFO_KIND, kind);
	if (more) {
		data = message_nest(&message, IFLA_INFO_DATA);
		more(&message);
		message_end(&message, data);
	}
	message_end(&message, information);
	return message_ask(NETLINK_ROUTE, &message);
}

/* The other end is that of another namespace, as a container's is. */
static void other_end(struct message *message)
{
	struct ifinfomsg link = {0};
	struct nlattr *peer = message_put(message, VETH_INFO_PEER, &link, sizeof link);
	message_text(message, IFLA_IFNAME, "peer0");
	message_number(message, IFLA_NET_NS_FD, outside);
	message_end(message, peer);
}

static void macvlan_mode(struct message *message) { message_number(message, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE); }

static int into_bridge(int interface, int bridge)
{
	struct ifinfomsg link = {.ifi_index = interface};
	struct message message;
	message_begin(&message, RTM_SETLINK, 0, &link, sizeof link);
	message_number(&message, IFLA_MASTER, bridge);
	return message_ask(NETLINK_ROUTE, &message);
}

int enter_network(enum port port)
{
	struct message message;
	struct ifinfomsg link = {0};
	int route = netlink_socket(NETLINK_ROUTE), failed = 1;
	outside = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	/* The namespace of the run before gives the NIC back when it is cleaned up. */
	for (int tries = 0; port == NIC && !link.ifi_index && tries < PATIENCE; tries++) {
		link.ifi_index = if_nametoindex(NIC_NAME);
		if (!link.ifi_index)
			usleep(PAUSE_US);
	}
	if (route < 0 || outside < 0 || unshare(CLONE_NEWNET))
		return -1;
	if (port == NIC) {
		message_begin(&message, RTM_SETLINK, 0, &link, sizeof link);
		message_number(&message, IFLA_NET_NS_PID, getpid());
		failed = message_send(route, &message);
	}
	close(route);
	return port == NIC && failed ? -1 : 0;
}

int make_port(enum port kind, struct tun *port)
{
	static const char *const names[PORTS] = {[DUMMY] = "port0", [VETH] = "port0", [NIC] = NIC_NAME};
	strcpy(port->name, names[kind]);
	port->file = -1;
	if ((kind == DUMMY && make_link("dummy", port->name, 0, NULL)) ||
	    (kind == VETH && (make_link("veth", port->name, 0, other_end) || set_up(outside, "peer0"))))
		return -1;
	port->interface = if_nametoindex(port->name);
	return set_up(-1, port->name) || wait_for_carrier(port->name) ? -1 : 0;
}

/* --- bridge -------------------------------------------------------------------------------------------------------- */

/* The frames' destination is known to be behind the port. */
static int known_behind(const struct tun *port)
{
	static const unsigned char destination[ETH_ALEN] = {0x22, 0x22, 0x22, 0x22, 0x22, 0x22};
	struct ndmsg entry = {
		.ndm_family = AF_BRIDGE, .ndm_ifindex = port->interface, .ndm_state = NUD_NOARP, .ndm_flags = NTF_MASTER};
	struct message message;
	message_begin(&message, RTM_NEWNEIGH, NLM_F_CREATE, &entry, sizeof entry);
	message_put(&message, NDA_LLADDR, destination, sizeof destination);
	return message_ask(NETLINK_ROUTE, &message);
}

static int join_by_bridge(const struct tun *tun, const struct tun *port)
{
	if (make_link("bridge", "bridge0", 0, NULL))
		return -1;
	int bridge = if_nametoindex("bridge0");
	if (set_up(-1, "bridge0") || into_bridge(tun->interface, bridge) || into_bridge(port->interface, bridge))
		return -1;
	return known_behind(port);
}

/* --- traffic control ----------------------------------------------------------------------------------------------- */

/* A filter at the ingress of the TAP that matches everything; its action drops, or sends to the port. */
static int filter(const struct tun *tun, const struct tun *port, int drops)
{
	struct tcmsg hook = {.tcm_ifindex = tun->interface, .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0), .tcm_parent = TC_H_CLSACT};
	struct tcmsg ingress = {.tcm_ifindex = tun->interface,
				.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
				.tcm_info = TC_H_MAKE(1 << 16, htons(ETH_P_ALL))};
	struct tc_gact drop = {.action = TC_ACT_SHOT};
	struct tc_mirred redirect = {.action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = port->interface};
	struct nlattr *options, *actions, *first, *settings;
	struct message message;
	message_begin(&message, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &hook, sizeof hook);
	message_text(&message, TCA_KIND, "clsact");
	if (message_ask(NETLINK_ROUTE, &message))
		return -1;
	message_begin(&message, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &ingress, sizeof ingress);
	message_text(&message, TCA_KIND, "matchall");
	options = message_nest(&message, TCA_OPTIONS);
	actions = message_nest(&message, TCA_MATCHALL_ACT);
	first = message_nest(&message, 1);
	message_text(&message, TCA_ACT_KIND, drops ? "gact" : "mirred");
	settings = message_nest(&message, TCA_ACT_OPTIONS);
	if (drops)
		message_put(&message, TCA_GACT_PARMS, &drop, sizeof drop);
	else
		message_put(&message, TCA_MIRRED_PARMS, &redirect, sizeof redirect);
	message_end(&message, settings);
	message_end(&message, first);
	message_end(&message, actions);
	message_end(&message, options);
	return message_ask(NETLINK_ROUTE, &message);
}

/* --- Open vSwitch -------------------------------------------------------------------------------------------------- */

static int family_of(const char *name)
{
	struct genlmsghdr command = {.cmd = CTRL_CMD_GETFAMILY, .version = 1};
	struct message message;
	const uint16_t *number;
	message_begin(&message, GENL_ID_CTRL, 0, &command, sizeof command);
	message_text(&message, CTRL_ATTR_FAMILY_NAME, name);
	if (message_ask(NETLINK_GENERIC, &message))
		return -1;
	number = message_find(&message, sizeof command, CTRL_ATTR_FAMILY_ID);
	return number ? *number : -1;
}

static int command(struct message *message, const char *family, int number, int version, int datapath)
{
	struct {
		struct genlmsghdr command;
		struct ovs_header header;
	} fixed = {{.cmd = number, .version = version}, {.dp_ifindex = datapath}};
	int type = family_of(family);
	if (type < 0)
		return -1;
	message_begin(message, type, NLM_F_ECHO, &fixed, sizeof fixed);
	return 0;
}

static int add_port(int datapath, const char *name, int number)
{
	struct message message;
	if (command(&message, OVS_VPORT_FAMILY, OVS_VPORT_CMD_NEW, OVS_VPORT_VERSION, datapath))
		return -1;
	message_text(&message, OVS_VPORT_ATTR_NAME, name);
	message_number(&message, OVS_VPORT_ATTR_TYPE, OVS_VPORT_TYPE_NETDEV);
	message_number(&message, OVS_VPORT_ATTR_PORT_NO, number);
	message_number(&message, OVS_VPORT_ATTR_UPCALL_PID, 0);
	return message_ask(NETLINK_GENERIC, &message);
}

/* One flow: from port 1, these addresses and this protocol, to port 2. */
static int add_flow(int datapath)
{
	struct ovs_key_ethernet addresses;
	uint16_t protocol = htons(0x88b5);
	struct message message;
	struct nlattr *nest;
	if (command(&message, OVS_FLOW_FAMILY, OVS_FLOW_CMD_NEW, OVS_FLOW_VERSION, datapath))
		return -1;
	memset(addresses.eth_dst, 0x22, ETH_ALEN);
	memset(addresses.eth_src, 0x24, ETH_ALEN);
	nest = message_nest(&message, OVS_FLOW_ATTR_KEY);
	message_number(&message, OVS_KEY_ATTR_IN_PORT, 1);
	message_put(&message, OVS_KEY_ATTR_ETHERNET, &addresses, sizeof addresses);
	message_put(&message, OVS_KEY_ATTR_ETHERTYPE, &protocol, sizeof protocol);
	message_end(&message, nest);
	nest = message_nest(&message, OVS_FLOW_ATTR_ACTIONS);
	message_number(&message, OVS_ACTION_ATTR_OUTPUT, 2);
	message_end(&message, nest);
	return message_ask(NETLINK_GENERIC, &message);
}

static int join_by_open_vswitch(const struct tun *tun, const struct tun *port)
{
	struct message message;
	int datapath;
	if (command(&message, OVS_DATAPATH_FAMILY, OVS_DP_CMD_NEW, OVS_DATAPATH_VERSION, 0))
		return -1;
	message_text(&message, OVS_DP_ATTR_NAME, "datapath0");
	message_number(&message, OVS_DP_ATTR_UPCALL_PID, 0);
	if (message_ask(NETLINK_GENERIC, &message))
		return -1;
	datapath = if_nametoindex("datapath0");
	return add_port(datapath, tun->name, 1) || add_port(datapath, port->name, 2) || add_flow(datapath) ? -1 : 0;
}

/* --- all of them --------------------------------------------------------------------------------------------------- */

static int redirect_by_program(const struct tun *tun, const struct tun *port)
{
	struct program program, passing;
	/* A NIC gives its rings to XDP only once it has a program of its own. */
	if (load_program(XDP_BARE_PASS, &passing) || attach_program(port, passing.file) ||
	    load_redirection(port, &program) || attach_program(tun, program.file))
		return -1;
	return wait_for_carrier(port->name);
}

int join_port(enum forwarder forwarder, const struct tun *tun, const struct tun *port)
{
	switch (forwarder) {
	case BRIDGE: return join_by_bridge(tun, port);
	case FILTER_DROP: return filter(tun, port, 1);
	case FILTER_REDIRECT: return filter(tun, port, 0);
	case OPEN_VSWITCH: return join_by_open_vswitch(tun, port);
	case XDP_REDIRECTED: return redirect_by_program(tun, port);
	default: return 0;
	}
}

int macvtap_open(struct tun *tun, const struct tun *port, int sndbuf)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int header = VNET_HEADER;
	char path[32];
	strcpy(tun->name, "macvtap0");
	strcpy(request.ifr_name, tun->name);
	if (make_link("macvtap", tun->name, port->interface, macvlan_mode) || set_up(-1, tun->name))
		return -1;
	tun->interface = if_nametoindex(tun->name);
	snprintf(path, sizeof path, "/dev/tap%d", tun->interface);
	tun->file = open(path, O_RDWR | O_CLOEXEC);
	if (tun->file < 0 || ioctl(tun->file, TUNSETIFF, &request) || ioctl(tun->file, TUNSETSNDBUF, &sndbuf) ||
	    ioctl(tun->file, TUNSETVNETHDRSZ, &header) || ioctl(tun->file, TUNSETOFFLOAD, 0))
		return -1;
	return 0;
}

int gather_frames(const struct tun *tun, int frames)
{
	struct ethtool_coalesce coalesce = {.cmd = ETHTOOL_GCOALESCE};
	struct ifreq request = {.ifr_data = (void *)&coalesce};
	strcpy(request.ifr_name, tun->name);
	if (control(-1, SIOCETHTOOL, &request))
		return -1;
	coalesce.cmd = ETHTOOL_SCOALESCE;
	coalesce.rx_max_coalesced_frames = frames;
	return control(-1, SIOCETHTOOL, &request);
}
