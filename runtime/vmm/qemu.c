/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU as a VmmOps back end. Host side; QEMU runs as another user and is believed nothing: its
 * messages go through qmp.c, its texts are escaped.
 */

#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "runtime/vmm/cmdline.h"
#include "runtime/vmm/qemu-cmdline.h"
#include "runtime/vmm/qmp.h"
#include "basic/unix-socket.h"
#include "runtime/vmm/vmm-internal.h"

#define COMMAND_TIMEOUT (10 * USEC_PER_SEC)

static int qemu_check(const VmConfig *config, char **reterr_message)
{
        if (access(config->vmm_path, X_OK) < 0)
                return error_setf(reterr_message, errno, "%s can not be executed: %s",
                                config->vmm_path,
                                errno == ENOENT ? "not installed (apt-get install qemu-system-x86)"
                                                : strerror(errno));
        return qemu_check_devices(config, reterr_message);
}

/* Makes a listening socket that QEMU inherits, so that its user needs no access to run_dir. */
static int add_listener(Vmm *vmm, VmmCommand *command, const char *name, int *ret_number,
                        char **reterr_message)
{
        int fd, r;

        r = unix_listen_at(vmm->run_dir_fd, name, &fd);
        if (r < 0)
                return error_setf(reterr_message, r, "socket %s/%s: %s", vmm->state.run_dir, name,
                                  strerror(-r));

        command->owned[command->n_owned++] = fd;
        r = spawn_params_add_fd(&command->params, fd);
        if (r < 0)
                return r;
        *ret_number = r;
        return 0;
}

static int add_inherited(VmmCommand *command, int fd, int *ret_number)
{
        int r;

        if (fd < 0)
                return 0;
        r = spawn_params_add_fd(&command->params, fd);
        if (r < 0)
                return r;
        *ret_number = r;
        return 0;
}

static int add_nic(VmmCommand *command, const VmNic *nic, QemuNicFds *ret)
{
        int r;

        *ret = (QemuNicFds) { .tap = -EBADF, .vhost = -EBADF };
        r = add_inherited(command, nic->tap_fd, &ret->tap);
        return r < 0 ? r : add_inherited(command, nic->vhost_fd, &ret->vhost);
}

static int qemu_prepare(
                Vmm *vmm, const VmConfig *config, VmmCommand *command, char **reterr_message)
{
        QemuFds fds = QEMU_FDS_NULL;
        _cleanup_free_ char *cmdline = NULL;
        int r;

        r = kernel_cmdline_build(config, &cmdline, reterr_message);
        if (r < 0)
                return r;

        r = add_inherited(command, config->kernel_fd, &fds.kernel);
        if (r >= 0)
                r = add_inherited(command, config->image_fd, &fds.image);
        if (r >= 0)
                r = add_inherited(command, config->debug_image_fd, &fds.debug_image);
        if (r >= 0)
                r = add_listener(vmm, command, VMM_CONTROL_SOCKET, &fds.qmp, reterr_message);
        if (r >= 0 && config->console)
                r = add_listener(vmm, command, VMM_CONSOLE_SOCKET, &fds.console, reterr_message);
        if (r >= 0 && config->transport == VM_TRANSPORT_SERIAL)
                r = add_listener(vmm, command, VMM_AGENT_SOCKET, &fds.agent, reterr_message);
        if (r >= 0)
                r = add_inherited(command, config->vhost_fd, &fds.vhost);
        if (r >= 0)
                r = add_inherited(command, config->share_fd, &fds.share);
        if (r >= 0)
                r = add_inherited(command, config->initrd_fd, &fds.initrd);
        for (size_t i = 0; r >= 0 && i < config->n_nics; i++)
                r = add_nic(command, &config->nics[i], &fds.nics[i]);
        if (r < 0)
                return r;

        return qemu_build_argv(config, &fds, cmdline, &command->argv);
}

/* ---- QMP ---- */

static void on_status(QmpClient *q, int error, struct json_object *result, const char *text,
                void *userdata)
{
        struct json_object *v;
        Vmm *vmm = userdata;
        const char *status;

        if (error < 0) {
                if (error != -ECONNRESET)
                        vmm_fail(vmm, "QEMU does not tell its state: %s", text);
                return;
        }

        status = json_object_object_get_ex(result, "status", &v) &&
                                                 json_object_is_type(v, json_type_string)
                                 ? json_object_get_string(v)
                                 : "";

        /* "prelaunch": built with -S and never continued. */
        if (streq(status, "prelaunch") && vmm->phase == VMM_LAUNCHED)
                vmm_set_ready(vmm, false);
        else if (streq(status, "running"))
                vmm_set_ready(vmm, true);
        else if (!streq(status, "shutdown")) {
                _cleanup_free_ char *escaped = text_escape(status, strlen(status), 32);

                vmm_fail(vmm, "machine is in the unexpected state '%s'", strempty(escaped));
        }
}

static void on_cont(QmpClient *q, int error, struct json_object *result, const char *text,
                void *userdata)
{
        Vmm *vmm = userdata;

        if (error < 0) {
                if (error != -ECONNRESET)
                        vmm_fail(vmm, "machine can not be started: %s", text);
                return;
        }

        vmm_set_running(vmm);
}

static void on_ready(QmpClient *q, void *userdata)
{
        Vmm *vmm = userdata;

        if (qmp_command(q, "query-status", NULL, COMMAND_TIMEOUT, on_status, vmm) < 0)
                vmm_fail(vmm, "QEMU can not be asked for its state");
}

static void on_event(QmpClient *q, const char *name, struct json_object *data, void *userdata)
{
        struct json_object *v;
        Vmm *vmm = userdata;
        const char *reason = "unknown";
        bool guest = false;

        /*
         * Nobody here pauses a machine: KVM gave up on it, or a disk failed. The state says what
         * it was.
         */
        if (streq(name, "STOP") && vmm->phase == VMM_RUNNING && !vmm->stopping &&
                        !vmm->shutdown_reason)
                (void) qmp_command(q, "query-status", NULL, COMMAND_TIMEOUT, on_status, vmm);
        if (!streq(name, "SHUTDOWN"))
                return;

        if (data && json_object_object_get_ex(data, "guest", &v))
                guest = json_object_get_boolean(v);
        if (data && json_object_object_get_ex(data, "reason", &v) &&
            json_object_is_type(v, json_type_string))
                reason = json_object_get_string(v);
        vmm_set_shutdown(vmm, guest, reason);
}

static void on_closed(QmpClient *q, int error, const char *text, void *userdata)
{
        Vmm *vmm = userdata;

        /* Closing comes just before the exit; a QEMU that lives on without control must not. */
        if (error == 0)
                vmm_control_closed(vmm, "QEMU closed its control socket and did not exit");
        else
                vmm_fail(vmm, "control socket of QEMU: %s", text);
}

static int qemu_connect(Vmm *vmm, char **reterr_message)
{
        static const QmpHandlers handlers = {
                .on_ready = on_ready,
                .on_event = on_event,
                .on_closed = on_closed,
        };
        _cleanup_close_ int fd = -EBADF;
        QmpClient *q = NULL;
        int r;

        r = unix_connect_at(vmm->run_dir_fd, VMM_CONTROL_SOCKET, &fd);
        if (r >= 0)
                r = qmp_new(vmm->event, fd, VMM_READY_TIMEOUT, &handlers, vmm, &q);
        if (r < 0)
                return error_setf(reterr_message, r, "control socket of QEMU: %s", strerror(-r));

        TAKE_FD(fd);
        vmm->backend = q;
        return 0;
}

static int qemu_start(Vmm *vmm)
{
        return vmm->backend ? qmp_command(vmm->backend, "cont", NULL, COMMAND_TIMEOUT, on_cont, vmm)
                            : -ENOTCONN;
}

static int qemu_quit(Vmm *vmm)
{
        /* Sent once negotiated; the deadline of the caller covers a QEMU that never gets there. */
        return vmm->backend ? qmp_command(vmm->backend, "quit", NULL, COMMAND_TIMEOUT, NULL, NULL) :
               -ENOTCONN;
}

static void qemu_drain(Vmm *vmm)
{
        qmp_drain(vmm->backend);
}

static void qemu_free(Vmm *vmm)
{
        vmm->backend = qmp_free(vmm->backend);
}

const VmmOps vmm_ops_qemu = {
        .name = "qemu",
        .check = qemu_check,
        .prepare = qemu_prepare,
        .connect = qemu_connect,
        .start = qemu_start,
        .quit = qemu_quit,
        .drain = qemu_drain,
        .free = qemu_free,
};
