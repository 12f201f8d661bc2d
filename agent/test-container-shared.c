/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of terminals and of what containers of one sandbox share. */

#include <sched.h>

#include "agent/container-plan.h"
#include "basic/test.h"

#define S(text) ((char *) (uintptr_t) (text))

typedef struct Config {
        Grpc__Spec spec;
        Grpc__Process process;
        Grpc__Root root;
        Grpc__Linux l;
        Grpc__LinuxNamespace ns[4], *namespaces[4];
        char *args[1];
} Config;

static void config_init(Config *c)
{
        memset(c, 0, sizeof(*c));
        c->spec = (Grpc__Spec) GRPC__SPEC__INIT;
        c->process = (Grpc__Process) GRPC__PROCESS__INIT;
        c->root = (Grpc__Root) GRPC__ROOT__INIT;
        c->l = (Grpc__Linux) GRPC__LINUX__INIT;
        for (size_t i = 0; i < ELEMENTSOF(c->ns); i++) {
                c->ns[i] = (Grpc__LinuxNamespace) GRPC__LINUX_NAMESPACE__INIT;
                c->namespaces[i] = &c->ns[i];
        }
        c->ns[0].type = S("mount");
        c->spec.process = &c->process;
        c->spec.root = &c->root;
        c->spec.linux = &c->l;
        c->root.path = S("/run/x/rootfs");
        c->process.args = c->args;
        c->process.n_args = 1;
        c->process.cwd = S("/");
        c->args[0] = S("true");
        c->l.namespaces = c->namespaces;
        c->l.n_namespaces = 1;
}

static int plan_of(Config *c, ContainerPlan **ret, char **message)
{
        return container_plan_new(ret, "c-1", &c->spec, message);
}

TEST(terminal)
{
        _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;
        _cleanup_free_ char *message = NULL;
        Grpc__Box size = GRPC__BOX__INIT;
        Config c;

        config_init(&c);
        size.height = 50;
        size.width = UINT16_MAX + 1;
        c.process.consolesize = &size;
        /* Of no use without a terminal. */
        ASSERT_OK(plan_of(&c, &plan, NULL));
        ASSERT_FALSE(plan->process.terminal);
        ASSERT_EQ(plan->process.rows, 0);
        plan = container_plan_free(plan);

        c.process.terminal = true;
        ASSERT_ERROR(plan_of(&c, &plan, &message), ERANGE);
        ASSERT_CONTAINS(message, "consoleSize");
        size.width = 132;
        ASSERT_OK(plan_of(&c, &plan, NULL));
        ASSERT_TRUE(plan->process.terminal);
        ASSERT_EQ(plan->process.rows, 50);
        ASSERT_EQ(plan->process.columns, 132);
}

TEST(namespaces_of_the_sandbox)
{
        const uint64_t offered = CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
        _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;
        Grpc__StringEntry entry = GRPC__STRING_ENTRY__INIT, *entries[] = { &entry };
        static const char *const types[] = { "mount", "pid", "ipc", "uts" };
        Config c;

        config_init(&c);
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                c.ns[i].type = S(types[i]);
        c.l.n_namespaces = 4;

        ASSERT_OK(plan_of(&c, &plan, NULL));
        container_plan_share(plan, 0, NULL);
        ASSERT_EQ(plan->joined, 0);
        ASSERT_EQ(plan->namespaces, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS);
        container_plan_share(plan, offered, "pod");
        ASSERT_EQ(plan->joined, offered);
        ASSERT_EQ(plan->namespaces, CLONE_NEWNS);
        plan = container_plan_free(plan);

        /* A host name of its own keeps its uts namespace, the sandbox's does not. */
        c.spec.hostname = S("own");
        ASSERT_OK(plan_of(&c, &plan, NULL));
        container_plan_share(plan, offered, "pod");
        ASSERT_EQ(plan->joined, CLONE_NEWPID | CLONE_NEWIPC);
        ASSERT_STREQ(plan->hostname, "own");
        plan = container_plan_free(plan);
        ASSERT_OK(plan_of(&c, &plan, NULL));
        container_plan_share(plan, offered, "own");
        ASSERT_EQ(plan->joined, offered);
        ASSERT_NULL(plan->hostname);
        plan = container_plan_free(plan);

        /* So does a sysctl for the ipc namespace. */
        entry.key = S("kernel.shmmni");
        entry.value = S("100");
        c.l.sysctl = entries;
        c.l.n_sysctl = 1;
        ASSERT_OK(plan_of(&c, &plan, NULL));
        container_plan_share(plan, CLONE_NEWIPC, NULL);
        ASSERT_EQ(plan->joined, 0);
        plan = container_plan_free(plan);

        /* None is asked for: ipc and uts stay those of the machine, pid is the sandbox's decision. */
        config_init(&c);
        ASSERT_OK(plan_of(&c, &plan, NULL));
        container_plan_share(plan, offered, NULL);
        ASSERT_EQ(plan->joined, CLONE_NEWPID);
}

DEFINE_TEST_MAIN
