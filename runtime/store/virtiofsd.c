/* SPDX-License-Identifier: Apache-2.0 */
/* virtiofsd: see virtiofsd.h. Host side, root; the daemon counts as taken over by the guest. */

#include "runtime/store/virtiofsd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "runtime/vmm/line-stream.h"
#include "runtime/vmm/spawn.h"
#include "basic/unix-socket.h"

#define SOCKET_NAME "virtiofsd.sock"

/* One descriptor for each inode the guest knows. systemd gives services this as hard limit. */
#define NOFILE 524288U

/*
 * To set itself up (SYS_ADMIN for namespaces and mounts, SYS_CHROOT, SETPCAP to drop the rest) and
 * to act as any user of the guest on files. The daemon keeps only the second group.
 */
#define CAP(name) (UINT64_C(1) << (name))
#define KEEP_CAPS                                                                                  \
        (CAP(CAP_SYS_ADMIN) | CAP(CAP_SYS_CHROOT) | CAP(CAP_SETPCAP) |                             \
         CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_FOWNER) | CAP(CAP_FSETID) |              \
         CAP(CAP_SETGID) | CAP(CAP_SETUID) | CAP(CAP_MKNOD) | CAP(CAP_SETFCAP))

struct Virtiofsd {
        Spawn *spawn;                   /* NULL if adopted */
        PidRef adopted;
        sd_event_source *exit_source;
        uint64_t start_time;
        LineStream *stderr_stream;
        char *failure, *last_stderr;
        bool exited;
        VirtiofsdHandlers handlers;
        void *userdata;
};

int virtiofsd_flavour(const char *program, VirtiofsdFlavour *ret)
{
        _cleanup_free_ char *real = realpath(program, NULL);

        if (!real)
                return negative_errno();

        *ret = endswith(real, "/qemu/virtiofsd") ? VIRTIOFSD_C : VIRTIOFSD_RUST;
        return 0;
}

static int build_argv_c(const VirtiofsdConfig *c, int socket_fd, Strv *argv)
{
        int r;

        /* The option parser splits at commas. */
        if (strpbrk(c->source, ",\\"))
                return -EINVAL;

        r = strv_add_many(argv, c->program, "-f", NULL);
        if (r >= 0)
                r = strv_addf(argv, "--fd=%d", socket_fd);
        if (r >= 0)
                r = strv_addf(argv, "-osource=%s", c->source);
        if (r >= 0)
                r = strv_add_many(argv, "-osandbox=namespace",
                                c->keep_cache ? "-ocache=always" : "-ocache=auto", "-oxattr",
                                "-olog_level=warn", "--rlimit-nofile=0",
                                NULL);
        return r;
}

/*
 * Submounts are not announced: the guest would mount each on its own, and Linux 6.12 can hit "VFS: Busy
 * inodes after unmount of virtiofs" (a BUG) when the mount namespace of a container that had one goes.
 * The price: files of different host file systems may show the same inode number in the guest. The C
 * virtiofsd does not announce them by default, the other one does.
 */
static int build_argv_rust(const VirtiofsdConfig *c, int socket_fd, Strv *argv)
{
        int r;

        r = strv_add(argv, c->program);
        if (r >= 0)
                r = strv_addf(argv, "--fd=%d", socket_fd);
        if (r >= 0)
                r = strv_addf(argv, "--shared-dir=%s", c->source);
        if (r >= 0)
                r = strv_add_many(argv, "--sandbox=namespace", "--seccomp=kill",
                                c->keep_cache ? "--cache=always" : "--cache=auto",
                                "--xattr", "--no-announce-submounts",
                                "--inode-file-handles=never",
                                "--log-level=warn", "--rlimit-nofile=0", NULL);
        return r;
}

int virtiofsd_build_argv(
                const VirtiofsdConfig *config, VirtiofsdFlavour flavour, int socket_fd, Strv *ret)
{
        _cleanup_(strv_done) Strv argv = {};
        int r;

        if (isempty(config->source) || config->source[0] != '/')
                return -EINVAL;

        r = flavour == VIRTIOFSD_C ? build_argv_c(config, socket_fd, &argv) :
            build_argv_rust(config, socket_fd, &argv);
        if (r < 0)
                return r;

        *ret = argv;
        argv = (Strv) {};
        return 0;
}

static int on_stderr_line(void *userdata, const char *line, size_t n)
{
        Virtiofsd *v = userdata;

        if (n > 0) {
                free(v->last_stderr);
                v->last_stderr = text_escape(line, n, 512);
        }
        if (v->handlers.on_stderr_line)
                v->handlers.on_stderr_line(v, line, n, v->userdata);
        return 0;
}

static void daemon_exited(Virtiofsd *v, int code, int status)
{
        _cleanup_free_ char *reason = NULL, *how = process_exit_text(code, status);
        int r;

        line_stream_drain(v->stderr_stream);
        v->exited = true;
        v->exit_source = sd_event_source_disable_unref(v->exit_source);

        if (v->failure)
                r = asprintf(&reason, "%s", v->failure);
        else if (v->last_stderr)
                r = asprintf(&reason, "virtiofsd %s: %s", strempty(how), v->last_stderr);
        else
                r = asprintf(&reason, "virtiofsd %s", strempty(how));
        if (r < 0)
                reason = NULL;

        v->handlers.on_exit(v, reason ? reason : "out of memory", v->userdata);
}

static void on_spawn_exec(Spawn *spawn, int error, const char *text, void *userdata)
{
        Virtiofsd *v = userdata;

        if (error < 0)
                v->failure = strdup(error_text(text, error));
}

static void on_spawn_exit(Spawn *spawn, int code, int status, void *userdata)
{
        daemon_exited(userdata, code, status);
}

static int on_adopted_exit(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        daemon_exited(userdata, 0, 0);
        return 0;
}

/* Listens, connects and removes the name: the daemon accepts the one connection that is there. */
static int make_sockets(const char *run_dir, int *ret_listening, int *ret_connected)
{
        _cleanup_close_ int dir_fd = -EBADF, listening = -EBADF, connected = -EBADF;
        int r;

        dir_fd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (dir_fd < 0)
                return negative_errno();

        r = unix_listen_at(dir_fd, SOCKET_NAME, &listening);
        if (r < 0)
                return r;
        r = unix_connect_at(dir_fd, SOCKET_NAME, &connected);
        (void) unlinkat(dir_fd, SOCKET_NAME, 0);
        if (r >= 0)
                /* QEMU talks vhost-user synchronously while it builds the device. */
                r = fd_set_nonblock(connected, false);
        if (r < 0)
                return r;

        *ret_listening = TAKE_FD(listening);
        *ret_connected = TAKE_FD(connected);
        return 0;
}

static int check_source(const VirtiofsdConfig *c, char **reterr_message)
{
        struct stat st;

        if (stat(c->source, &st) < 0)
                return error_setf(reterr_message, errno, "shared directory %s: %s", c->source,
                                  strerror(errno));
        if (!S_ISDIR(st.st_mode))
                return error_setf(reterr_message, ENOTDIR, "shared directory %s is no directory",
                                c->source);
        return 0;
}

static int new_daemon(const VirtiofsdHandlers *handlers, void *userdata, Virtiofsd **ret)
{
        Virtiofsd *v = new0(Virtiofsd, 1);

        if (!v)
                return -ENOMEM;

        assert(handlers->on_exit);
        *v = (Virtiofsd) { .adopted = PIDREF_NULL, .handlers = *handlers, .userdata = userdata };
        *ret = v;
        return 0;
}

static int fork_daemon(Virtiofsd *v, sd_event *event, const VirtiofsdConfig *config, int listening,
                       char **reterr_message)
{
        static const SpawnHandlers handlers = {.on_exec = on_spawn_exec, .on_exit = on_spawn_exit};
        _cleanup_close_ int stderr_read = -EBADF, stderr_write = -EBADF;
        SpawnParams params = SPAWN_PARAMS_INIT;
        _cleanup_(strv_done) Strv argv = {};
        VirtiofsdFlavour flavour;
        int pair[2], number, r;

        r = virtiofsd_flavour(config->program, &flavour);
        if (r < 0)
                return error_setf(reterr_message, r, "%s can not be executed: %s", config->program,
                                  strerror(-r));

        number = spawn_params_add_fd(&params, listening);
        if (number < 0)
                return number;
        r = virtiofsd_build_argv(config, flavour, number, &argv);
        if (r < 0)
                return error_setf(reterr_message, r, "directory %s can not be shared by %s",
                                config->source, config->program);

        if (pipe2(pair, O_CLOEXEC) < 0)
                return error_setf(reterr_message, errno, "pipe: %s", strerror(errno));
        stderr_read = pair[0];
        stderr_write = pair[1];
        r = line_stream_new(event, stderr_read, LOG_LINE_MAX, on_stderr_line, NULL, v,
                        &v->stderr_stream);
        if (r < 0)
                return r;
        TAKE_FD(stderr_read);

        params.path = config->program;
        params.argv = argv.v;
        params.stdout_fd = params.stderr_fd = stderr_write;
        params.keep_caps = KEEP_CAPS;
        params.nofile = NOFILE;
        return spawn_new(event, &params, &handlers, v, &v->spawn, reterr_message);
}

int virtiofsd_spawn(sd_event *event, const VirtiofsdConfig *config,
                const VirtiofsdHandlers *handlers, void *userdata, Virtiofsd **ret, int *ret_vmm_fd,
                char **reterr_message)
{
        _cleanup_close_ int listening = -EBADF, connected = -EBADF;
        _cleanup_(virtiofsd_freep) Virtiofsd *v = NULL;
        int r;

        r = check_source(config, reterr_message);
        if (r < 0)
                return r;

        r = make_sockets(config->run_dir, &listening, &connected);
        if (r < 0)
                return error_setf(reterr_message, r, "socket %s/%s: %s", config->run_dir,
                                SOCKET_NAME, strerror(-r));

        r = new_daemon(handlers, userdata, &v);
        if (r >= 0)
                r = fork_daemon(v, event, config, listening, reterr_message);
        if (r >= 0)
                r = pid_start_time(spawn_pid(v->spawn)->pid, &v->start_time);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(v);
        *ret_vmm_fd = TAKE_FD(connected);
        return 0;
}

int virtiofsd_adopt(sd_event *event, pid_t pid, uint64_t start_time, int stderr_fd,
                    const VirtiofsdHandlers *handlers, void *userdata, Virtiofsd **ret,
                    char **reterr_message)
{
        _cleanup_(virtiofsd_freep) Virtiofsd *v = NULL;
        int r;

        r = new_daemon(handlers, userdata, &v);
        if (r < 0)
                return r;

        r = pidref_set(&v->adopted, pid);
        if (r >= 0)
                r = pid_start_time(pid, &v->start_time);
        if (r >= 0 && v->start_time != start_time)
                r = -ESRCH;
        if (r < 0)
                return error_setf(reterr_message, r, "virtiofsd process %d is gone", (int) pid);

        r = sd_event_add_io(event, &v->exit_source, v->adopted.fd, EPOLLIN, on_adopted_exit, v);
        if (r >= 0 && stderr_fd >= 0)
                r = line_stream_new(event, stderr_fd, LOG_LINE_MAX, on_stderr_line, NULL, v,
                                    &v->stderr_stream);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(v);
        return 0;
}

Virtiofsd *virtiofsd_free(Virtiofsd *v)
{
        if (!v)
                return NULL;

        sd_event_source_disable_unref(v->exit_source);
        spawn_free(v->spawn);
        pidref_done(&v->adopted);
        line_stream_free(v->stderr_stream);
        free(v->failure);
        free(v->last_stderr);
        free(v);
        return NULL;
}

int virtiofsd_launch(Virtiofsd *v)
{
        return v->spawn ? spawn_release(v->spawn) : -EALREADY;
}

const PidRef *virtiofsd_pid(const Virtiofsd *v)
{
        return v->spawn ? spawn_pid(v->spawn) : &v->adopted;
}

uint64_t virtiofsd_start_time(const Virtiofsd *v)
{
        return v->start_time;
}

int virtiofsd_stderr_fd(const Virtiofsd *v)
{
        return line_stream_fd(v->stderr_stream);
}

int virtiofsd_kill(Virtiofsd *v, int sig)
{
        if (v->exited)
                return -ESRCH;
        return v->spawn ? spawn_kill(v->spawn, sig) : pidref_kill(&v->adopted, sig);
}

/* ---- confinement ---- */

static int is_confined(pid_t pid, char **reterr_message)
{
        _cleanup_free_ char *status = NULL;
        struct stat ours, theirs;
        char path[64];
        int r;

        snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        r = read_file_at(AT_FDCWD, path, KIB(16), &status, NULL);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", path, strerror(-r));
        /* 2: filter mode, proc(5). */
        if (!strstr(status, "\nSeccomp:\t2\n"))
                return error_setf(reterr_message, EPERM,
                                "virtiofsd (process %d) runs without a seccomp filter", (int) pid);

        snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int) pid);
        if (stat(path, &theirs) < 0 || stat("/proc/self/ns/mnt", &ours) < 0)
                return error_setf(reterr_message, errno, "%s: %s", path, strerror(errno));
        if (ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev)
                return error_setf(reterr_message, EPERM,
                                  "virtiofsd (process %d) runs in the mount namespace of the host",
                                  (int) pid);
        return 0;
}

int virtiofsd_verify(const Virtiofsd *v, char **reterr_message)
{
        const pid_t pid = virtiofsd_pid(v)->pid;
        _cleanup_free_ char *children = NULL;
        char path[64], *save = NULL;
        unsigned n = 0;
        int r;

        /*
         * Both flavours fork to get into their pid namespace; the parent only waits and serves
         * nobody. So what counts are the children, and the process itself if there are none.
         */
        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int) pid, (int) pid);
        r = read_file_at(AT_FDCWD, path, KIB(4), &children, NULL);
        if (r < 0 && r != -ENOENT)
                return error_setf(reterr_message, r, "%s: %s", path, strerror(-r));

        for (char *w = children ? strtok_r(children, " \n", &save) : NULL; w;
                        w = strtok_r(NULL, " \n", &save)) {
                uint64_t child;

                r = parse_u64(w, &child);
                if (r < 0 || child > INT_MAX)
                        return -EBADMSG;
                r = is_confined((pid_t) child, reterr_message);
                if (r < 0)
                        return r;
                n++;
        }

        return n > 0 ? 0 : is_confined(pid, reterr_message);
}
