/* No-ops that an instruction-counting emulator recognises and that cost nothing elsewhere; `value` travels in rax. */
#ifndef VHOST_SIM_MARK_H
#define VHOST_SIM_MARK_H

#include <stdint.h>

/* From 16 on: what the init of an emulated machine says about its kernel. */
enum { MARK_BEGIN = 1, MARK_END, MARK_MEMORY, MARK_ROOT = 16, MARK_INTERRUPT, MARK_CPU };

#define MARK(number, value)                                                                                          \
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80, %c0, 0x56, 0x4e, 0x5a"                                             \
			 :                                                                                           \
			 : "i"(number), "a"((uint64_t)(value))                                                       \
			 : "memory")

#endif
