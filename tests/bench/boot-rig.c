/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machine of tools/bench boot: starts QEMU as the supervisor would (kernel command line and devices are
 * made by the supervisor's own code), but so that each run executes the same instructions: one clock that
 * counts instructions, fixed seed and date, no string instructions whose cost depends on their length. Then
 * it plays the supervisor's part on the agent's port until the plugin, see count.c, ends the machine.
 * Development machine only.
 *
 * Differences to a machine of the supervisor: see rig_argv(); and no virtio-fs device, which would need
 * its daemon.
 */

#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "basic/pidref.h"
#include "proto/mux-pump.h"
#include "runtime/vmm/cmdline.h"
#include "runtime/vmm/qemu-cmdline.h"
#include "runtime/vmm/spawn.h"

typedef struct Rig {
        const char *vmm, *kernel, *image, *params, *plugin, *console, *parameters;
        bool print_cmdline;
        usec_t timeout;
} Rig;

static int help(void)
{
        printf("boot-rig --vmm=QEMU --kernel=VMLINUX --image=IMG --params=PARAMS --plugin=FILE,ARG=VALUE…\n\n"
               "Boots a guest under TCG with a counting plugin until its agent is ready.\n\n"
               "     --console=FILE       Keep what the guest prints\n"
               "     --parameters=WORDS   Kernel parameters to add\n"
               "     --timeout=TIME       Give up after this time (default 60s)\n"
               "     --print-cmdline      Print the kernel command line and end\n"
               "  -h --help               Show this help\n");
        return 0;
}

/* The machine of the supervisor's defaults: 256 MiB, one CPU, serial transport, console. */
static int make_config(const Rig *rig, VmConfig *ret, char **reterr_message)
{
        _cleanup_(vm_config_done) VmConfig c = VM_CONFIG_INIT;
        int r;

        c.id = strdup("bench");
        c.vmm_path = strdup(rig->vmm);
        c.run_dir = strdup("/run/kata/bench");
        c.kernel_path = strdup(rig->kernel);
        c.image_path = strdup(rig->image);
        c.kernel_parameters = rig->parameters ? strdup(rig->parameters) : NULL;
        if (!c.id || !c.vmm_path || !c.run_dir || !c.kernel_path || !c.image_path)
                return -ENOMEM;

        c.memory = MIB(256);
        c.vcpus = 1;
        c.accel = VM_ACCEL_TCG;
        c.transport = VM_TRANSPORT_SERIAL;
        c.console = true;

        r = guest_params_load(rig->params, &c.params, reterr_message);
        if (r >= 0)
                r = vm_config_open(&c, rig->params, reterr_message);
        if (r < 0)
                return r;

        *ret = c;
        c = VM_CONFIG_INIT;
        return 0;
}

/*
 * What differs from the supervisor's command line. The machine runs at once, and its sockets are connected
 * before, so that nothing depends on when a main loop comes to accept them. Without ioeventfd a device
 * takes what it is given before the processor goes on: virtio_console waits for that in a busy loop.
 */
static int rig_argv(const Rig *rig, const Strv *from, Strv *ret)
{
        static const char waiting[] = ",server=on,wait=off";
        int r = 0;

        for (size_t i = 0; r >= 0 && i < from->n; i++) {
                const char *end = endswith(from->v[i], waiting);

                if (streq(from->v[i], "-S"))
                        continue;
                if (streq(from->v[i], "-cpu") && i + 1 < from->n) {
                        i++;
                        r = strv_add_many(ret, "-cpu", "max,-erms,-fsrm", NULL);
                } else if (end)
                        r = strv_addf(ret, "%.*s", (int) (end - from->v[i]), from->v[i]);
                else
                        r = strv_add(ret, from->v[i]);
        }

        return r < 0 ? r : strv_add_many(ret, "-icount", "shift=0,sleep=off", "-seed", "1", "-rtc",
                                         "base=2024-01-01T00:00:00,clock=vm", "-global",
                                         "virtio-mmio.ioeventfd=off", "-plugin", rig->plugin, NULL);
}

static int socket_pair(int ret[static 2])
{
        return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret) < 0 ? negative_errno() : 0;
}

static int run_qemu(const Strv *argv, const QemuFds *fds, PidRef *ret)
{
        const int keep[] = { fds->kernel, fds->image, fds->qmp, fds->console, fds->agent };
        pid_t pid = fork();

        if (pid < 0)
                return negative_errno();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (size_t i = 0; i < ELEMENTSOF(keep); i++)
                        if (fcntl(keep[i], F_SETFD, 0) < 0)
                                _exit(126);
                execv(argv->v[0], argv->v);
                log_error_errno(-errno, "Running '%s'", argv->v[0]);
                _exit(127);
        }

        return pidref_set(ret, pid);
}

static void on_ready(MuxPump *pump, void *userdata)
{
}

/* The agent's notification; its text is what the plugin waits for. */
static int on_connect(MuxPump *pump, uint32_t port, uint32_t stream_id, int fd, void *userdata)
{
        int *notify_fd = userdata;

        if (port != AGENT_NOTIFY_MUX_PORT || *notify_fd >= 0)
                return -ECONNREFUSED;

        *notify_fd = fd;
        return 0;
}

/* QEMU has gone: its exit is what is waited for. */
static void on_error(MuxPump *pump, int error, const char *message, void *userdata)
{
}

static void copy_console(int from, int to)
{
        char buf[4096];
        ssize_t n = recv(from, buf, sizeof(buf), MSG_DONTWAIT);

        if (n > 0 && to >= 0)
                (void) write_full(to, buf, (size_t) n);
}

/* Until QEMU ends; -ETIME if it does not. */
static int serve(const Rig *rig, int pidfd, int console, int agent)
{
        static const MuxPumpCallbacks callbacks = {
                .on_ready = on_ready, .on_connect = on_connect, .on_error = on_error,
        };
        _cleanup_close_ int log = -EBADF, notify = -EBADF;
        _cleanup_(mux_pump_freep) MuxPump *pump = NULL;
        usec_t end = now_usec() + rig->timeout;
        bool lost = false;
        int r;

        if (rig->console) {
                log = open(rig->console, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
                if (log < 0)
                        return log_error_errno(negative_errno(), "'%s' can not be written", rig->console);
        }
        r = mux_pump_new(&pump, MUX_CLIENT, agent, &callbacks, &notify);
        if (r < 0) {
                safe_close(agent);
                return r;
        }

        for (;;) {
                usec_t now = now_usec();
                struct pollfd p[] = {
                        { .fd = pidfd, .events = POLLIN },
                        { .fd = console, .events = POLLIN },
                        { .fd = lost ? -1 : mux_pump_fd(pump), .events = POLLIN },
                };

                if (now >= end)
                        return -ETIME;
                if (poll(p, ELEMENTSOF(p), (int) ((end - now) / USEC_PER_MSEC) + 1) < 0 && errno != EINTR)
                        return negative_errno();
                if (p[1].revents & POLLIN)
                        copy_console(console, log);
                if (p[2].revents && mux_pump_dispatch(pump) < 0)
                        lost = true;
                if (p[0].revents)
                        return 0;
                if (p[1].revents & (POLLHUP | POLLERR))
                        console = -1;
        }
}

static int wait_qemu(const PidRef *qemu)
{
        _cleanup_free_ char *text = NULL;
        int code, status, r;

        r = pidref_reap(qemu, &code, &status);
        if (r < 0)
                return r;
        if (code == CLD_EXITED && status == 0)
                return 0;

        text = process_exit_text(code, status);
        return log_error_errno(-EIO, "QEMU %s", strempty(text));
}

static int boot(const Rig *rig, VmConfig *config, const char *cmdline)
{
        _cleanup_close_ int qmp = -EBADF, console = -EBADF, agent = -EBADF;
        _cleanup_(pidref_done) PidRef qemu = PIDREF_NULL;
        int pairs[3][2], r = 0, k;
        _cleanup_(strv_done) Strv base = {}, argv = {};
        QemuFds fds = QEMU_FDS_NULL;

        fds.kernel = config->kernel_fd;
        fds.image = config->image_fd;

        for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
                r = socket_pair(pairs[i]);
                if (r < 0)
                        return r;
        }
        qmp = pairs[0][0];
        console = pairs[1][0];
        agent = pairs[2][0];
        fds.qmp = pairs[0][1];
        fds.console = pairs[1][1];
        fds.agent = pairs[2][1];

        r = qemu_build_argv(config, &fds, cmdline, &base);
        if (r >= 0)
                r = rig_argv(rig, &base, &argv);
        if (r >= 0)
                r = run_qemu(&argv, &fds, &qemu);
        for (size_t i = 0; i < ELEMENTSOF(pairs); i++)
                safe_close(pairs[i][1]);
        if (r < 0)
                return r;

        r = serve(rig, qemu.fd, console, TAKE_FD(agent));
        if (r < 0) {
                (void) pidref_kill(&qemu, SIGTERM);
                if (r == -ETIME)
                        log_error("The agent was not ready in time");
        }
        k = wait_qemu(&qemu);
        return r < 0 ? r : k;
}

/* 1: run */
static int parse_argv(int argc, char *argv[], Rig *rig)
{
        enum { ARG_VMM = 0x100, ARG_KERNEL, ARG_IMAGE, ARG_PARAMS, ARG_PLUGIN, ARG_CONSOLE, ARG_PARAMETERS,
               ARG_TIMEOUT, ARG_PRINT_CMDLINE };
        static const struct option options[] = {
                { "vmm", required_argument, NULL, ARG_VMM },
                { "kernel", required_argument, NULL, ARG_KERNEL },
                { "image", required_argument, NULL, ARG_IMAGE },
                { "params", required_argument, NULL, ARG_PARAMS },
                { "plugin", required_argument, NULL, ARG_PLUGIN },
                { "console", required_argument, NULL, ARG_CONSOLE },
                { "parameters", required_argument, NULL, ARG_PARAMETERS },
                { "timeout", required_argument, NULL, ARG_TIMEOUT },
                { "print-cmdline", no_argument, NULL, ARG_PRINT_CMDLINE },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        const char **texts[] = {
                &rig->vmm, &rig->kernel, &rig->image, &rig->params, &rig->plugin, &rig->console,
                &rig->parameters,
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
                if (c >= ARG_VMM && c <= ARG_PARAMETERS)
                        *texts[c - ARG_VMM] = optarg;
                else if (c == ARG_TIMEOUT) {
                        if (parse_usec(optarg, &rig->timeout) < 0)
                                return log_error_errno(-EINVAL, "--timeout= is no time: '%s'", optarg);
                } else if (c == ARG_PRINT_CMDLINE)
                        rig->print_cmdline = true;
                else if (c == 'h')
                        return help();
                else
                        return -EINVAL;
        }
        if (optind < argc || !rig->vmm || !rig->kernel || !rig->image || !rig->params || !rig->plugin)
                return log_error_errno(-EINVAL, "Needs --vmm=, --kernel=, --image=, --params=, --plugin=");
        return 1;
}

int main(int argc, char *argv[])
{
        _cleanup_free_ char *message = NULL, *cmdline = NULL;
        _cleanup_(vm_config_done) VmConfig config = VM_CONFIG_INIT;
        Rig rig = { .timeout = 60 * USEC_PER_SEC };
        int r;

        r = parse_argv(argc, argv, &rig);
        if (r <= 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;

        r = kernel_parameters_validate(rig.parameters, &message);
        if (r >= 0)
                r = make_config(&rig, &config, &message);
        if (r >= 0)
                r = kernel_cmdline_build(&config, &cmdline, &message);
        if (r < 0) {
                log_error("%s", error_text(message, r));
                return EXIT_FAILURE;
        }
        if (rig.print_cmdline) {
                puts(cmdline);
                return EXIT_SUCCESS;
        }

        return boot(&rig, &config, cmdline) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
