/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kata-runtime metrics: all sandboxes of this host as numbers for Prometheus, for instance through the textfile
 * collector of its node exporter. Host side: cgroups of the scopes, processes of the VMMs. Containers: what the
 * guests say, through the Task service; which there are is in the supervisor's task.state. A supervisor or guest that
 * does not answer costs two seconds, all of them together eight, which is less than what Prometheus waits.
 */

#include <dirent.h>
#include <fcntl.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "proto/task-state.pb-c.h"
#include "runtime/cli/command.h"
#include "runtime/cli/metrics-text.h"
#include "runtime/cli/task-numbers.h"
#include "runtime/cli/usage.h"
#include "runtime/sandbox/state-file.h"

#define ALL_USEC (8 * USEC_PER_SEC)
#define SANDBOX_USEC (2 * USEC_PER_SEC)
#define ROWS_MAX 8192U
/* As in the state file. */
#define PHASE_CREATED 2U
#define PHASE_RUNNING 3U
/* "No limit" is one of several large numbers, after the kernel. */
#define LIMIT_MAX (UINT64_C(1) << 60)

enum {
        S_THREADS, S_FDS, S_CPU, S_MEMORY, S_TASKS, S_READ, S_WRITTEN, S_RESPONDING,
};

/* The first two have the names that Kata's runtime has for them. */
static const MetricsFamily sandbox_families[] = {
        { "kata_hypervisor_threads", "gauge", "Threads of the VMM.", S_THREADS },
        { "kata_hypervisor_fds", "gauge", "Open descriptors of the VMM.", S_FDS },
        { "kata_sandbox_cpu_seconds_total", "counter", "Processor time of VMM and virtiofsd.", S_CPU, 6 },
        { "kata_sandbox_memory_bytes", "gauge", "Memory of VMM and virtiofsd, the guest's included.", S_MEMORY },
        { "kata_sandbox_tasks", "gauge", "Threads in the scope of the sandbox.", S_TASKS },
        { "kata_sandbox_read_bytes_total", "counter", "Bytes that the scope has read from disks.", S_READ },
        { "kata_sandbox_written_bytes_total", "counter", "Bytes that the scope has written to disks.", S_WRITTEN },
        { "kata_sandbox_responding", "gauge", "Whether supervisor and guest have answered in time.", S_RESPONDING },
};

enum {
        C_CPU, C_CPU_USER, C_CPU_SYSTEM, C_MEMORY, C_MEMORY_LIMIT, C_CACHE, C_PIDS, C_OOM_KILLS, C_READ, C_WRITTEN,
        C_RECEIVED, C_SENT,
};

static const MetricsFamily container_families[] = {
        { "kata_container_cpu_seconds_total", "counter", "Processor time in the guest.", C_CPU, 9 },
        { "kata_container_cpu_user_seconds_total", "counter", "Of it, in user mode.", C_CPU_USER, 9 },
        { "kata_container_cpu_system_seconds_total", "counter", "Of it, in the guest's kernel.", C_CPU_SYSTEM, 9 },
        { "kata_container_memory_bytes", "gauge", "Memory in the guest, page cache included.", C_MEMORY },
        { "kata_container_memory_limit_bytes", "gauge", "Limit of memory, where there is one.", C_MEMORY_LIMIT },
        { "kata_container_memory_cache_bytes", "gauge", "Page cache in the guest.", C_CACHE },
        { "kata_container_processes", "gauge", "Processes and threads in the guest.", C_PIDS },
        { "kata_container_oom_kills_total", "counter", "Processes killed for lack of memory.", C_OOM_KILLS },
        { "kata_container_read_bytes_total", "counter", "Bytes read from disks of the guest.", C_READ },
        { "kata_container_written_bytes_total", "counter", "Bytes written to disks of the guest.", C_WRITTEN },
        { "kata_container_network_receive_bytes_total", "counter", "Bytes received, loopback left out.", C_RECEIVED },
        { "kata_container_network_transmit_bytes_total", "counter", "Bytes sent, loopback left out.", C_SENT },
};

typedef struct Metrics {
        MetricsRow *sandboxes, *containers;
        size_t n_sandboxes, n_containers;
        usec_t end;
} Metrics;

/* --- containers --- */

static uint64_t sum_of_disks(const TaskNumbers *n, const char *operation)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < n->n_disk_bytes; i++)
                if (strcasecmp(n->disk_bytes[i].operation, operation) == 0)
                        sum += n->disk_bytes[i].value;
        return sum;
}

static void set_network(const TaskNumbers *n, MetricsRow *row)
{
        uint64_t received = 0, sent = 0;

        for (size_t i = 0; i < n->n_network; i++)
                if (!streq(n->network[i].name, "lo")) {
                        received += n->network[i].rx_bytes;
                        sent += n->network[i].tx_bytes;
                }
        metrics_row_set(row, C_RECEIVED, received);
        metrics_row_set(row, C_SENT, sent);
}

static int add_container(Metrics *m, const char *sandbox, const char *id, const TaskNumbers *n)
{
        MetricsRow row = { .sandbox = strdup(sandbox), .container = strdup(id) };

        if (!row.container) {
                free(row.sandbox);
                return -ENOMEM;
        }
        metrics_row_set(&row, C_CPU, n->cpu_total);
        metrics_row_set(&row, C_CPU_USER, n->cpu_user);
        metrics_row_set(&row, C_CPU_SYSTEM, n->cpu_kernel);
        metrics_row_set(&row, C_MEMORY, n->memory.usage);
        if (n->memory.limit > 0 && n->memory.limit < LIMIT_MAX)
                metrics_row_set(&row, C_MEMORY_LIMIT, n->memory.limit);
        metrics_row_set(&row, C_CACHE, n->cache);
        metrics_row_set(&row, C_PIDS, n->pids);
        if (n->has_oom_kills)
                metrics_row_set(&row, C_OOM_KILLS, n->oom_kills);
        metrics_row_set(&row, C_READ, sum_of_disks(n, "read"));
        metrics_row_set(&row, C_WRITTEN, sum_of_disks(n, "write"));
        set_network(n, &row);
        return metrics_row_add(&m->containers, &m->n_containers, &row);
}

/* 1: there is such a file, and what the sandbox runs is in it. */
static int read_tasks(const char *sandbox, PbArena *arena, Kata__Systemd__V1__TaskStateFile **ret)
{
        _cleanup_free_ char *path = NULL, *data = NULL;
        size_t n;
        int r;

        if (asprintf(&path, "%s/%s/%s", RUNDIR, sandbox, TASK_STATE_FILE) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = read_file_at(AT_FDCWD, path, TASK_STATE_MAX, &data, &n);
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = pb_unpack(&kata__systemd__v1__task_state_file__descriptor, arena, data, n, ret);
        return r < 0 ? r : 1;
}

static bool is_alive(const Kata__Systemd__V1__TaskEntryState *task)
{
        return task->init && (task->init->phase == PHASE_CREATED || task->init->phase == PHASE_RUNNING) &&
               id_is_valid(task->id, CONTAINER_ID_MAX);
}

/*
 * 1: it has answered, 0: it has no containers of callers, so was not asked, or why it counts as one that does not
 * respond. A container that has just ended is no reason.
 */
static int add_containers(Metrics *m, const char *sandbox)
{
        Kata__Systemd__V1__TaskStateFile *state = NULL;
        _cleanup_(task_client_freep) TaskClient *client = NULL;
        _cleanup_pb_arena_ PbArena tasks;
        usec_t begin = now_usec(), end = MIN(begin + SANDBOX_USEC, m->end);
        int r;

        pb_arena_init(&tasks, 2 * TASK_STATE_MAX);
        if (begin >= m->end) {
                log_warning("sandbox '%s' is not asked for its containers: others took too long", sandbox);
                return 0;
        }
        r = read_tasks(sandbox, &tasks, &state);
        if (r <= 0)
                return r;
        r = task_client_connect(sandbox, &client, NULL);
        for (size_t i = 0; r >= 0 && i < state->n_tasks && m->n_containers < ROWS_MAX; i++) {
                const Kata__Systemd__V1__TaskEntryState *task = state->tasks[i];
                _cleanup_pb_arena_ PbArena arena;
                usec_t now = now_usec();
                TaskNumbers numbers;

                pb_arena_init(&arena, 0);
                if (!is_alive(task))
                        continue;
                if (now >= end)
                        return -ETIMEDOUT;
                r = task_numbers_get(client, task->id, end - now, &arena, &numbers, NULL);
                if (r >= 0)
                        r = add_container(m, sandbox, task->id, &numbers);
                else if (r != -ETIMEDOUT && r != -ECONNRESET && r != -ENOTCONN)
                        r = 0;
        }
        return r < 0 ? r : 1;
}

/* --- sandboxes --- */

static bool count_entries(pid_t pid, const char *what, uint64_t *ret)
{
        char path[64];
        DIR *d;

        snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, what);
        d = opendir(path);
        if (!d)
                return false;
        *ret = 0;
        for (struct dirent *e = readdir(d); e; e = readdir(d))
                *ret += e->d_name[0] != '.';
        closedir(d);
        return true;
}

static int add_sandbox(Metrics *m, const SandboxUsage *u)
{
        MetricsRow row = { .sandbox = strdup(u->id) };
        uint64_t n;
        int r;

        if (count_entries(u->pid, "task", &n))
                metrics_row_set(&row, S_THREADS, n);
        if (count_entries(u->pid, "fd", &n))
                metrics_row_set(&row, S_FDS, n);
        metrics_row_set(&row, S_CPU, u->cpu_usec);
        if (u->has_memory)
                metrics_row_set(&row, S_MEMORY, u->memory);
        if (u->has_tasks)
                metrics_row_set(&row, S_TASKS, u->tasks);
        if (u->has_io) {
                metrics_row_set(&row, S_READ, u->read_bytes);
                metrics_row_set(&row, S_WRITTEN, u->write_bytes);
        }
        r = add_containers(m, u->id);
        if (r != 0)
                metrics_row_set(&row, S_RESPONDING, r > 0);
        if (r < 0 && r != -ENOMEM)
                log_warning("sandbox '%s' does not tell of its containers: %s", u->id, strerror(-r));
        return metrics_row_add(&m->sandboxes, &m->n_sandboxes, &row);
}

int verb_metrics(const CliArgs *args)
{
        Metrics m = { .end = now_usec() + ALL_USEC };
        UsageList list = {};
        int r;

        r = usage_list_read(NULL, NULL, NULL, NULL, 0, &list);
        if (r < 0) {
                (void) log_error_errno(r, "%s can not be read", RUNDIR);
                return EXIT_FAILURE;
        }
        for (size_t i = 0; i < list.n && r >= 0; i++)
                r = add_sandbox(&m, &list.v[i]);
        if (r < 0)
                log_oom();
        else {
                printf("# HELP kata_monitor_running_shim_count Sandboxes that run on this host.\n"
                       "# TYPE kata_monitor_running_shim_count gauge\n"
                       "kata_monitor_running_shim_count %zu\n", list.n);
                metrics_print(stdout, sandbox_families, ELEMENTSOF(sandbox_families), m.sandboxes, m.n_sandboxes);
                metrics_print(stdout, container_families, ELEMENTSOF(container_families), m.containers,
                              m.n_containers);
        }
        metrics_rows_free(m.sandboxes, m.n_sandboxes);
        metrics_rows_free(m.containers, m.n_containers);
        usage_list_done(&list);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
