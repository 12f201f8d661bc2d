/* SPDX-License-Identifier: Apache-2.0 */
/* Real containers: a mount of one of them that another one sees, see shared-mounts.h. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/shared-mounts.h"
#include "agent/test-container-live.h"
#include "agent/worker.h"
#include "basic/fd.h"

#define S(s) ((char *) (s))

typedef struct Job {
        SharedMounts mounts;
        bool done;
        int error;
        char message[500];
} Job;

static int work(void *userdata, char **reterr_message)
{
        const Job *job = userdata;
        const int fds[] = { WORKER_KEPT_FD, WORKER_KEPT_FD + 1, WORKER_KEPT_FD + 2, WORKER_KEPT_FD + 3 };

        return shared_mounts_make(&job->mounts, fds, 200 * USEC_PER_MSEC, reterr_message);
}

static void on_done(int error, const char *message, void *userdata)
{
        Job *job = userdata;

        job->done = true;
        job->error = error;
        snprintf(job->message, sizeof(job->message), "%s", strempty(message));
}

/* What the agent does for one shared mount. */
static void share(Job *job, Run *source, Run *target, const char *source_path, const char *target_path)
{
        Grpc__SharedMount m = GRPC__SHARED_MOUNT__INIT, *list[] = { &m };
        ContainerJoin from, to;

        *job = (Job) {};
        m.name = S("m");
        m.src_ctr = S("source");
        m.src_path = S(source_path);
        m.dst_path = S(target_path);
        ASSERT_OK(shared_mounts_parse(&job->mounts, "target", NULL, list, 1, NULL));
        ASSERT_OK(container_get_join(source->container, &from, NULL));
        ASSERT_OK(container_get_join(target->container, &to, NULL));
        ASSERT_OK(worker_start_keeping(NULL, target->loop, work, job,
                                       (const int[]) { to.init_fd, to.root_fd, from.init_fd, from.root_fd }, 4,
                                       20 * USEC_PER_SEC, on_done, job));
        run_until(target, &job->done);
        shared_mounts_done(&job->mounts);
}

static void start_source(Run *source, bool user)
{
        static char *options[] = { S("mode=755") };
        usec_t end = now_usec() + 20 * USEC_PER_SEC;

        if (user)
                run_init_user(source, "echo hello >/made/file; ln -s /made /made/link; echo up; exec sleep 1000");
        else
                run_init(source, "echo hello >/made/file; ln -s /made /made/link; echo up; exec sleep 1000");
        source->linux_part.cgroupspath = S("/pod/live-source");
        add_mount(source, "/made", "tmpfs", "tmpfs", options, ELEMENTSOF(options));
        add_mount(source, "/made/sub", "tmpfs", "tmpfs", options, ELEMENTSOF(options));
        ASSERT_OK(run_create(source));
        while (!strstr(source->output, "up\n") && now_usec() < end)
                ASSERT_OK(loop_run_once(source->loop, 100));
        ASSERT_CONTAINS(source->output, "up\n");
}

TEST(mounts_of_other_containers)
{
        static Run source, target;
        char path[256];
        Job job;

        ASSERT_OK(mkdir_p(host_path(path, sizeof(path), "rootfs/made"), 0755));
        host_path(path, sizeof(path), "rootfs/leads");
        ASSERT_OK(symlink("/tmp", path));
        /* The second time the source's root is nobody to the other container. */
        for (unsigned i = 0; i < 2; i++) {
                start_source(&source, i == 1);
                run_init(&target, "cat /mnt/new/file; grep -c ' /mnt/new' /proc/self/mountinfo; ls /mnt");
                target.hold = true;
                ASSERT_OK(run_create(&target));
                run_until(&target, &target.created);

                share(&job, &source, &target, "/made", "/mnt/new");
                if (job.error < 0)
                        TEST_FAIL("%s", job.message);
                share(&job, &source, &target, "/no/such", "/mnt/x");
                ASSERT_EQ(job.error, -ENOENT);
                ASSERT_STREQ(job.message, "shared mount 'm': '/no/such' of container 'source' is no mount point");
                share(&job, &source, &target, "/bin", "/mnt/x");
                ASSERT_CONTAINS(job.message, "'/bin' of container 'source' is no mount point");
                share(&job, &source, &target, "/made/link", "/mnt/x");
                ASSERT_CONTAINS(job.message, "'/made/link' of container 'source': there is a symlink on the way");
                share(&job, &source, &target, "/made", "/leads/x");
                ASSERT_CONTAINS(job.message, "'/leads/x': there is a symlink on the way");

                ASSERT_OK(container_start(target.container, NULL));
                run_until(&target, &target.exited);
                while (target.output_fd >= 0)
                        ASSERT_OK(loop_run_once(target.loop, 100));
                ASSERT_CONTAINS(target.output, "hello\n2\nnew\n");
                run_done(&target);
                run_done(&source);
        }
        ASSERT_OK(unlink(path));
}
