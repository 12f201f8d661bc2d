/* SPDX-License-Identifier: Apache-2.0 */
/* A container of the command line: see container.h. */

#include "runtime/cli/container.h"

#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/pidref.h"
#include "runtime/cli/container-sandbox.h"
#include "runtime/conf/conf-value.h"

#define SHIM_END_MSEC 1000

static const char *const status_names[_STATUS_MAX] = {
        [STATUS_CREATING] = "creating",
        [STATUS_CREATED] = "created",
        [STATUS_RUNNING] = "running",
        [STATUS_PAUSED] = "paused",
        [STATUS_STOPPED] = "stopped",
};

const char *container_status_to_string(ContainerStatus status)
{
        return (unsigned) status < _STATUS_MAX ? status_names[status] : NULL;
}

const char *cli_root(const CliArgs *args)
{
        return args->root ? args->root : DEFAULT_ROOT;
}

int cli_fail(int error, const char *message)
{
        log_error("%s", error_text(message, error));
        return EXIT_FAILURE;
}

void container_done(CliContainer *c)
{
        task_client_free(c->client);
        record_done(&c->record);
        store_entry_done(&c->entry);
        *c = (CliContainer) { .entry = STORE_ENTRY_NULL };
}

static ContainerStatus status_of(Containerd__Task__V2__Status status)
{
        switch (status) {
        case CONTAINERD__TASK__V2__STATUS__CREATED:
                return STATUS_CREATED;
        case CONTAINERD__TASK__V2__STATUS__RUNNING:
                return STATUS_RUNNING;
        case CONTAINERD__TASK__V2__STATUS__PAUSED:
        case CONTAINERD__TASK__V2__STATUS__PAUSING:
                return STATUS_PAUSED;
        default:
                return STATUS_STOPPED;
        }
}

/*
 * What the process has written is with the caller once its kata-shim has ended, which comes within milliseconds:
 * "stopped" is not said before. Somebody who does not read holds it up for a moment, not for ever.
 */
static void await_shim(const ContainerRecord *record)
{
        PidRef ref = PIDREF_NULL;
        uint64_t start;

        if (record->pid <= 0 || pidref_set(&ref, record->pid) < 0)
                return;
        if (pid_start_time(record->pid, &start) >= 0 && start == record->pid_start)
                (void) fd_wait(ref.fd, POLLIN, SHIM_END_MSEC);
        pidref_done(&ref);
}

static int ask_status(CliContainer *c, char **reterr_message)
{
        Containerd__Task__V2__StateRequest q = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
        Containerd__Task__V2__StateResponse *response;
        _cleanup_pb_arena_ PbArena arena;
        int r;

        pb_arena_init(&arena, 0);
        q.id = c->record.id;
        r = task_client_call(c->client, "State", &q.base, CALL_USEC, &arena,
                             &containerd__task__v2__state_response__descriptor, &response, reterr_message);
        /* Deleted, or the sandbox is another one: what was here has ended. */
        if (r == -ENOENT) {
                c->status = STATUS_STOPPED;
                return 0;
        }
        if (r >= 0)
                c->status = status_of(response->status);
        if (r >= 0 && c->status == STATUS_STOPPED)
                await_shim(&c->record);
        return r;
}

int container_open(const char *root, const char *id, CliContainer *ret, char **reterr_message)
{
        CliContainer c = { .root = root, .entry = STORE_ENTRY_NULL };
        _cleanup_free_ char *ignored = NULL;
        int r;

        r = store_open(root, id, &c.entry, reterr_message);
        if (r < 0)
                return r;
        r = record_load(&c.entry, &c.record, &ignored);
        c.has_record = r >= 0;
        if (r == -ENOENT || (r >= 0 && c.record.pid == 0))
                /* Its create was killed, since we have the lock. */
                c.status = STATUS_CREATING;
        else if (r < 0) {
                /* It can be deleted all the same, with the sandbox that it most likely has. */
                log_warning("%s", error_text(ignored, r));
                c.status = STATUS_CREATING;
                c.record.id = strdup(id);
                r = c.record.id ? sandbox_name_for(root, id, &c.record.sandbox, reterr_message) : -ENOMEM;
        } else {
                r = sandbox_connect(root, c.record.sandbox, &c.client, NULL);
                if (r < 0)
                        c.status = STATUS_STOPPED;
                else
                        r = ask_status(&c, reterr_message);
                if (!c.client)
                        r = 0;
        }
        if (r < 0 && r != -ENOENT) {
                container_done(&c);
                return r;
        }
        *ret = c;
        return 0;
}

static void format_time(usec_t when, char ret[static 48])
{
        time_t t = (time_t) (when / USEC_PER_SEC);
        struct tm tm;
        size_t n = 0;

        if (gmtime_r(&t, &tm))
                n = strftime(ret, 40, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(ret + n, 48 - n, ".%06uZ", (unsigned) (when % USEC_PER_SEC));
}

json_object *container_state_json(const CliContainer *c)
{
        json_object *o = json_object_new_object();
        const ContainerRecord *r = &c->record;
        bool has_pid = c->status != STATUS_STOPPED;
        char created[48];

        format_time(r->created, created);
        json_object_object_add(o, "ociVersion", json_object_new_string(r->oci_version));
        json_object_object_add(o, "id", json_object_new_string(r->id));
        json_object_object_add(o, "pid", json_object_new_int(has_pid ? (int) r->pid : 0));
        json_object_object_add(o, "status", json_object_new_string(container_status_to_string(c->status)));
        json_object_object_add(o, "bundle", json_object_new_string(r->bundle));
        json_object_object_add(o, "rootfs", json_object_new_string(r->rootfs));
        json_object_object_add(o, "created", json_object_new_string(created));
        if (r->annotations)
                json_object_object_add(o, "annotations", json_object_get(r->annotations));
        json_object_object_add(o, "owner", json_object_new_string(r->uid == 0 ? "root" : ""));
        return o;
}

int container_call(CliContainer *c, const char *method, const ProtobufCMessage *request, char **reterr_message)
{
        if (!c->client)
                return error_setf(reterr_message, -ENOENT, "container not running");
        return task_client_call(c->client, method, request, CALL_USEC, NULL, NULL, NULL, reterr_message);
}

int container_kill(CliContainer *c, const char *exec_id, int sig, bool all, char **reterr_message)
{
        Containerd__Task__V2__KillRequest q = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;
        _cleanup_free_ char *message = NULL;
        int r;

        q.id = c->record.id;
        q.exec_id = (char *) (uintptr_t) exec_id;
        q.signal = (uint32_t) sig;
        q.all = all;
        r = container_call(c, "Kill", &q.base, &message);
        if (r == -ENOENT || r == -ESRCH)
                return error_setf(reterr_message, -ENOENT, "container not running");
        return r < 0 ? error_setf(reterr_message, r, "%s", error_text(message, r)) : 0;
}

int signal_parse(const char *text, int *ret)
{
        _cleanup_free_ char *upper = strdup(text);

        if (!upper)
                return -ENOMEM;
        for (char *p = upper; *p; p++)
                *p = (char) toupper((unsigned char) *p);
        return conf_parse_signal(NULL, upper, ret);
}

int pid_file_write(const char *path, pid_t pid, char **reterr_message)
{
        char text[16];
        int n = snprintf(text, sizeof(text), "%d", (int) pid);
        int r = write_file_atomic(path, text, (size_t) n, 0644);

        return r < 0 ? error_setf(reterr_message, r, "--pid-file %s: %s", path, strerror(-r)) : 0;
}
