/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on a host: see host-mode.h. Started by whoever owns the machine, or an account on it. */

#include "agent/host-mode.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int copy_program(int from)
{
        _cleanup_close_ int to = -EBADF;
        struct stat st;
        off_t left;

        if (fstat(from, &st) < 0)
                return negative_errno();

        to = memfd_create("kata-agent", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
        if (to < 0 && errno == EINVAL)  /* before Linux 6.3 */
                to = memfd_create("kata-agent", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (to < 0)
                return negative_errno();

        for (left = st.st_size; left > 0;) {
                ssize_t k = sendfile(to, from, NULL, (size_t) left);

                if (k < 0)
                        return negative_errno();
                if (k == 0)
                        return -EIO;
                left -= k;
        }

        if (fchmod(to, 0555) < 0 || fcntl(to, F_ADD_SEALS, SEALS) < 0)
                return negative_errno();
        return TAKE_FD(to);
}

int host_mode_seal(char *argv[], char **reterr_message)
{
        _cleanup_close_ int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), copy = -EBADF;
        int r, seals;

        if (self < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "/proc/self/exe: %s", strerror(-r));
        }

        seals = fcntl(self, F_GET_SEALS);
        if (seals >= 0 && (seals & F_SEAL_WRITE))
                return 0;

        r = copy = copy_program(self);
        if (r >= 0) {
                (void) syscall(SYS_execveat, copy, "", argv, environ, AT_EMPTY_PATH);
                r = negative_errno();
        }
        return error_setf(reterr_message, r, "cannot execute a sealed copy of the agent: %s", strerror(-r));
}

const char *host_mode_own_cgroup(char *text)
{
        char *save = NULL;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                const char *path = startswith(line, "0::");
                size_t n;

                if (!path || path[0] != '/')
                        continue;
                n = strlen(path);
                if (path[n - 1] == '/')
                        line[strlen(line) - 1] = '\0';
                return path;
        }

        return NULL;
}

static const char *cgroup_mount(void)
{
        static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs s;

        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                if (statfs(places[i], &s) >= 0 && s.f_type == CGROUP2_SUPER_MAGIC)
                        return places[i];

        return NULL;
}

/* A cgroup with processes can not hand controllers down; only the root may. */
static void leave_cgroup(const char *root)
{
        _cleanup_free_ char *leaf = NULL, *procs = NULL;

        if (asprintf(&leaf, "%s/kata-agent", root) < 0 || asprintf(&procs, "%s/cgroup.procs", leaf) < 0)
                return;
        /* Where that fails, limits are refused later on, with the name of the file that is missing. */
        if (mkdir(leaf, 0755) >= 0 || errno == EEXIST)
                (void) write_string_file_at(AT_FDCWD, procs, "0");
}

static int find_cgroup(char **ret, char **reterr_message)
{
        _cleanup_free_ char *text = NULL, *root = NULL;
        const char *mount = cgroup_mount(), *own;
        int r;

        if (!mount)
                return error_setf(reterr_message, -EOPNOTSUPP, "there is no cgroup v2 file system on "
                                  "/sys/fs/cgroup");
        r = read_file_at(AT_FDCWD, "/proc/self/cgroup", CGROUP_FILE_MAX, &text, NULL);
        if (r < 0)
                return error_prefixf(reterr_message, r, "/proc/self/cgroup");

        own = host_mode_own_cgroup(text);
        if (!own)
                return error_setf(reterr_message, -EOPNOTSUPP, "this process is in no cgroup of version 2");
        if (asprintf(&root, "%s%s", mount, own) < 0)
                return -ENOMEM;
        if (*own)
                leave_cgroup(root);

        *ret = TAKE_PTR(root);
        return 0;
}

static int bring_up_loopback(void)
{
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };

        return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? negative_errno() : 0;
}

static int separate(char **reterr_message)
{
        int r;

        if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "cannot make namespaces: %s", strerror(-r));
        }
        /* Mounts of the machine still arrive, ours do not leave. */
        if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "cannot separate the mounts: %s", strerror(-r));
        }

        r = bring_up_loopback();
        if (r < 0)
                return error_prefixf(reterr_message, r, "loopback interface");
        r = mkdir_p(STORAGE_ROOT, 0700);
        if (r >= 0 && mount("tmpfs", STORAGE_ROOT, "tmpfs", MS_NODEV | MS_NOSUID, "mode=0700") < 0)
                r = negative_errno();
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", STORAGE_ROOT, strerror(-r));
        return 0;
}

int host_mode_enter(SandboxPlace *ret, char **reterr_message)
{
        char *root = NULL;
        int r;

        if (geteuid() != 0) {
                *ret = (SandboxPlace) { .cgroup_root = "", .on_host = true, .unprivileged = true };
                return 0;
        }

        r = find_cgroup(&root, reterr_message);
        if (r >= 0)
                r = separate(reterr_message);
        if (r < 0) {
                free(root);
                return r;
        }

        /* The place is there as long as the process. */
        *ret = (SandboxPlace) { .cgroup_root = root, .on_host = true };
        return 0;
}
