/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kata-agent --listen on this machine, by a client at its socket: usage test-host-mode-live [KATA-AGENT]. As an
 * ordinary user what needs no privilege; as root, with cgroup v2 and busybox-static, a container as well.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/test-agent-client.h"
#include "basic/fd.h"
#include "proto/health.pb-c.h"

#define S(text) ((char *) (uintptr_t) (text))

static const char *program;
static AgentClient client;

static int end_of(pid_t pid)
{
        int status;

        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        ASSERT_TRUE(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static int create_sandbox(bool with_pid)
{
        Grpc__CreateSandboxRequest q = GRPC__CREATE_SANDBOX_REQUEST__INIT;

        q.sandbox_id = S("sb");
        q.sandbox_pidns = with_pid;
        if (with_pid)
                q.hostname = S("pod");
        return agent_client_try(&client, "CreateSandbox", &q.base);
}

static void check_addresses(const char *errors)
{
        static const char *const bad[] = { "unix:relative", "unix:@abstract", "unix://@abstract", "vsock://-1:1024",
                                           "unix:/run/kata-containers/x" };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ASSERT_EQ(end_of(agent_client_spawn(program, bad[i], errors)), EXIT_FAILURE);
}

/* With requests that say nothing: it is not looked at what they say. */
static void check_refused(const char *const *methods, size_t n)
{
        Grpc__CheckRequest empty = GRPC__CHECK_REQUEST__INIT;

        for (size_t i = 0; i < n; i++) {
                ASSERT_EQ(agent_client_try(&client, methods[i], &empty.base), TTRPC_FAILED_PRECONDITION);
                ASSERT_TRUE(startswith(client.text, methods[i]));
                ASSERT_CONTAINS(client.text, "of a machine that is not this agent's own");
        }
}

static void check_server(void)
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

        ASSERT_OK(stat(client.socket_path, &st));
        ASSERT_EQ(st.st_mode & 0777, 0600);
        ASSERT_EQ(agent_client_try_service(&client, "grpc.Health", "Check", &check.base), 0);
        check_refused(always, ELEMENTSOF(always));
        if (geteuid() != 0)
                check_refused(without_root, ELEMENTSOF(without_root));
}

static void without_privileges(void)
{
        Grpc__CreateContainerRequest q = GRPC__CREATE_CONTAINER_REQUEST__INIT;

        /* It would have a host name. */
        ASSERT_EQ(create_sandbox(true), TTRPC_FAILED_PRECONDITION);
        ASSERT_CONTAINS(client.text, "host name");
        ASSERT_EQ(create_sandbox(false), 0);
        q.container_id = S("c1");
        ASSERT_EQ(agent_client_try(&client, "CreateContainer", &q.base), TTRPC_PERMISSION_DENIED);
        ASSERT_CONTAINS(client.text, "root");
}

/* Files, mounts, interfaces: in namespaces of the agent's own. */
static void stays_inside(void)
{
        static const char file[] = "/run/kata-containers/shared/containers/host-mode-test";
        Grpc__CreateSandboxRequest create = GRPC__CREATE_SANDBOX_REQUEST__INIT;
        Grpc__KernelModule module = GRPC__KERNEL_MODULE__INIT, *modules[] = { &module };
        Grpc__ListInterfacesRequest list = GRPC__LIST_INTERFACES_REQUEST__INIT;
        Grpc__CopyFileRequest copy = GRPC__COPY_FILE_REQUEST__INIT;

        module.name = S("loop");
        create.kernel_modules = modules;
        create.n_kernel_modules = 1;
        ASSERT_EQ(agent_client_try(&client, "CreateSandbox", &create.base), TTRPC_FAILED_PRECONDITION);
        ASSERT_CONTAINS(client.text, "kernel modules");

        copy.path = S(file);
        copy.file_size = 1;
        copy.file_mode = S_IFREG | 0644;
        copy.dir_mode = 0755;
        copy.uid = copy.gid = -1;
        copy.data.data = (uint8_t *) S("x");
        copy.data.len = 1;
        if (agent_client_try(&client, "CopyFile", &copy.base) != 0)
                TEST_FAIL("CopyFile: %s", client.text);
        ASSERT_EQ(access(file, F_OK), -1);

        /* Interfaces { Interfaces 1 { ... name 2 "lo" ... } }, once: the loopback alone. */
        ASSERT_EQ(agent_client_try(&client, "ListInterfaces", &list.base), 0);
        ASSERT_TRUE(client.reply_size > 2 && client.reply[0] == 0x0a && client.reply[1] < 0x80);
        ASSERT_EQ(client.reply_size, 2U + client.reply[1]);
        ASSERT_NOT_NULL(memmem(client.reply, client.reply_size, "\x12\x02lo", 4));
}

static void with_container(void)
{
        Grpc__ReadStreamRequest out = GRPC__READ_STREAM_REQUEST__INIT;
        char path[64], link[128] = {}, before[65], after[65];
        _cleanup_close_ int exe_fd = -EBADF;
        struct stat st;

        ASSERT_OK(gethostname(before, sizeof(before)));
        agent_client_make_rootfs(&client);
        if (create_sandbox(true) != 0)
                TEST_FAIL("CreateSandbox: %s", client.text);
        client.sandbox_pidns = true;
        agent_client_run(&client, "host-mode-test", "sleep 1000");

        agent_client_exec(&client, "host-mode-test", "e1", "hostname; cat /proc/1/comm; exit 7");
        ASSERT_EQ(agent_client_wait(&client, "host-mode-test", "e1"), 7);
        out.container_id = S("host-mode-test");
        out.exec_id = S("e1");
        out.len = 100;
        ASSERT_EQ(agent_client_try(&client, "ReadStdout", &out.base), 0);
        ASSERT_EQ(client.reply_size, 2 + strlen("pod\nsandbox-ns\n"));
        ASSERT_EQ(memcmp(client.reply + 2, "pod\nsandbox-ns\n", client.reply_size - 2), 0);

        /* CVE-2019-5736: there is no file that a container could write to. */
        snprintf(path, sizeof(path), "/proc/%d/exe", (int) client.agent);
        ASSERT_TRUE(readlink(path, link, sizeof(link) - 1) > 0);
        ASSERT_CONTAINS(link, "memfd:kata-agent");
        exe_fd = ASSERT_OK(open(path, O_RDONLY | O_CLOEXEC));
        ASSERT_TRUE(fcntl(exe_fd, F_GET_SEALS) & F_SEAL_WRITE);
        /* CVE-2024-25621: what the agent keeps is nobody else's to look into. */
        snprintf(path, sizeof(path), "/proc/%d/root/run/kata-containers", (int) client.agent);
        ASSERT_OK(stat(path, &st));
        ASSERT_EQ(st.st_mode, S_IFDIR | 0700);
        ASSERT_EQ(st.st_uid, 0);
        ASSERT_OK(gethostname(after, sizeof(after)));
        ASSERT_STREQ(after, before);
}

int main(int argc, char *argv[])
{
        Grpc__DestroySandboxRequest destroy = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
        bool root = geteuid() == 0 && access(BUSYBOX, X_OK) >= 0;
        char address[96], errors[80], cgroup[256] = {};
        pid_t second;

        program = argc > 1 ? argv[1] : "/usr/bin/kata-agent";
        /* For root the agent wants a place for containers. */
        if (geteuid() == 0 && !agent_client_cgroup_mount()) {
                fprintf(stderr, "skipped: needs a cgroup v2 mount\n");
                return 77;
        }
        agent_client_init(&client);
        snprintf(address, sizeof(address), "unix:%s", client.socket_path);
        snprintf(errors, sizeof(errors), "%s/errors", client.dir);

        check_addresses(errors);
        client.agent = agent_client_spawn(program, address, errors);
        client.fd = agent_client_connect(&client);
        if (geteuid() == 0)
                agent_client_cgroup(&client, cgroup, sizeof(cgroup));
        check_server();
        /* A second one does not take its place. */
        second = agent_client_spawn(program, address, "/dev/null");
        ASSERT_EQ(end_of(second), EXIT_FAILURE);

        if (geteuid() == 0)
                stays_inside();
        if (root)
                with_container();
        else if (geteuid() != 0)
                without_privileges();
        else
                fprintf(stderr, "no container: needs busybox-static\n");
        client.fd = safe_close(client.fd);

        ASSERT_OK(kill(client.agent, SIGTERM));
        ASSERT_EQ(end_of(client.agent), EXIT_SUCCESS);
        ASSERT_EQ(access(client.socket_path, F_OK), -1);

        /* What a killed one has left is no obstacle. */
        client.agent = agent_client_spawn(program, address, errors);
        safe_close(agent_client_connect(&client));
        ASSERT_OK(kill(client.agent, SIGKILL));
        (void) waitpid(client.agent, NULL, 0);
        ASSERT_OK(access(client.socket_path, F_OK));
        /* The end of the sandbox is that of the agent and of nothing else. */
        client.agent = agent_client_spawn(program, address, errors);
        client.fd = agent_client_connect(&client);
        ASSERT_EQ(agent_client_try(&client, "DestroySandbox", &destroy.base), 0);
        client.fd = safe_close(client.fd);
        ASSERT_EQ(end_of(client.agent), EXIT_SUCCESS);
        if (*cgroup)
                agent_client_remove_cgroups(cgroup);
        ASSERT_OK(rm_rf(client.dir));
        return EXIT_SUCCESS;
}
