/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of user namespaces in configurations. No root. */

#include <sched.h>

#include "agent/container-plan.h"
#include "basic/test.h"

#define S(s) ((char *) (s))

/* The smallest configuration with a user namespace. */
typedef struct UserConfig {
        Grpc__Spec spec;
        Grpc__Process process;
        Grpc__Root root;
        Grpc__Linux l;
        Grpc__User user;
        Grpc__LinuxDevice device, *devices[1];
        Grpc__LinuxNamespace ns[3], *namespaces[3];
        Grpc__LinuxIDMapping map[2], *maps[2];
        char *args[1];
} UserConfig;

static void user_config_init(UserConfig *u)
{
        static const char *const types[] = { "mount", "user", "pid" };

        memset(u, 0, sizeof(*u));
        u->spec = (Grpc__Spec) GRPC__SPEC__INIT;
        u->process = (Grpc__Process) GRPC__PROCESS__INIT;
        u->root = (Grpc__Root) GRPC__ROOT__INIT;
        u->l = (Grpc__Linux) GRPC__LINUX__INIT;
        u->user = (Grpc__User) GRPC__USER__INIT;
        u->device = (Grpc__LinuxDevice) GRPC__LINUX_DEVICE__INIT;
        u->devices[0] = &u->device;
        u->spec.process = &u->process;
        u->spec.root = &u->root;
        u->spec.linux = &u->l;
        u->root.path = S("/run/x/rootfs");
        u->process.args = u->args;
        u->process.n_args = 1;
        u->process.cwd = S("/");
        u->process.user = &u->user;
        u->args[0] = S("true");
        u->l.devices = u->devices;
        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                u->ns[i] = (Grpc__LinuxNamespace) GRPC__LINUX_NAMESPACE__INIT;
                u->ns[i].type = S(types[i]);
                u->namespaces[i] = &u->ns[i];
        }
        u->l.namespaces = u->namespaces;
        u->l.n_namespaces = 3;
        for (size_t i = 0; i < 2; i++) {
                u->map[i] = (Grpc__LinuxIDMapping) GRPC__LINUX_IDMAPPING__INIT;
                u->maps[i] = &u->map[i];
        }
        u->map[0].hostid = 100000;
        u->map[0].size = 65536;
        u->l.uidmappings = u->l.gidmappings = u->maps;
        u->l.n_uidmappings = u->l.n_gidmappings = 1;
}

static int plan_of(UserConfig *u, ContainerPlan **ret, char **message)
{
        return container_plan_new(ret, "c-1", &u->spec, message);
}

#define ASSERT_REFUSED(u, error, text)                                                             \
        ({                                                                                         \
                _cleanup_(container_plan_freep) ContainerPlan *_plan_ = NULL;                      \
                _cleanup_free_ char *_m_ = NULL;                                                   \
                ASSERT_ERROR(plan_of(u, &_plan_, &_m_), error);                                    \
                ASSERT_CONTAINS(_m_, text);                                                        \
        })

TEST(user_namespace)
{
        _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;
        _cleanup_free_ char *text = NULL;
        Grpc__StringEntry entry = GRPC__STRING_ENTRY__INIT, *sysctl[] = { &entry };
        uint32_t groups[] = { 70000 }, id;
        UserConfig u;

        user_config_init(&u);
        u.map[1].containerid = 65536;
        u.map[1].hostid = 5;
        u.map[1].size = 1;
        u.l.n_uidmappings = 2;
        u.user.uid = 65536;
        ASSERT_OK(plan_of(&u, &plan, NULL));
        ASSERT_EQ(plan->namespaces, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUSER);
        ASSERT_OK(id_map_format(&plan->uid_map, &text));
        ASSERT_STREQ(text, "0 100000 65536\n65536 5 1\n");
        ASSERT_OK(id_map_outside(&plan->uid_map, 65535, &id));
        ASSERT_EQ(id, 165535);
        ASSERT_OK(id_map_outside(&plan->uid_map, 65536, &id));
        ASSERT_EQ(id, 5);
        ASSERT_ERROR(id_map_outside(&plan->gid_map, 65536, &id), ENOENT);

        /* Who runs in it must exist in it, and root as well. */
        user_config_init(&u);
        u.user.gid = 65536;
        ASSERT_REFUSED(&u, EINVAL, "group 65536 has no mapping");
        u.user.gid = 0;
        u.user.additionalgids = groups;
        u.user.n_additionalgids = 1;
        ASSERT_REFUSED(&u, EINVAL, "group 70000 has no mapping");
        user_config_init(&u);
        u.map[0].containerid = 1;
        ASSERT_REFUSED(&u, EINVAL, "user 0 has no mapping");
        user_config_init(&u);
        u.l.n_uidmappings = 0;
        ASSERT_REFUSED(&u, EINVAL, "user 0 has no mapping");

        /* Ranges. */
        user_config_init(&u);
        u.map[0].size = 0;
        ASSERT_REFUSED(&u, EINVAL, "bad range");
        u.map[0].size = UINT32_MAX;
        ASSERT_REFUSED(&u, EINVAL, "bad range");
        user_config_init(&u);
        u.map[1] = u.map[0];
        u.map[1].containerid = 65536;
        u.map[1].size = 1;
        u.l.n_gidmappings = 2;
        ASSERT_REFUSED(&u, EINVAL, "gidMappings: ranges overlap");

        /* Without the namespace, and what does not go with it. */
        user_config_init(&u);
        u.ns[1].type = S("ipc");
        ASSERT_REFUSED(&u, EINVAL, "without a user namespace");
        user_config_init(&u);
        u.l.n_namespaces = 2;
        ASSERT_REFUSED(&u, EOPNOTSUPP, "without a pid namespace");
        user_config_init(&u);
        u.l.n_devices = 1;
        u.device.path = S("/dev/fuse");
        u.device.type = S("c");
        u.device.major = 10;
        u.device.minor = 229;
        ASSERT_REFUSED(&u, EOPNOTSUPP, "device '/dev/fuse' together with a user namespace");
        /* A default device as it is, is fine; with another owner it is not. */
        u.device.path = S("/dev/null");
        u.device.major = 1;
        u.device.minor = 3;
        plan = container_plan_free(plan);
        ASSERT_OK(plan_of(&u, &plan, NULL));
        u.device.uid = 5;
        ASSERT_REFUSED(&u, EOPNOTSUPP, "device '/dev/null' together with a user namespace");
        user_config_init(&u);
        entry.key = S("net.ipv4.ip_forward");
        entry.value = S("1");
        u.l.sysctl = sysctl;
        u.l.n_sysctl = 1;
        ASSERT_REFUSED(&u, EPERM, "network namespace of the container's own");
        user_config_init(&u);
        u.ns[1].path = S("/proc/1/ns/user");
        ASSERT_REFUSED(&u, EOPNOTSUPP, "joining a namespace of type 'user'");
}

DEFINE_TEST_MAIN
