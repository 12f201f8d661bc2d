/* SPDX-License-Identifier: Apache-2.0 */
/* A client of an agent on this machine: see test-agent-client.h. */

#include "agent/test-agent-client.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"

#define S(text) ((char *) (uintptr_t) (text))
#define CONNECT_STEP_USEC 20000
#define CONNECT_STEPS 500

const char *agent_client_cgroup_mount(void)
{
        static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs s;

        for (size_t i = 0; i < ELEMENTSOF(mounts); i++)
                if (statfs(mounts[i], &s) >= 0 && s.f_type == CGROUP2_SUPER_MAGIC)
                        return mounts[i];

        return NULL;
}

const char *agent_client_needs(const char *program)
{
        if (geteuid() != 0)
                return "root";
        if (access(BUSYBOX, X_OK) < 0)
                return "busybox-static";
        if (!agent_client_cgroup_mount())
                return "a cgroup v2 mount";
        return access(program, X_OK) < 0 ? program : NULL;
}

void agent_client_cgroup(const AgentClient *c, char *ret, size_t n)
{
        _cleanup_free_ char *text = NULL;
        char path[64], *line, *end;

        snprintf(path, sizeof(path), "/proc/%d/cgroup", (int) c->agent);
        ASSERT_OK(read_file_at(AT_FDCWD, path, CGROUP_FILE_MAX, &text, NULL));
        line = ASSERT_NOT_NULL(strstr(text, "0::"));
        line[strcspn(line, "\n")] = '\0';
        /* The agent itself is in a leaf beside them. */
        end = strrchr(line, '/');
        if (end && streq(end, "/kata-agent"))
                *end = '\0';
        snprintf(ret, n, "%s%s", ASSERT_NOT_NULL(agent_client_cgroup_mount()), line + strlen("0::"));
}

void agent_client_make_rootfs(const AgentClient *c)
{
        static const char *const directories[] = { "bin", "proc", "dev", "tmp" };
        static const char *const links[] = { "sh", "cat", "hostname", "sleep", "true" };
        _cleanup_free_ char *busybox = NULL;
        char path[128];
        size_t n;
        int fd;

        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                snprintf(path, sizeof(path), "%s/rootfs/%s", c->dir, directories[i]);
                ASSERT_OK(mkdir_p(path, 0755));
        }
        ASSERT_OK(read_file_at(AT_FDCWD, BUSYBOX, MIB(8), &busybox, &n));
        snprintf(path, sizeof(path), "%s/rootfs/bin/busybox", c->dir);
        fd = ASSERT_OK(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
        ASSERT_OK(write_full(fd, busybox, n));
        safe_close(fd);
        for (size_t i = 0; i < ELEMENTSOF(links); i++) {
                snprintf(path, sizeof(path), "%s/rootfs/bin/%s", c->dir, links[i]);
                ASSERT_OK(symlink("busybox", path));
        }
}

int agent_client_connect(const AgentClient *c)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = ASSERT_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", c->socket_path);
        for (unsigned i = 0; i < CONNECT_STEPS; i++) {
                if (connect(fd, (struct sockaddr *) &address, sizeof(address)) >= 0)
                        return fd;
                usleep(CONNECT_STEP_USEC);
        }
        TEST_FAIL("the agent does not listen on %s", c->socket_path);
}

void agent_client_init(AgentClient *c)
{
        *c = (AgentClient) { .dir = "/tmp/test-agent-client-XXXXXX", .fd = -EBADF, .next_id = 1 };
        ASSERT_NOT_NULL(mkdtemp(c->dir));
        ASSERT_OK(chmod(c->dir, 0755));
        snprintf(c->socket_path, sizeof(c->socket_path), "%s/socket", c->dir);
}

pid_t agent_client_spawn(const char *program, const char *address, const char *log_path)
{
        pid_t pid = ASSERT_OK(fork());

        if (pid == 0) {
                int fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

                if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
                        _exit(100);
                /* A test that fails leaves nothing behind. */
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) execl(program, program, "--listen", address, (char *) NULL);
                _exit(101);
        }
        return pid;
}

void agent_client_serve(AgentClient *c, const char *program)
{
        Grpc__CreateSandboxRequest q = GRPC__CREATE_SANDBOX_REQUEST__INIT;
        char address[96], log[80];

        snprintf(address, sizeof(address), "unix:%s", c->socket_path);
        snprintf(log, sizeof(log), "%s/log", c->dir);
        c->agent = agent_client_spawn(program, address, log);
        c->fd = agent_client_connect(c);
        q.sandbox_id = S("sb");
        agent_client_call(c, "CreateSandbox", &q.base);
}

void agent_client_start(AgentClient *c, const char *program)
{
        agent_client_init(c);
        agent_client_make_rootfs(c);
        agent_client_serve(c, program);
}

void agent_client_remove_cgroups(const char *cgroup)
{
        static const char *const leaves[] = { "kata", "kata-agent" };
        char path[320];

        for (size_t i = 0; i < ELEMENTSOF(leaves); i++) {
                snprintf(path, sizeof(path), "%s/%s", cgroup, leaves[i]);
                ASSERT_TRUE(rmdir(path) >= 0 || errno == ENOENT);
        }
}

void agent_client_stop(AgentClient *c)
{
        char cgroup[256];
        int status;

        agent_client_cgroup(c, cgroup, sizeof(cgroup));
        c->fd = safe_close(c->fd);
        ASSERT_OK(kill(c->agent, SIGTERM));
        ASSERT_EQ(waitpid(c->agent, &status, 0), c->agent);
        ASSERT_EQ(status, 0);
        ASSERT_EQ(access(c->socket_path, F_OK), -1);
        agent_client_remove_cgroups(cgroup);
        ASSERT_OK(rm_rf(c->dir));
}

int agent_client_try(AgentClient *c, const char *method, const ProtobufCMessage *m)
{
        return agent_client_try_service(c, AGENT_SERVICE, method, m);
}

void agent_client_send(AgentClient *c, const char *service, const char *method, const ProtobufCMessage *m)
{
        _cleanup_free_ uint8_t *frame = NULL;
        size_t n;

        ASSERT_OK(ttrpc_build_request(c->next_id, service, method, m, 0, &frame, &n));
        ASSERT_OK(write_full(c->fd, frame, n));
}

int agent_client_answer(AgentClient *c)
{
        _cleanup_free_ uint8_t *payload = NULL;
        uint8_t header[TTRPC_HEADER_SIZE];
        Ttrpc__Response *response;
        TtrpcHeader h;
        PbArena arena;
        int code = 0;

        ASSERT_OK(read_full(c->fd, header, sizeof(header)));
        h = ttrpc_header_decode(header);
        ASSERT_EQ(h.stream_id, c->next_id);
        c->next_id += 2;
        payload = ASSERT_NOT_NULL(malloc(h.length + 1U));
        ASSERT_OK(read_full(c->fd, payload, h.length));

        pb_arena_init(&arena, 0);
        ASSERT_OK(pb_unpack(&ttrpc__response__descriptor, &arena, payload, h.length, &response));
        c->text[0] = '\0';
        if (response->status) {
                code = response->status->code;
                snprintf(c->text, sizeof(c->text), "%s", response->status->message);
        }
        c->reply_size = response->payload.len;
        ASSERT_TRUE(c->reply_size <= sizeof(c->reply));
        if (c->reply_size > 0)
                memcpy(c->reply, response->payload.data, c->reply_size);
        pb_arena_done(&arena);
        return code;
}

int agent_client_try_service(AgentClient *c, const char *service, const char *method,
                             const ProtobufCMessage *m)
{
        agent_client_send(c, service, method, m);
        return agent_client_answer(c);
}

void agent_client_call(AgentClient *c, const char *method, const ProtobufCMessage *m)
{
        int code = agent_client_try(c, method, m);

        if (code != 0)
                TEST_FAIL("%s: %s: %s", method, ttrpc_code_to_string(code), c->text);
}

static void fill_process(Grpc__Process *process, char *args[static 3], const char *script)
{
        *process = (Grpc__Process) GRPC__PROCESS__INIT;
        args[0] = S("/bin/sh");
        args[1] = S("-c");
        args[2] = S(script);
        process->args = args;
        process->n_args = 3;
        process->cwd = S("/");
}

void agent_client_run(AgentClient *c, const char *id, const char *script)
{
        static const char *const types[] = { "pid", "mount", "ipc", "uts", "cgroup" };
        Grpc__CreateContainerRequest q = GRPC__CREATE_CONTAINER_REQUEST__INIT;
        Grpc__StartContainerRequest start = GRPC__START_CONTAINER_REQUEST__INIT;
        Grpc__Spec spec = GRPC__SPEC__INIT;
        Grpc__Linux linux_part = GRPC__LINUX__INIT;
        Grpc__Root root_part = GRPC__ROOT__INIT;
        Grpc__Mount proc = GRPC__MOUNT__INIT, bind = GRPC__MOUNT__INIT, *mounts[] = { &proc, &bind };
        char *options[] = { S("rbind"), S("ro") };
        Grpc__LinuxNamespace ns[ELEMENTSOF(types)], *list[ELEMENTSOF(types)];
        Grpc__Process process;
        char *args[3], root[80];

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                ns[i] = (Grpc__LinuxNamespace) GRPC__LINUX_NAMESPACE__INIT;
                ns[i].type = S(types[i]);
                list[i] = &ns[i];
        }
        linux_part.namespaces = list;
        linux_part.n_namespaces = ELEMENTSOF(types);
        fill_process(&process, args, script);
        snprintf(root, sizeof(root), "%s/rootfs", c->dir);
        root_part.path = root;
        proc.source = proc.type = S("proc");
        proc.destination = S("/proc");
        bind.type = S("bind");
        bind.source = root;
        bind.destination = S("/same");
        bind.options = options;
        bind.n_options = ELEMENTSOF(options);
        spec.process = &process;
        spec.root = &root_part;
        spec.linux = &linux_part;
        spec.mounts = mounts;
        spec.n_mounts = ELEMENTSOF(mounts);
        q.container_id = start.container_id = S(id);
        q.oci = &spec;
        q.sandbox_pidns = c->sandbox_pidns;
        agent_client_call(c, "CreateContainer", &q.base);
        agent_client_call(c, "StartContainer", &start.base);
}

void agent_client_exec(AgentClient *c, const char *id, const char *exec_id, const char *script)
{
        Grpc__ExecProcessRequest q = GRPC__EXEC_PROCESS_REQUEST__INIT;
        Grpc__Process process;
        char *args[3];

        fill_process(&process, args, script);
        q.container_id = S(id);
        q.exec_id = S(exec_id);
        q.process = &process;
        agent_client_call(c, "ExecProcess", &q.base);
}

int agent_client_wait(AgentClient *c, const char *id, const char *exec_id)
{
        Grpc__WaitProcessRequest q = GRPC__WAIT_PROCESS_REQUEST__INIT;
        Grpc__WaitProcessResponse *response;
        PbArena arena;
        int status;

        q.container_id = S(id);
        q.exec_id = S(exec_id);
        agent_client_call(c, "WaitProcess", &q.base);
        pb_arena_init(&arena, 0);
        ASSERT_OK(pb_unpack(&grpc__wait_process_response__descriptor, &arena, c->reply, c->reply_size,
                            &response));
        status = response->status;
        pb_arena_done(&arena);
        return status;
}

void agent_client_remove(AgentClient *c, const char *id)
{
        Grpc__RemoveContainerRequest q = GRPC__REMOVE_CONTAINER_REQUEST__INIT;

        q.container_id = S(id);
        agent_client_call(c, "RemoveContainer", &q.base);
}
