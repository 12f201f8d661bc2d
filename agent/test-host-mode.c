/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kata-agent --listen on this machine, by a client at its socket: usage test-host-mode KATA-AGENT. As an
 * ordinary user what needs no privilege; as root, with cgroup v2 and busybox-static, a container as well.
 */

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "basic/test.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/ttrpc.h"

#define AGENT "grpc.AgentService"
#define BUSYBOX "/bin/busybox"
#define S(text) ((char *) (uintptr_t) (text))

static const char *program;
static char dir[] = "/tmp/test-host-mode-XXXXXX", socket_path[64];
static uint32_t next_id = 1;

static pid_t start_agent(const char *address, const char *error_path)
{
        pid_t pid = fork();

        ASSERT_TRUE(pid >= 0);
        if (pid == 0) {
                int fd = open(error_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

                if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
                        _exit(100);
                (void) execl(program, program, "--listen", address, (char *) NULL);
                _exit(101);
        }
        return pid;
}

static int end_of(pid_t pid)
{
        int status;

        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        ASSERT_TRUE(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static int connect_agent(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = ASSERT_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

        strcpy(address.sun_path, socket_path);
        for (unsigned i = 0; i < 500; i++) {
                if (connect(fd, (struct sockaddr *) &address, sizeof(address)) >= 0)
                        return fd;
                usleep(20000);
        }
        TEST_FAIL("the agent does not listen on %s", socket_path);
}

static uint8_t reply[65536];
static size_t reply_size;
static char reply_text[600];

/* 0 or the code of an error. */
static int call_on(int fd, const char *service, const char *method, const ProtobufCMessage *m)
{
        _cleanup_free_ uint8_t *frame = NULL;
        uint8_t header[TTRPC_HEADER_SIZE], payload[65536];
        Ttrpc__Response *response;
        TtrpcHeader h;
        PbArena arena;
        int code = 0;
        size_t n;

        ASSERT_OK(ttrpc_build_request(next_id, service, method, m, 0, &frame, &n));
        ASSERT_OK(write_full(fd, frame, n));
        ASSERT_OK(read_full(fd, header, sizeof(header)));
        h = ttrpc_header_decode(header);
        ASSERT_EQ(h.stream_id, next_id);
        next_id += 2;
        ASSERT_TRUE(h.length <= sizeof(payload));
        ASSERT_OK(read_full(fd, payload, h.length));
        pb_arena_init(&arena, 0);
        ASSERT_OK(pb_unpack(&ttrpc__response__descriptor, &arena, payload, h.length, &response));
        reply_text[0] = '\0';
        if (response->status) {
                code = response->status->code;
                snprintf(reply_text, sizeof(reply_text), "%s", response->status->message);
        }
        reply_size = response->payload.len;
        if (reply_size > 0)
                memcpy(reply, response->payload.data, reply_size);
        pb_arena_done(&arena);
        return code;
}

static int call(int fd, const char *method, const ProtobufCMessage *m)
{
        return call_on(fd, AGENT, method, m);
}

static int create_sandbox(int fd, bool with_pid)
{
        Grpc__CreateSandboxRequest q = GRPC__CREATE_SANDBOX_REQUEST__INIT;

        q.sandbox_id = S("sb");
        q.sandbox_pidns = with_pid;
        if (with_pid)
                q.hostname = S("pod");
        return call(fd, "CreateSandbox", &q.base);
}

static void check_addresses(const char *errors)
{
        static const char *const bad[] = { "unix:relative", "unix:@abstract", "unix://@abstract", "vsock://-1:1024",
                                           "unix:/run/kata-containers/x" };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ASSERT_EQ(end_of(start_agent(bad[i], errors)), EXIT_FAILURE);
}

/* With requests that say nothing: it is not looked at what they say. */
static void check_refused(int fd, const char *const *methods, size_t n)
{
        Grpc__CheckRequest empty = GRPC__CHECK_REQUEST__INIT;

        for (size_t i = 0; i < n; i++) {
                ASSERT_EQ(call(fd, methods[i], &empty.base), TTRPC_FAILED_PRECONDITION);
                ASSERT_TRUE(startswith(reply_text, methods[i]));
                ASSERT_CONTAINS(reply_text, "of a machine that is not this agent's own");
        }
}

static void check_server(int fd)
{
        static const char *const always[] = {
                "SetGuestDateTime", "ReseedRandomDev", "OnlineCPUMem", "MemHotplugByProbe", "AddSwap", "AddSwapPath",
        };
        static const char *const without_root[] = {
                "UpdateInterface", "UpdateRoutes", "AddARPNeighbors", "SetIPTables", "CopyFile",
                "UpdateEphemeralMounts",
        };
        Grpc__CheckRequest check = GRPC__CHECK_REQUEST__INIT;
        struct stat st;

        ASSERT_OK(stat(socket_path, &st));
        ASSERT_EQ(st.st_mode & 0777, 0600);
        ASSERT_EQ(call_on(fd, "grpc.Health", "Check", &check.base), 0);
        check_refused(fd, always, ELEMENTSOF(always));
        if (geteuid() != 0)
                check_refused(fd, without_root, ELEMENTSOF(without_root));
}

static void without_privileges(int fd)
{
        Grpc__CreateContainerRequest q = GRPC__CREATE_CONTAINER_REQUEST__INIT;

        /* It would have a host name. */
        ASSERT_EQ(create_sandbox(fd, true), TTRPC_FAILED_PRECONDITION);
        ASSERT_CONTAINS(reply_text, "host name");
        ASSERT_EQ(create_sandbox(fd, false), 0);
        q.container_id = S("c1");
        ASSERT_EQ(call(fd, "CreateContainer", &q.base), TTRPC_PERMISSION_DENIED);
        ASSERT_CONTAINS(reply_text, "root");
}

static void make_rootfs(const char *root)
{
        static const char *const tools[] = { "sh", "cat", "hostname", "sleep" };
        _cleanup_free_ char *busybox = NULL;
        char path[128];
        size_t n;
        int fd;

        snprintf(path, sizeof(path), "%s/bin", root);
        ASSERT_OK(mkdir_p(path, 0755));
        snprintf(path, sizeof(path), "%s/proc", root);
        ASSERT_OK(mkdir_p(path, 0755));
        ASSERT_OK(read_file_at(AT_FDCWD, BUSYBOX, MIB(8), &busybox, &n));
        for (size_t i = 0; i < ELEMENTSOF(tools); i++) {
                snprintf(path, sizeof(path), "%s/bin/%s", root, tools[i]);
                fd = ASSERT_OK(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
                ASSERT_OK(write_full(fd, busybox, n));
                safe_close(fd);
        }
}

static void fill_process(Grpc__Process *process, char **args, const char *script)
{
        *process = (Grpc__Process) GRPC__PROCESS__INIT;
        args[0] = S("/bin/sh");
        args[1] = S("-c");
        args[2] = S(script);
        process->args = args;
        process->n_args = 3;
        process->cwd = S("/");
}

static void create_container(int fd, const char *root)
{
        static const char *const types[] = { "pid", "mount", "ipc", "uts", "cgroup" };
        Grpc__CreateContainerRequest q = GRPC__CREATE_CONTAINER_REQUEST__INIT;
        Grpc__StartContainerRequest start = GRPC__START_CONTAINER_REQUEST__INIT;
        Grpc__Spec spec = GRPC__SPEC__INIT;
        Grpc__Linux linux_part = GRPC__LINUX__INIT;
        Grpc__Root root_part = GRPC__ROOT__INIT;
        Grpc__Mount proc = GRPC__MOUNT__INIT, *mounts[] = { &proc };
        Grpc__LinuxNamespace ns[5], *list[5];
        Grpc__Process process;
        char *args[3];

        for (size_t i = 0; i < ELEMENTSOF(ns); i++) {
                ns[i] = (Grpc__LinuxNamespace) GRPC__LINUX_NAMESPACE__INIT;
                ns[i].type = S(types[i]);
                list[i] = &ns[i];
        }
        linux_part.namespaces = list;
        linux_part.n_namespaces = ELEMENTSOF(ns);
        fill_process(&process, args, "sleep 1000");
        root_part.path = S(root);
        proc.destination = proc.source = proc.type = S("proc");
        proc.destination = S("/proc");
        spec.process = &process;
        spec.root = &root_part;
        spec.linux = &linux_part;
        spec.mounts = mounts;
        spec.n_mounts = 1;
        q.container_id = S("host-mode-test");
        q.oci = &spec;
        q.sandbox_pidns = true;
        if (call(fd, "CreateContainer", &q.base) != 0)
                TEST_FAIL("CreateContainer: %s", reply_text);
        start.container_id = q.container_id;
        if (call(fd, "StartContainer", &start.base) != 0)
                TEST_FAIL("StartContainer: %s", reply_text);
}

/* Files, mounts, interfaces: in namespaces of the agent's own. */
static void stays_inside(int fd)
{
        static const char file[] = "/run/kata-containers/shared/containers/host-mode-test";
        Grpc__CreateSandboxRequest create = GRPC__CREATE_SANDBOX_REQUEST__INIT;
        Grpc__KernelModule module = GRPC__KERNEL_MODULE__INIT, *modules[] = { &module };
        Grpc__ListInterfacesRequest list = GRPC__LIST_INTERFACES_REQUEST__INIT;
        Grpc__CopyFileRequest copy = GRPC__COPY_FILE_REQUEST__INIT;

        module.name = S("loop");
        create.kernel_modules = modules;
        create.n_kernel_modules = 1;
        ASSERT_EQ(call(fd, "CreateSandbox", &create.base), TTRPC_FAILED_PRECONDITION);
        ASSERT_CONTAINS(reply_text, "kernel modules");

        copy.path = S(file);
        copy.file_size = 1;
        copy.file_mode = S_IFREG | 0644;
        copy.dir_mode = 0755;
        copy.uid = copy.gid = -1;
        copy.data.data = (uint8_t *) S("x");
        copy.data.len = 1;
        if (call(fd, "CopyFile", &copy.base) != 0)
                TEST_FAIL("CopyFile: %s", reply_text);
        ASSERT_EQ(access(file, F_OK), -1);

        /* Interfaces { Interfaces 1 { ... name 2 "lo" ... } }, once: the loopback alone. */
        ASSERT_EQ(call(fd, "ListInterfaces", &list.base), 0);
        ASSERT_TRUE(reply_size > 2 && reply[0] == 0x0a && reply[1] < 0x80);
        ASSERT_EQ(reply_size, 2U + reply[1]);
        ASSERT_NOT_NULL(memmem(reply, reply_size, "\x12\x02lo", 4));
}

static void with_container(int fd, pid_t agent)
{
        Grpc__ExecProcessRequest q = GRPC__EXEC_PROCESS_REQUEST__INIT;
        Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
        Grpc__ReadStreamRequest out = GRPC__READ_STREAM_REQUEST__INIT;
        char root[96], path[64], link[128] = {}, before[65], after[65];
        _cleanup_close_ int exe_fd = -EBADF;
        struct stat st;
        Grpc__Process process;
        char *args[3];

        ASSERT_OK(gethostname(before, sizeof(before)));
        snprintf(root, sizeof(root), "%s/rootfs", dir);
        make_rootfs(root);
        if (create_sandbox(fd, true) != 0)
                TEST_FAIL("CreateSandbox: %s", reply_text);
        create_container(fd, root);

        fill_process(&process, args, "hostname; cat /proc/1/comm; exit 7");
        q.container_id = wait.container_id = out.container_id = S("host-mode-test");
        q.exec_id = wait.exec_id = out.exec_id = S("e1");
        q.process = &process;
        if (call(fd, "ExecProcess", &q.base) != 0)
                TEST_FAIL("ExecProcess: %s", reply_text);
        ASSERT_EQ(call(fd, "WaitProcess", &wait.base), 0);
        ASSERT_EQ(reply[1], 7);
        out.len = 100;
        ASSERT_EQ(call(fd, "ReadStdout", &out.base), 0);
        ASSERT_EQ(reply_size, 2 + strlen("pod\nsandbox-ns\n"));
        ASSERT_EQ(memcmp(reply + 2, "pod\nsandbox-ns\n", reply_size - 2), 0);

        /* CVE-2019-5736: there is no file that a container could write to. */
        snprintf(path, sizeof(path), "/proc/%d/exe", (int) agent);
        ASSERT_TRUE(readlink(path, link, sizeof(link) - 1) > 0);
        ASSERT_CONTAINS(link, "memfd:kata-agent");
        exe_fd = ASSERT_OK(open(path, O_RDONLY | O_CLOEXEC));
        ASSERT_TRUE(fcntl(exe_fd, F_GET_SEALS) & F_SEAL_WRITE);
        /* CVE-2024-25621: what the agent keeps is nobody else's to look into. */
        snprintf(path, sizeof(path), "/proc/%d/root/run/kata-containers", (int) agent);
        ASSERT_OK(stat(path, &st));
        ASSERT_EQ(st.st_mode, S_IFDIR | 0700);
        ASSERT_EQ(st.st_uid, 0);
        ASSERT_OK(gethostname(after, sizeof(after)));
        ASSERT_STREQ(after, before);
}

static bool has_cgroups(void)
{
        struct statfs s;

        return (statfs("/sys/fs/cgroup", &s) >= 0 && s.f_type == CGROUP2_SUPER_MAGIC) ||
               (statfs("/sys/fs/cgroup/unified", &s) >= 0 && s.f_type == CGROUP2_SUPER_MAGIC);
}

int main(int argc, char *argv[])
{
        Grpc__DestroySandboxRequest destroy = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
        bool root = geteuid() == 0 && access(BUSYBOX, X_OK) >= 0;
        char address[80], errors[80];
        pid_t agent, second;
        int fd;

        ASSERT_EQ(argc, 2);
        program = argv[1];
        /* For root the agent wants a place for containers. */
        if (geteuid() == 0 && !has_cgroups()) {
                fprintf(stderr, "skipped: needs a cgroup v2 mount\n");
                return 77;
        }
        ASSERT_NOT_NULL(mkdtemp(dir));
        ASSERT_OK(chmod(dir, 0755));
        snprintf(socket_path, sizeof(socket_path), "%s/socket", dir);
        snprintf(address, sizeof(address), "unix:%s", socket_path);
        snprintf(errors, sizeof(errors), "%s/errors", dir);

        check_addresses(errors);
        agent = start_agent(address, errors);
        fd = connect_agent();
        check_server(fd);
        /* A second one does not take its place. */
        second = start_agent(address, "/dev/null");
        ASSERT_EQ(end_of(second), EXIT_FAILURE);

        if (geteuid() == 0)
                stays_inside(fd);
        if (root)
                with_container(fd, agent);
        else if (geteuid() != 0)
                without_privileges(fd);
        else
                fprintf(stderr, "no container: needs busybox-static\n");
        safe_close(fd);

        ASSERT_OK(kill(agent, SIGTERM));
        ASSERT_EQ(end_of(agent), EXIT_SUCCESS);
        ASSERT_EQ(access(socket_path, F_OK), -1);

        /* What a killed one has left is no obstacle. */
        agent = start_agent(address, errors);
        safe_close(connect_agent());
        ASSERT_OK(kill(agent, SIGKILL));
        (void) waitpid(agent, NULL, 0);
        ASSERT_OK(access(socket_path, F_OK));
        /* The end of the sandbox is that of the agent and of nothing else. */
        agent = start_agent(address, errors);
        fd = connect_agent();
        ASSERT_EQ(call(fd, "DestroySandbox", &destroy.base), 0);
        safe_close(fd);
        ASSERT_EQ(end_of(agent), EXIT_SUCCESS);
        ASSERT_OK(rm_rf(dir));
        return EXIT_SUCCESS;
}
