/* Single instructions and short sequences, everything in L1: ticks per execution. */
#include "bench.h"

#include <math.h>

#define BATCHES 40
#define REPEATS "16"
#define UNROLLED 16.0

/* Time `rounds` x 16 copies of an assembly text, in batches; `init` sets rax, rdi points at an L1 line. */
#define INSTRUCTION(name, rounds, text)                                                                              \
	static double name(long unused, int *disturbed)                                                              \
	{                                                                                                            \
		static _Alignas(2 * LINE) uint64_t place[16];                                                        \
		struct batches all;                                                                                  \
		(void)unused;                                                                                        \
		batches_begin(&all);                                                                                 \
		for (int batch = 0; batch < BATCHES; batch++) {                                                      \
			uint64_t a = 1, b = 1, c = 0, n = rounds;                                                    \
			batches_start(&all);                                                                         \
			uint64_t from = ticks();                                                                     \
			__asm__ volatile(".balign 64\n1:\n.rept " REPEATS "\n" text "\n.endr\n dec %3\n jnz 1b"         \
					 : "+a"(a), "+b"(b), "+c"(c), "+r"(n)                                        \
					 : "D"(place)                                                                \
					 : "memory", "cc", "rdx", "r8", "r9", "r10", "r11");                          \
			uint64_t elapsed = ticks() - from;                                                           \
			if (batch >= 2) /* the first ones warm up */                                                 \
				batches_add(&all, elapsed, (rounds) * UNROLLED);                                     \
		}                                                                                                    \
		*disturbed += all.disturbed;                                                                         \
		return midmean(all.value, all.kept);                                                                  \
	}

/* Functions that the texts call. `body` is __put_user_4 of Linux 6.18 without stac and clac; the safe one returns the
 * way that a kernel with "Safe RET" does: its return is always predicted to the trap behind the call. */
__asm__(".text\n"
	".balign 64\nvs_return: ret\n int3\n"
	".balign 64\nvs_retpoline: call 1f\n2: pause\n lfence\n jmp 2b\n1: mov %r11, (%rsp)\n ret\n int3\n"
	".balign 64\nvs_body: mov %rdi, %r8\n mov %r8, %r9\n sar $63, %r9\n or %r9, %r8\n movl %eax, (%r8)\n"
	" xor %ecx, %ecx\n ret\n int3\n"
	".balign 64\nvs_safe_ret: lea 8(%rsp), %rsp\n ret\n int3\n"
	".balign 64\nvs_return_thunk: call vs_safe_ret\n ud2\n"
	".balign 64\nvs_body_safe: mov %rdi, %r8\n mov %r8, %r9\n sar $63, %r9\n or %r9, %r8\n movl %eax, (%r8)\n"
	" xor %ecx, %ecx\n jmp vs_return_thunk\n int3\n");

INSTRUCTION(add_chain, 1000, "add %%rbx, %%rax")
INSTRUCTION(imul_chain, 400, "imul %%rbx, %%rax")
INSTRUCTION(lfence, 100, "lfence")
INSTRUCTION(load, 400, "mov (%%rdi), %%rdx")
INSTRUCTION(load_lfence, 100, "mov (%%rdi), %%rdx\n lfence")
INSTRUCTION(mfence, 60, "mfence")
INSTRUCTION(store, 400, "mov %%rax, (%%rdi)")
INSTRUCTION(lock_add, 100, "lock addl $0, (%%rdi)")
INSTRUCTION(spin_lock, 100, "xor %%eax, %%eax\n mov $1, %%edx\n lock cmpxchgl %%edx, (%%rdi)\n movb $0, (%%rdi)")
INSTRUCTION(mask_chain, 300, "cmp %%rdi, %%rax\n sbb %%rdx, %%rdx\n and %%rdx, %%rax")
INSTRUCTION(mask_load, 300, "cmp %%rbx, %%rdi\n sbb %%rdx, %%rdx\n not %%rdx\n and %%rdi, %%rdx\n mov (%%rdx), %%r8")
INSTRUCTION(call, 200, "call vs_return")
INSTRUCTION(indirect_call, 200, "lea vs_return(%%rip), %%r11\n call *%%r11")
INSTRUCTION(retpoline, 100, "lea vs_return(%%rip), %%r11\n call vs_retpoline")
INSTRUCTION(user_access_body, 200, "call vs_body")
INSTRUCTION(user_access_body_safe_ret, 100, "call vs_body_safe")

const struct entry instruction_benchmarks[] = {
	{"add_chain", add_chain},
	{"imul_chain", imul_chain},
	{"lfence", lfence},
	{"load", load},
	{"load_lfence", load_lfence},
	{"mfence", mfence},
	{"store", store},
	{"lock_add", lock_add},
	{"spin_lock", spin_lock},
	{"mask_chain", mask_chain},
	{"mask_load", mask_load},
	{"call", call},
	{"indirect_call", indirect_call},
	{"retpoline", retpoline},
	{"user_access_body", user_access_body},
	{"user_access_body_safe_ret", user_access_body_safe_ret},
	{0},
};
