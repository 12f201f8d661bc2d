/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paused children: see spawn.h. Everything below child_main() runs in the child, between fork and
 * exec.
 */

#include "runtime/vmm/spawn.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"

#define FIRST_FD 3

/* Where the child failed; an index into stage_texts. */
typedef enum SpawnStage {
        STAGE_NAMESPACE,
        STAGE_DESCRIPTORS,
        STAGE_LIMITS,
        STAGE_CAPABILITIES,
        STAGE_IDENTITY,
        STAGE_EXEC,
        _STAGE_MAX,
} SpawnStage;

static const char *const stage_texts[_STAGE_MAX] = {
        [STAGE_NAMESPACE] = "network namespace of",
        [STAGE_DESCRIPTORS] = "descriptors for",
        [STAGE_LIMITS] = "resource limits for",
        [STAGE_CAPABILITIES] = "capabilities for",
        [STAGE_IDENTITY] = "user of",
        [STAGE_EXEC] = "exec of",
};

typedef struct ChildReport {
        int32_t stage;
        int32_t error;
} ChildReport;

struct Spawn {
        char *path;
        PidRef pid;
        int release_fd;                 /* write end; one byte releases, the end of file kills */
        int report_fd;                  /* read end; ChildReport, or the end of file at exec */
        sd_event_source *report_source, *exit_source;
        SpawnHandlers handlers;
        void *userdata;
        bool released, reported, exited;
};

int spawn_params_add_fd(SpawnParams *params, int fd)
{
        if (fd < 0)
                return -EBADF;
        if (params->n_fds >= SPAWN_FDS_MAX)
                return -E2BIG;

        params->fds[params->n_fds++] = fd;
        return FIRST_FD + (int) params->n_fds - 1;
}

/* ---- in the child ---- */

/*
 * Places the wanted descriptors from 0 upwards and closes all others: those of the supervisor must
 * neither be held open while the child is paused nor reach the program. Two steps, since a source
 * may sit where another one has to go.
 */
static int child_descriptors(const SpawnParams *p, int *release_fd, int *report_fd)
{
        const int n_program = FIRST_FD + (int) p->n_fds, n_all = n_program + 2;
        int source[FIRST_FD + SPAWN_FDS_MAX + 2], null_fd;

        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (null_fd < 0)
                return negative_errno();

        source[0] = null_fd;
        source[1] = p->stdout_fd >= 0 ? p->stdout_fd : null_fd;
        source[2] = p->stderr_fd >= 0 ? p->stderr_fd : null_fd;
        for (size_t i = 0; i < p->n_fds; i++)
                source[FIRST_FD + i] = p->fds[i];
        source[n_program] = *release_fd;
        source[n_program + 1] = *report_fd;

        for (int i = 0; i < n_all; i++) {
                source[i] = fcntl(source[i], F_DUPFD_CLOEXEC, n_all);
                if (source[i] < 0)
                        return negative_errno();
        }
        for (int i = 0; i < n_all; i++)
                if (dup3(source[i], i, i < n_program ? 0 : O_CLOEXEC) < 0)
                        return negative_errno();

        *release_fd = n_program;
        *report_fd = n_program + 1;
        return syscall(SYS_close_range, n_all, ~0U, 0) < 0 ? negative_errno() : 0;
}

static int child_limits(const SpawnParams *p)
{
        /* A core file would hold the memory of the guest. */
        const struct rlimit core = {};

        if (setrlimit(RLIMIT_CORE, &core) < 0)
                return negative_errno();

        if (p->nofile > 0) {
                struct rlimit nofile;

                /* As much of it as we may give. */
                if (getrlimit(RLIMIT_NOFILE, &nofile) < 0)
                        return negative_errno();
                nofile.rlim_cur = nofile.rlim_max = MIN(nofile.rlim_max, (rlim_t) p->nofile);
                if (setrlimit(RLIMIT_NOFILE, &nofile) < 0)
                        return negative_errno();
        }

        if (p->oom_score_adj != 0) {
                char text[16];
                int r;

                snprintf(text, sizeof(text), "%d", p->oom_score_adj);
                r = write_string_file_at(AT_FDCWD, "/proc/self/oom_score_adj", text);
                if (r < 0)
                        return r;
        }

        return 0;
}

/* Bounding set to what may be kept: exec as uid 0 gives exactly that, as anybody else nothing. */
static int child_capabilities(const SpawnParams *p)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2];

        for (int cap = 0; cap < 64; cap++) {
                int have = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

                if (have < 0)
                        break;          /* the kernel knows no more */
                if (have == 0 || (p->keep_caps & (UINT64_C(1) << cap)) != 0)
                        continue;
                /* An unprivileged supervisor (tests) has nothing to give away. */
                if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && (errno != EPERM || geteuid() == 0))
                        return negative_errno();
        }

        if (syscall(SYS_capget, &header, data) < 0)
                return negative_errno();
        data[0].inheritable = data[1].inheritable = 0;
        if (syscall(SYS_capset, &header, data) < 0)
                return negative_errno();
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return negative_errno();

        return 0;
}

static int child_identity(const SpawnParams *p)
{
        if (p->uid != SPAWN_KEEP_ID) {
                if (setgroups(p->n_groups, p->groups) < 0 ||
                    setresgid(p->gid, p->gid, p->gid) < 0 ||
                    setresuid(p->uid, p->uid, p->uid) < 0)
                        return negative_errno();
        }

        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? negative_errno() : 0;
}

static void child_signals(void)
{
        struct sigaction sa = { .sa_handler = SIG_DFL };
        sigset_t none;

        for (int sig = 1; sig < _NSIG; sig++)
                if (sig != SIGKILL && sig != SIGSTOP)
                        (void) sigaction(sig, &sa, NULL);
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

_noreturn_ static void child_fail(int report_fd, SpawnStage stage, int error)
{
        const ChildReport report = { .stage = (int32_t) stage, .error = -error };

        (void) write_full(report_fd, &report, sizeof(report));
        _exit(127);
}

_noreturn_ static void child_main(const SpawnParams *p, int release_fd, int report_fd)
{
        static char *const default_env[] = { (char *) "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
        uint8_t byte;
        int r;

        /*
         * Default actions first: from here on a signal ends the child instead of meeting our
         * handlers.
         */
        child_signals();
        (void) setsid();

        /* Its descriptor is closed with all others. */
        if (p->netns_fd >= 0 && setns(p->netns_fd, CLONE_NEWNET) < 0)
                child_fail(report_fd, STAGE_NAMESPACE, negative_errno());

        r = child_descriptors(p, &release_fd, &report_fd);
        if (r < 0)
                child_fail(report_fd, STAGE_DESCRIPTORS, r);

        /* Not released, or the parent is gone. */
        if (read_full(release_fd, &byte, 1) < 0)
                _exit(126);

        r = child_limits(p);
        if (r < 0)
                child_fail(report_fd, STAGE_LIMITS, r);
        r = child_capabilities(p);
        if (r < 0)
                child_fail(report_fd, STAGE_CAPABILITIES, r);
        r = child_identity(p);
        if (r < 0)
                child_fail(report_fd, STAGE_IDENTITY, r);

        (void) umask(0077);
        if (chdir("/") < 0)
                child_fail(report_fd, STAGE_IDENTITY, negative_errno());

        execve(p->path, p->argv, p->envp ? p->envp : default_env);
        child_fail(report_fd, STAGE_EXEC, negative_errno());
}

/* ---- in the parent ---- */

/* Reads the result of the exec, if it is there, and tells the owner once. */
static void read_report(Spawn *s)
{
        _cleanup_free_ char *text = NULL;
        ChildReport report;
        ssize_t k;
        int error = 0;

        if (s->reported)
                return;

        do
                k = read(s->report_fd, &report, sizeof(report));
        while (k < 0 && errno == EINTR);
        if (k < 0 && errno == EAGAIN)
                return;

        s->reported = true;
        s->report_source = sd_event_source_disable_unref(s->report_source);
        s->report_fd = safe_close(s->report_fd);

        if (k == (ssize_t) sizeof(report) && report.stage >= 0 && report.stage < _STAGE_MAX &&
            report.error > 0) {
                error = -report.error;
                (void) error_setf(&text, error, "%s %s failed: %s", stage_texts[report.stage],
                                s->path, strerror(report.error));
        } else if (!s->released)
                return; /* died while paused: on_exit says all there is */

        if (s->handlers.on_exec)
                s->handlers.on_exec(s, error, text, s->userdata);
}

static int on_report(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        read_report(userdata);
        return 0;
}

static int on_pidfd(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Spawn *s = userdata;
        int r, code = 0, status = 0;

        r = pidref_reap(&s->pid, &code, &status);
        if (r == -EAGAIN)
                return 0;

        /* The report was written before the exit, whichever the loop shows first. */
        read_report(s);
        s->exited = true;
        s->exit_source = sd_event_source_disable_unref(s->exit_source);
        if (s->handlers.on_exit)
                s->handlers.on_exit(s, code, status, s->userdata);
        return 0;
}

int spawn_new(sd_event *event, const SpawnParams *params, const SpawnHandlers *handlers,
                void *userdata, Spawn **ret, char **reterr_message)
{
        _cleanup_close_ int release_read = -EBADF, report_write = -EBADF;
        _cleanup_(spawn_freep) Spawn *s = new0(Spawn, 1);
        int pair[2], r;
        pid_t pid;

        if (!s)
                return -ENOMEM;
        *s = (Spawn) {
                .pid = PIDREF_NULL,
                .release_fd = -EBADF,
                .report_fd = -EBADF,
                .handlers = *handlers,
                .userdata = userdata,
        };
        s->path = strdup(params->path);
        if (!s->path)
                return -ENOMEM;

        if (pipe2(pair, O_CLOEXEC) < 0)
                return error_setf(reterr_message, errno, "pipe: %s", strerror(errno));
        release_read = pair[0];
        s->release_fd = pair[1];
        if (pipe2(pair, O_CLOEXEC) < 0)
                return error_setf(reterr_message, errno, "pipe: %s", strerror(errno));
        s->report_fd = pair[0];
        report_write = pair[1];
        r = fd_set_nonblock(s->report_fd, true);
        if (r < 0)
                return r;

        pid = fork();
        if (pid < 0)
                return error_setf(reterr_message, errno, "fork for %s: %s", params->path,
                                strerror(errno));
        if (pid == 0)
                child_main(params, release_read, report_write);

        /* Our own child and not yet reaped: the number can not have been given to anybody else. */
        r = pidref_set(&s->pid, pid);
        if (r < 0) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
                return error_setf(reterr_message, r, "pidfd of %s: %s", params->path, strerror(-r));
        }

        r = sd_event_add_io(event, &s->report_source, s->report_fd, EPOLLIN, on_report, s);
        if (r >= 0)
                r = sd_event_add_io(event, &s->exit_source, s->pid.fd, EPOLLIN, on_pidfd, s);
        if (r < 0)
                return error_setf(reterr_message, r, "event sources for %s: %s", params->path,
                                strerror(-r));

        *ret = TAKE_PTR(s);
        return 0;
}

Spawn *spawn_free(Spawn *s)
{
        if (!s)
                return NULL;

        sd_event_source_disable_unref(s->report_source);
        sd_event_source_disable_unref(s->exit_source);

        if (pidref_is_set(&s->pid) && !s->released && !s->exited) {
                siginfo_t si;

                (void) pidref_kill(&s->pid, SIGKILL);
                while (waitid(P_PID, (id_t) s->pid.pid, &si, WEXITED) < 0 && errno == EINTR)
                        ;
        }

        safe_close(s->release_fd);
        safe_close(s->report_fd);
        pidref_done(&s->pid);
        free(s->path);
        free(s);
        return NULL;
}

const PidRef *spawn_pid(const Spawn *s)
{
        return &s->pid;
}

int spawn_release(Spawn *s)
{
        int r;

        if (s->exited)
                return -ESRCH;
        if (s->released)
                return -EALREADY;

        /* SIGPIPE is ignored in the supervisor; a child that is gone is -EPIPE. */
        r = write_full(s->release_fd, "", 1);
        if (r < 0)
                return r == -EPIPE ? -ESRCH : r;

        s->released = true;
        s->release_fd = safe_close(s->release_fd);
        return 0;
}

int spawn_kill(Spawn *s, int sig)
{
        return s->exited ? -ESRCH : pidref_kill(&s->pid, sig);
}

char *process_exit_text(int code, int status)
{
        char *text = NULL;
        const char *name;
        int r;

        switch (code) {

        case CLD_EXITED:
                r = asprintf(&text, "exited with status %d", status);
                break;

        case CLD_KILLED:
        case CLD_DUMPED:
                name = sigabbrev_np(status);
                r = name ? asprintf(&text, "was killed by signal %s", name) :
                    asprintf(&text, "was killed by signal %d", status);
                break;

        default:
                r = asprintf(&text, "has gone, its status is not known");
        }

        return r < 0 ? NULL : text;
}
