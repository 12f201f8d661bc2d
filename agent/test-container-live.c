/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real containers on the machine the test runs on: needs root and a cgroup v2 mount, else it skips
 * with 77 and says so. Root file system: busybox-static in a temporary directory. Leaves nothing
 * behind.
 */

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/test-container-live.h"
#include "basic/fd.h"
#include "basic/parse.h"

#define BUSYBOX "/bin/busybox"
#define TIMEOUT (20 * USEC_PER_SEC)

const char *cgroup_root;
char base[] = "/tmp/kata-container-test-XXXXXX";

static void on_created(Container *c, int error, const char *message, void *userdata)
{
        Run *run = userdata;

        run->created = true;
        run->error = error;
        if (error < 0) {
                ASSERT_EQ(container_state(c), CONTAINER_STOPPED);
                run->message = strdup(message);
                return;
        }
        ASSERT_EQ(container_state(c), CONTAINER_CREATED);
        if (!run->hold)
                ASSERT_OK(container_start(c, NULL));
}

static void on_started(Container *c, int error, const char *message, void *userdata)
{
        Run *run = userdata;

        run->started = true;
        run->error = error;
        if (error < 0)
                run->message = strdup(message);
        else
                ASSERT_EQ(container_state(c), CONTAINER_RUNNING);
}

static void on_exit_status(Container *c, int status, void *userdata)
{
        Run *run = userdata;

        ASSERT_FALSE(run->exited);
        run->exited = true;
        run->status = status;
}

static void on_removed(Container *c, int error, const char *message, void *userdata)
{
        Run *run = userdata;

        run->removed = true;
        run->remove_error = error;
        run->container = NULL;
}

static void on_output(LoopSource *source, int fd, uint32_t events, void *userdata);

static void on_terminal(Container *c, int fd, void *userdata)
{
        Run *run = userdata;

        ASSERT_FALSE(run->created);
        ASSERT_EQ(run->output_fd, -EBADF);
        run->output_fd = fd;
        ASSERT_OK(loop_add_fd(run->loop, &run->output_source, fd, EPOLLIN, on_output, run));
}

const ContainerHandlers handlers = {
        .on_terminal = on_terminal,
        .on_created = on_created,
        .on_started = on_started,
        .on_exit = on_exit_status,
        .on_removed = on_removed,
};

static void on_output(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        Run *run = userdata;
        ssize_t n = read(fd, run->output + run->n_output, sizeof(run->output) - 1 - run->n_output);

        if (n > 0)
                run->n_output += (size_t) n;
        else {
                run->output_source = loop_source_free(run->output_source);
                run->output_fd = safe_close(run->output_fd);
        }
}

void add_mount(Run *run, const char *destination, const char *source, const char *type,
                      char **options, size_t n)
{
        Grpc__Mount *m = &run->mounts[run->spec.n_mounts];

        ASSERT_TRUE(run->spec.n_mounts < ELEMENTSOF(run->mounts));
        *m = (Grpc__Mount) GRPC__MOUNT__INIT;
        m->destination = (char *) destination;
        m->source = (char *) source;
        m->type = (char *) type;
        m->options = options;
        m->n_options = n;
        run->mount_list[run->spec.n_mounts++] = m;
}

static char *opt_dev[] = { (char *) "nosuid", (char *) "strictatime", (char *) "mode=755",
                           (char *) "size=65536k" };
static char *opt_pts[] = { (char *) "nosuid", (char *) "noexec", (char *) "newinstance",
                           (char *) "ptmxmode=0666", (char *) "mode=0620", (char *) "gid=5" };
static char *opt_shm[] = { (char *) "nosuid", (char *) "noexec", (char *) "nodev",
                           (char *) "mode=1777", (char *) "size=1024k" };
static char *opt_safe[] = { (char *) "nosuid", (char *) "noexec", (char *) "nodev" };
static char *opt_sys[] = { (char *) "nosuid", (char *) "noexec", (char *) "nodev", (char *) "ro" };

void run_init(Run *run, const char *script)
{
        static const char *const types[] = { "pid", "mount", "ipc", "uts", "cgroup" };

        memset(run, 0, sizeof(*run));
        ASSERT_OK(loop_new(&run->loop));
        run->output_fd = run->stdin_fd = -EBADF;
        snprintf(run->rootfs, sizeof(run->rootfs), "%s/rootfs", base);

        run->spec = (Grpc__Spec) GRPC__SPEC__INIT;
        run->process = (Grpc__Process) GRPC__PROCESS__INIT;
        run->root = (Grpc__Root) GRPC__ROOT__INIT;
        run->linux_part = (Grpc__Linux) GRPC__LINUX__INIT;
        run->user = (Grpc__User) GRPC__USER__INIT;
        run->caps = (Grpc__LinuxCapabilities) GRPC__LINUX_CAPABILITIES__INIT;
        run->rlimit = (Grpc__POSIXRlimit) GRPC__POSIXRLIMIT__INIT;
        run->spec.version = (char *) "1.0.2";
        run->spec.process = &run->process;
        run->spec.root = &run->root;
        run->spec.linux = &run->linux_part;
        run->spec.mounts = run->mount_list;
        run->root.path = run->rootfs;
        run->process.user = &run->user;
        run->process.cwd = (char *) "/";
        run->process.capabilities = &run->caps;
        run->process.args = run->args;
        run->process.env = run->env;
        run->env[run->process.n_env++] = (char *) "PATH=/nowhere:/bin";

        run->args[0] = (char *) "sh";
        run->args[1] = (char *) "-c";
        run->args[2] = (char *) script;
        run->process.n_args = 3;

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                run->namespaces[i] = (Grpc__LinuxNamespace) GRPC__LINUX_NAMESPACE__INIT;
                run->namespaces[i].type = (char *) types[i];
                run->namespace_list[i] = &run->namespaces[i];
        }
        run->linux_part.namespaces = run->namespace_list;
        run->linux_part.n_namespaces = ELEMENTSOF(types);
        run->linux_part.cgroupspath = (char *) "/pod/live-test";

        add_mount(run, "/proc", "proc", "proc", opt_safe, ELEMENTSOF(opt_safe));
        add_mount(run, "/dev", "tmpfs", "tmpfs", opt_dev, ELEMENTSOF(opt_dev));
        add_mount(run, "/dev/pts", "devpts", "devpts", opt_pts, ELEMENTSOF(opt_pts));
        add_mount(run, "/dev/shm", "shm", "tmpfs", opt_shm, ELEMENTSOF(opt_shm));
        add_mount(run, "/dev/mqueue", "mqueue", "mqueue", opt_safe, ELEMENTSOF(opt_safe));
        add_mount(run, "/sys", "sysfs", "sysfs", opt_sys, ELEMENTSOF(opt_sys));
        add_mount(run, "/sys/fs/cgroup", "cgroup", "cgroup", opt_sys, ELEMENTSOF(opt_sys));
}

static Grpc__LinuxIDMapping id_map, *id_maps[] = { &id_map };

void add_namespace(Run *run, const char *type)
{
        size_t i = run->linux_part.n_namespaces++;

        ASSERT_TRUE(i < ELEMENTSOF(run->namespaces));
        run->namespaces[i] = (Grpc__LinuxNamespace) GRPC__LINUX_NAMESPACE__INIT;
        run->namespaces[i].type = (char *) type;
        run->namespace_list[i] = &run->namespaces[i];
}

void run_init_user(Run *run, const char *script)
{
        static const char *const dirs[] = { "rootfs/dev", "rootfs/sys" };
        char path[256];

        /* Root of the container may not make mount points in somebody else's tree. */
        for (size_t i = 0; i < ELEMENTSOF(dirs); i++)
                ASSERT_OK(mkdir_p(host_path(path, sizeof(path), dirs[i]), 0755));

        run_init(run, script);
        add_namespace(run, "user");
        id_map = (Grpc__LinuxIDMapping) GRPC__LINUX_IDMAPPING__INIT;
        id_map.hostid = OUTSIDE;
        id_map.size = 65536;
        run->linux_part.uidmappings = run->linux_part.gidmappings = id_maps;
        run->linux_part.n_uidmappings = run->linux_part.n_gidmappings = 1;
}

void run_until(Run *run, const bool *flag)
{
        usec_t end = now_usec() + TIMEOUT;

        while (!*flag && now_usec() < end)
                ASSERT_OK(loop_run_once(run->loop, 1000));
        if (!*flag)
                TEST_FAIL("timeout; output so far: %s", run->output);
}

int run_create(Run *run)
{
        const ContainerPlace alone = CONTAINER_PLACE_NULL(cgroup_root);
        int p[2], r;

        ASSERT_OK(pipe2(p, O_CLOEXEC));
        if (run->process.terminal)
                p[0] = safe_close(p[0]);
        else {
                run->output_fd = p[0];
                ASSERT_OK(loop_add_fd(run->loop, &run->output_source, p[0], EPOLLIN, on_output, run));
        }

        ContainerHandlers h = handlers;
        h.userdata = run;
        r = container_create(&run->container, run->loop, run->place ? run->place : &alone, "live-1", &run->spec,
                             &(ContainerIo) { run->stdin_fd, p[1], p[1] }, &h, &run->message);
        safe_close(p[1]);
        if (r < 0)
                run->error = r;
        return r;
}

void run_done(Run *run)
{
        char path[256];

        if (run->container) {
                ASSERT_OK(container_remove(run->container, NULL));
                run_until(run, &run->removed);
                ASSERT_EQ(run->remove_error, 0);
        }
        snprintf(path, sizeof(path), "%s/kata/live-test", cgroup_root);
        ASSERT_EQ(access(path, F_OK), -1);

        run->output_source = loop_source_free(run->output_source);
        run->output_fd = safe_close(run->output_fd);
        run->loop = loop_free(run->loop);
        free(run->message);
        run->message = NULL;
}

int run_all(Run *run)
{
        int r = run_create(run);

        if (r < 0)
                return r;

        run_until(run, &run->created);
        if (run->error < 0)
                return run->error;
        run_until(run, &run->started);
        if (run->error < 0)
                return run->error;
        run_until(run, &run->exited);
        while (run->output_source)
                ASSERT_OK(loop_run_once(run->loop, 1000));
        return run->status;
}

char *host_path(char *buf, size_t n, const char *name)
{
        snprintf(buf, n, "%s/%s", base, name);
        return buf;
}

static const char *find_cgroup_root(void)
{
        static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs s;

        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                if (statfs(places[i], &s) >= 0 && s.f_type == 0x63677270)
                        return places[i];

        return NULL;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
        char path[256];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", base, name);
        fd = ASSERT_OK(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
        ASSERT_OK(write_full(fd, text, strlen(text)));
        safe_close(fd);
}

static void make_dir(const char *name)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", base, name);
        ASSERT_OK(mkdir_p(path, 0755));
}

static void make_link(const char *target, const char *name)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", base, name);
        ASSERT_OK(symlink(target, path));
}

static void make_rootfs(void)
{
        static const char *const tools[] = {
                        "cat",
                        "chown",
                        "echo",
                        "grep",
                        "head",
                        "hostname",
                        "id",
                        "ifconfig",
                        "kill",
                        "ls",
                        "mkdir",
                        "mknod",
                        "mount",
                        "pwd",
                        "readlink",
                        "sh",
                        "sleep",
                        "stat",
                        "stty",
                        "touch",
                        "tr",
                        "true",
                        "tty",
                        "wc",
        };
        _cleanup_free_ char *busybox = NULL;
        size_t size;
        char path[256];
        int fd;

        make_dir("rootfs/bin");
        make_dir("rootfs/etc");
        make_dir("rootfs/tmp");
        make_dir("rootfs/proc");
        make_dir("volume");
        ASSERT_OK(read_file_at(AT_FDCWD, BUSYBOX, 8 * 1024 * 1024, &busybox, &size));
        snprintf(path, sizeof(path), "%s/rootfs/bin/busybox", base);
        fd = ASSERT_OK(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
        ASSERT_OK(write_full(fd, busybox, size));
        safe_close(fd);
        for (size_t i = 0; i < ELEMENTSOF(tools); i++) {
                snprintf(path, sizeof(path), "rootfs/bin/%s", tools[i]);
                make_link("busybox", path);
        }

        write_file("rootfs/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                                        "tester:x:1000:1001::/srv/tester:/bin/sh\n", 0644);
        write_file("rootfs/bin/garbage", "\177not a program\n", 0755);
        write_file("volume/data", "volume data\n", 0644);
        make_link("target", "rootfs/etc/link");
        snprintf(path, sizeof(path), "%s/rootfs/etc", base);
        ASSERT_OK(chmod(path, 0751));
        make_link("/link-target", "rootfs/link");
        make_link("../../../../outside", "rootfs/climb");
        make_link("/proc", "rootfs/to-proc");
}

TestCase *test_cases;

static void run_tests(int argc, char *argv[])
{
        for (TestCase *t = test_cases; t; t = t->next) {
                bool wanted = argc < 2;

                for (int i = 1; i < argc; i++)
                        wanted = wanted || streq(argv[i], t->name);
                if (!wanted)
                        continue;
                fprintf(stderr, "/* %s */\n", t->name);
                t->run();
        }
}

int main(int argc, char *argv[])
{
        char path[256];
        pid_t pid;
        int status;

        cgroup_root = find_cgroup_root();
        if (geteuid() != 0 || !cgroup_root || access(BUSYBOX, X_OK) < 0) {
                fprintf(stderr, "skipped: needs %s\n", geteuid() != 0 ? "root"
                                                       : !cgroup_root ? "a cgroup v2 mount"
                                                                      : "busybox-static");
                return 77;
        }

        /* As in a guest: systemd makes all mounts of a host shared. */
        ASSERT_OK(unshare(CLONE_NEWNS));
        ASSERT_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
        umask(022);
        ASSERT_NOT_NULL(mkdtemp(base));
        ASSERT_OK(chmod(base, 0755));
        make_rootfs();

        /* In a child, so that a failed assertion leaves nothing behind either. */
        pid = fork();
        if (pid == 0) {
                run_tests(argc, argv);
                exit(EXIT_SUCCESS);
        }
        ASSERT_EQ(waitpid(pid, &status, 0), pid);

        snprintf(path, sizeof(path), "%s/kata/live-test", cgroup_root);
        if (!WIFEXITED(status) && access(path, F_OK) >= 0) {
                char file[320];

                snprintf(file, sizeof(file), "%s/cgroup.kill", path);
                (void) write_string_file_at(AT_FDCWD, file, "1");
                for (unsigned i = 0; i < 100 && rmdir(path) < 0; i++)
                        usleep(10000);
        }
        snprintf(path, sizeof(path), "%s/kata", cgroup_root);
        (void) rmdir(path);
        ASSERT_OK(rm_rf(base));
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
