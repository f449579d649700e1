/* Messages of netlink: attributes put one behind the other, nests, one question and its answer. */
#ifndef VHOST_SIM_NETLINK_H
#define VHOST_SIM_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#define MOST_MESSAGE 4096

struct message {
	struct nlmsghdr header;
	char bytes[MOST_MESSAGE];
};

/* Begin a message of a type, with the fixed header that its family has. */
void message_begin(struct message *message, int type, int flags, const void *fixed, size_t length);
struct nlattr *message_put(struct message *message, int type, const void *bytes, size_t length);
struct nlattr *message_text(struct message *message, int type, const char *text);
struct nlattr *message_number(struct message *message, int type, uint32_t number);
struct nlattr *message_nest(struct message *message, int type);
void message_end(struct message *message, struct nlattr *nest);
/* A socket of a family, or -1 with errno. */
int netlink_socket(int family);
/* Send it by a socket and wait for its acknowledgement; an answer before that is left in the message. 0, or -1 with errno. */
int message_send(int socket, struct message *message);
/* The same by a socket of its own. */
int message_ask(int family, struct message *message);
/* The first attribute of a type behind a fixed header of that length; NULL for none. */
const void *message_find(const struct message *message, size_t fixed, int type);

#endif
