/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox: see sandbox.h. What the host asks for is checked before anything is done. */

#include "agent/sandbox.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/guest-container.h"
#include "agent/kernel-modules.h"
#include "agent/sandbox-ns.h"
#include "agent/worker.h"
#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"

#define RESOLV_CONF STORAGE_ROOT "/sandbox/resolv.conf"
#define MODULES_USEC (30 * USEC_PER_SEC)
#define LINGER_USEC (10 * USEC_PER_SEC)
#define LINGER_CHECK_USEC (50 * USEC_PER_MSEC)
/* The engine gives up on its own well before that. */
#define DESTROY_USEC (15 * USEC_PER_SEC)

typedef struct Linger {
        struct Linger *next;
        StdioOut *out;
        usec_t end;
} Linger;

struct Sandbox {
        Loop *loop;
        StreamTable *streams;
        StorageTable *storages;
        Calls *calls;
        IdleMemory *idle_memory;
        CgroupEvents *cgroup_events;
        OomEvents *oom_events;
        Online *online;
        uint64_t scrapes;
        Policy *policy;
        SandboxPlace place;
        SandboxNs ns;
        SandboxState state;
        char *id, *hostname, *guest_hooks;      /* guest_hooks: "" for none */
        GuestContainer *containers;
        Request *create_request, *destroy_request;
        const Grpc__CreateSandboxRequest *create_input; /* while modules are loaded and somebody waits */
        Worker *module_worker;
        LoopSource *destroy_timer;
        bool releasing;
        Linger *lingering;
        LoopSource *linger_timer;
        void (*destroyed)(void *userdata);
        void *userdata;
};

SandboxState sandbox_state(const Sandbox *sandbox)
{
        return sandbox->state;
}

Loop *sandbox_loop(const Sandbox *sandbox)
{
        return sandbox->loop;
}

StreamTable *sandbox_streams(const Sandbox *sandbox)
{
        return sandbox->streams;
}

StorageTable *sandbox_storages(const Sandbox *sandbox)
{
        return sandbox->storages;
}

const Policy *sandbox_policy(const Sandbox *sandbox)
{
        return sandbox->policy;
}

void sandbox_set_policy(Sandbox *sandbox, Policy *policy)
{
        policy_free(sandbox->policy);
        sandbox->policy = policy;
}

Calls *sandbox_calls(const Sandbox *sandbox)
{
        return sandbox->calls;
}

IdleMemory *sandbox_idle_memory(const Sandbox *sandbox)
{
        return sandbox->idle_memory;
}

CgroupEvents *sandbox_cgroup_events(const Sandbox *sandbox)
{
        return sandbox->cgroup_events;
}

OomEvents *sandbox_oom_events(const Sandbox *sandbox)
{
        return sandbox->oom_events;
}

Online *sandbox_online(const Sandbox *sandbox)
{
        return sandbox->online;
}

uint64_t sandbox_count_scrape(Sandbox *sandbox)
{
        return ++sandbox->scrapes;
}

const char *sandbox_id(const Sandbox *sandbox)
{
        return strempty(sandbox->id);
}

void sandbox_set_place(Sandbox *sandbox, const SandboxPlace *place)
{
        sandbox->place = *place;
}

const SandboxPlace *sandbox_place(const Sandbox *sandbox)
{
        return &sandbox->place;
}

int sandbox_container_place(const Sandbox *sandbox, bool with_pid, ContainerPlace *ret, char **reterr_message)
{
        if (with_pid && sandbox->ns.pid_fd < 0)
                return error_setf(reterr_message, -EINVAL, "sandbox_pidns: the sandbox was created without");

        *ret = (ContainerPlace) {
                .cgroup_root = sandbox->place.cgroup_root,
                .pid_fd = with_pid ? sandbox->ns.pid_fd : -EBADF,
                .ipc_fd = sandbox->ns.ipc_fd,
                .uts_fd = sandbox->ns.uts_fd,
                .hostname = sandbox->hostname,
                .guest_hooks = isempty(sandbox->guest_hooks) ? NULL : sandbox->guest_hooks,
        };
        return 0;
}

GuestContainer *sandbox_containers(const Sandbox *sandbox)
{
        return sandbox->containers;
}

GuestContainer **sandbox_container_list(Sandbox *sandbox)
{
        return &sandbox->containers;
}

size_t sandbox_n_containers(const Sandbox *sandbox)
{
        size_t n = 0;

        for (const GuestContainer *gc = sandbox->containers; gc; gc = guest_container_next(gc))
                n++;
        return n;
}

GuestContainer *sandbox_find(const Sandbox *sandbox, const char *id)
{
        for (GuestContainer *gc = sandbox->containers; gc; gc = guest_container_next(gc))
                if (streq(guest_container_id(gc), id))
                        return gc;

        return NULL;
}

/* Streams of removed containers. */

static void on_linger_time(LoopSource *source, void *userdata)
{
        Sandbox *sandbox = userdata;
        usec_t now = now_usec();

        for (Linger **at = &sandbox->lingering; *at;) {
                Linger *linger = *at;

                if (stdio_out_is_attached(linger->out) && !stdio_out_is_done(linger->out) &&
                    now < linger->end) {
                        at = &linger->next;
                        continue;
                }
                *at = linger->next;
                stdio_out_free(linger->out);
                free(linger);
        }

        if (sandbox->lingering)
                (void) loop_source_set_time(source, now + LINGER_CHECK_USEC);
}

void sandbox_linger(Sandbox *sandbox, StdioOut *out)
{
        Linger *linger = new0(Linger, 1);

        if (!linger) {
                log_oom();
                stdio_out_free(out);
                return;
        }

        *linger = (Linger) { .next = sandbox->lingering, .out = out, .end = now_usec() + LINGER_USEC };
        sandbox->lingering = linger;
        (void) loop_source_set_time(sandbox->linger_timer, now_usec() + LINGER_CHECK_USEC);
}

bool sandbox_has_lingering(const Sandbox *sandbox)
{
        return sandbox->lingering;
}

/* Creation. */

static int write_resolv_conf(char *const *lines, size_t n, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        int r;

        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                fprintf(f, "%s\n", lines[i]);
        if (fclose(f) != 0)
                return -ENOMEM;

        r = mkdir_p(STORAGE_ROOT "/sandbox", 0755);
        if (r >= 0)
                r = write_file_atomic(RESOLV_CONF, text, size, 0644);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", RESOLV_CONF, strerror(-r));

        if (mount(RESOLV_CONF, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
                return error_setf(reterr_message, errno, "mounting %s on /etc/resolv.conf: %s", RESOLV_CONF,
                                  strerror(errno));
        return 0;
}

static int check_create(const Grpc__CreateSandboxRequest *input, char **reterr_message)
{
        if (*input->guest_hook_path && (input->guest_hook_path[0] != '/' ||
                                        strlen(input->guest_hook_path) >= PATH_MAX))
                return error_setf(reterr_message, EINVAL, "guest_hook_path is not an absolute path");
        if (*input->sandbox_id && !sandbox_name_is_valid(input->sandbox_id))
                return error_setf(reterr_message, EINVAL, "invalid sandbox id");
        if (strlen(input->hostname) > HOST_NAME_MAX)
                return error_setf(reterr_message, EINVAL, "hostname is longer than %d bytes", HOST_NAME_MAX);
        if (input->n_dns > DNS_LINES_MAX)
                return error_setf(reterr_message, E2BIG, "more than %u dns lines", DNS_LINES_MAX);
        for (size_t i = 0; i < input->n_dns; i++)
                if (strchr(input->dns[i], '\n'))
                        return error_setf(reterr_message, EINVAL, "a dns line contains a line break");
        return kernel_modules_check(input->kernel_modules, input->n_kernel_modules, reterr_message);
}

static void create_done(Sandbox *sandbox, int error, const char *message)
{
        Request *request = TAKE_PTR(sandbox->create_request);

        sandbox->create_input = NULL;

        if (sandbox->state == SANDBOX_CREATING)
                sandbox->state = error < 0 ? SANDBOX_NONE : SANDBOX_READY;
        if (error < 0) {
                log_error("Sandbox: %s", error_text(message, error));
                sandbox->id = mfree(sandbox->id);
                sandbox->hostname = mfree(sandbox->hostname);
                sandbox_ns_done(&sandbox->ns);
        } else
                log_info("Sandbox %s created", sandbox->id);

        if (request && error < 0)
                request_fail_errno(request, error, message);
        else if (request)
                request_reply(request, NULL);
}

/* Without privileges there are no containers to share them, and no need to make them. */
static int make_namespaces(Sandbox *sandbox, bool with_pid, char **reterr_message)
{
        if (sandbox->place.unprivileged || geteuid() != 0)
                return with_pid ? error_setf(reterr_message, -EPERM, "sandbox_pidns needs an agent that runs "
                                             "as root") : 0;

        return sandbox_ns_make(&sandbox->ns, sandbox->loop, *sandbox->hostname ? sandbox->hostname : NULL,
                               with_pid, reterr_message);
}

static void on_mounted(int error, const char *message, void *userdata)
{
        create_done(userdata, error, message);
}

static void on_create_cancelled(Request *request, void *userdata)
{
        Sandbox *sandbox = userdata;

        sandbox->create_request = NULL;
        sandbox->create_input = NULL;
}

static void create_continue(Sandbox *sandbox, const Grpc__CreateSandboxRequest *input)
{
        _cleanup_free_ char *message = NULL;
        int r;

        if (*input->hostname && sethostname(input->hostname, strlen(input->hostname)) < 0)
                return create_done(sandbox, negative_errno(), "sethostname");
        r = make_namespaces(sandbox, input->sandbox_pidns, &message);
        if (r < 0)
                return create_done(sandbox, r, message);
        if (input->n_dns > 0) {
                r = write_resolv_conf(input->dns, input->n_dns, &message);
                if (r < 0)
                        return create_done(sandbox, r, message);
        }
        if (input->n_storages == 0)
                return create_done(sandbox, 0, NULL);

        r = storage_table_mount(sandbox->storages, input->storages, input->n_storages, "", on_mounted,
                                sandbox, &message);
        if (r < 0)
                create_done(sandbox, r, message);
}

/* Before all else: file systems and network need their drivers. */
static int work_modules(void *userdata, char **reterr_message)
{
        const Grpc__CreateSandboxRequest *input = userdata;

        return kernel_modules_load(NULL, input->kernel_modules, input->n_kernel_modules, reterr_message);
}

static void on_modules(int error, const char *message, void *userdata)
{
        Sandbox *sandbox = userdata;
        const Grpc__CreateSandboxRequest *input = sandbox->create_input;

        sandbox->module_worker = NULL;
        if (error == -ETIMEDOUT)
                message = "kernel modules were not loaded in time";
        if (error < 0 || !input || sandbox->state != SANDBOX_CREATING)
                return create_done(sandbox, error < 0 ? error : -ECANCELED, message);

        log_info("%zu kernel modules are there", input->n_kernel_modules);
        create_continue(sandbox, input);
}

static void load_modules(Sandbox *sandbox, const Grpc__CreateSandboxRequest *input)
{
        int r = request_keep_input(sandbox->create_request);

        if (r >= 0)
                r = worker_start(&sandbox->module_worker, sandbox->loop, work_modules, (void *) (uintptr_t) input,
                                 MODULES_USEC, on_modules, sandbox);
        if (r < 0)
                return create_done(sandbox, r, NULL);
        sandbox->create_input = input;
}

void sandbox_create(Sandbox *sandbox, Request *request, const Grpc__CreateSandboxRequest *input)
{
        _cleanup_free_ char *message = NULL;
        int r;

        if (sandbox->state != SANDBOX_NONE)
                return request_fail(request, TTRPC_ALREADY_EXISTS, "sandbox %s exists already",
                                    strempty(sandbox->id));

        r = check_create(input, &message);
        if (r < 0)
                return request_fail_errno(request, r, message);

        free(sandbox->id);
        free(sandbox->hostname);
        free(sandbox->guest_hooks);
        sandbox->id = strdup(input->sandbox_id);
        sandbox->hostname = strdup(input->hostname);
        sandbox->guest_hooks = strdup(input->guest_hook_path);
        if (!sandbox->id || !sandbox->hostname || !sandbox->guest_hooks)
                return request_fail_errno(request, -ENOMEM, NULL);

        sandbox->state = SANDBOX_CREATING;
        sandbox->create_request = request;
        request_on_cancel(request, on_create_cancelled, sandbox);

        if (input->n_kernel_modules > 0)
                load_modules(sandbox, input);
        else
                create_continue(sandbox, input);
}

/* The end. */

static void destroy_done(Sandbox *sandbox)
{
        Request *request = TAKE_PTR(sandbox->destroy_request);

        sandbox->destroy_timer = loop_source_free(sandbox->destroy_timer);
        log_info("Sandbox %s destroyed", strempty(sandbox->id));
        if (request)
                request_reply(request, NULL);
        sandbox->destroyed(sandbox->userdata);
}

static void on_released(int error, const char *message, void *userdata)
{
        Sandbox *sandbox = userdata;

        if (sandbox->destroy_timer)
                destroy_done(sandbox);
}

static void destroy_storages(Sandbox *sandbox)
{
        if (sandbox->releasing)
                return;

        sandbox->releasing = true;
        if (storage_table_release(sandbox->storages, NULL, on_released, sandbox) < 0)
                destroy_done(sandbox);
}

void sandbox_container_gone(Sandbox *sandbox)
{
        if (sandbox->state == SANDBOX_DESTROYING && !sandbox->containers)
                destroy_storages(sandbox);
}

static void on_destroy_timeout(LoopSource *source, void *userdata)
{
        log_warning("The sandbox could not be taken apart in time, going all the same");
        destroy_done(userdata);
}

static void on_destroy_cancelled(Request *request, void *userdata)
{
        Sandbox *sandbox = userdata;

        /* Nobody waits for the answer; the order stands. */
        sandbox->destroy_request = NULL;
}

void sandbox_destroy(Sandbox *sandbox, Request *request)
{
        int r;

        if (sandbox->state == SANDBOX_DESTROYING) {
                if (request)
                        request_fail(request, TTRPC_FAILED_PRECONDITION,
                                     "the sandbox is being destroyed already");
                return;
        }

        r = loop_add_time(sandbox->loop, &sandbox->destroy_timer, now_usec() + DESTROY_USEC,
                          on_destroy_timeout, sandbox);
        if (r < 0) {
                if (request)
                        request_fail_errno(request, r, NULL);
                return;
        }

        sandbox->state = SANDBOX_DESTROYING;
        sandbox->destroy_request = request;
        if (request)
                request_on_cancel(request, on_destroy_cancelled, sandbox);

        /* Each removal may end at once and change the list. */
        for (GuestContainer *gc = sandbox->containers, *next; gc; gc = next) {
                next = guest_container_next(gc);
                guest_container_remove(gc, NULL, 0);
        }
        sandbox_container_gone(sandbox);
}

int sandbox_new(Sandbox **ret, Loop *loop, StreamTable *streams, void (*destroyed)(void *userdata),
                void *userdata)
{
        _cleanup_(sandbox_freep) Sandbox *sandbox = new0(Sandbox, 1);
        int r;

        if (!sandbox)
                return -ENOMEM;

        *sandbox = (Sandbox) {
                .loop = loop, .streams = streams, .destroyed = destroyed, .userdata = userdata,
                .place = { .cgroup_root = CGROUP_ROOT },
                .ns = SANDBOX_NS_NULL,
        };
        r = storage_table_new(&sandbox->storages, loop);
        if (r >= 0)
                r = calls_new(&sandbox->calls, loop);
        if (r >= 0)
                r = idle_memory_new(&sandbox->idle_memory, loop);
        if (r >= 0)
                r = cgroup_events_new(&sandbox->cgroup_events, loop);
        if (r >= 0)
                r = oom_events_new(&sandbox->oom_events);
        if (r >= 0)
                r = online_new(&sandbox->online, loop, "/sys/devices/system");
        if (r >= 0)
                r = loop_add_time(loop, &sandbox->linger_timer, USEC_INFINITY, on_linger_time, sandbox);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(sandbox);
        return 0;
}

Sandbox *sandbox_free(Sandbox *sandbox)
{
        if (!sandbox)
                return NULL;

        while (sandbox->containers)
                guest_container_free(sandbox->containers);
        while (sandbox->lingering) {
                Linger *linger = sandbox->lingering;

                sandbox->lingering = linger->next;
                stdio_out_free(linger->out);
                free(linger);
        }
        worker_cancel(sandbox->module_worker);
        loop_source_free(sandbox->linger_timer);
        loop_source_free(sandbox->destroy_timer);
        idle_memory_free(sandbox->idle_memory);
        calls_free(sandbox->calls);
        storage_table_free(sandbox->storages);
        policy_free(sandbox->policy);
        online_free(sandbox->online);
        oom_events_free(sandbox->oom_events);
        cgroup_events_free(sandbox->cgroup_events);
        sandbox_ns_done(&sandbox->ns);
        free(sandbox->guest_hooks);
        free(sandbox->hostname);
        free(sandbox->id);
        free(sandbox);
        return NULL;
}
