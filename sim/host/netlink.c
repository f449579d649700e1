/* Messages of netlink, as far as links, filters and flows need them. */
#define _GNU_SOURCE
#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_ANSWERS 8

static char *end_of(struct message *message) { return (char *)message + NLMSG_ALIGN(message->header.nlmsg_len); }

void message_begin(struct message *message, int type, int flags, const void *fixed, size_t length)
{
	memset(message, 0, sizeof *message);
	message->header = (struct nlmsghdr){NLMSG_HDRLEN + length, type, NLM_F_REQUEST | NLM_F_ACK | flags, 1, 0};
	memcpy(message->bytes, fixed, length);
}

struct nlattr *message_put(struct message *message, int type, const void *bytes, size_t length)
{
	struct nlattr *attribute = (struct nlattr *)end_of(message);
	*attribute = (struct nlattr){NLA_HDRLEN + length, type};
	memcpy((char *)attribute + NLA_HDRLEN, bytes, length);
	message->header.nlmsg_len = NLMSG_ALIGN(message->header.nlmsg_len) + NLA_ALIGN(attribute->nla_len);
	return attribute;
}

struct nlattr *message_text(struct message *message, int type, const char *text)
{
	return message_put(message, type, text, strlen(text) + 1);
}

struct nlattr *message_number(struct message *message, int type, uint32_t number)
{
	return message_put(message, type, &number, sizeof number);
}

struct nlattr *message_nest(struct message *message, int type)
{
	return message_put(message, type | NLA_F_NESTED, "", 0);
}

void message_end(struct message *message, struct nlattr *nest) { nest->nla_len = end_of(message) - (char *)nest; }

int netlink_socket(int family) { return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family); }

int message_send(int file, struct message *message)
{
	struct message answer;
	if (send(file, message, message->header.nlmsg_len, 0) != message->header.nlmsg_len)
		return -1;
	for (int number = 0; number < MOST_ANSWERS; number++) {
		const struct nlmsgerr *error = (const void *)answer.bytes;
		if (recv(file, &answer, sizeof answer, 0) < (ssize_t)sizeof answer.header)
			return -1;
		if (answer.header.nlmsg_type != NLMSG_ERROR) {
			*message = answer;
			continue;
		}
		errno = -error->error;
		return error->error ? -1 : 0;
	}
	errno = EPROTO;
	return -1;
}

int message_ask(int family, struct message *message)
{
	int file = netlink_socket(family), failed = file < 0 || message_send(file, message);
	if (file >= 0)
		close(file);
	return failed ? -1 : 0;
}

const void *message_find(const struct message *message, size_t fixed, int type)
{
	const char *end = (const char *)message + message->header.nlmsg_len, *at = message->bytes + NLMSG_ALIGN(fixed);
	while (at + NLA_HDRLEN <= end) {
		const struct nlattr *attribute = (const void *)at;
		if (attribute->nla_type == type)
			return at + NLA_HDRLEN;
		at += NLA_ALIGN(attribute->nla_len);
	}
	return NULL;
}
