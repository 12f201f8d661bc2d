/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of sandboxes: see usage.h. Everything read here is the kernel's or the supervisor's. */

#include "runtime/cli/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "runtime/sandbox/state-file.h"
#include "runtime/unit/unit-name.h"
#include "runtime/vmm/vmm-state.h"

static const char *const cgroup_roots[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };

static void usage_done(SandboxUsage *u)
{
        free(u->id);
        free(u->scope);
}

void usage_list_done(UsageList *list)
{
        for (size_t i = 0; i < list->n; i++)
                usage_done(&list->v[i]);
        free(list->v);
        *list = (UsageList) {};
}

const SandboxUsage *usage_list_find(const UsageList *list, const char *id)
{
        for (size_t i = 0; i < list->n; i++)
                if (streq(list->v[i].id, id))
                        return &list->v[i];

        return NULL;
}

bool usage_parse_flat(const char *text, const char *key, uint64_t *ret)
{
        size_t n = strlen(key);

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, n) == 0 && line[n] == ' ') {
                        *ret = strtoull(line + n + 1, NULL, 10);
                        return true;
                }
        }
        return false;
}

static uint64_t sum_of(const char *text, const char *name)
{
        uint64_t sum = 0;

        for (const char *p = strstr(text, name); p; p = strstr(p + 1, name))
                sum += strtoull(p + strlen(name), NULL, 10);
        return sum;
}

void usage_parse_io(const char *text, uint64_t *ret_read, uint64_t *ret_write)
{
        *ret_read = sum_of(text, " rbytes=");
        *ret_write = sum_of(text, " wbytes=");
}

/* "0::/PATH" of /proc/PID/cgroup. New string. */
static int cgroup_of(const char *proc, pid_t pid, char **ret)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        char *line;
        int r;

        if (asprintf(&path, "%s/%d/cgroup", proc, (int) pid) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = read_file_at(AT_FDCWD, path, CGROUP_FILE_MAX, &text, NULL);
        if (r < 0)
                return r;
        line = startswith(text, "0::") ? text : strstr(text, "\n0::");
        if (!line)
                return -ENOENT;
        line += *line == '\n';
        line[strcspn(line, "\n")] = '\0';
        *ret = strdup(line + strlen("0::"));
        return *ret ? 0 : -ENOMEM;
}

static bool read_number(int dir, const char *name, uint64_t *ret)
{
        _cleanup_free_ char *text = NULL;

        if (read_file_at(dir, name, CGROUP_FILE_MAX, &text, NULL) < 0)
                return false;
        *ret = strtoull(text, NULL, 10);
        return true;
}

static int read_counters(int dir, SandboxUsage *u)
{
        _cleanup_free_ char *cpu = NULL, *io = NULL;
        int r;

        r = read_file_at(dir, "cpu.stat", CGROUP_FILE_MAX, &cpu, NULL);
        if (r < 0)
                return r;
        if (!usage_parse_flat(cpu, "usage_usec", &u->cpu_usec))
                return -EBADMSG;
        u->has_memory = read_number(dir, "memory.current", &u->memory);
        u->has_tasks = read_number(dir, "pids.current", &u->tasks);
        u->has_io = read_file_at(dir, "io.stat", CGROUP_FILE_MAX, &io, NULL) >= 0;
        if (u->has_io)
                usage_parse_io(io, &u->read_bytes, &u->write_bytes);
        return 0;
}

static int open_cgroup(const char *root, const char *path)
{
        _cleanup_free_ char *full = NULL;
        int fd;

        if (asprintf(&full, "%s%s", root, path) < 0) {
                full = NULL;
                return -ENOMEM;
        }
        fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? negative_errno() : fd;
}

/* The unified hierarchy is below another one on hosts that mount both. */
static int open_unified(const char *root, const char *path)
{
        int fd = -ENOENT;

        if (root)
                return open_cgroup(root, path);
        for (size_t i = 0; i < ELEMENTSOF(cgroup_roots) && fd < 0; i++)
                fd = open_cgroup(cgroup_roots[i], path);
        return fd;
}

static int read_sandbox(const char *run_dir, const char *cgroup_root, const char *proc, const char *id,
                        SandboxUsage *ret)
{
        _cleanup_free_ char *state_path = NULL, *path = NULL;
        _cleanup_(vmm_state_done) VmmState state = {};
        _cleanup_close_ int dir = -EBADF;
        const char *slash;
        int r;

        if (asprintf(&state_path, "%s/%s/%s", run_dir, id, MACHINE_STATE_FILE) < 0) {
                state_path = NULL;
                return -ENOMEM;
        }
        r = vmm_state_load(state_path, &state, NULL);
        if (r >= 0)
                r = cgroup_of(proc, state.pid, &path);
        if (r >= 0)
                r = dir = open_unified(cgroup_root, path);
        if (r >= 0)
                r = read_counters(dir, ret);
        if (r < 0)
                return r;

        slash = strrchr(path, '/');
        ret->pid = state.pid;
        ret->id = strdup(id);
        ret->scope = strdup(slash ? slash + 1 : path);
        return ret->id && ret->scope ? 0 : -ENOMEM;
}

static bool is_wanted(const char *id, char *const *ids, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (streq(ids[i], id))
                        return true;

        return n == 0;
}

static int compare(const void *a, const void *b)
{
        return strcmp(((const SandboxUsage *) a)->id, ((const SandboxUsage *) b)->id);
}

static int add(UsageList *list, const SandboxUsage *u)
{
        SandboxUsage *v = reallocarray(list->v, list->n + 1, sizeof(*v));

        if (!v)
                return -ENOMEM;
        list->v = v;
        list->v[list->n++] = *u;
        return 0;
}

static int read_all(DIR *d, const char *run_dir, const char *cgroup_root, const char *proc, char *const *ids,
                    size_t n_ids, UsageList *list)
{
        for (struct dirent *e = readdir(d); e; e = readdir(d)) {
                SandboxUsage u = {};
                int r;

                if (!sandbox_name_is_valid(e->d_name) || !is_wanted(e->d_name, ids, n_ids))
                        continue;
                r = read_sandbox(run_dir, cgroup_root, proc, e->d_name, &u);
                if (r >= 0)
                        r = add(list, &u);
                if (r < 0)
                        usage_done(&u);
                if (r == -ENOMEM || r == -EACCES || r == -EPERM)
                        return r;
        }
        return 0;
}

int usage_list_read(const char *run_dir, const char *cgroup_root, const char *proc, char *const *ids,
                    size_t n_ids, UsageList *ret)
{
        UsageList list = { .when = now_usec() };
        DIR *d;
        int r;

        d = opendir(run_dir ? run_dir : RUNDIR);
        if (d) {
                r = read_all(d, run_dir ? run_dir : RUNDIR, cgroup_root, proc ? proc : "/proc", ids, n_ids,
                             &list);
                closedir(d);
        } else
                r = errno == ENOENT ? 0 : negative_errno();
        if (r < 0) {
                usage_list_done(&list);
                return r;
        }

        if (list.n > 1)
                qsort(list.v, list.n, sizeof(*list.v), compare);
        *ret = list;
        return 0;
}
