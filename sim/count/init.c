/* The first process of an emulated machine: loads the modules of vhost_net, hands the kernel's symbols to the plugin
 * that counts, runs a program once for each line of /runs, and switches the machine off.
 *
 * Prints, for each run, `run NUMBER NAME`, what the program says, and `exit NUMBER STATUS`. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../host/mark.h"

#define MOST_ARGUMENTS 64
#define MOST_TEXT (16 << 20)

static void quit(const char *message)
{
	printf("init: %s: %s\n", message, strerror(errno));
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void mount_at(const char *type, const char *place)
{
	mkdir(place, 0755);
	if (mount(type, place, type, 0, NULL) && errno != EBUSY)
		quit(place);
}

static void write_setting(const char *path, const char *value)
{
	int file = open(path, O_WRONLY);

	if (file < 0)
		return; /* this kernel has no such setting */
	if (write(file, value, strlen(value)) < 0)
		printf("init: %s stays as it is: %s\n", path, strerror(errno));
	close(file);
}

/* Load the modules that the list names, in its order; one behind a question mark may fail, and is said to. */
static void load_modules(void)
{
	FILE *list = fopen("/modules/order", "r");
	char name[128], path[160];

	while (list && fgets(name, sizeof name, list)) {
		int file, optional = name[0] == '?';

		name[strcspn(name, "\n")] = 0;
		snprintf(path, sizeof path, "/modules/%s", name + optional);
		file = open(path, O_RDONLY);
		if (file < 0 || (syscall(SYS_finit_module, file, "", 0) && errno != EEXIST)) {
			if (!optional)
				quit(path);
			printf("%s is not loaded: %s\n", path, strerror(errno));
		}
		close(file);
	}
	if (list)
		fclose(list);
}

static int starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static int enters_interrupt(const char *symbol)
{
	return starts_with(symbol, "asm_sysvec_") || starts_with(symbol, "asm_exc_") ||
	       !strcmp(symbol, "asm_common_interrupt") || !strcmp(symbol, "asm_spurious_interrupt");
}

/* What is handed over: the kernel's functions with their addresses, and where each module lies. */
static struct {
	uint64_t length;
	char text[MOST_TEXT];
} kept;

static void keep(const char *line)
{
	size_t length = strlen(line);

	if (kept.length + length > sizeof kept.text)
		quit("symbols");
	memcpy(kept.text + kept.length, line, length);
	kept.length += length;
}

/* Hand the symbols to the plugin, and tell it where the handlers and the interrupts begin. */
static void hand_over_symbols(char **handlers)
{
	FILE *modules = fopen("/proc/modules", "r");
	FILE *symbols = fopen("/proc/kallsyms", "r");
	char *line = NULL, type, name[256];
	size_t space = 0;
	uint64_t address;
	unsigned int handlers_seen = 0;

	if (!symbols)
		quit("/proc/kallsyms");
	while (getline(&line, &space, symbols) > 0) {
		if (sscanf(line, "%lx %c %255s", &address, &type, name) != 3 || !address)
			continue;
		for (char **handler = handlers; *handler; handler++)
			if (!strcmp(name, *handler)) {
				MARK(MARK_HANDLER, address);
				handlers_seen++;
			}
		if (enters_interrupt(name))
			MARK(MARK_INTERRUPT, address);
		if (strchr("tTwW", type))
			keep(line);
	}
	fclose(symbols);
	while (modules && getline(&line, &space, modules) > 0)
		keep(line);
	if (modules)
		fclose(modules);
	MARK(MARK_TEXT, &kept);
	printf("handlers %u\n", handlers_seen);
}

static void show(const char *path)
{
	char text[4096];
	int file = open(path, O_RDONLY);
	ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);

	if (length > 0) {
		text[length] = 0;
		printf("%s: %s", path, text);
	}
	close(file);
}

/* A group below the root whose memory is accounted: programs run in it where the command line says `cgroup=`. */
static int group = -1;

static void make_group(void)
{
	if (!getenv("cgroup"))
		return;
	if (mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL))
		quit("cgroup2");
	write_setting("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir("/sys/fs/cgroup/counted", 0755))
		quit("a group");
	group = open("/sys/fs/cgroup/counted/cgroup.procs", O_WRONLY);
	if (group < 0 || access("/sys/fs/cgroup/counted/memory.max", F_OK))
		quit("a group with memory");
}

static int run(char *line)
{
	char *arguments[MOST_ARGUMENTS] = {NULL};
	int count = 0, status = 0;
	pid_t child;

	for (char *word = strtok(line, " \n"); word && count < MOST_ARGUMENTS - 1; word = strtok(NULL, " \n"))
		arguments[count++] = word;
	fflush(stdout);
	child = fork();
	if (!child) {
		if (group >= 0 && write(group, "0", 1) != 1)
			_exit(126);
		execv(arguments[0], arguments);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		quit("fork");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Its arguments are the functions whose instructions are counted. */
int main(int count, char **arguments)
{
	cpu_set_t first;
	struct utsname kernel;
	char *line = NULL;
	size_t space = 0;
	uint64_t number = 0;
	FILE *runs;
	int console;

	(void)count;
	mount_at("proc", "/proc");
	mount_at("sysfs", "/sys");
	mount_at("devtmpfs", "/dev");
	console = open("/dev/console", O_RDWR);
	for (int file = 0; file < 3; file++)
		dup2(console, file);
	uname(&kernel);
	printf("kernel %s %s\n", kernel.release, kernel.version);
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof first, &first);
	write_setting("/proc/sys/kernel/kptr_restrict", "0");
	write_setting("/proc/sys/kernel/watchdog", "0");
	write_setting("/proc/irq/default_smp_affinity", "1"); /* interrupts of a NIC: not on the CPU that is counted */
	load_modules();
	make_group();
	show("/sys/devices/system/cpu/vulnerabilities/spectre_v1");
	show("/sys/devices/system/cpu/vulnerabilities/spectre_v2");
	hand_over_symbols(arguments + 1);
	MARK(MARK_ARM, 0);
	usleep(300000);
	runs = fopen("/runs", "r");
	if (!runs)
		quit("/runs");
	for (; getline(&line, &space, runs) > 0; number++) {
		printf("run %lu %s", number, line);
		MARK(MARK_RUN, number);
		printf("exit %lu %d\n", number, run(line));
	}
	printf("done\n");
	fflush(stdout);
	usleep(200000);
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
