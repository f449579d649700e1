/* The thread that serves the rings for the kernel: found by its name, pinned, timed by its own clock, counted. */
#define _GNU_SOURCE
#include "bench.h"
#include "vhost.h"

#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <linux/vhost.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct owner {
	int device, thread, error;
};

static void *become_owner(void *place)
{
	struct owner *owner = place;
	owner->thread = syscall(SYS_gettid);
	owner->error = drop_privileges() || ioctl(owner->device, VHOST_SET_OWNER) ? errno : 0;
	return NULL;
}

int start_worker(int device, struct worker *worker)
{
	pthread_t maker;
	struct owner owner = {.device = device};
	errno = pthread_create(&maker, NULL, become_owner, &owner);
	if (errno)
		return -1;
	pthread_join(maker, NULL);
	*worker = (struct worker){.maker = owner.thread};
	errno = owner.error;
	return errno ? -1 : 0;
}

static int user_of(int thread)
{
	char file[64], line[128];
	int user = -1;
	snprintf(file, sizeof file, "/proc/%d/status", thread);
	FILE *text = fopen(file, "r");
	while (text && user < 0 && fgets(line, sizeof line, text))
		sscanf(line, "Uid: %d", &user);
	if (text)
		fclose(text);
	return user;
}

static int named_worker(const char *folder, int maker)
{
	char wanted[32], name[64], file[300];
	DIR *entries = opendir(folder);
	struct dirent *entry;
	int thread = -1;
	snprintf(wanted, sizeof wanted, "vhost-%d\n", maker);
	while (entries && thread < 0 && (entry = readdir(entries))) {
		snprintf(file, sizeof file, "%s/%s/comm", folder, entry->d_name);
		FILE *text = fopen(file, "r");
		if (text && fgets(name, sizeof name, text) && !strcmp(name, wanted))
			thread = atoi(entry->d_name);
		if (text)
			fclose(text);
	}
	if (entries)
		closedir(entries);
	return thread;
}

static int counter(int thread, uint64_t event)
{
	struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE, .size = sizeof attributes, .config = event};
	return syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

int find_worker(int cpu, struct worker *worker)
{
	cpu_set_t set;
	worker->thread = named_worker("/proc/self/task", worker->maker);
	if (worker->thread < 0) {
		worker->thread = named_worker("/proc", worker->maker);
		worker->kernel_thread = 1;
	}
	if (worker->thread < 0) {
		errno = ESRCH;
		return -1;
	}
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	worker->user = user_of(worker->thread);
	worker->cycles = counter(worker->thread, PERF_COUNT_HW_CPU_CYCLES);
	worker->instructions = counter(worker->thread, PERF_COUNT_HW_INSTRUCTIONS);
	return sched_setaffinity(worker->thread, sizeof set, &set);
}

/* The number of a thread's or process's clock is made of its id. */
clockid_t worker_clock(const struct worker *worker)
{
	return (clockid_t)(~(unsigned)worker->thread << 3 | (worker->kernel_thread ? 2 : 6));
}

uint64_t count_of(int counter)
{
	uint64_t value = 0;
	return counter < 0 || read(counter, &value, sizeof value) != sizeof value ? 0 : value;
}
