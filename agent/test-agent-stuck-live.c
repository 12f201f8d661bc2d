/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container whose process is in the kernel and can not be killed, because a file system does not answer it: what is
 * asked about the container is answered or ends with its deadline, and all others live on as if it was not there.
 *
 *      test-agent-stuck-live [KATA-AGENT]
 *
 * The file system is FUSE, served by this program up to the point where it keeps silent. A request that the server has
 * taken is waited for uninterruptibly (fs/fuse/dev.c, request_wait_answer()). Needs root, cgroup v2, busybox-static
 * and /dev/fuse, else it skips itself with 77 and says so.
 */

#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/test-agent-client.h"
#include "basic/fd.h"
#include "basic/parse.h"
#include "proto/extension.pb-c.h"

#define FUSE_DEVICE "/dev/fuse"
#define STUCK_WAIT_USEC 20000U
#define STUCK_WAITS 500U

static AgentClient client, patient;

/* What a request of the file system begins with; the rest of it is of no interest. */
static uint32_t next_request(int fuse, uint64_t *ret_unique)
{
        /* The kernel asks for as much room as a write could take (FUSE_MIN_READ_BUFFER). */
        static uint8_t buffer[FUSE_MIN_READ_BUFFER * 32];
        struct fuse_in_header header;

        ASSERT_TRUE(read(fuse, buffer, sizeof(buffer)) >= (ssize_t) sizeof(header));
        memcpy(&header, buffer, sizeof(header));
        *ret_unique = header.unique;
        return header.opcode;
}

/* Mounted in the root directory of all containers, as "/silent". */
static int mount_silent(const AgentClient *c, char *path, size_t n)
{
        struct {
                struct fuse_out_header header;
                struct fuse_init_out init;
        } answer = {
                .header.len = sizeof(answer),
                .init = { .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
                          .max_write = 4096, .max_background = 1, .congestion_threshold = 1 },
        };
        int fuse = ASSERT_OK(open(FUSE_DEVICE, O_RDWR | O_CLOEXEC));
        char options[96];

        snprintf(path, n, "%s/rootfs/silent", c->dir);
        ASSERT_OK(mkdir_p(path, 0755));
        snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
        ASSERT_OK(mount("silent", path, "fuse", MS_NOSUID | MS_NODEV, options));
        ASSERT_EQ(next_request(fuse, &answer.header.unique), (uint32_t) FUSE_INIT);
        ASSERT_EQ(write(fuse, &answer, sizeof(answer)), (ssize_t) sizeof(answer));
        return fuse;
}

static int wait_state(pid_t pid)
{
        _cleanup_free_ char *text = NULL;
        char path[48];

        snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        ASSERT_OK(read_file_at(AT_FDCWD, path, 4096, &text, NULL));
        return ASSERT_NOT_NULL(strrchr(text, ')'))[2];
}

/* Process 1 of the container, as the agent's extension tells; 0 if there is no such container. */
static pid_t pid_of(const char *id)
{
        Kata__Systemd__V1__ListContainersRequest q = KATA__SYSTEMD__V1__LIST_CONTAINERS_REQUEST__INIT;
        Kata__Systemd__V1__ListContainersResponse *response;
        PbArena arena;
        pid_t pid = 0;

        ASSERT_EQ(agent_client_try_service(&client, EXTENSION_SERVICE, "ListContainers", &q.base), 0);
        pb_arena_init(&arena, 0);
        ASSERT_OK(pb_unpack(&kata__systemd__v1__list_containers_response__descriptor, &arena, client.reply,
                            client.reply_size, &response));
        for (size_t i = 0; i < response->n_containers; i++)
                if (streq(response->containers[i]->container_id, id))
                        pid = (pid_t) response->containers[i]->pid;
        pb_arena_done(&arena);
        return pid;
}

static void signal_container(const char *id, const char *exec_id, int signal)
{
        Grpc__SignalProcessRequest q = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

        q.container_id = (char *) (uintptr_t) id;
        q.exec_id = (char *) (uintptr_t) exec_id;
        q.signal = (uint32_t) signal;
        agent_client_call(&client, "SignalProcess", &q.base);
}

/* Everything that another container can be asked for, while the first one hangs. */
static void others_live(const char *id)
{
        Grpc__StatsContainerRequest stats = GRPC__STATS_CONTAINER_REQUEST__INIT;

        agent_client_run(&client, id, "trap 'exit 7' TERM; while :; do sleep 0.02; done");
        agent_client_exec(&client, id, "e1", "exit 3");
        ASSERT_EQ(agent_client_wait(&client, id, "e1"), 3);
        agent_client_exec(&client, id, "e2", "sleep 100000");
        signal_container(id, "e2", SIGKILL);
        ASSERT_EQ(agent_client_wait(&client, id, "e2"), 128 + SIGKILL);
        stats.container_id = (char *) (uintptr_t) id;
        agent_client_call(&client, "StatsContainer", &stats.base);
        ASSERT_TRUE(pid_of(id) > 0);
        /* The handler may not be there yet; without one the agent makes it a SIGKILL. */
        usleep(200000);
        signal_container(id, "", SIGTERM);
        ASSERT_EQ(agent_client_wait(&client, id, ""), 7);
        agent_client_remove(&client, id);
}

int main(int argc, char *argv[])
{
        const char *program = argc > 1 ? argv[1] : "/usr/bin/kata-agent";
        Grpc__RemoveContainerRequest remove = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
        Grpc__StatsContainerRequest stats = GRPC__STATS_CONTAINER_REQUEST__INIT;
        Grpc__PauseContainerRequest pause = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
        const char *needs = agent_client_needs(program);
        uint64_t unique;
        char path[96];
        pid_t stuck;
        int fuse;

        if (!needs && access(FUSE_DEVICE, R_OK | W_OK) < 0)
                needs = FUSE_DEVICE;
        if (needs) {
                fprintf(stderr, "skipped: needs %s\n", needs);
                return 77;
        }

        agent_client_init(&client);
        agent_client_make_rootfs(&client);
        fuse = mount_silent(&client, path, sizeof(path));
        agent_client_serve(&client, program);
        patient = client;
        patient.fd = agent_client_connect(&client);
        patient.next_id = 1;

        agent_client_run(&client, "stuck", "exec cat /silent/file");
        stuck = pid_of("stuck");
        ASSERT_TRUE(stuck > 0);
        while (next_request(fuse, &unique) != FUSE_LOOKUP)
                ;

        /* It can not be frozen: the answer takes the agent's ten seconds. */
        pause.container_id = (char *) "stuck";
        agent_client_send(&patient, AGENT_SERVICE, "PauseContainer", &pause.base);
        others_live("beside-pause");
        ASSERT_TRUE(agent_client_answer(&patient) != 0);

        /* Nor killed; who asks is told so. */
        signal_container("stuck", "", SIGKILL);
        for (unsigned i = 0; wait_state(stuck) != 'D' && i < STUCK_WAITS; i++)
                usleep(STUCK_WAIT_USEC);
        ASSERT_EQ(wait_state(stuck), (int) 'D');
        remove.container_id = (char *) "stuck";
        remove.timeout = 2;
        agent_client_send(&patient, AGENT_SERVICE, "RemoveContainer", &remove.base);
        others_live("beside-remove");
        stats.container_id = (char *) "stuck";
        (void) agent_client_try(&client, "StatsContainer", &stats.base);
        ASSERT_TRUE(agent_client_answer(&patient) != 0);
        ASSERT_CONTAINS(patient.text, "timeout");
        ASSERT_EQ(wait_state(stuck), (int) 'D');
        others_live("behind-both");

        /* The file system goes, and with it what held the process. */
        fuse = safe_close(fuse);
        ASSERT_OK(umount2(path, MNT_DETACH));
        for (unsigned i = 0; pid_of("stuck") > 0 && i < STUCK_WAITS; i++)
                usleep(STUCK_WAIT_USEC);
        remove.timeout = 0;
        (void) agent_client_try(&client, "RemoveContainer", &remove.base);
        ASSERT_EQ(pid_of("stuck"), 0);
        ASSERT_OK(rmdir(path));
        patient.fd = safe_close(patient.fd);
        agent_client_stop(&client);
        return EXIT_SUCCESS;
}
