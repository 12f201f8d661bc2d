/* SPDX-License-Identifier: Apache-2.0 */
/* Making and unmaking containers: see create.h. */

#include "runtime/cli/create.h"

#include <signal.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/pidref.h"
#include "runtime/cli/container-sandbox.h"
#include "runtime/conf/node-conf.h"
#include "runtime/unit/service-control.h"
#include "runtime/unit/unit-name.h"

/* What is left of a killed process is gone by then, or never. */
#define EXIT_USEC (20 * USEC_PER_SEC)

int check_terminal(bool terminal, const char *console_socket, bool foreground, char **reterr_message)
{
        if (terminal && !foreground && !console_socket)
                return error_setf(reterr_message, -EINVAL, "cannot allocate tty if detached without setting console "
                                  "socket: process.terminal is true, and there is no --console-socket");
        if (!terminal && console_socket)
                return error_setf(reterr_message, -EINVAL, "cannot use console socket without tty: process.terminal is "
                                  "false");
        if (terminal && foreground && !isatty(STDIN_FILENO))
                return error_setf(reterr_message, -ENOTTY, "process.terminal is true, but standard input is no "
                                  "terminal");
        return 0;
}

int check_preserved_fds(const char *text, char **reterr_message)
{
        const char *listen = getenv("LISTEN_FDS");
        uint32_t n = 0;

        if (text && parse_u32(text, &n) < 0)
                return error_setf(reterr_message, -EINVAL, "--preserve-fds '%s' is no number", text);
        if (n > 0 || (listen && !streq(listen, "0")))
                return error_setf(reterr_message, -EOPNOTSUPP, "%s: descriptors of the host can not be handed to a "
                                  "process in a machine", n > 0 ? "--preserve-fds" : "LISTEN_FDS");
        return 0;
}

/* A machine without hotplug has from its start what its container may use, on top of what the guest needs. */
static int find_sizes(const OciBundle *bundle, SandboxSizes *ret, char **reterr_message)
{
        _cleanup_node_conf_ NodeConf *node = NULL;
        uint64_t memory;
        unsigned cpus;
        int r;

        bundle_limits(bundle, &memory, &cpus);
        *ret = (SandboxSizes) {};
        if (memory == 0 && cpus == 0)
                return 0;
        r = node_conf_load(NULL, &node, reterr_message);
        if (r < 0)
                return r;
        if (memory > 0)
                ret->memory = MIN(node->memory + (memory + MIB(1) - 1) / MIB(1) * MIB(1), VM_MEMORY_MAX);
        ret->vcpus = MAX(node->vcpus, cpus);
        return 0;
}

/* --- steps --- */

static int fill_record(const CreateParams *params, const OciBundle *bundle, ContainerRecord *record,
                       char **reterr_message)
{
        const char *pod = bundle_pod(bundle, params->id);
        json_object *annotations = bundle_annotations(bundle);
        int r;

        record->id = strdup(params->id);
        record->bundle = strdup(bundle->path);
        record->rootfs = strdup(bundle->rootfs);
        record->oci_version = strdup(bundle_version(bundle));
        record->annotations = annotations ? json_object_get(annotations) : NULL;
        record->terminal = bundle_terminal(bundle);
        record->created = now_realtime_usec();
        record->uid = getuid();
        if (!record->id || !record->bundle || !record->rootfs || !record->oci_version)
                return -ENOMEM;
        r = sandbox_name_for(params->root, pod ? pod : params->id, &record->sandbox, reterr_message);
        record->owns_sandbox = !pod;
        return r;
}

static int step_sandbox(const CreateParams *params, const OciBundle *bundle, CliContainer *c,
                        char **reterr_message)
{
        _cleanup_close_ int lock = -EBADF;
        SandboxSizes sizes;
        int r;

        r = find_sizes(bundle, &sizes, reterr_message);
        if (r >= 0)
                r = sandbox_lock(params->root, c->record.sandbox, &lock, reterr_message);
        /* From here on it is in use: for whoever deletes another container of it, and after this was killed. */
        if (r >= 0)
                r = record_save(&c->entry, &c->record, reterr_message);
        if (r >= 0)
                r = sandbox_ensure(c->record.sandbox, &sizes, reterr_message);
        if (r >= 0)
                r = task_client_connect(c->record.sandbox, &c->client, reterr_message);
        return r;
}

static int step_shim(const CreateParams *params, const OciBundle *bundle, CliContainer *c, ShimProcess *shim,
                     char **reterr_message)
{
        _cleanup_free_ char *scope = NULL, *message = NULL;
        ShimParams p = {
                .sandbox = c->record.sandbox, .id = c->record.id, .exec_id = "", .directory = c->entry.path,
                .terminal = c->record.terminal, .console_socket = params->console_socket,
        };
        int r;

        bundle_console_size(bundle, &p.rows, &p.columns);
        r = shim_start(&p, shim, reterr_message);
        if (r < 0)
                return r;
        c->record.pid = shim->pid;
        c->record.pid_start = shim->start_time;
        r = unit_name_scope(c->record.sandbox, &scope);
        if (r >= 0)
                r = service_attach(scope, shim->pid, &message);
        /* What callers read of its cgroup is then not the machine's; the container is none the worse. */
        if (r < 0)
                log_warning("%s", error_text(message, r));
        return 0;
}

static int step_task(CliContainer *c, const ShimProcess *shim, char **reterr_message)
{
        Containerd__Task__V2__CreateTaskRequest q = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;

        q.id = c->record.id;
        q.bundle = c->record.bundle;
        q.terminal = c->record.terminal;
        q.stdin = shim->stdin_path;
        q.stdout = shim->stdout_path;
        q.stderr = shim->stderr_path;
        return container_call(c, "Create", &q.base, reterr_message);
}

static int step_finish(const CreateParams *params, CliContainer *c, ShimProcess *shim, char **reterr_message)
{
        int r = record_save(&c->entry, &c->record, reterr_message);

        if (r >= 0 && params->pid_file)
                r = pid_file_write(params->pid_file, shim->pid, reterr_message);
        return r < 0 ? r : shim_go(shim, reterr_message);
}

int create_container(const CreateParams *params, CliContainer *ret, ShimProcess *ret_shim, char **reterr_message)
{
        CliContainer c = { .root = params->root, .entry = STORE_ENTRY_NULL, .status = STATUS_CREATING };
        ShimProcess shim = SHIM_PROCESS_NULL;
        OciBundle bundle = {};
        int r;

        r = bundle_open(params->bundle, &bundle, reterr_message);
        if (r >= 0)
                r = check_terminal(bundle_terminal(&bundle), params->console_socket, params->foreground,
                                   reterr_message);
        if (r >= 0)
                r = store_create(params->root, params->id, &c.entry, reterr_message);
        if (r < 0) {
                bundle_done(&bundle);
                return r;
        }

        r = fill_record(params, &bundle, &c.record, reterr_message);
        c.has_record = r >= 0;
        if (r >= 0)
                r = step_sandbox(params, &bundle, &c, reterr_message);
        if (r >= 0)
                r = step_shim(params, &bundle, &c, &shim, reterr_message);
        if (r >= 0)
                r = step_task(&c, &shim, reterr_message);
        if (r >= 0)
                r = step_finish(params, &c, &shim, reterr_message);
        bundle_done(&bundle);
        if (r < 0) {
                _cleanup_free_ char *ignored = NULL;

                shim_kill(&shim);
                shim_process_done(&shim);
                (void) delete_container(&c, true, &ignored);
                return r;
        }

        c.status = STATUS_CREATED;
        *ret = c;
        *ret_shim = shim;
        return 0;
}

int start_container(CliContainer *c, char **reterr_message)
{
        Containerd__Task__V2__StartRequest q = CONTAINERD__TASK__V2__START_REQUEST__INIT;

        if (c->status != STATUS_CREATED)
                return error_setf(reterr_message, -EINVAL, "cannot start a container that has %s",
                                  c->status == STATUS_STOPPED ? "stopped" : "been started");
        q.id = c->record.id;
        return container_call(c, "Start", &q.base, reterr_message);
}

/* --- and back --- */

/* The first process, and with it all others, has ended when Wait answers. */
static int end_task(CliContainer *c, char **reterr_message)
{
        Containerd__Task__V2__WaitRequest wait = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
        Containerd__Task__V2__DeleteRequest q = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;
        _cleanup_free_ char *message = NULL;
        int r;

        q.id = wait.id = c->record.id;
        if (container_kill(c, "", SIGKILL, true, NULL) >= 0)
                (void) task_client_call(c->client, "Wait", &wait.base, EXIT_USEC, NULL, NULL, NULL, NULL);
        r = container_call(c, "Delete", &q.base, &message);
        return r < 0 && r != -ENOENT ? error_setf(reterr_message, r, "%s", error_text(message, r)) : 0;
}

/* The one that stands for it has nobody to pass anything to any more. */
static void end_shim(const ContainerRecord *record)
{
        uint64_t start;

        if (record->pid > 0 && pid_start_time(record->pid, &start) >= 0 && start == record->pid_start)
                (void) kill(record->pid, SIGKILL);
}

int delete_container(CliContainer *c, bool force, char **reterr_message)
{
        _cleanup_free_ char *sandbox = c->has_record ? TAKE_PTR(c->record.sandbox) : NULL;
        _cleanup_close_ int lock = -EBADF;
        int r = 0;

        if (c->client) {
                r = end_task(c, reterr_message);
                /* A guest that does not obey: its sandbox is stopped below, if there is nobody else in it. */
                if (r < 0 && !force)
                        return r;
        }
        /* It ends by itself with the process; a reader that never reads would hold it up. */
        if (force)
                end_shim(&c->record);
        if (sandbox)
                r = sandbox_lock(c->root, sandbox, &lock, reterr_message);
        if (r >= 0)
                r = store_remove(&c->entry, reterr_message);
        if (r >= 0 && sandbox)
                r = sandbox_release(c->root, sandbox, reterr_message);
        container_done(c);
        return r;
}
