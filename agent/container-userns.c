/* SPDX-License-Identifier: Apache-2.0 */
/* User namespaces: see container-userns.h. Input comes from the host. */

#include "agent/container-userns.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container-plan.h"
#include "basic/error.h"
#include "basic/fd.h"

static int check_id(const IdMap *map, uint32_t id, const char *what, char **reterr_message)
{
        uint32_t outside;

        if (id_map_outside(map, id, &outside) < 0)
                return error_setf(reterr_message, -EINVAL, "%s %u has no mapping in the user namespace", what,
                                  id);
        return 0;
}

int userns_check_process(const IdMap *uid_map, const IdMap *gid_map, const ProcessPlan *process,
                         char **reterr_message)
{
        int r;

        r = check_id(uid_map, process->uid, "user", reterr_message);
        if (r >= 0)
                r = check_id(gid_map, process->gid, "group", reterr_message);
        for (size_t i = 0; r >= 0 && i < process->n_groups; i++)
                r = check_id(gid_map, process->groups[i], "group", reterr_message);

        return r;
}

static bool is_default(const DeviceNode *node, const DeviceNode *other)
{
        return streq(node->path, other->path) && node->mode == other->mode && node->rdev == other->rdev &&
               node->uid == other->uid && node->gid == other->gid;
}

int userns_check(const ContainerPlan *plan, char **reterr_message)
{
        int r;

        if (!(plan->namespaces & CLONE_NEWUSER)) {
                if (plan->uid_map.n > 0 || plan->gid_map.n > 0)
                        return error_setf(reterr_message, -EINVAL, "id mappings without a user namespace");
                return 0;
        }

        if (!(plan->namespaces & CLONE_NEWPID))
                return error_setf(reterr_message, -EOPNOTSUPP,
                                  "a user namespace without a pid namespace is not supported");
        /* The kernel asks for privileges in the namespace that owns what is to be changed. */
        for (size_t i = 0; i < plan->n_sysctls; i++)
                if (startswith(plan->sysctls[i].path, "net/") && !(plan->namespaces & CLONE_NEWNET))
                        return error_setf(reterr_message, -EPERM,
                                          "sysctl '%s' needs a network namespace of the container's own",
                                          plan->sysctls[i].path);
        for (size_t i = 0; plan->make_devices && i < plan->n_devices; i++)
                if (i >= device_default_nodes_n || !is_default(&plan->devices[i], &device_default_nodes[i]))
                        return error_setf(reterr_message, -EOPNOTSUPP,
                                          "device '%s' together with a user namespace is not supported",
                                          plan->devices[i].path);

        /* Root sets the container up. */
        r = check_id(&plan->uid_map, 0, "user", reterr_message);
        if (r >= 0)
                r = check_id(&plan->gid_map, 0, "group", reterr_message);
        return r < 0 ? r : userns_check_process(&plan->uid_map, &plan->gid_map, &plan->process, reterr_message);
}

/* With a writable view of its cgroup the container's root may divide it further (OCI, config-linux.md). */
static bool wants_cgroup(const ContainerPlan *plan)
{
        if (!plan->cgroup_namespace)
                return false;
        for (size_t i = 0; i < plan->n_mounts; i++)
                if (plan->mounts[i].kind == MOUNT_KIND_CGROUP &&
                    !(plan->mounts[i].attr_set & MOUNT_ATTR_RDONLY))
                        return true;

        return false;
}

int userns_hand_over_streams(const IdMap *uid_map, const IdMap *gid_map, const ProcessPlan *process,
                             const int *fds, size_t n_fds, char **reterr_message)
{
        uint32_t uid, gid;

        if (id_map_outside(uid_map, process->uid, &uid) < 0 || id_map_outside(gid_map, process->gid, &gid) < 0)
                return -EINVAL;

        for (size_t i = 0; i < n_fds; i++) {
                struct stat st;

                if (fds[i] >= 0 && fstat(fds[i], &st) >= 0 && S_ISFIFO(st.st_mode) &&
                    fchown(fds[i], uid, gid) < 0) {
                        int r = negative_errno();

                        return error_setf(reterr_message, r, "cannot hand over standard stream %zu: %s", i,
                                          strerror(-r));
                }
        }

        return 0;
}

int userns_hand_over(const ContainerPlan *plan, const int *fds, size_t n_fds, int cgroup_fd,
                     char **reterr_message)
{
        /* /sys/kernel/cgroup/delegate, without the files that limit memory. */
        static const char *const files[] = {
                ".", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control",
        };
        uint32_t root_uid, root_gid;
        int r;

        if (id_map_outside(&plan->uid_map, 0, &root_uid) < 0 ||
            id_map_outside(&plan->gid_map, 0, &root_gid) < 0)
                return -EINVAL;

        r = userns_hand_over_streams(&plan->uid_map, &plan->gid_map, &plan->process, fds, n_fds,
                                     reterr_message);
        if (r < 0)
                return r;

        if (wants_cgroup(plan))
                for (size_t i = 0; i < ELEMENTSOF(files); i++)
                        if (fchownat(cgroup_fd, files[i], root_uid, root_gid, AT_SYMLINK_NOFOLLOW) < 0) {
                                r = negative_errno();
                                return error_setf(reterr_message, r, "cannot hand over the cgroup: %s",
                                                  strerror(-r));
                        }

        return 0;
}

static int write_proc(pid_t pid, const char *file, const char *text, char **reterr_message)
{
        char path[64];
        int r;

        snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, file);
        r = write_string_file_at(AT_FDCWD, path, text);
        return r < 0 ? error_setf(reterr_message, r, "user namespace: %s: %s", file, strerror(-r)) : 0;
}

static int write_map(pid_t pid, const char *file, const IdMap *map, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = id_map_format(map, &text);
        return r < 0 ? r : write_proc(pid, file, text, reterr_message);
}

int userns_write_maps(const IdMap *uid_map, const IdMap *gid_map, pid_t pid, char **reterr_message)
{
        int r = write_map(pid, "uid_map", uid_map, reterr_message);

        return r < 0 ? r : write_map(pid, "gid_map", gid_map, reterr_message);
}

int userns_set_limits(const RlimitEntry *limits, size_t n, pid_t pid, char **reterr_message)
{
        for (size_t i = 0; i < n; i++)
                if (prlimit(pid, (__rlimit_resource_t) limits[i].resource, &limits[i].limit, NULL) < 0) {
                        int r = negative_errno();

                        return error_setf(reterr_message, r, "cannot set %s: %s", limits[i].name, strerror(-r));
                }

        return 0;
}

int userns_set_up(const ContainerPlan *plan, pid_t pid, char **reterr_message)
{
        char score[16];
        int r;

        r = userns_write_maps(&plan->uid_map, &plan->gid_map, pid, reterr_message);
        if (r < 0)
                return r;

        /* To lower the score or raise a limit takes a privilege of the guest's. */
        snprintf(score, sizeof(score), "%d", plan->process.oom_score_adj);
        r = write_proc(pid, "oom_score_adj", score, reterr_message);
        if (r < 0)
                return r;

        r = userns_set_limits(plan->process.rlimits, plan->process.n_rlimits, pid, reterr_message);
        return r < 0 ? r : extras_schedule(&plan->extras, pid, reterr_message);
}

int userns_become_root(char **reterr_message)
{
        if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
                int r = negative_errno();

                return error_setf(reterr_message, r, "cannot become root of the user namespace: %s",
                                  strerror(-r));
        }

        return 0;
}

int userns_enter(int sync_fd, char **reterr_message)
{
        ssize_t n;
        char go;

        do
                n = read(sync_fd, &go, 1);
        while (n < 0 && errno == EINTR);

        return n != 1 ? -ECANCELED : userns_become_root(reterr_message);
}

static int bind_device(int dev_fd, const DeviceNode *node)
{
        _cleanup_close_ int source_fd = -EBADF, tree_fd = -EBADF, target_fd = -EBADF;
        const char *name = startswith(node->path, "/dev/");
        struct stat st;
        int r;

        source_fd = open(node->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (source_fd < 0 || fstat(source_fd, &st) < 0)
                return negative_errno();
        if ((st.st_mode & S_IFMT) != (node->mode & S_IFMT) || st.st_rdev != node->rdev)
                return -ENODEV;

        target_fd = openat(dev_fd, name, O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (target_fd < 0 && errno != EEXIST)
                return negative_errno();
        safe_close(target_fd);
        target_fd = openat(dev_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (target_fd < 0)
                return negative_errno();

        r = tree_fd = mount_clone(source_fd, false);
        if (r >= 0)
                r = mount_set_attr(tree_fd, false, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0, MS_PRIVATE);
        return r < 0 ? r : mount_attach(tree_fd, target_fd);
}

int userns_bind_devices(int dev_fd, const DeviceNode *nodes, size_t n, char **reterr_message)
{
        for (size_t i = 0; i < n; i++) {
                int r = bind_device(dev_fd, &nodes[i]);

                if (r < 0)
                        return error_setf(reterr_message, r, "device '%s': %s", nodes[i].path,
                                          strerror(-r));
        }

        /* The customary symlinks. */
        return devices_make(dev_fd, NULL, 0, reterr_message);
}
