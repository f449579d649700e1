/* No-ops by which a program tells an emulator that counts instructions what it does; they cost nothing elsewhere. */
#ifndef VHOST_SIM_MARK_H
#define VHOST_SIM_MARK_H

#include <stdint.h>

enum mark {
	MARK_BEGIN = 1,	   /* a stretch that is counted begins; its number */
	MARK_END,	   /* it ends; its number */
	MARK_MEMORY,	   /* where the memory of the virtual machine begins */
	MARK_HANDLER = 16, /* a function whose instructions are counted */
	MARK_INTERRUPT,	   /* where an interrupt or an exception enters the kernel */
	MARK_TEXT,	   /* text to keep: its length in eight bytes, then itself */
	MARK_RUN,	   /* a run begins; its number */
	MARK_ARM,	   /* from here on instructions of the kernel are looked at */
};

/* nopl DISPLACEMENT(%rax): the number is the lowest byte of the displacement, the value travels in rax. */
#define MARK_OPCODE "\x0f\x1f\x80"
#define MARK_TAIL "\x56\x4e\x5a"
#define MARK_LENGTH 7
#define MARK(number, value) \
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80, %c0, 0x56, 0x4e, 0x5a" \
			 : \
			 : "i"(number), "a"((uint64_t)(value)) \
			 : "memory")

/* The memory of the virtual machine: offsets of what lies in it, for a ring of up to 512 descriptors. */
#define MEMORY_DESCRIPTORS 0x0000
#define MEMORY_AVAIL 0x4000
#define MEMORY_USED 0x6000
#define MEMORY_INDIRECT 0x8000
#define MEMORY_BUFFERS 0x10000
#define MEMORY_BYTES (4 << 20)

#endif
