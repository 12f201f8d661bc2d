/* SPDX-License-Identifier: Apache-2.0 */
/* Set-up and end of the guest system: see init.h. Runs as PID 1 before any foreign code does. */

#include "agent/init.h"

#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/debug-console.h"
#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/parse.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define SYNC_TIMEOUT_USEC 2000000U

typedef struct InitMount {
        const char *type, *target;
        unsigned long flags;
        const char *options;
        bool make_dir;          /* the target is on a file system that was mounted before */
        bool optional;          /* the kernel may lack it */
} InitMount;

/*
 * The size limits are shares of the guest's memory: what lies in /run and /tmp counts against the sandbox
 * like any other page, and no one but the agent and "local" volumes writes there.
 */
static const InitMount init_mounts[] = {
        { "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
        { "devtmpfs", "/dev", MS_NOSUID, "mode=0755" },
        { "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666", .make_dir = true },
        { "tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777,size=50%", .make_dir = true },
        { "mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, .make_dir = true,
          .optional = true },
        { "tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755,size=50%" },
        { "tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777,size=10%" },
        { "cgroup2", CGROUP_ROOT, MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate,memory_recursiveprot" },
};

static const struct {
        const char *target, *path;
} init_links[] = {
        { "/proc/self/fd", "/dev/fd" },
        { "/proc/self/fd/0", "/dev/stdin" },
        { "/proc/self/fd/1", "/dev/stdout" },
        { "/proc/self/fd/2", "/dev/stderr" },
};

static const struct {
        const char *path, *value;
} init_sysctls[] = {
        /* A workload that is let see /dev/kmsg or syslog(2) gets nothing from it. */
        { "/proc/sys/kernel/dmesg_restrict", "1" },
        { "/proc/sys/kernel/sysrq", "0" },
        { "/proc/sys/fs/protected_symlinks", "1" },
        { "/proc/sys/fs/protected_hardlinks", "1" },
        { "/proc/sys/fs/protected_fifos", "1" },
        { "/proc/sys/fs/protected_regular", "2" },
};

static int mount_one(const InitMount *m, char **reterr_message)
{
        if (m->make_dir && mkdir(m->target, 0755) < 0 && errno != EEXIST)
                return error_setf(reterr_message, errno, "mkdir %s", m->target);

        if (mount(m->type, m->target, m->type, m->flags, m->options) >= 0)
                return 0;

        /* EBUSY: the kernel has mounted it there already (CONFIG_DEVTMPFS_MOUNT). */
        if (errno == EBUSY || (m->optional && errno == ENODEV))
                return 0;

        return error_setf(reterr_message, errno, "mounting %s on %s: %s%s", m->type, m->target,
                          strerror(errno),
                          errno == ENOENT ? " (the guest image lacks this directory)" :
                          errno == ENODEV ? " (the guest kernel lacks this file system)" : "");
}

int init_mount_proc(char **reterr_message)
{
        static const InitMount proc = { "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL };

        return mount_one(&proc, reterr_message);
}

int init_mount_debug(const char *device, char **reterr_message)
{
        if (mount(device, DEBUG_MOUNT_POINT, "erofs", MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) >= 0)
                return 0;

        return error_setf(reterr_message, errno, "mounting the debug extension %s on " DEBUG_MOUNT_POINT
                          ": %s%s", device, strerror(errno),
                          errno == ENOENT ? " (no such device, or the guest image is too old)" : "");
}

static int init_cgroup(char **reterr_message)
{
        _cleanup_close_ int fd = open(CGROUP_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_free_ char *controllers = NULL;
        char *word, *save = NULL;
        int r;

        if (fd < 0)
                return error_setf(reterr_message, errno, "%s: %s", CGROUP_ROOT, strerror(errno));

        r = read_file_at(fd, "cgroup.controllers", 4096, &controllers, NULL);
        if (r < 0)
                return error_prefixf(reterr_message, r, "%s/cgroup.controllers", CGROUP_ROOT);

        /* One by one: a controller that can not be enabled does not take the others with it. */
        for (word = strtok_r(controllers, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
                char text[64];

                snprintf(text, sizeof(text), "+%s", word);
                r = write_string_file_at(fd, "cgroup.subtree_control", text);
                if (r < 0)
                        log_warning_errno(r, "Can not enable the cgroup controller %s, ignoring", word);
        }

        return 0;
}

static int init_loopback(char **reterr_message)
{
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq ifr = { .ifr_name = "lo" };

        if (fd < 0)
                return error_setf(reterr_message, errno, "loopback: socket: %s", strerror(errno));

        /* The kernel adds 127.0.0.1/8 and ::1 itself when the link goes up. */
        if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
                return error_setf(reterr_message, errno, "loopback: %s", strerror(errno));
        ifr.ifr_flags |= IFF_UP;
        if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
                return error_setf(reterr_message, errno, "loopback: %s", strerror(errno));

        return 0;
}

static void init_sysctl(void)
{
        for (size_t i = 0; i < ELEMENTSOF(init_sysctls); i++) {
                int r = write_string_file_at(AT_FDCWD, init_sysctls[i].path, init_sysctls[i].value);

                if (r < 0 && r != -ENOENT)
                        log_warning_errno(r, "%s = %s, ignoring", init_sysctls[i].path,
                                          init_sysctls[i].value);
        }
}

static void ignore_signal(int sig)
{
}

static void init_signals(void)
{
        /* A handler, not SIG_IGN: that would be inherited by every container through exec. */
        struct sigaction sa = { .sa_handler = ignore_signal, .sa_flags = SA_RESTART };

        (void) sigaction(SIGPIPE, &sa, NULL);
        (void) sigaction(SIGTERM, &sa, NULL);
        (void) sigaction(SIGINT, &sa, NULL);
        (void) sigaction(SIGHUP, &sa, NULL);
        (void) reboot(RB_DISABLE_CAD);
}

static void init_limits(void)
{
        struct rlimit nofile = { .rlim_cur = 4096, .rlim_max = 1048576 };
        struct rlimit core = { .rlim_cur = 0, .rlim_max = RLIM_INFINITY };

        if (setrlimit(RLIMIT_NOFILE, &nofile) < 0)
                log_warning_errno(negative_errno(), "RLIMIT_NOFILE, ignoring");
        if (setrlimit(RLIMIT_CORE, &core) < 0)
                log_warning_errno(negative_errno(), "RLIMIT_CORE, ignoring");
        (void) umask(022);

        /* oom_score_adj stays 0: the kernel never kills the global init for memory, and the value would
         * be inherited by every container. */
}

int init_system(char **reterr_message)
{
        static const char hostname[] = "kata";
        int r;

        for (size_t i = 0; i < ELEMENTSOF(init_mounts); i++) {
                r = mount_one(&init_mounts[i], reterr_message);
                if (r < 0)
                        return r;
        }

        for (size_t i = 0; i < ELEMENTSOF(init_links); i++)
                if (symlink(init_links[i].target, init_links[i].path) < 0 && errno != EEXIST)
                        return error_setf(reterr_message, errno, "symlink %s: %s", init_links[i].path,
                                          strerror(errno));

        r = init_cgroup(reterr_message);
        if (r < 0)
                return r;

        r = init_loopback(reterr_message);
        if (r < 0)
                return r;

        init_sysctl();
        init_limits();
        init_signals();

        if (sethostname(hostname, strlen(hostname)) < 0)
                return error_setf(reterr_message, errno, "sethostname: %s", strerror(errno));

        return 0;
}

int init_standard_fds(void)
{
        int fd;

        do {
                fd = open("/dev/null", O_RDWR);
                if (fd < 0)
                        return negative_errno();
        } while (fd <= STDERR_FILENO);

        safe_close(fd);
        return 0;
}

void _noreturn_ init_restart(void)
{
        usec_t end = now_usec() + SYNC_TIMEOUT_USEC;
        pid_t pid;

        /* sync() blocks for ever on a file system whose server is gone, so somebody else waits for it. */
        pid = fork();
        if (pid == 0) {
                sync();
                _exit(0);
        }
        while (pid > 0 && now_usec() < end) {
                struct timespec ts = { .tv_nsec = 5000000 };

                if (waitpid(pid, NULL, WNOHANG) != 0)
                        break;
                (void) nanosleep(&ts, NULL);
        }

        (void) reboot(RB_AUTOBOOT);
        /* Not PID 1 of the machine, or no permission: leave in any case. */
        _exit(EXIT_FAILURE);
}

void _noreturn_ init_die(const char *message)
{
        static const struct {
                const char *path, *prefix;
        } sinks[] = {
                { "/dev/kmsg", "<2>kata-agent: " },
                { "/dev/console", "kata-agent: " },
        };

        log_set_target(NULL);
        /* The error may be older than /dev; where it is there already this does no harm. */
        if (access("/dev/kmsg", F_OK) < 0)
                (void) mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
        for (size_t i = 0; i < ELEMENTSOF(sinks); i++) {
                /* Non-blocking: a console that nobody reads must not stop the end. */
                _cleanup_close_ int fd = open(sinks[i].path,
                                              O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
                char text[1024];
                int n;

                if (fd < 0)
                        continue;
                n = snprintf(text, sizeof(text), "%sfatal: %s\n", sinks[i].prefix, message);
                (void) !write(fd, text, MIN((size_t) n, sizeof(text) - 1));
        }

        /* The console driver hands its buffer over in its own time. */
        struct timespec ts = { .tv_nsec = 200000000 };
        (void) nanosleep(&ts, NULL);
        init_restart();
}
