/* SPDX-License-Identifier: Apache-2.0 */
/* Making and unmaking containers: see create.h. */

#include "runtime/cli/create.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/pidref.h"
#include "runtime/cli/bundle-check.h"
#include "runtime/cli/cgroups-path.h"
#include "runtime/cli/container-sandbox.h"
#include "runtime/cli/host-hooks.h"
#include "runtime/cli/mount-points.h"
#include "runtime/conf/sandbox-conf.h"
#include "runtime/net/namespace.h"
#include "runtime/oci/json-parse.h"
#include "runtime/oci/spec-load.h"
#include "runtime/unit/scope-run.h"

/* What is left of a killed process is gone by then, or never. */
#define EXIT_USEC (20 * USEC_PER_SEC)
#define RETRY_USEC 20000U
/* A scope ends as soon as the service manager has seen the end of its last process. */
#define SCOPE_END_USEC (2 * USEC_PER_SEC)
/* SIGTERM to SIGKILL when it is stopped with its host: as long as the machine's. */
#define SCOPE_STOP_USEC (10 * USEC_PER_SEC)

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

/* What is read of a bundle before anything is made. */
typedef struct CreatePlan {
        OciBundle bundle;
        CgroupUnits units;
        SandboxParams sandbox;
        int netns_fd;           /* -EBADF: that of the machine, which has a new one */
        const char *netns_path; /* in the bundle; NULL: none */
} CreatePlan;

static void plan_done(CreatePlan *plan)
{
        safe_close(plan->netns_fd);
        scope_limits_done(&plan->sandbox.limits);
        cgroup_units_done(&plan->units);
        bundle_done(&plan->bundle);
}

/* The limits of a pod's container are not those of the machine, which others are in, too. */
static int plan_limits(CreatePlan *plan, char **reterr_message)
{
        json_object *resources = bundle_resources(&plan->bundle);
        _cleanup_oci_spec_ OciSpec *spec = NULL;
        const char *text;
        int r;

        if (!resources || bundle_in_pod(&plan->bundle))
                return 0;
        text = json_object_to_json_string_ext(resources, JSON_C_TO_STRING_PLAIN);
        if (!text)
                return -ENOMEM;
        r = oci_resources_parse("linux.resources", text, strlen(text), &spec, reterr_message);
        return r < 0 ? r : scope_limits_from_resources(spec->spec->linux->resources, &plan->sandbox.limits,
                                                       reterr_message);
}

/* A machine without hotplug has from its start what its container may use, on top of what the guest needs. */
static int plan_sandbox(CreatePlan *plan, char **reterr_message)
{
        _cleanup_node_conf_ NodeConf *node = NULL;
        uint64_t memory;
        unsigned cpus;
        int r;

        bundle_limits(&plan->bundle, &memory, &cpus);
        plan->sandbox = (SandboxParams) {
                .slice = plan->units.slice, .scope = plan->units.scope,
                .netns = plan->netns_path ? plan->netns_path : CONF_NETWORK_NEW,
        };
        r = plan_limits(plan, reterr_message);
        if (r < 0 || (memory == 0 && cpus == 0))
                return r;
        r = node_conf_load(NULL, &node, reterr_message);
        if (r < 0)
                return r;
        if (memory > 0)
                plan->sandbox.memory = MIN(node->memory + (memory + MIB(1) - 1) / MIB(1) * MIB(1), VM_MEMORY_MAX);
        plan->sandbox.vcpus = MAX(node->vcpus, cpus);
        return 0;
}

static int plan_network(CreatePlan *plan, char **reterr_message)
{
        const char *path;

        if (bundle_network_namespace(&plan->bundle, &path) == 0)
                return error_setf(reterr_message, -EOPNOTSUPP, "linux.namespaces: without a network namespace a "
                                  "container uses the host's network, which a machine can not");
        if (!path)
                return 0;
        /* It becomes a line of the sandbox's definition. */
        for (const char *p = path; *p; p++)
                if ((unsigned char) *p <= ' ' || (unsigned char) *p >= 0x7f || path[0] != '/')
                        return error_setf(reterr_message, -EINVAL, "linux.namespaces: the path of the network "
                                          "namespace is not an absolute one of printable ASCII");
        plan->netns_path = path;
        return namespace_open_any(path, &plan->netns_fd, reterr_message);
}

/* Nothing is made for one that is the operator's, or another root's. */
static int plan_name(const CreateParams *params, const OciBundle *bundle, char **reterr_message)
{
        _cleanup_free_ char *sandbox = NULL;
        const char *pod = bundle_pod(bundle, params->id);
        int r = sandbox_name_for(params->root, pod ? pod : params->id, &sandbox, reterr_message);

        return r < 0 ? r : sandbox_check(params->root, sandbox, reterr_message);
}

static int make_plan(const CreateParams *params, CreatePlan *ret, char **reterr_message)
{
        CreatePlan plan = { .netns_fd = -EBADF };
        int r;

        r = bundle_open(params->bundle, &plan.bundle, reterr_message);
        if (r < 0)
                return r;
        r = plan_name(params, &plan.bundle, reterr_message);
        if (r >= 0)
                r = check_terminal(bundle_terminal(&plan.bundle), params->console_socket, params->foreground,
                                   reterr_message);
        /* Before anything is started for it. */
        if (r >= 0)
                r = bundle_check(&plan.bundle, reterr_message);
        if (r >= 0)
                r = cgroups_path_parse(bundle_cgroups_path(&plan.bundle), params->systemd_cgroup, &plan.units,
                                       reterr_message);
        if (r >= 0)
                r = host_hooks_check(bundle_hooks(&plan.bundle), reterr_message);
        if (r >= 0)
                r = plan_network(&plan, reterr_message);
        if (r >= 0)
                r = plan_sandbox(&plan, reterr_message);
        if (r < 0)
                plan_done(&plan);
        else
                *ret = plan;
        return r;
}

/* --- steps --- */

static int fill_record(const CreateParams *params, const CreatePlan *plan, ContainerRecord *record,
                       char **reterr_message)
{
        const OciBundle *bundle = &plan->bundle;
        const char *pod = bundle_pod(bundle, params->id);
        json_object *annotations = bundle_annotations(bundle), *hooks = bundle_hooks(bundle);
        int r;

        record->id = strdup(params->id);
        record->bundle = strdup(bundle->path);
        record->rootfs = strdup(bundle->rootfs);
        record->oci_version = strdup(bundle_version(bundle));
        record->annotations = annotations ? json_object_get(annotations) : NULL;
        record->hooks = hooks ? json_object_get(hooks) : NULL;
        record->terminal = bundle_terminal(bundle);
        record->created = now_realtime_usec();
        record->uid = getuid();
        if (!record->id || !record->bundle || !record->rootfs || !record->oci_version)
                return -ENOMEM;
        /* Of the first one it is that of the machine. */
        if (pod && plan->units.scope) {
                record->scope = strdup(plan->units.scope);
                if (!record->scope)
                        return -ENOMEM;
        }
        r = sandbox_name_for(params->root, pod ? pod : params->id, &record->sandbox, reterr_message);
        record->owns_sandbox = !pod;
        record->alone = !bundle_in_pod(bundle);
        return r;
}

static int step_sandbox(const CreateParams *params, const CreatePlan *plan, CliContainer *c,
                        char **reterr_message)
{
        _cleanup_close_ int lock = -EBADF;
        int r;

        /*
         * From here on it is in use: for whoever deletes another container of it, and after this was killed. Before
         * the lock, whose file nobody would know of otherwise; a delete that has not seen it has stopped the sandbox
         * by the time the lock is ours, and it is started again.
         */
        r = record_save(&c->entry, &c->record, reterr_message);
        if (r >= 0)
                r = sandbox_lock(params->root, c->record.sandbox, &lock, reterr_message);
        if (r >= 0)
                r = sandbox_ensure(params->root, c->record.sandbox, &plan->sandbox, reterr_message);
        if (r >= 0)
                r = sandbox_connect(params->root, c->record.sandbox, &c->client, reterr_message);
        return r;
}

/*
 * A further container of a pod: the caller looks for it in a cgroup of that name. It ends with the processes in it, so
 * a create that is killed leaves none.
 */
static int start_scope(const CreatePlan *plan, CliContainer *c, const ShimProcess *shim, char **reterr_message)
{
        const PidRef pid = { .pid = shim->pid, .fd = shim->pidfd };
        _cleanup_free_ char *description = NULL;
        int r;

        if (asprintf(&description, "Container %s of sandbox %s", c->record.id, c->record.sandbox) < 0) {
                description = NULL;
                return -ENOMEM;
        }
        r = scope_run_start(&(ScopeParams) {
                .name = c->record.scope, .description = description, .slice = plan->units.slice,
                .pids = &pid, .n_pids = 1, .oom_policy = "continue", .timeout_stop = SCOPE_STOP_USEC,
        }, reterr_message);
        if (r < 0) {
                /* Somebody else's is not waited for. */
                if (r == -EEXIST)
                        c->record.scope = mfree(c->record.scope);
                return error_prefixf(reterr_message, r, "linux.cgroupsPath");
        }
        return 0;
}

static int step_shim(const CreateParams *params, const CreatePlan *plan, CliContainer *c, ShimProcess *shim,
                     char **reterr_message)
{
        _cleanup_close_ int machines = -EBADF;
        ShimParams p = {
                .sandbox = c->record.sandbox, .id = c->record.id, .exec_id = "", .directory = c->entry.path,
                .terminal = c->record.terminal, .console_socket = params->console_socket,
                .netns_fd = plan->netns_fd, .bundle = &plan->bundle,
        };
        int r;

        /* Whoever sets a network up by the number of this process does it where the machine is. */
        if (p.netns_fd < 0) {
                r = sandbox_open_namespace(c->record.sandbox, &machines, reterr_message);
                if (r < 0)
                        return r;
                p.netns_fd = machines;
        }
        bundle_console_size(&plan->bundle, &p.rows, &p.columns);
        r = shim_start(&p, shim, reterr_message);
        if (r < 0)
                return r;
        c->record.pid = shim->pid;
        c->record.pid_start = shim->start_time;
        if (c->record.scope)
                return start_scope(plan, c, shim, reterr_message);
        sandbox_attach(c->record.sandbox, NULL, shim->pid);
        return 0;
}

static int run_hooks(const CliContainer *c, const char *kind, char **reterr_message)
{
        _cleanup_json_ json_object *state = container_state_json(c);

        return c->record.hooks ? host_hooks_run(c->record.hooks, kind, state, reterr_message) : 0;
}

static int step_task(CliContainer *c, const ShimProcess *shim, char **reterr_message)
{
        Containerd__Task__V2__CreateTaskRequest q = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
        _cleanup_close_ int mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        int r;

        /* Where root directory and volumes are: the supervisor has a namespace of its own, which may be older. */
        if (mounts < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "/proc/self/ns/mnt: %s", strerror(-r));
        }
        task_client_pass_fd(c->client, mounts);
        q.id = c->record.id;
        q.bundle = c->record.bundle;
        q.terminal = c->record.terminal;
        q.stdin = shim->stdin_path;
        q.stdout = shim->stdout_path;
        q.stderr = shim->stderr_path;
        q.host_hooks = true;
        return container_call(c, "Create", &q.base, reterr_message);
}

static int step_finish(const CreateParams *params, CliContainer *c, ShimProcess *shim, char **reterr_message)
{
        int r = record_save(&c->entry, &c->record, reterr_message);

        if (r >= 0 && params->pid_file)
                r = pid_file_write(params->pid_file, shim->pid, reterr_message);
        return r < 0 ? r : shim_go(shim, reterr_message);
}

static int make(const CreateParams *params, const CreatePlan *plan, CliContainer *c, ShimProcess *shim,
                char **reterr_message)
{
        int r;

        r = fill_record(params, plan, &c->record, reterr_message);
        c->has_record = r >= 0;
        if (r >= 0)
                r = step_sandbox(params, plan, c, reterr_message);
        if (r >= 0)
                r = mount_points_make(&plan->bundle, reterr_message);
        if (r >= 0)
                r = step_shim(params, plan, c, shim, reterr_message);
        if (r >= 0)
                r = run_hooks(c, "prestart", reterr_message);
        if (r >= 0)
                r = run_hooks(c, "createRuntime", reterr_message);
        if (r >= 0)
                r = step_task(c, shim, reterr_message);
        return r < 0 ? r : step_finish(params, c, shim, reterr_message);
}

int create_container(const CreateParams *params, CliContainer *ret, ShimProcess *ret_shim, char **reterr_message)
{
        CliContainer c = { .root = params->root, .entry = STORE_ENTRY_NULL, .status = STATUS_CREATING };
        ShimProcess shim = SHIM_PROCESS_NULL;
        _cleanup_(plan_done) CreatePlan plan = { .netns_fd = -EBADF };
        int r;

        r = make_plan(params, &plan, reterr_message);
        if (r >= 0)
                r = store_create(params->root, params->id, &c.entry, reterr_message);
        if (r < 0)
                return r;

        r = make(params, &plan, &c, &shim, reterr_message);
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
        int r;

        /* The words of runc, which callers show. */
        if (c->status == STATUS_STOPPED)
                return error_setf(reterr_message, -EINVAL, "cannot start a container that has stopped");
        if (c->status == STATUS_RUNNING)
                return error_setf(reterr_message, -EINVAL, "cannot start an already running container");
        if (c->status != STATUS_CREATED)
                return error_setf(reterr_message, -EINVAL, "cannot start a container in the %s state",
                                  container_status_to_string(c->status));
        q.id = c->record.id;
        r = container_call(c, "Start", &q.base, reterr_message);
        if (r < 0)
                return r;
        c->status = STATUS_RUNNING;
        r = run_hooks(c, "poststart", reterr_message);
        /* As with runc, the container does not go on without what the hook was to do. */
        if (r < 0)
                (void) container_kill(c, "", SIGKILL, true, NULL);
        return r;
}

/* --- and back --- */

/*
 * The first process, and with it all others, has ended when Wait answers. Whoever was killed in the middle of create,
 * start or delete has left an operation that still goes on in the supervisor: it is waited for.
 */
static int end_task(CliContainer *c, char **reterr_message)
{
        Containerd__Task__V2__WaitRequest wait = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
        Containerd__Task__V2__DeleteRequest q = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;
        usec_t end = now_usec() + EXIT_USEC;
        int r;

        q.id = wait.id = c->record.id;
        for (;;) {
                _cleanup_free_ char *message = NULL;

                if (container_kill(c, "", SIGKILL, true, NULL) >= 0)
                        (void) task_client_call(c->client, "Wait", &wait.base, EXIT_USEC, NULL, NULL, NULL, NULL);
                r = container_call(c, "Delete", &q.base, &message);
                if (r >= 0 || r == -ENOENT)
                        return 0;
                /* "Failed precondition": it is being created, started or deleted. */
                if (r != -EBUSY || now_usec() >= end)
                        return error_setf(reterr_message, r, "%s", error_text(message, r));
                (void) usleep(RETRY_USEC);
        }
}

/* The one that stands for it has nobody to pass anything to any more. */
static void end_shim(const ContainerRecord *record)
{
        uint64_t start;

        if (record->pid > 0 && pid_start_time(record->pid, &start) >= 0 && start == record->pid_start)
                (void) kill(record->pid, SIGKILL);
}

/* What it says is for the log: the container is gone. */
static void run_last_hooks(CliContainer *c)
{
        _cleanup_free_ char *message = NULL;
        int r;

        if (!c->has_record)
                return;
        c->status = STATUS_STOPPED;
        r = run_hooks(c, "poststop", &message);
        if (r < 0)
                log_warning("%s", error_text(message, r));
}

int delete_container(CliContainer *c, bool force, char **reterr_message)
{
        const char *sandbox = c->record.sandbox;
        _cleanup_close_ int lock = -EBADF;
        int r = 0;

        /* A create that was killed may have come as far as the supervisor, without a word about it in the record. */
        if (force && sandbox && !c->client)
                (void) sandbox_connect(c->root, sandbox, &c->client, NULL);
        if (c->client) {
                r = end_task(c, reterr_message);
                /* A guest that does not obey: its sandbox is stopped below, if there is nobody else in it. */
                if (r < 0 && !force)
                        return r;
                r = 0;
        }
        /* It ends by itself with the process; a reader that never reads would hold it up. */
        if (force)
                end_shim(&c->record);
        if (c->record.scope)
                (void) scope_run_await_end(c->record.scope, SCOPE_END_USEC);
        /* The entry goes last: while it is there, a delete that was killed can be done again. */
        if (sandbox) {
                r = sandbox_lock(c->root, sandbox, &lock, reterr_message);
                if (r >= 0)
                        r = sandbox_release(c->root, sandbox, c->record.id, reterr_message);
        }
        if (r >= 0)
                r = store_remove(&c->entry, reterr_message);
        lock = safe_close(lock);
        if (r >= 0)
                run_last_hooks(c);
        container_done(c);
        return r;
}
