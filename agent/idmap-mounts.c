/* SPDX-License-Identifier: Apache-2.0 */
/* Id-mapped mounts: see idmap-mounts.h. */

#include "agent/idmap-mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container-rootfs.h"
#include "basic/error.h"
#include "basic/limits.h"
#include "basic/unix-socket.h"

typedef struct TreeMessage {
        int32_t error;                          /* negative errno; 0: the tree comes with it */
        char text[CONTAINER_MESSAGE_MAX];       /* with an error: NUL-terminated */
} TreeMessage;

/* Waits until nobody holds the other end. */
static _noreturn_ void hold_namespace(int fd)
{
        char byte;

        while (read(fd, &byte, 1) < 0 && errno == EINTR)
                ;
        _exit(EXIT_SUCCESS);
}

/* The kernel takes a mapping in the form of a user namespace, which needs a process for as long as it is written. */
static int make_namespace(const MountEntry *entry, char **reterr_message)
{
        struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
        char path[64];
        int p[2], r;
        pid_t pid;

        if (pipe2(p, O_CLOEXEC) < 0)
                return negative_errno();
        pid = (pid_t) syscall(SYS_clone3, &args, sizeof(args));
        if (pid == 0) {
                (void) close(p[1]);
                hold_namespace(p[0]);
        }
        if (pid < 0) {
                r = negative_errno();
                (void) error_setf(reterr_message, r, "user namespace: %s", strerror(-r));
        } else
                r = userns_write_maps(&entry->uid_map, &entry->gid_map, pid, reterr_message);
        if (r >= 0) {
                snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
                r = open(path, O_RDONLY | O_CLOEXEC);
                if (r < 0)
                        r = negative_errno();
        }
        safe_close(p[0]);
        safe_close(p[1]);
        if (pid > 0)
                (void) waitpid(pid, NULL, 0);
        return r;
}

static int explain(const MountEntry *entry, int tree_fd, int error, char **reterr_message)
{
        static const struct {
                long magic;
                const char *name;
        } names[] = {
                { FUSE_SUPER_MAGIC, "virtiofs or another FUSE" }, { OVERLAYFS_SUPER_MAGIC, "overlay" },
                { TMPFS_MAGIC, "tmpfs" },                         { EXT4_SUPER_MAGIC, "ext4" },
                { EROFS_SUPER_MAGIC_V1, "erofs" },                { NFS_SUPER_MAGIC, "nfs" },
                { PROC_SUPER_MAGIC, "proc" },                     { SYSFS_MAGIC, "sysfs" },
                { CGROUP2_SUPER_MAGIC, "cgroup2" },
        };
        char number[32] = "of an unknown type";
        const char *name = number;
        struct statfs s;

        if (error != -EINVAL)
                return error_setf(reterr_message, error, "id map of '%s': %s", entry->source, strerror(-error));

        if (fstatfs(tree_fd, &s) >= 0) {
                snprintf(number, sizeof(number), "0x%lx", (unsigned long) s.f_type);
                for (size_t i = 0; i < ELEMENTSOF(names); i++)
                        if (names[i].magic == (long) s.f_type)
                                name = names[i].name;
        }
        /* FUSE: since Linux 6.12, if the daemon says FUSE_ALLOW_IDMAP; virtiofsd 1.13.2 does, that of QEMU 7.2 not. */
        return error_setf(reterr_message, -EOPNOTSUPP, "id map of '%s': this kernel has no id-mapped mounts of the "
                          "file system (%s)%s", entry->source, name,
                          name == names[0].name ? ", or its daemon does not offer them" : "");
}

static int make_tree(const MountEntry *entry, char **reterr_message)
{
        struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
        _cleanup_close_ int tree_fd = -EBADF, namespace_fd = -EBADF;

        tree_fd = mount_entry_make_bind(entry, reterr_message);
        if (tree_fd < 0)
                return tree_fd;
        namespace_fd = make_namespace(entry, reterr_message);
        if (namespace_fd < 0)
                return namespace_fd;

        attr.userns_fd = (uint64_t) namespace_fd;
        if (mount_setattr(tree_fd, "", AT_EMPTY_PATH | (entry->idmap_recursive ? AT_RECURSIVE : 0), &attr,
                          sizeof(attr)) < 0)
                return explain(entry, tree_fd, negative_errno(), reterr_message);
        return TAKE_FD(tree_fd);
}

static int send_error(int error, const char *text)
{
        TreeMessage message = { .error = error };

        snprintf(message.text, sizeof(message.text), "%s", error_text(text, error));
        return send(WORKER_KEPT_FD, &message, offsetof(TreeMessage, text) + strlen(message.text) + 1,
                    MSG_NOSIGNAL) < 0 ? negative_errno() : 0;
}

static int send_tree(const MountEntry *entry)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = make_tree(entry, &text);
        TreeMessage message = { .error = 0 };
        ssize_t n;

        if (fd < 0) {
                int r = send_error(fd, text);

                return r < 0 ? r : fd;
        }

        n = unix_send_fd(WORKER_KEPT_FD, &message, offsetof(TreeMessage, text), 0, fd);
        return n < 0 ? (int) n : 0;
}

/* Errors are the child's to tell. */
static int make_trees(void *userdata, char **reterr_message)
{
        const ContainerPlan *plan = userdata;
        int r;

        /* "shared" in a configuration is meant for the container's mounts, not for the guest's. */
        r = unshare(CLONE_NEWNS) < 0 ? negative_errno() : rootfs_separate();
        if (r < 0)
                return send_error(r, "cannot separate the mount namespace");

        for (size_t i = 0; i < plan->n_mounts; i++)
                if (plan->mounts[i].idmap && send_tree(&plan->mounts[i]) < 0)
                        break;
        return 0;
}

int idmap_mounts_start(Worker **ret, int *ret_fd, Loop *loop, const ContainerPlan *plan, WorkerDone done,
                       void *userdata)
{
        _cleanup_close_ int worker_fd = -EBADF, child_fd = -EBADF;
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return negative_errno();
        worker_fd = pair[0];
        child_fd = pair[1];

        /* A source that does not answer is the container's affair: it ends with its removal. */
        r = worker_start_keeping(ret, loop, make_trees, (void *) (uintptr_t) plan, &worker_fd, 1, USEC_INFINITY, done,
                                 userdata);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(child_fd);
        return 0;
}

int idmap_mounts_receive(int fd, char **reterr_message)
{
        _cleanup_close_ int tree_fd = -EBADF;
        TreeMessage message = {};
        ssize_t n;

        do
                n = unix_recv_fd(fd, &message, sizeof(message), 0, &tree_fd);
        while (n == -EINTR);
        if (n < (ssize_t) offsetof(TreeMessage, text))
                return error_setf(reterr_message, n < 0 ? (int) n : -EIO, "the process that makes id-mapped mounts has "
                                  "ended");
        message.text[sizeof(message.text) - 1] = '\0';
        if (message.error < 0)
                return error_setf(reterr_message, message.error, "%s", message.text);
        return tree_fd < 0 ? -EPROTO : TAKE_FD(tree_fd);
}
