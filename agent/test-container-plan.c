/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of configuration checking: plan, process, mounts. No side effects, no root. */

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "basic/root-path.h"
#include "agent/container-plan.h"
#include "agent/container-process.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"

#define S(s) ((char *) (s))

/* The smallest configuration that is accepted. */
typedef struct Config {
        Grpc__Spec spec;
        Grpc__Process process;
        Grpc__Root root;
        Grpc__Linux l;
        Grpc__LinuxNamespace mount_ns, ns, *namespaces[2];
        Grpc__Mount mount, *mounts[1];
        Grpc__LinuxDevice device, *devices[1];
        Grpc__User user;
        Grpc__LinuxCapabilities caps;
        Grpc__POSIXRlimit rlimits[2], *rlimit_list[2];
        char *args[2], *strings[4];
} Config;

static void config_init(Config *c)
{
        memset(c, 0, sizeof(*c));
        c->spec = (Grpc__Spec) GRPC__SPEC__INIT;
        c->process = (Grpc__Process) GRPC__PROCESS__INIT;
        c->root = (Grpc__Root) GRPC__ROOT__INIT;
        c->l = (Grpc__Linux) GRPC__LINUX__INIT;
        c->mount_ns = c->ns = (Grpc__LinuxNamespace) GRPC__LINUX_NAMESPACE__INIT;
        c->mount = (Grpc__Mount) GRPC__MOUNT__INIT;
        c->device = (Grpc__LinuxDevice) GRPC__LINUX_DEVICE__INIT;
        c->user = (Grpc__User) GRPC__USER__INIT;
        c->caps = (Grpc__LinuxCapabilities) GRPC__LINUX_CAPABILITIES__INIT;
        c->mount_ns.type = S("mount");
        c->namespaces[0] = &c->mount_ns;
        c->namespaces[1] = &c->ns;
        c->mounts[0] = &c->mount;
        c->devices[0] = &c->device;
        for (size_t i = 0; i < 2; i++) {
                c->rlimits[i] = (Grpc__POSIXRlimit) GRPC__POSIXRLIMIT__INIT;
                c->rlimit_list[i] = &c->rlimits[i];
        }

        c->spec.version = S("1.0.2");
        c->spec.process = &c->process;
        c->spec.root = &c->root;
        c->spec.linux = &c->l;
        c->spec.mounts = c->mounts;
        c->root.path = S("/run/x/rootfs");
        c->process.args = c->args;
        c->process.n_args = 1;
        c->process.cwd = S("/");
        c->process.user = &c->user;
        c->process.rlimits = c->rlimit_list;
        c->args[0] = S("true");
        c->l.namespaces = c->namespaces;
        c->l.n_namespaces = 1;
        c->l.devices = c->devices;
}

static int plan_of(Config *c, ContainerPlan **ret, char **message)
{
        return container_plan_new(ret, "c-1", &c->spec, message);
}

#define ASSERT_REFUSED(c, error, text)                                                             \
        ({                                                                                         \
                _cleanup_(container_plan_freep) ContainerPlan *_plan_ = NULL;                      \
                _cleanup_free_ char *_m_ = NULL;                                                   \
                ASSERT_ERROR(plan_of(c, &_plan_, &_m_), error);                                    \
                ASSERT_CONTAINS(_m_, text);                                                        \
                ASSERT_NULL(_plan_);                                                               \
        })

TEST(smallest)
{
        _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;
        Config c;

        config_init(&c);
        ASSERT_OK(plan_of(&c, &plan, NULL));
        ASSERT_STREQ(plan->root, "/run/x/rootfs");
        ASSERT_EQ(plan->namespaces, CLONE_NEWNS);
        ASSERT_FALSE(plan->cgroup_namespace);
        /* A /dev of our own, with the default devices. */
        ASSERT_EQ(plan->n_mounts, 1);
        ASSERT_STREQ(plan->mounts[0].destination, "/dev");
        ASSERT_TRUE(plan->make_devices);
        ASSERT_EQ(plan->n_devices, 6);
        ASSERT_STREQ(plan->cgroup_name, "c-1");
        ASSERT_EQ(plan->n_device_rules, device_default_rules_n);
        ASSERT_EQ(plan->process.caps.bounding, 0);
}

TEST(missing_parts)
{
        Config c;

        config_init(&c);
        c.spec.process = NULL;
        ASSERT_REFUSED(&c, EINVAL, "no process");
        config_init(&c);
        c.spec.root = NULL;
        ASSERT_REFUSED(&c, EINVAL, "no root");
        config_init(&c);
        c.spec.linux = NULL;
        ASSERT_REFUSED(&c, EINVAL, "no linux");
        config_init(&c);
        c.process.n_args = 0;
        ASSERT_REFUSED(&c, EINVAL, "no program");
        config_init(&c);
        c.args[0] = S("");
        ASSERT_REFUSED(&c, EINVAL, "no program");
        config_init(&c);
        c.root.path = S("rootfs");
        ASSERT_REFUSED(&c, EINVAL, "'rootfs'");
        config_init(&c);
        c.root.path = S("/x/..");
        ASSERT_REFUSED(&c, EINVAL, "guest's own root");
        config_init(&c);
        c.process.cwd = S("");
        ASSERT_REFUSED(&c, EINVAL, "cwd");
        config_init(&c);
        c.spec.version = S("2.0.0");
        ASSERT_REFUSED(&c, EOPNOTSUPP, "ociVersion");
        config_init(&c);
        c.l.n_namespaces = 0;
        ASSERT_REFUSED(&c, EOPNOTSUPP, "mount namespace");

        _cleanup_free_ char *message = NULL;
        ContainerPlan *plan;
        config_init(&c);
        ASSERT_ERROR(container_plan_new(&plan, "../x", &c.spec, &message), EINVAL);
}

TEST(what_is_not_built_is_named)
{
        Grpc__LinuxIntelRdt rdt = GRPC__LINUX_INTEL_RDT__INIT;
        Config c;

        config_init(&c);
        c.process.apparmorprofile = S("x");
        ASSERT_REFUSED(&c, EOPNOTSUPP, "apparmorProfile");
        config_init(&c);
        c.process.selinuxlabel = S("x");
        ASSERT_REFUSED(&c, EOPNOTSUPP, "selinuxLabel");
        config_init(&c);
        c.l.mountlabel = S("x");
        ASSERT_REFUSED(&c, EOPNOTSUPP, "mountLabel");
        config_init(&c);
        rdt.l3cacheschema = S("L3:0=f");
        c.l.intelrdt = &rdt;
        ASSERT_REFUSED(&c, EOPNOTSUPP, "intelRdt");
        config_init(&c);
        c.l.n_namespaces = 2;
        c.ns.type = S("ipc");
        c.ns.path = S("/proc/1/ns/ipc");
        ASSERT_REFUSED(&c, EOPNOTSUPP, "joining a namespace of type 'ipc'");
        c.ns.path = S("");
        c.ns.type = S("bogus");
        ASSERT_REFUSED(&c, EINVAL, "bogus");
        c.ns.type = S("mount");
        ASSERT_REFUSED(&c, EINVAL, "twice");
}

TEST(time_namespace)
{
        _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;
        Config c;

        config_init(&c);
        c.l.n_namespaces = 2;
        c.ns.type = S("time");
        ASSERT_OK(plan_of(&c, &plan, NULL));
        ASSERT_EQ(plan->namespaces, CLONE_NEWNS | CLONE_NEWTIME);
}

TEST(network_namespace)
{
        Config c;

        for (unsigned joined = 0; joined < 2; joined++) {
                _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;

                config_init(&c);
                c.l.n_namespaces = 2;
                c.ns.type = S("network");
                if (joined)
                        c.ns.path = S("/run/netns/x");
                ASSERT_OK(plan_of(&c, &plan, NULL));
                ASSERT_EQ(plan->namespaces, joined ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWNET);
        }
}

TEST(process)
{
        _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;
        uint32_t groups[] = { 1, UINT32_MAX };
        Config c;

        config_init(&c);
        c.user.uid = UINT32_MAX;
        ASSERT_REFUSED(&c, EINVAL, "user or group");
        config_init(&c);
        c.user.additionalgids = groups;
        c.user.n_additionalgids = 2;
        ASSERT_REFUSED(&c, EINVAL, "group id");
        config_init(&c);
        c.strings[0] = S("NOVALUE");
        c.process.env = c.strings;
        c.process.n_env = 1;
        ASSERT_REFUSED(&c, EINVAL, "'NOVALUE'");
        config_init(&c);
        c.process.oomscoreadj = 1001;
        ASSERT_REFUSED(&c, ERANGE, "oomScoreAdj");
        config_init(&c);
        c.process.n_rlimits = 2;
        c.rlimits[0].type = c.rlimits[1].type = S("RLIMIT_CORE");
        ASSERT_REFUSED(&c, EINVAL, "twice");
        c.rlimits[1].type = S("RLIMIT_SPEED");
        ASSERT_REFUSED(&c, EINVAL, "RLIMIT_SPEED");
        c.rlimits[1].type = S("RLIMIT_NPROC");
        c.rlimits[1].soft = 2;
        c.rlimits[1].hard = 1;
        ASSERT_REFUSED(&c, EINVAL, "RLIMIT_NPROC");
        c.rlimits[1].hard = UINT64_MAX;
        ASSERT_OK(plan_of(&c, &plan, NULL));
        ASSERT_EQ(plan->process.n_rlimits, 2);
        ASSERT_TRUE(plan->process.rlimits[1].limit.rlim_max == RLIM_INFINITY);

        config_init(&c);
        c.process.n_args = CONTAINER_ARGS_MAX + 1;
        ASSERT_REFUSED(&c, E2BIG, "arguments");
        config_init(&c);
        c.spec.n_mounts = MOUNTS_MAX + 1;
        ASSERT_REFUSED(&c, E2BIG, "mounts");
}

TEST(capabilities)
{
        _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;
        Config c;

        for (unsigned i = 0; cap_to_name(i); i++)
                ASSERT_EQ(cap_from_name(cap_to_name(i)), i);
        ASSERT_EQ(cap_from_name("CAP_SYS_ADMIN"), 21);
        ASSERT_EQ(cap_from_name("cap_checkpoint_restore"), 40);
        ASSERT_ERROR(cap_from_name("SYS_ADMIN"), EINVAL);
        ASSERT_ERROR(cap_from_name(""), EINVAL);
        ASSERT_NULL(cap_to_name(41));

        config_init(&c);
        c.process.capabilities = &c.caps;
        c.strings[0] = S("CAP_KILL");
        c.caps.effective = c.caps.permitted = c.caps.bounding = c.caps.inheritable =
                        c.caps.ambient = c.strings;
        c.caps.n_effective = 1;
        ASSERT_REFUSED(&c, EINVAL, "CAP_KILL is in the effective set but not in the permitted set");
        c.caps.n_permitted = 1;
        c.caps.n_inheritable = 1;
        ASSERT_REFUSED(&c, EINVAL,
                        "CAP_KILL is in the inheritable set but not in the bounding set");
        c.caps.n_bounding = 1;
        c.caps.n_ambient = 1;
        ASSERT_OK(plan_of(&c, &plan, NULL));
        ASSERT_EQ(plan->process.caps.ambient, 1 << 5);
        c.caps.n_inheritable = 0;
        ASSERT_REFUSED(&c, EINVAL, "ambient set but not in the inheritable set");
        c.strings[0] = S("CAP_MAGIC");
        ASSERT_REFUSED(&c, EINVAL, "'CAP_MAGIC'");
}

static int parse_mount(MountEntry *entry, const char *destination, const char *source,
                const char *type, const char *options, char **message)
{
        char *list[] = { S(options) };

        return mount_entry_parse(entry, destination, source, type, list, options ? 1 : 0, message);
}

TEST(mount_options)
{
        MountEntry e;

        ASSERT_OK(parse_mount(&e, "/a//b/./c/../d/", "/src", "none",
                        "rbind,ro,nosuid,rslave,noatime", NULL));
        ASSERT_EQ(e.kind, MOUNT_KIND_BIND);
        ASSERT_STREQ(e.destination, "/a/b/d");
        ASSERT_TRUE(e.recursive);
        ASSERT_EQ(e.attr_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME);
        ASSERT_EQ(e.attr_clear, MOUNT_ATTR__ATIME);
        ASSERT_EQ(e.propagation, MS_SLAVE);
        ASSERT_TRUE(e.propagation_recursive);
        mount_entry_done(&e);

        /* The last one counts. */
        ASSERT_OK(parse_mount(&e, "/a", "/src", "bind",
                        "ro,nodev,rw,dev,exec,noexec,strictatime,relatime", NULL));
        ASSERT_EQ(e.attr_set, MOUNT_ATTR_NOEXEC);
        ASSERT_EQ(e.attr_clear, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                                                MOUNT_ATTR__ATIME);
        ASSERT_FALSE(e.recursive);
        mount_entry_done(&e);

        ASSERT_OK(parse_mount(&e, "/a", "/src", "bind", "rro,rnoatime", NULL));
        ASSERT_EQ(e.attr_set, 0);
        ASSERT_EQ(e.tree_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME);
        mount_entry_done(&e);

        ASSERT_OK(parse_mount(&e, "/a", "shm", "tmpfs", "mode=1777,size=64k,sync,noswap,tmpcopyup",
                        NULL));
        ASSERT_EQ(e.kind, MOUNT_KIND_TMPFS);
        ASSERT_EQ(e.options.n, 4);
        ASSERT_STREQ(e.options.v[1], "size=64k");
        ASSERT_TRUE(e.copy_up);
        mount_entry_done(&e);

        ASSERT_OK(parse_mount(&e, "/sys/fs/cgroup", "cgroup", "cgroup", "ro,nosuid", NULL));
        ASSERT_EQ(e.kind, MOUNT_KIND_CGROUP);
        mount_entry_done(&e);

        ASSERT_OK(parse_mount(&e, "/", "", "", "remount,ro", NULL));
        ASSERT_EQ(e.kind, MOUNT_KIND_REMOUNT);
        mount_entry_done(&e);
}

#define ASSERT_MOUNT_REFUSED(error, text, ...)                                                     \
        ({                                                                                         \
                _cleanup_free_ char *_m_ = NULL;                                                   \
                MountEntry _e_ = {};                                                               \
                ASSERT_ERROR(parse_mount(&_e_, __VA_ARGS__, &_m_), error);                         \
                ASSERT_CONTAINS(_m_, text);                                                        \
        })

TEST(mounts_refused)
{
        ASSERT_MOUNT_REFUSED(EINVAL, "'a/b'", "a/b", "/src", "bind", NULL);
        ASSERT_MOUNT_REFUSED(EINVAL, "''", "", "/src", "bind", NULL);
        ASSERT_MOUNT_REFUSED(EINVAL, "not absolute", "/a", "src", "bind", NULL);
        ASSERT_MOUNT_REFUSED(EINVAL, "root", "/x/..", "/src", "bind", NULL);
        ASSERT_MOUNT_REFUSED(EINVAL, "no file system type", "/a", "x", "", "ro");
        ASSERT_MOUNT_REFUSED(EOPNOTSUPP, "'idmap' with a value", "/a", "/src", "bind", "idmap=uids=0-1-2");
        ASSERT_MOUNT_REFUSED(EOPNOTSUPP, "for bind mounts only", "/a", "tmpfs", "tmpfs", "ridmap");
        ASSERT_MOUNT_REFUSED(EOPNOTSUPP, "'word'", "/a", "/src", "bind", "size=1,word");
        ASSERT_MOUNT_REFUSED(EOPNOTSUPP, "'name=systemd'", "/a", "cgroup", "cgroup",
                             "name=systemd");
        ASSERT_MOUNT_REFUSED(EINVAL, "tmpcopyup", "/a", "/src", "bind", "tmpcopyup");
        ASSERT_MOUNT_REFUSED(EINVAL, "recursive", "/a", "tmpfs", "tmpfs", "rro");

        /* CVE-2019-16884, CVE-2019-19921, CVE-2025-52881 */
        ASSERT_MOUNT_REFUSED(EPERM, "/proc only", "/other", "proc", "proc", NULL);
        ASSERT_MOUNT_REFUSED(EPERM, "inside /proc", "/proc/self/attr", "/src", "bind", NULL);
        ASSERT_MOUNT_REFUSED(EPERM, "inside /proc", "/x/../proc/sys", "/src", "bind", NULL);
        ASSERT_MOUNT_REFUSED(EPERM, "inside /proc", "/proc", "tmpfs", "tmpfs", NULL);
        ASSERT_MOUNT_REFUSED(EPERM, "inside /proc", "/proc/cpuinfo", "tmpfs", "tmpfs", NULL);

        MountEntry e;
        ASSERT_OK(parse_mount(&e, "/proc/cpuinfo", "/lxcfs/cpuinfo", "bind", NULL, NULL));
        mount_entry_done(&e);
        ASSERT_OK(parse_mount(&e, "/process", "tmpfs", "tmpfs", NULL, NULL));
        mount_entry_done(&e);
}

TEST(dev_mount)
{
        Config c;

        config_init(&c);
        c.spec.n_mounts = 1;
        c.mount.destination = S("/dev");
        c.mount.type = S("tmpfs");
        for (unsigned bind = 0; bind < 2; bind++) {
                _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;

                if (bind) {
                        c.mount.type = S("bind");
                        c.mount.source = S("/dev");
                }
                ASSERT_OK(plan_of(&c, &plan, NULL));
                ASSERT_EQ(plan->n_mounts, 1);
                ASSERT_EQ(plan->make_devices, !bind);
        }

        c.l.n_devices = 1;
        c.device.path = S("/dev/x");
        c.device.type = S("c");
        ASSERT_REFUSED(&c, EOPNOTSUPP, "bind mount on /dev");
}

TEST(devices)
{
        _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;
        Config c;

        config_init(&c);
        c.l.n_devices = 1;
        c.device.path = S("/dev/null");
        c.device.type = S("c");
        c.device.major = 1;
        c.device.minor = 3;
        c.device.filemode = S_IFCHR | 0600;
        c.device.uid = 9;
        ASSERT_OK(plan_of(&c, &plan, NULL));
        ASSERT_EQ(plan->n_devices, 6);
        ASSERT_EQ(plan->devices[0].mode, S_IFCHR | 0600);
        ASSERT_EQ(plan->devices[0].uid, 9);
        ASSERT_TRUE(plan->devices[0].rdev == makedev(1, 3));
        ASSERT_TRUE(plan->devices[5].rdev == makedev(5, 0));

        c.device.path = S("/etc/null");
        ASSERT_REFUSED(&c, EOPNOTSUPP, "'/etc/null'");
        c.device.path = S("/dev/../etc/null");
        ASSERT_REFUSED(&c, EOPNOTSUPP, "not below /dev");
        c.device.path = S("/dev/a/b");
        c.device.type = S("x");
        ASSERT_REFUSED(&c, EINVAL, "type 'x'");
        c.device.type = S("b");
        ASSERT_REFUSED(&c, EINVAL, "contradicts");
        c.device.filemode = 0;
        c.device.minor = 1 << 20;
        ASSERT_REFUSED(&c, ERANGE, "out of range");
}

TEST(sysctls)
{
        static const struct {
                const char *name, *path;
        } good[] = {
                { "net.ipv4.ip_forward", "net/ipv4/ip_forward" },
                { "net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding" },
                { "net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding" },
                { "kernel.shmmax", "kernel/shmmax" },
                { "kernel.sem", "kernel/sem" },
                { "fs.mqueue.msg_max", "fs/mqueue/msg_max" },
                { "kernel.domainname", "kernel/domainname" },
        };
        /* CVE-2022-0811 and its likes */
        static const char *const bad[] = {
                        "kernel.core_pattern",
                        "kernel.hostname",
                        "vm.overcommit_memory",
                        "fs.file-max",
                        "kernel",
                        "",
                        ".",
                        "net..core",
                        "net.",
                        "kernel.shmmax/../core_pattern",
                        "net/../kernel/core_pattern",
                        "net/./x",
                        "/kernel/core_pattern",
                        "kernel.shm_next_id+kernel.core_pattern",
        };
        uint64_t all = CLONE_NEWIPC | CLONE_NEWUTS;

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_free_ char *path = NULL;

                ASSERT_OK(sysctl_check(good[i].name, all, &path, NULL));
                ASSERT_STREQ(path, good[i].path);
        }

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *path = NULL, *message = NULL;

                ASSERT_TRUE(sysctl_check(bad[i], all, &path, &message) < 0);
                ASSERT_NOT_NULL(message);
                ASSERT_NULL(path);
        }

        _cleanup_free_ char *path = NULL, *message = NULL;
        ASSERT_ERROR(sysctl_check("kernel.sem", CLONE_NEWUTS, &path, &message), EPERM);
        ASSERT_CONTAINS(message, "own");
        ASSERT_ERROR(sysctl_check("kernel.domainname", CLONE_NEWIPC, &path, NULL), EPERM);
}

TEST(paths)
{
        static const struct {
                const char *in, *out;
        } cases[] = {
                        {"/", "/"},
                        {"//", "/"},
                        {"/a/", "/a"},
                        {"/../..", "/"},
                        {"/a/../../b", "/b"},
                        {"/a/./b//c", "/a/b/c"},
                        {"/...", "/..."},
                        {"/a/..b", "/a/..b"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *out = NULL;

                ASSERT_OK(path_normalize(cases[i].in, &out));
                ASSERT_STREQ(out, cases[i].out);
        }

        char *out, large[5000];
        memset(large, 'a', sizeof(large));
        large[0] = '/';
        large[sizeof(large) - 1] = '\0';
        ASSERT_ERROR(path_normalize(large, &out), ENAMETOOLONG);
        ASSERT_ERROR(path_normalize("a", &out), EINVAL);
        ASSERT_TRUE(path_is_below("/proc", "/proc"));
        ASSERT_TRUE(path_is_below("/proc/x", "/proc"));
        ASSERT_FALSE(path_is_below("/procx", "/proc"));
        ASSERT_TRUE(path_is_below("/x", "/"));
}

/* Confined creation, in a temporary directory that an unprivileged user owns as well. */
TEST(root_make)
{
        char dir[] = "/tmp/kata-path-XXXXXX", path[64];
        _cleanup_close_ int root = -EBADF;
        int fd;

        ASSERT_NOT_NULL(mkdtemp(dir));
        root = ASSERT_OK(open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
        ASSERT_OK(symlinkat("/abs/target", root, "absolute"));
        ASSERT_OK(symlinkat("../../../../rel/target", root, "relative"));
        ASSERT_OK(symlinkat("loop", root, "loop"));
        ASSERT_OK(symlinkat("absolute/more", root, "chain"));
        ASSERT_OK(mkdirat(root, "dir", 0755));

        fd = ASSERT_OK(root_make_dir(root, "/a/b/c", 0700));
        safe_close(fd);
        fd = ASSERT_OK(root_make_file(root, "/absolute/file"));
        safe_close(fd);
        fd = ASSERT_OK(root_make_dir(root, "/relative/dir", 0755));
        safe_close(fd);
        fd = ASSERT_OK(root_make_file(root, "/chain"));
        safe_close(fd);
        ASSERT_ERROR(root_make_dir(root, "/loop/x", 0755), ELOOP);
        ASSERT_ERROR(root_make_dir(root, "/absolute/file", 0755), ENOTDIR);
        ASSERT_ERROR(root_make_dir(root, "/absolute/file/x", 0755), ENOTDIR);
        ASSERT_ERROR(root_make_file(root, "/dir"), EISDIR);
        ASSERT_OK(faccessat(root, "a/b/c", F_OK, 0));
        ASSERT_OK(faccessat(root, "abs/target/file", F_OK, 0));
        ASSERT_OK(faccessat(root, "rel/target/dir", F_OK, 0));
        ASSERT_OK(faccessat(root, "abs/target/more", F_OK, 0));
        snprintf(path, sizeof(path), "/abs/target");
        ASSERT_EQ(access(path, F_OK), -1);

        ASSERT_OK(rm_rf(dir));
}

TEST(find_program)
{
        static const struct {
                const char *name, *path, *found;
                int error;
        } cases[] = {
                { "sh", "PATH=/nonexistent:/bin", "/bin/sh", 0 },
                { "sh", "OTHER=x", "/bin/sh", 0 },
                { "sh", "PATH=", NULL, ENOENT },
                { "sh", "PATH=/nonexistent", NULL, ENOENT },
                { "/bin/sh", "PATH=", "/bin/sh", 0 },
                { "/bin/none", "PATH=/bin", NULL, ENOENT },
                { "passwd", "PATH=/etc", NULL, EACCES },
                { "/etc", "PATH=/bin", NULL, EISDIR },
                { "/dev/null", "PATH=/bin", NULL, EACCES },
        };

        ASSERT_OK(chdir("/"));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(strv_done) Strv args = {}, env = {};
                _cleanup_free_ char *found = NULL, *message = NULL;

                ASSERT_OK(strv_add(&args, cases[i].name));
                ASSERT_OK(strv_add(&env, cases[i].path));
                if (cases[i].found) {
                        ASSERT_OK(process_find_program(&args, &env, &found, &message));
                        ASSERT_TRUE(streq(found, cases[i].found) || endswith(found, "/sh"));
                } else {
                        ASSERT_ERROR(process_find_program(&args, &env, &found, &message),
                                        cases[i].error);
                        ASSERT_CONTAINS(message, cases[i].name);
                }
        }
}

TEST(env)
{
        _cleanup_(strv_done) Strv env = {};

        ASSERT_OK(strv_add_many(&env, "A=1", "AB=2", "A=3", "E=", NULL));
        ASSERT_STREQ(env_get(&env, "A"), "3");
        ASSERT_STREQ(env_get(&env, "E"), "");
        ASSERT_NULL(env_get(&env, "B"));
}

DEFINE_TEST_MAIN
