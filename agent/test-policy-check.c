/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy makes of the requests of the agent protocol. */

#include "agent/policy-check.h"
#include "basic/test.h"
#include "proto/agent.pb-c.h"
#include "proto/extension.pb-c.h"
#include "proto/health.pb-c.h"

#define AGENT "grpc.AgentService"
#define S(text) ((char *) (uintptr_t) (text))

static Policy *policy;
static char *message;

static void set(const char *text)
{
        policy = policy_free(policy);
        ASSERT_OK(policy_parse(text, strlen(text), &policy, NULL));
}

static int check(const char *method, const ProtobufCMessage *input)
{
        message = mfree(message);
        return policy_check(policy, AGENT, method, input->descriptor, input, &message);
}

static void done(void)
{
        policy = policy_free(policy);
        message = mfree(message);
}

typedef struct Create {
        Grpc__CreateContainerRequest q;
        Grpc__Spec spec;
        Grpc__Process process;
        Grpc__Mount mount;
        Grpc__Mount *mounts[1];
        Grpc__Storage storage;
        Grpc__Storage *storages[1];
        Grpc__StringEntry annotation;
        Grpc__StringEntry *annotations[1];
        char *env[2];
} Create;

static void create_init(Create *c)
{
        c->q = (Grpc__CreateContainerRequest) GRPC__CREATE_CONTAINER_REQUEST__INIT;
        c->spec = (Grpc__Spec) GRPC__SPEC__INIT;
        c->process = (Grpc__Process) GRPC__PROCESS__INIT;
        c->mount = (Grpc__Mount) GRPC__MOUNT__INIT;
        c->storage = (Grpc__Storage) GRPC__STORAGE__INIT;
        c->annotation = (Grpc__StringEntry) GRPC__STRING_ENTRY__INIT;
        c->mounts[0] = &c->mount;
        c->storages[0] = &c->storage;
        c->annotations[0] = &c->annotation;
        c->env[0] = S("PATH=/bin");
        c->env[1] = S("SECRET=hunter2");
        c->process.env = c->env;
        c->process.n_env = 1;
        c->mount.type = S("tmpfs");
        c->mount.source = S("tmpfs");
        c->mount.destination = S("/tmp");
        c->spec.mounts = c->mounts;
        c->spec.n_mounts = 1;
        c->spec.process = &c->process;
        c->spec.annotations = c->annotations;
        c->q.oci = &c->spec;
        c->q.storages = c->storages;
        c->storage.driver = S("blk");
        c->storage.source = S("/dev/vdb");
        c->storage.mount_point = S("/run/kata-containers/x");
}

TEST(no_policy_and_health)
{
        Grpc__CheckRequest health = GRPC__CHECK_REQUEST__INIT;
        Grpc__SetPolicyRequest q = GRPC__SET_POLICY_REQUEST__INIT;

        ASSERT_EQ(check("SetPolicy", &q.base), 0);
        set("[Policy]\n");
        ASSERT_EQ(policy_check(policy, "grpc.Health", "Check", health.base.descriptor, &health, NULL), 0);
        ASSERT_EQ(check("SetPolicy", &q.base), -EACCES);
        ASSERT_STREQ(message, "the policy refuses the request 'SetPolicy' (Allow=)");
        done();
}

TEST(container)
{
        Create c;

        create_init(&c);
        set("[Policy]\nAllow=CreateContainer\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), 0);

        set("[Policy]\nAllow=CreateContainer\nEnvironment=PATH=*\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), 0);
        c.process.n_env = 2;
        ASSERT_EQ(check("CreateContainer", &c.q.base), -EACCES);
        ASSERT_CONTAINS(message, "'SECRET'");
        ASSERT_NULL(strstr(message, "hunter2"));
        c.process.n_env = 1;

        set("[Policy]\nAllow=CreateContainer\nMount=tmpfs * /run\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), -EACCES);
        ASSERT_CONTAINS(message, "mount on '/tmp' (Mount=)");
        c.mount.destination = S("/run");
        ASSERT_EQ(check("CreateContainer", &c.q.base), 0);

        c.q.n_storages = 1;
        set("[Policy]\nAllow=CreateContainer\nStorage=virtio-fs * *\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), -EACCES);
        ASSERT_CONTAINS(message, "'/run/kata-containers/x' (Storage=)");
        set("[Policy]\nAllow=CreateContainer\nStorage=blk /dev/vd? /run/kata-containers/*\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), 0);

        /* Without a specification nothing is in it; the method refuses it itself. */
        c.q.oci = NULL;
        ASSERT_EQ(check("CreateContainer", &c.q.base), 0);
        done();
}

TEST(mounts_of_other_containers)
{
        Grpc__SharedMount shared = GRPC__SHARED_MOUNT__INIT, *list[] = { &shared };
        Create c;

        create_init(&c);
        c.q.shared_mounts = list;
        c.q.n_shared_mounts = 1;
        shared.src_ctr = S("db");
        shared.src_path = S("/data/x");
        shared.dst_path = S("/mnt");
        set("[Policy]\nAllow=CreateContainer\nMount=tmpfs * *\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), -EACCES);
        ASSERT_CONTAINS(message, "shared mount on '/mnt' (Mount=)");
        set("[Policy]\nAllow=CreateContainer\nMount=tmpfs * *\nMount=shared db:/data/* /mnt\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), 0);
        shared.src_ctr = S("secrets");
        ASSERT_EQ(check("CreateContainer", &c.q.base), -EACCES);
        set("[Policy]\nAllow=CreateContainer\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), 0);
        done();
}

/* What an overlay shows counts like the source of a mount. */
TEST(layers)
{
        char *options[] = { S("lowerdir=/run/kata-containers/a:/usr"), S("index=on") };
        char *made[] = { S("io.katacontainers.volume.overlayfs.create_directory=/run/kata-containers/up") };
        Create c;

        create_init(&c);
        c.q.n_storages = 1;
        c.storage.driver = S("overlayfs");
        c.storage.source = S("none");
        c.storage.options = options;
        c.storage.n_options = 2;
        set("[Policy]\nAllow=CreateContainer\nStorage=overlayfs * *\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), 0);
        set("[Policy]\nAllow=CreateContainer\nStorage=overlayfs none *\n"
            "Storage=overlayfs /run/kata-containers/* *\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), -EACCES);
        ASSERT_CONTAINS(message, "the layer '/usr' (Storage=)");
        options[0] = S("lowerdir=/run/kata-containers/a:/run/kata-containers/b");
        ASSERT_EQ(check("CreateContainer", &c.q.base), 0);
        c.storage.driver_options = made;
        c.storage.n_driver_options = 1;
        ASSERT_EQ(check("CreateContainer", &c.q.base), 0);
        set("[Policy]\nAllow=CreateContainer\nStorage=overlayfs none *\n"
            "Storage=overlayfs /run/kata-containers/? *\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), -EACCES);
        ASSERT_CONTAINS(message, "'/run/kata-containers/up'");
        done();
}

TEST(kernel_modules)
{
        Grpc__CreateSandboxRequest q = GRPC__CREATE_SANDBOX_REQUEST__INIT;
        Grpc__KernelModule m = GRPC__KERNEL_MODULE__INIT, *modules[] = { &m };
        char *parameters[] = { S("max_loop=8"), S("quiet") };

        m.name = S("loop");
        m.parameters = parameters;
        m.n_parameters = 2;
        q.kernel_modules = modules;
        q.n_kernel_modules = 1;
        set("[Policy]\nAllow=CreateSandbox\n");
        ASSERT_EQ(check("CreateSandbox", &q.base), 0);
        set("[Policy]\nAllow=CreateSandbox\nKernelModule=loop\n");
        ASSERT_EQ(check("CreateSandbox", &q.base), -EACCES);
        ASSERT_CONTAINS(message, "kernel module 'loop max_loop=8 quiet' (KernelModule=)");
        set("[Policy]\nAllow=CreateSandbox\nKernelModule=xfs\nKernelModule=loop max_loop=? *\n");
        ASSERT_EQ(check("CreateSandbox", &q.base), 0);
        m.n_parameters = 0;
        ASSERT_EQ(check("CreateSandbox", &q.base), -EACCES);
        set("[Policy]\nAllow=CreateSandbox\nKernelModule=\n");
        ASSERT_EQ(check("CreateSandbox", &q.base), -EACCES);
        done();
}

/* The method of the extension that does the same is no way around it. */
TEST(container_with_an_extension)
{
        Kata__Systemd__V1__CreateContainerRequest extended = KATA__SYSTEMD__V1__CREATE_CONTAINER_REQUEST__INIT;
        Create c;

        create_init(&c);
        extended.request = &c.q;
        set("[Policy]\nAllow=CreateContainer\nMount=tmpfs * /run\n");
        ASSERT_EQ(check("CreateContainer", &extended.base), -EACCES);
        ASSERT_CONTAINS(message, "mount on '/tmp' (Mount=)");
        c.mount.destination = S("/run");
        ASSERT_EQ(check("CreateContainer", &extended.base), 0);
        set("[Policy]\nAllow=StartContainer\n");
        ASSERT_EQ(check("CreateContainer", &extended.base), -EACCES);
        extended.request = NULL;
        set("[Policy]\nAllow=CreateContainer\n");
        ASSERT_EQ(check("CreateContainer", &extended.base), 0);
        done();
}

TEST(bind_mounts_are_known_by_their_options)
{
        char *options[] = { S("ro"), S("rbind") };
        Create c;

        create_init(&c);
        c.mount.type = S("none");
        c.mount.source = S("/secret");
        c.mount.options = options;
        c.mount.n_options = 2;
        set("[Policy]\nAllow=*\nMount=none * *\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), -EACCES);
        set("[Policy]\nAllow=*\nMount=bind /secret /tmp\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), 0);
        done();
}

TEST(images)
{
        Create c;

        create_init(&c);
        set("[Policy]\nAllow=*\nImage=registry.example/*\n");
        ASSERT_EQ(check("CreateContainer", &c.q.base), -EACCES);
        ASSERT_CONTAINS(message, "does not name it");

        c.spec.n_annotations = 1;
        c.annotation.key = S("io.kubernetes.cri.image-name");
        c.annotation.value = S("registry.example/app:1");
        ASSERT_EQ(check("CreateContainer", &c.q.base), 0);
        c.annotation.key = S("io.kubernetes.cri-o.ImageName");
        c.annotation.value = S("elsewhere/app:1");
        ASSERT_EQ(check("CreateContainer", &c.q.base), -EACCES);
        ASSERT_CONTAINS(message, "image 'elsewhere/app:1' (Image=)");

        /* One permitted name does not excuse another one. */
        c.annotation.value = S("registry.example/app:1");
        c.q.n_storages = 1;
        c.storage.driver = S("image_guest_pull");
        c.storage.source = S("elsewhere/app:1");
        ASSERT_EQ(check("CreateContainer", &c.q.base), -EACCES);
        done();
}

TEST(streams_are_not_a_way_around)
{
        Create c;

        create_init(&c);
        set("[Policy]\nAllow=CreateContainer ReadStdout\n");
        c.q.stdout_port = 7;
        ASSERT_EQ(check("CreateContainer", &c.q.base), 0);
        c.q.stderr_port = 8;
        ASSERT_EQ(check("CreateContainer", &c.q.base), -EACCES);
        ASSERT_CONTAINS(message, "ReadStderr");
        done();
}

TEST(output_is_withheld)
{
        Grpc__ReadStreamRequest read = GRPC__READ_STREAM_REQUEST__INIT;
        Grpc__WriteStreamRequest write = GRPC__WRITE_STREAM_REQUEST__INIT;

        set("[Policy]\nAllow=ReadStderr\n");
        ASSERT_EQ(check("ReadStderr", &read.base), 0);
        ASSERT_EQ(check("ReadStdout", &read.base), 1);
        ASSERT_NULL(message);
        ASSERT_EQ(check("WriteStdin", &write.base), -EACCES);
        done();
}

TEST(exec_and_sandbox)
{
        Kata__Systemd__V1__ExecProcessRequest extended = KATA__SYSTEMD__V1__EXEC_PROCESS_REQUEST__INIT;
        Grpc__ExecProcessRequest exec = GRPC__EXEC_PROCESS_REQUEST__INIT;
        Grpc__CreateSandboxRequest sandbox = GRPC__CREATE_SANDBOX_REQUEST__INIT;
        Grpc__UpdateEphemeralMountsRequest mounts = GRPC__UPDATE_EPHEMERAL_MOUNTS_REQUEST__INIT;
        Create c;

        create_init(&c);
        exec.process = &c.process;
        sandbox.storages = mounts.storages = c.storages;
        sandbox.n_storages = mounts.n_storages = 1;
        set("[Policy]\nAllow=*\nEnvironment=HOME=*\nStorage=virtio-fs * *\n");
        ASSERT_EQ(check("ExecProcess", &exec.base), -EACCES);
        ASSERT_CONTAINS(message, "'PATH'");
        extended.request = &exec;
        ASSERT_EQ(check("ExecProcess", &extended.base), -EACCES);
        ASSERT_CONTAINS(message, "'PATH'");
        extended.request = NULL;
        ASSERT_EQ(check("ExecProcess", &extended.base), 0);
        exec.process = NULL;
        ASSERT_EQ(check("ExecProcess", &exec.base), 0);
        exec.stdin_port = 3;
        ASSERT_EQ(check("ExecProcess", &exec.base), 0);
        ASSERT_EQ(check("CreateSandbox", &sandbox.base), -EACCES);
        ASSERT_EQ(check("UpdateEphemeralMounts", &mounts.base), -EACCES);
        c.storage.driver = S("virtio-fs");
        ASSERT_EQ(check("CreateSandbox", &sandbox.base), 0);
        done();
}

DEFINE_TEST_MAIN
