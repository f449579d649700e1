/* A plugin of QEMU that counts, by address, the instructions that one virtual CPU executes inside handlers of vhost_net.
 *
 * A program in the guest steers it by marks (sim/host/mark.h). It writes into the folder `out`: `symbols`, the text
 * that the guest hands over; `RUN.STRETCH.counts`, what a stretch of a run executed; and `RUN.trace`, the first
 * invocations of a handler in the first stretch, one line an instruction that toggles, fences, reaches user memory or
 * stands first in a function. Interrupts and other tasks are left out. */
#include <inttypes.h>
#include <pthread.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../host/mark.h"
#include "plugin_api.h"

#define TRACED_INVOCATIONS 3
#define USER_ADDRESSES 47 /* an address with a bit above is the kernel's */

EXPORTED int qemu_plugin_version = PLUGIN_API_VERSION;

enum kind { OTHER, STAC, CLAC, LFENCE, REP, CALL, INTERRUPT_RETURN };

struct instruction {
	uint64_t address, executed;
	enum kind kind;
	bool enters_handler, enters_interrupt;
	uint8_t length, bytes[15];
};

/* The areas of the guest's memory, by offset (mark.h). */
static const struct area {
	const char *name;
	uint64_t start;
} areas[] = {
	{"desc", MEMORY_DESCRIPTORS}, {"avail", MEMORY_AVAIL},	 {"used", MEMORY_USED},
	{"ind", MEMORY_INDIRECT},     {"buf", MEMORY_BUFFERS}, {"other", MEMORY_BYTES},
};
#define AREAS (sizeof areas / sizeof *areas)

static qemu_plugin_id_t plugin;
static char folder[256] = ".";
static unsigned int counted_cpu = 1;
static struct qemu_plugin_register *rax, *rsp;

static void *instructions; /* a tree of them, by address (search.h) */
static pthread_mutex_t translating = PTHREAD_MUTEX_INITIALIZER;
static bool armed;

/* Of the stretch: kept by the thread of the counted CPU while it is `counting`. */
static bool counting;
static uint64_t run, invocations, outside_window, user_accesses[AREAS][2], user_bytes[AREAS][2], memory_base;

/* Of the counted CPU. */
static unsigned int interrupts;
static bool in_handler, in_window;
static uint64_t handler_return;
static const struct instruction *previous, *last_call;

static FILE *trace;
static unsigned int traces_left;
static uint64_t traced;

static FILE *opened(const char *name, const char *mode)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, mode);
	if (!file) {
		perror(path);
		exit(1);
	}
	return file;
}

static int by_address(const void *first, const void *second)
{
	uint64_t a = ((const struct instruction *)first)->address, b = ((const struct instruction *)second)->address;

	return (a > b) - (a < b);
}

static struct instruction *known(uint64_t address)
{
	struct instruction *entry = calloc(1, sizeof *entry), **kept;

	entry->address = address;
	pthread_mutex_lock(&translating);
	kept = tsearch(entry, &instructions, by_address);
	pthread_mutex_unlock(&translating);
	if (*kept != entry)
		free(entry);
	return *kept;
}

static uint64_t register_value(struct qemu_plugin_register *handle)
{
	GByteArray *bytes = g_byte_array_new();
	uint64_t value = 0;

	if (qemu_plugin_read_register(handle, bytes) == sizeof value)
		memcpy(&value, bytes->data, sizeof value);
	g_byte_array_free(bytes, true);
	return value;
}

static enum kind kind_of(const uint8_t *bytes, size_t length)
{
	static const struct {
		enum kind kind;
		size_t length;
		uint8_t bytes[3];
	} exact[] = {
		{STAC, 3, {0x0f, 0x01, 0xcb}},	 {CLAC, 3, {0x0f, 0x01, 0xca}},
		{LFENCE, 3, {0x0f, 0xae, 0xe8}}, {INTERRUPT_RETURN, 2, {0x48, 0xcf}},
	};
	bool repeated = false;
	size_t at = 0;

	for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
		if (length == exact[i].length && !memcmp(bytes, exact[i].bytes, length))
			return exact[i].kind;
	for (; at < length && strchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf2\xf3", bytes[at]) && bytes[at]; at++)
		repeated |= bytes[at] == 0xf2 || bytes[at] == 0xf3;
	if (at < length && (bytes[at] & 0xf0) == 0x40)
		at++;
	if (at >= length)
		return OTHER;
	if (repeated && ((bytes[at] >= 0xa4 && bytes[at] <= 0xa7) || (bytes[at] >= 0xaa && bytes[at] <= 0xaf)))
		return REP;
	if (bytes[at] == 0xe8 || (bytes[at] == 0xff && at + 1 < length && (bytes[at + 1] >> 3 & 7) == 2))
		return CALL;
	return OTHER;
}

static void read_memory(uint64_t address, void *to, size_t length)
{
	GByteArray *bytes = g_byte_array_new();

	if (!qemu_plugin_read_memory_vaddr(address, bytes, length)) {
		fprintf(stderr, "the guest has no memory at %" PRIx64 "\n", address);
		exit(1);
	}
	memcpy(to, bytes->data, length);
	g_byte_array_free(bytes, true);
}

static void enter_handler(const struct instruction *first)
{
	read_memory(register_value(rsp), &handler_return, sizeof handler_return);
	in_handler = true;
	in_window = false;
	if (!counting)
		return;
	invocations++;
	if (traces_left) {
		traces_left--;
		traced = 0;
		if (!trace) {
			char name[64];

			snprintf(name, sizeof name, "%" PRIu64 ".trace", run);
			trace = opened(name, "w");
		}
		fprintf(trace, "invocation %" PRIx64 "\n", first->address);
	}
}

static void leave_handler(void)
{
	in_handler = false;
	if (!trace)
		return;
	fprintf(trace, "end %" PRIu64 "\n", traced);
	if (!traces_left) {
		fclose(trace);
		trace = NULL;
	}
}

static void trace_instruction(const struct instruction *now, const struct instruction *before)
{
	static const char *const names[] = {[STAC] = "stac", [CLAC] = "clac", [LFENCE] = "lfence"};

	traced++;
	if (before && before->kind == CALL && now->address != before->address + before->length)
		fprintf(trace, "%" PRIu64 " call %" PRIx64 " %" PRIx64 "\n", traced, now->address, before->address);
	if (now->kind == STAC || now->kind == CLAC || now->kind == LFENCE)
		fprintf(trace, "%" PRIu64 " %s %" PRIx64 " %" PRIx64 "\n", traced, names[now->kind], now->address,
			last_call ? last_call->address : 0);
}

static void on_instruction(unsigned int cpu, void *data)
{
	struct instruction *now = data;
	const struct instruction *before = previous;

	if (cpu != counted_cpu)
		return;
	if (now->enters_interrupt)
		interrupts++;
	if (interrupts) {
		interrupts -= now->kind == INTERRUPT_RETURN;
		return;
	}
	previous = now;
	if (in_handler && now->address == handler_return)
		leave_handler();
	else if (!in_handler && now->enters_handler)
		enter_handler(now);
	if (!in_handler || (now->kind == REP && before == now)) /* a further turn of the same `rep` */
		return;
	if (now->kind == STAC || now->kind == CLAC)
		in_window = now->kind == STAC;
	if (!counting)
		return;
	now->executed++;
	if (trace)
		trace_instruction(now, before);
	if (now->kind == CALL)
		last_call = now;
}

static size_t area_of(uint64_t address)
{
	size_t area = AREAS - 1;

	if (address < memory_base || address >= memory_base + MEMORY_BYTES)
		return area;
	while (address - memory_base < areas[area].start)
		area--;
	return area;
}

static void on_access(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
	const struct instruction *now = data;
	bool store = qemu_plugin_mem_is_store(info);
	unsigned int bytes = 1u << qemu_plugin_mem_size_shift(info);
	size_t area;

	if (cpu != counted_cpu || !counting || !in_handler || interrupts || address >> USER_ADDRESSES)
		return;
	area = area_of(address);
	user_accesses[area][store]++;
	user_bytes[area][store] += bytes;
	outside_window += !in_window;
	if (trace)
		fprintf(trace, "%" PRIu64 " %s%s %s %" PRIx64 " %u %" PRIx64 "\n", traced,
			now->kind == REP ? "rep_" : "", store ? "store" : "load", areas[area].name,
			address - memory_base, bytes, now->address);
}

static void forget(const void *node, VISIT visit, int depth)
{
	(void)depth;
	if (visit == postorder || visit == leaf)
		(*(struct instruction *const *)node)->executed = 0;
}

static void begin_stretch(uint64_t stretch)
{
	pthread_mutex_lock(&translating);
	twalk(instructions, forget);
	pthread_mutex_unlock(&translating);
	memset(user_accesses, 0, sizeof user_accesses);
	memset(user_bytes, 0, sizeof user_bytes);
	invocations = outside_window = 0;
	traces_left = stretch ? 0 : TRACED_INVOCATIONS;
	counting = true;
}

static FILE *counts;

static void write_executed(const void *node, VISIT visit, int depth)
{
	const struct instruction *counted = *(struct instruction *const *)node;

	(void)depth;
	if (!counted->executed || (visit != postorder && visit != leaf))
		return;
	fprintf(counts, "%" PRIx64 " ", counted->address);
	for (int i = 0; i < counted->length; i++)
		fprintf(counts, "%02x", counted->bytes[i]);
	fprintf(counts, " %" PRIu64 "\n", counted->executed);
}

static void end_stretch(uint64_t stretch)
{
	char name[64];

	counting = false;
	snprintf(name, sizeof name, "%" PRIu64 ".%" PRIu64 ".counts", run, stretch);
	counts = opened(name, "w");
	fprintf(counts, "invocations %" PRIu64 "\noutside_window %" PRIu64 "\n", invocations, outside_window);
	for (size_t area = 0; area < AREAS; area++)
		for (int store = 0; store < 2; store++)
			if (user_accesses[area][store])
				fprintf(counts, "user %s %s %" PRIu64 " %" PRIu64 "\n", areas[area].name,
					store ? "store" : "load", user_accesses[area][store], user_bytes[area][store]);
	pthread_mutex_lock(&translating);
	twalk(instructions, write_executed);
	pthread_mutex_unlock(&translating);
	fclose(counts);
	if (trace) {
		fclose(trace);
		trace = NULL;
	}
}

/* Text of the guest: eight bytes that say how many follow. */
static void keep_text(uint64_t address)
{
	FILE *file = opened("symbols", "a");
	uint64_t length;
	char *text;

	read_memory(address, &length, sizeof length);
	text = malloc(length);
	read_memory(address + sizeof length, text, length);
	fwrite(text, 1, length, file);
	free(text);
	fclose(file);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block);

static void after_reset(qemu_plugin_id_t id)
{
	armed = true;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
}

static void on_mark(unsigned int cpu, void *data)
{
	uint64_t value = register_value(rax);

	(void)cpu;
	switch ((enum mark)(uintptr_t)data) {
	case MARK_BEGIN: begin_stretch(value); break;
	case MARK_END: end_stretch(value); break;
	case MARK_MEMORY: memory_base = value; break;
	case MARK_HANDLER: known(value)->enters_handler = true; break;
	case MARK_INTERRUPT: known(value)->enters_interrupt = true; break;
	case MARK_TEXT: keep_text(value); break;
	case MARK_RUN: run = value; break;
	case MARK_ARM: qemu_plugin_reset(plugin, after_reset); break;
	}
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
	bool user = !(qemu_plugin_tb_vaddr(block) >> USER_ADDRESSES);

	(void)id;
	if (!user && !armed)
		return;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
		struct qemu_plugin_insn *translated = qemu_plugin_tb_get_insn(block, i);
		uint8_t bytes[15];
		size_t length = qemu_plugin_insn_data(translated, bytes, sizeof bytes);
		struct instruction *now;

		if (user) {
			if (length == MARK_LENGTH && !memcmp(bytes, MARK_OPCODE, 3) && !memcmp(bytes + 4, MARK_TAIL, 3))
				qemu_plugin_register_vcpu_insn_exec_cb(translated, on_mark, QEMU_PLUGIN_CB_R_REGS,
								       (void *)(uintptr_t)bytes[3]);
			continue;
		}
		now = known(qemu_plugin_insn_vaddr(translated));
		now->length = length;
		memcpy(now->bytes, bytes, length);
		now->kind = kind_of(bytes, length);
		qemu_plugin_register_vcpu_insn_exec_cb(
			translated, on_instruction,
			now->enters_handler ? QEMU_PLUGIN_CB_R_REGS : QEMU_PLUGIN_CB_NO_REGS, now);
		qemu_plugin_register_vcpu_mem_cb(translated, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
						 now);
	}
}

static void on_cpu(qemu_plugin_id_t id, unsigned int cpu)
{
	GArray *registers = qemu_plugin_get_registers();

	(void)id;
	(void)cpu;
	for (unsigned int i = 0; i < registers->length; i++) {
		if (!strcmp(registers->data[i].name, "rax"))
			rax = registers->data[i].handle;
		if (!strcmp(registers->data[i].name, "rsp"))
			rsp = registers->data[i].handle;
	}
	g_array_free(registers, true);
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count, char **arguments)
{
	(void)info;
	for (int i = 0; i < count; i++)
		if (sscanf(arguments[i], "out=%255s", folder) != 1 && sscanf(arguments[i], "cpu=%u", &counted_cpu) != 1)
			return -1;
	plugin = id;
	qemu_plugin_register_vcpu_init_cb(id, on_cpu);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
