/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kata-sandboxd: supervisor of one sandbox, main process of kata-sandbox@ID.service. Host side, root with
 * the capabilities of the unit; everything it hears from the guest goes through the checks of the layers
 * below.
 */

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/sandbox/state-file.h"
#include "runtime/sandboxd/cleanup.h"
#include "runtime/sandboxd/sandbox-socket.h"
#include "runtime/sandboxd/task-socket.h"
#include "runtime/store/share.h"
#include "runtime/unit/unit-name.h"

/* What may come on top of a deadline before it is acted upon. */
#define DEADLINE_MARGIN (15 * USEC_PER_SEC)

static bool arg_cleanup;
static const char *arg_id;

typedef struct Manager {
        sd_event *event;
        Sandbox *sandbox;
        SandboxSocket *socket;          /* requests about the guest; NULL: it does not run yet */
        TaskSocket *tasks;              /* containers of callers; NULL: none, or not yet */
        int kept_namespace;             /* of an earlier supervisor */
        sd_event_source *watchdog_timer;
        uint64_t watchdog_usec;         /* 0: the unit has none */
        int exit_status;
} Manager;

static void help(void)
{
        printf("kata-sandboxd [OPTIONS...] ID\n\n"
               "Supervisor of a VM-isolated sandbox; started by kata-sandbox@ID.service.\n\n"
               "     --cleanup          Remove what a supervisor that died has left of sandbox ID\n"
               "  -h --help             Show this help\n"
               "     --version          Show the version\n\n"
               "See kata-sandboxd(8).\n");
}

/* --- handlers of the sandbox --- */

static void on_status(Sandbox *s, const char *text, void *userdata)
{
        (void) sd_notifyf(0, "STATUS=%s", text);
}

static void on_deadline(Sandbox *s, usec_t timeout, void *userdata)
{
        /* Never shortens what the unit allows; only a larger value of kata.conf makes a difference. */
        (void) sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, timeout + DEADLINE_MARGIN);
}

static void on_running(Sandbox *s, void *userdata)
{
        Manager *m = userdata;
        int r;

        /* The sandbox does without. */
        r = m->socket ? 0 : sandbox_socket_new(&m->socket, m->event, s);
        if (r < 0)
                log_warning_errno(r, "The socket " SANDBOX_SOCKET_NAME " can not be made, ignoring");
        (void) sd_notify(0, "READY=1\nSTATUS=Running\nWATCHDOG=1");
}

static void on_alive(Sandbox *s, void *userdata)
{
        (void) sd_notify(0, "WATCHDOG=1");
}

static void keep_fd(const char *name, int fd)
{
        char text[128];

        if (fd < 0)
                return;
        /* In the place of what a supervisor kept whose machine could not be taken over. */
        (void) sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
        snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
        (void) sd_pid_notify_with_fds(0, 0, text, &fd, 1);
}

static void on_keep_fd(Sandbox *s, const char *name, int fd, void *userdata)
{
        keep_fd(name, fd);
}

/* What keep_fd() gave away before a crash. */
static void take_kept_fds(Manager *m, char **names, int n)
{
        for (int i = 0; i < n; i++) {
                int fd = SD_LISTEN_FDS_START + i;

                if (fd == m->kept_namespace)
                        continue;
                (void) fd_set_cloexec(fd, true);
                sandbox_give_fd(m->sandbox, names[i], fd);
        }
}

/* Where the mounts of this sandbox are to be: with those that an earlier supervisor has made, if it kept them. */
static int enter_namespace(Manager *m, char **names, int n)
{
        int r;

        for (int i = 0; i < n; i++) {
                if (!streq(names[i], KEPT_MOUNT_NAMESPACE))
                        continue;
                m->kept_namespace = SD_LISTEN_FDS_START + i;
                (void) fd_set_cloexec(m->kept_namespace, true);
                r = share_return_to_namespace(m->kept_namespace);
                if (r >= 0)
                        return 0;
                log_warning_errno(r, "The mount namespace of an earlier supervisor can not be entered, ignoring");
        }

        return share_enter_namespace();
}

/* --- containers of callers --- */

static int on_guest(Sandbox *s, bool resumed, void *userdata, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        Manager *m = userdata;
        int r;

        r = task_socket_new(&m->tasks, m->event, s, resumed, reterr_message);
        if (r < 0)
                return r;

        /* In the state of a later start, too: what is kept goes with the unit. */
        if (m->kept_namespace < 0 && share_keep_namespace(&fd) >= 0)
                keep_fd(KEPT_MOUNT_NAMESPACE, fd);
        return 0;
}

static void signal_containers(Sandbox *s, bool kill, void *userdata)
{
        Manager *m = userdata;

        task_service_signal_all(task_socket_service(m->tasks), kill);
}

static bool containers_are_down(Sandbox *s, void *userdata)
{
        Manager *m = userdata;

        return task_service_is_down(task_socket_service(m->tasks));
}

static void on_guest_gone(Sandbox *s, void *userdata)
{
        Manager *m = userdata;

        task_service_guest_gone(task_socket_service(m->tasks));
}

static void on_finished(Sandbox *s, int exit_status, const char *text, void *userdata)
{
        Manager *m = userdata;

        m->exit_status = exit_status;
        if (exit_status == 0)
                (void) sd_notify(0, "STOPPING=1\nSTATUS=Stopped");
        else
                (void) sd_notifyf(0, "STOPPING=1\nSTATUS=Failed: %s", strempty(text));
        (void) sd_event_exit(m->event, 0);
}

static void on_agent_gone(Sandbox *s, void *userdata)
{
        Manager *m = userdata;

        if (m->socket)
                sandbox_socket_guest_gone(m->socket);
}

/* --- watchdog --- */

/*
 * While the sandbox runs only the agent's answers count (on_alive). Before and after, each phase has a
 * deadline of its own, and the turning of this loop is the proof of life.
 */
static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        if (sandbox_phase(m->sandbox) != PHASE_RUNNING)
                (void) sd_notify(0, "WATCHDOG=1");

        (void) sd_event_source_set_time(source, usec + m->watchdog_usec / 3);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

static int setup_watchdog(Manager *m)
{
        int r = sd_watchdog_enabled(0, &m->watchdog_usec);

        if (r <= 0)
                return r;

        /* A guest that hangs is to be reported as that: the watchdog comes after the health checks. */
        if (m->watchdog_usec < sandbox_health_window(m->sandbox) + DEADLINE_MARGIN) {
                m->watchdog_usec = sandbox_health_window(m->sandbox) + DEADLINE_MARGIN;
                (void) sd_notifyf(0, "WATCHDOG_USEC=%" PRIu64, m->watchdog_usec);
        }

        return sd_event_add_time_relative(m->event, &m->watchdog_timer, CLOCK_MONOTONIC, 0, 0, on_watchdog,
                                          m);
}

/* --- signals --- */

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        Manager *m = userdata;

        (void) sd_notify(0, "STOPPING=1");
        sandbox_stop(m->sandbox);
        return 0;
}

static int setup_signals(Manager *m)
{
        static const int signals[] = { SIGTERM, SIGINT };
        struct sigaction ignore = { .sa_handler = SIG_IGN };
        sigset_t set;
        int r;

        sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                sigaddset(&set, signals[i]);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0)
                return negative_errno();

        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_event_add_signal(m->event, NULL, signals[i], on_signal, m);
                if (r < 0)
                        return r;
        }

        return 0;
}

/* --- main --- */

static int run(const char *id)
{
        static const SandboxHandlers handler_table = {
                .on_status = on_status,
                .on_deadline = on_deadline,
                .on_running = on_running,
                .on_alive = on_alive,
                .on_finished = on_finished,
                .on_keep_fd = on_keep_fd,
                .on_agent_gone = on_agent_gone,
                .on_guest = on_guest,
                .signal_containers = signal_containers,
                .containers_are_down = containers_are_down,
                .on_guest_gone = on_guest_gone,
        };
        _cleanup_free_ char *run_dir = NULL, *message = NULL;
        SandboxHandlers handlers = handler_table;
        Manager m = { .exit_status = EX_SOFTWARE, .kept_namespace = -EBADF };
        char **names = NULL;
        int r, n;

        if (asprintf(&run_dir, "%s/%s", RUNDIR, id) < 0)
                return log_oom(), EX_OSERR;

        r = mkdir_p(run_dir, 0700);
        if (r < 0) {
                (void) log_error_errno(r, "'%s' can not be made", run_dir);
                return EX_OSERR;
        }
        n = sd_listen_fds_with_names(1, &names);
        r = enter_namespace(&m, names, n);
        if (r < 0) {
                (void) log_error_errno(r, "No mount namespace of our own (CAP_SYS_ADMIN is needed)");
                m.exit_status = EX_OSERR;
                goto finish;
        }

        handlers.userdata = &m;
        r = sd_event_default(&m.event);
        if (r >= 0)
                r = setup_signals(&m);
        if (r >= 0)
                r = sandbox_new(&m.sandbox, m.event, id, run_dir, &handlers, &message);
        if (r < 0) {
                log_error("Sandbox '%s' can not be started: %s", id, error_text(message, r));
                (void) sd_notifyf(0, "STATUS=Failed: %s", error_text(message, r));
                m.exit_status = EX_CONFIG;
                goto finish;
        }

        take_kept_fds(&m, names, n);
        r = setup_watchdog(&m);
        if (r >= 0) {
                sandbox_start(m.sandbox);
                r = sd_event_loop(m.event);
        }
        if (r < 0) {
                (void) log_error_errno(r, "Event loop failed");
                m.exit_status = EX_SOFTWARE;
        }

finish:
        sd_event_source_disable_unref(m.watchdog_timer);
        /* Streams of tasks are known to the transport. */
        task_socket_free(m.tasks);
        sandbox_socket_free(m.socket);
        sandbox_free(m.sandbox);
        safe_close(m.kept_namespace);
        for (int i = 0; i < n; i++)
                free(names[i]);
        free(names);
        sd_event_unref(m.event);
        return m.exit_status;
}

/* -1: go on, otherwise the exit status. */
static int parse_argv(int argc, char *argv[])
{
        enum {
                ARG_VERSION = 0x100,
                ARG_CLEANUP,
        };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "cleanup", no_argument, NULL, ARG_CLEANUP },
                {}
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case ARG_VERSION:
                        puts("kata-sandboxd " PROJECT_VERSION);
                        return 0;
                case ARG_CLEANUP:
                        arg_cleanup = true;
                        break;
                default:
                        return EX_USAGE;
                }

        if (argc - optind != 1) {
                log_error("Exactly one sandbox ID is needed; see kata-sandboxd --help");
                return EX_USAGE;
        }

        arg_id = argv[optind];
        if (!sandbox_name_is_valid(arg_id)) {
                _cleanup_free_ char *shown = text_escape(arg_id, strlen(arg_id), 64);

                log_error("'%s' is not a sandbox ID: at least two of the letters, digits, '.', '_' and '-', "
                          "the first a letter or digit", strempty(shown));
                (void) sd_notifyf(0, "STATUS=Failed: '%s' is not a sandbox ID", strempty(shown));
                return EX_CONFIG;
        }

        return -1;
}

int main(int argc, char *argv[])
{
        int r = parse_argv(argc, argv);

        if (r >= 0)
                return r;
        if (geteuid() != 0) {
                log_error("kata-sandboxd needs root: use systemctl start kata-sandbox@%s", arg_id);
                return EX_NOPERM;
        }

        return arg_cleanup ? sandbox_cleanup(arg_id) : run(arg_id);
}
