/* The part of QEMU's plugin interface that the plugin uses, as QEMU 9.2 and later have it (version 4): packages of QEMU
 * bring no header. The two arrays are GLib's, in QEMU's own process. */
#ifndef VHOST_SIM_PLUGIN_API_H
#define VHOST_SIM_PLUGIN_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLUGIN_API_VERSION 4
#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_CB_R_REGS };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W, QEMU_PLUGIN_MEM_RW };

struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_register;

struct register_description {
	struct qemu_plugin_register *handle;
	const char *name, *feature;
};

typedef struct {
	struct register_description *data;
	unsigned int length;
} GArray;

typedef struct {
	uint8_t *data;
	unsigned int length;
} GByteArray;

GByteArray *g_byte_array_new(void);
uint8_t *g_byte_array_free(GByteArray *array, int free_data);
char *g_array_free(GArray *array, int free_data);

void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t id, void (*call)(qemu_plugin_id_t, unsigned int cpu));
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*call)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*call)(unsigned int cpu, void *),
					    enum qemu_plugin_cb_flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *,
				      void (*call)(unsigned int cpu, qemu_plugin_meminfo_t, uint64_t address, void *),
				      enum qemu_plugin_cb_flags, enum qemu_plugin_mem_rw, void *data);
void qemu_plugin_reset(qemu_plugin_id_t id, void (*call)(qemu_plugin_id_t));

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t number);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *, void *bytes, size_t most);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);

unsigned int qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t);

GArray *qemu_plugin_get_registers(void);
int qemu_plugin_read_register(struct qemu_plugin_register *, GByteArray *value);
bool qemu_plugin_read_memory_vaddr(uint64_t address, GByteArray *bytes, size_t length);

#endif
