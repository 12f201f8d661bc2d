/* SPDX-License-Identifier: Apache-2.0 */
/* A packed OCI configuration: unpacked, checked, planned, its filters and the state for its hooks built.
 * Nothing is executed. */

#include <sched.h>

#include "agent/container-hooks.h"
#include "agent/container-plan.h"
#include "basic/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_hooks(const Grpc__Spec *spec)
{
        _cleanup_(hook_set_done) HookSet set = {};
        _cleanup_free_ char *message = NULL, *state = NULL;
        size_t n;

        if (hook_set_parse(&set, "fuzz", spec, "/guest", &message) < 0)
                return;

        for (HookKind kind = 0; kind < _HOOK_KIND_MAX; kind++)
                for (size_t i = 0; i < set.n[kind]; i++)
                        assert(set.hooks[kind][i].path[0] == '/' && set.hooks[kind][i].args.n > 0);
        assert(hook_set_state(&set, "running", 1, &state, &n) >= 0 && state[n - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(container_plan_freep) ContainerPlan *plan = NULL;
        _cleanup_free_ struct bpf_insn *insns = NULL;
        _cleanup_free_ char *message = NULL;
        Grpc__Spec *spec;
        size_t n;

        if (size > KIB(64))
                return 0;
        spec = grpc__spec__unpack(NULL, size, data);
        if (!spec)
                return 0;

        check_hooks(spec);
        if (container_plan_new(&plan, "fuzz", spec, &message) >= 0) {
                if (container_plan_extend(plan, NULL, &message) >= 0)
                        for (size_t i = 0; i < plan->n_mounts; i++)
                                assert(!plan->mounts[i].idmap ||
                                       (plan->mounts[i].uid_map.n > 0 && plan->mounts[i].gid_map.n > 0));
                /* The plan refers to nothing of the input. */
                grpc__spec__free_unpacked(spec, NULL);
                spec = NULL;

                assert(plan->root[0] == '/' && plan->process.args.n > 0 && plan->process.cwd[0] == '/');
                assert(plan->cgroup_name[0] && !strchr(plan->cgroup_name, '/'));
                for (size_t i = 0; i < plan->n_mounts; i++)
                        assert(plan->mounts[i].destination[0] == '/');
                for (size_t i = 0; i < plan->n_devices; i++)
                        assert(startswith(plan->devices[i].path, "/dev/"));
                container_plan_share(plan, CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS, "pod");
                assert(!(plan->namespaces & plan->joined));
                if (device_filter_build(plan->device_rules, plan->n_device_rules, &insns, &n) >= 0)
                        assert(n > 0);
        } else {
                assert(!plan);
        }

        if (spec)
                grpc__spec__free_unpacked(spec, NULL);
        return 0;
}
