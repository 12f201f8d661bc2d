/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes of containers: see container-sandbox.h. */

#include "runtime/cli/container-sandbox.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/pidref.h"
#include "basic/strv.h"
#include "runtime/cli/container-store.h"
#include "runtime/cli/sandbox-owner.h"
#include "runtime/cli/task-client.h"
#include "runtime/net/namespace.h"
#include "runtime/sandbox/state-file.h"
#include "runtime/unit/service-control.h"
#include "runtime/unit/unit-name.h"
#include "runtime/vmm/vmm-state.h"

/* A boot under emulation, with everything that may be slow beside it. */
#define START_USEC (180 * USEC_PER_SEC)
#define STOP_USEC (90 * USEC_PER_SEC)

int sandbox_name_for(const char *root, const char *id, char **ret, char **reterr_message)
{
        const char *namespace = strrchr(root, '/');
        char *name;

        namespace = namespace ? namespace + 1 : root;
        if (streq(root, DEFAULT_ROOT))
                name = strdup(id);
        else if (asprintf(&name, "%s:%s", namespace, id) < 0)
                name = NULL;
        if (!name)
                return -ENOMEM;
        /* /run/kata/sandboxes has definitions in it. */
        if (!sandbox_name_is_valid(name) || streq(name, "sandboxes")) {
                int r = error_setf(reterr_message, -EINVAL, "'%s' can not be the name of a sandbox: the last "
                                   "component of --root and the container's ID are letters, digits, '.', '_' and "
                                   "'-', and not 'sandboxes'", name);

                free(name);
                return r;
        }
        *ret = name;
        return 0;
}

static int lock_path(const char *root, const char *sandbox, char **ret)
{
        /* No container has a name like this. */
        if (asprintf(ret, "%s/.sandbox-%s", root, sandbox) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return 0;
}

static bool same_file(const char *path, int fd)
{
        struct stat a, b;

        return stat(path, &a) >= 0 && fstat(fd, &b) >= 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int sandbox_lock(const char *root, const char *sandbox, int *ret_fd, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;
        int r = lock_path(root, sandbox, &path);

        while (r >= 0) {
                _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

                if (fd < 0 || flock(fd, LOCK_EX) < 0) {
                        if (errno != EINTR)
                                r = negative_errno();
                } else if (same_file(path, fd)) {
                        *ret_fd = TAKE_FD(fd);
                        return 0;
                }
        }
        return error_setf(reterr_message, r, "%s: %s", path ? path : root, strerror(-r));
}

static void write_list(FILE *f, const char *key, const CpuList *list)
{
        _cleanup_free_ char *text = cpu_list_to_text(list);

        if (!isempty(text))
                fprintf(f, "%s=%s\n", key, text);
}

/* What is "no limit" is left out: of a new sandbox nothing is limited. */
static void write_limits(FILE *f, const ScopeLimits *l)
{
        if (l->set & SCOPE_LIMIT_CPU_WEIGHT)
                fprintf(f, "CPUWeight=%" PRIu64 "\n", l->cpu_weight);
        if ((l->set & SCOPE_LIMIT_CPU_QUOTA) && l->cpu_quota != UINT64_MAX)
                fprintf(f, "CPUQuota=%" PRIu64 "%%\n", l->cpu_quota / SCOPE_CPU_QUOTA_STEP);
        if (l->set & SCOPE_LIMIT_CPU_PERIOD)
                fprintf(f, "CPUQuotaPeriodSec=%" PRIu64 "us\n", l->cpu_period);
        write_list(f, "AllowedCPUs", &l->cpus);
        write_list(f, "AllowedMemoryNodes", &l->memory_nodes);
        if (l->set & SCOPE_LIMIT_IO_WEIGHT)
                fprintf(f, "IOWeight=%" PRIu64 "\n", l->io_weight);
        if ((l->set & SCOPE_LIMIT_MEMORY_MAX) && l->memory_max == SCOPE_MEMORY_OF_MACHINE)
                fputs("MemoryMax=machine\n", f);
}

char *sandbox_params_to_text(const SandboxParams *p)
{
        char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);

        if (!f)
                return NULL;
        fputs("# Made by kata-runtime.\n[Sandbox]\n", f);
        if (p->memory > 0)
                fprintf(f, "Memory=%" PRIu64 "M\n", p->memory / MIB(1));
        if (p->vcpus > 0)
                fprintf(f, "VCPUs=%u\n", p->vcpus);
        if (p->slice)
                fprintf(f, "Slice=%s\n", p->slice);
        if (p->scope)
                fprintf(f, "Scope=%s\n", p->scope);
        write_limits(f, &p->limits);
        if (p->netns)
                fprintf(f, "NetworkNamespace=%s\n", p->netns);
        if (fclose(f) != 0)
                text = mfree(text);
        return text;
}

/* Without containers in it: those come through the supervisor's Task service. */
static int write_definition(const char *sandbox, const SandboxParams *params, char **reterr_message)
{
        _cleanup_free_ char *dir = NULL, *path = NULL, *text = sandbox_params_to_text(params);
        int r;

        if (!text)
                return -ENOMEM;
        if (asprintf(&dir, "%s/%s", RUNDIR, sandbox) < 0) {
                dir = NULL;
                return -ENOMEM;
        }
        if (asprintf(&path, "%s/sandbox.conf", dir) < 0) {
                path = NULL;
                return -ENOMEM;
        }

        r = write_file_atomic(path, text, strlen(text), 0600);
        return r < 0 ? error_setf(reterr_message, r, "%s: %s", path, strerror(-r)) : 0;
}

/* strict: without a mark it is another caller's, since it is not about to go away. */
static int check_owner(const char *root, const char *sandbox, bool strict, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        SandboxOwner owner;
        int r = sandbox_owner(NULL, root, sandbox, &owner, &text);

        if (r < 0)
                return error_setf(reterr_message, r, "sandbox '%s': %s", sandbox, strerror(-r));
        if (owner == SANDBOX_FOREIGN || (strict && owner == SANDBOX_UNMARKED))
                return error_setf(reterr_message, -EEXIST, "%s", error_text(text, EEXIST));
        return 0;
}

int sandbox_check(const char *root, const char *sandbox, char **reterr_message)
{
        return check_owner(root, sandbox, false, reterr_message);
}

int sandbox_connect(const char *root, const char *sandbox, TaskClient **ret, char **reterr_message)
{
        SandboxOwner owner;
        int r = sandbox_owner(NULL, root, sandbox, &owner, NULL);

        if (r < 0)
                return error_setf(reterr_message, r, "sandbox '%s': %s", sandbox, strerror(-r));
        if (owner != SANDBOX_OURS)
                return error_setf(reterr_message, -ENOENT, "sandbox '%s' does not run any more", sandbox);
        return task_client_connect(sandbox, ret, reterr_message);
}

static bool is_at_rest(const char *state)
{
        return !streq(state, "deactivating");
}

/*
 * A sandbox of that name that ends by itself, whose end takes the run-time directory away, whoever's that is by then.
 * It is not stopped: it may be that of others in the next moment.
 */
static int await_rest(const char *unit)
{
        return service_await(unit, is_at_rest, STOP_USEC);
}

/* With the mark of ours: the operator may have defined one of that name since, which would be started instead. */
static int check_definition(const char *sandbox, char **reterr_message)
{
        _cleanup_free_ char *definition = NULL;
        int r = sandbox_definition(NULL, sandbox, &definition);

        if (r >= 0 && definition)
                r = error_setf(reterr_message, -EEXIST, "a sandbox '%s' is defined by this host's operator in %s: this "
                               "container needs another ID, or another --root", sandbox, definition);
        return r;
}

int sandbox_ensure(const char *root, const char *sandbox, const SandboxParams *params, char **reterr_message)
{
        _cleanup_free_ char *unit = NULL;
        TaskClient *client;
        int r;

        if (sandbox_connect(root, sandbox, &client, NULL) >= 0) {
                task_client_free(client);
                return 0;
        }
        r = unit_name_service(sandbox, &unit);
        if (r >= 0)
                r = await_rest(unit);
        if (r >= 0)
                r = check_owner(root, sandbox, true, reterr_message);
        if (r >= 0)
                r = sandbox_claim(NULL, root, sandbox, reterr_message);
        if (r >= 0)
                r = check_definition(sandbox, reterr_message);
        if (r >= 0)
                r = write_definition(sandbox, params, reterr_message);
        if (r >= 0)
                r = service_start(unit, START_USEC, reterr_message);
        return r < 0 ? r : 1;
}

int sandbox_open_namespace(const char *sandbox, int *ret_fd, char **reterr_message)
{
        _cleanup_(vmm_state_done) VmmState state = {};
        _cleanup_free_ char *file = NULL;
        _cleanup_close_ int fd = -EBADF;
        uint64_t start;
        char path[64];
        int r;

        if (asprintf(&file, "%s/%s/" MACHINE_STATE_FILE, RUNDIR, sandbox) < 0) {
                file = NULL;
                return -ENOMEM;
        }
        r = vmm_state_load(file, &state, reterr_message);
        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) state.pid);
        r = namespace_open(path, &fd, reterr_message);
        if (r < 0)
                return r;
        /* Another process may have the number by now. */
        if (pid_start_time(state.pid, &start) < 0 || start != state.start_time)
                return error_setf(reterr_message, -ESRCH, "the machine of sandbox '%s' has ended", sandbox);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

void sandbox_attach(const char *sandbox, const char *scope, pid_t pid)
{
        _cleanup_free_ char *dir = NULL, *of_machine = NULL, *message = NULL;
        int r = 0;

        if (!scope && asprintf(&dir, "%s/%s", RUNDIR, sandbox) < 0) {
                dir = NULL;
                r = -ENOMEM;
        }
        if (r >= 0 && !scope) {
                r = sandbox_state_find_scope(dir, sandbox, &of_machine);
                scope = of_machine;
        }
        if (r >= 0)
                r = service_attach(scope, pid, &message);
        if (r < 0)
                log_warning("%s", error_text(message, r));
}

static int is_used(const char *root, const char *sandbox, const char *except, char **reterr_message)
{
        _cleanup_(strv_done) Strv ids = {};
        const char *id;
        int r = store_list(root, &ids, reterr_message);

        if (r < 0)
                return r;
        STRV_FOREACH(id, &ids) {
                _cleanup_(record_done) ContainerRecord record = {};
                StoreEntry entry = STORE_ENTRY_NULL;
                char *path = NULL;
                bool used;

                if (streq(id, except))
                        continue;
                /* Without its lock: who holds one may wait for ours. Records are written as a whole. */
                if (asprintf(&path, "%s/%s", root, id) < 0)
                        return -ENOMEM;
                entry.path = path;
                entry.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                used = entry.fd >= 0 && record_load(&entry, &record, NULL) >= 0 && streq(record.sandbox, sandbox);
                store_entry_done(&entry);
                if (used)
                        return 1;
        }
        return 0;
}

/* The directory goes with a unit that has run; of one that was never started the definition is left. */
static int stop(const char *root, const char *sandbox, char **reterr_message)
{
        _cleanup_free_ char *unit = NULL;
        SandboxOwner owner;
        int r;

        r = sandbox_owner(NULL, root, sandbox, &owner, NULL);
        if (r >= 0)
                r = unit_name_service(sandbox, &unit);
        if (r < 0 || owner == SANDBOX_FOREIGN)
                return r;
        r = owner == SANDBOX_OURS ? service_stop(unit, STOP_USEC, reterr_message) : await_rest(unit);
        /* Somebody else may have it by now. */
        if (r >= 0)
                r = sandbox_owner(NULL, root, sandbox, &owner, NULL);
        if (r < 0 || owner >= SANDBOX_FOREIGN)
                return r;
        service_reset_failed(unit);
        return sandbox_clear(NULL, root, sandbox, reterr_message);
}

int sandbox_release(const char *root, const char *sandbox, const char *id, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;
        int r = is_used(root, sandbox, id, reterr_message);

        if (r != 0)
                return r;
        r = stop(root, sandbox, reterr_message);
        if (r >= 0)
                r = lock_path(root, sandbox, &path);
        if (r >= 0)
                (void) unlink(path);
        return r;
}
