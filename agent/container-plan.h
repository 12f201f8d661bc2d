/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A whole OCI configuration, checked, in the terms of the code that acts on it. Parsing has no side
 * effects and looks at no file. What is asked for and not built is refused with -EOPNOTSUPP and its
 * name, never left out: a container that starts has everything its configuration says.
 */

#include "agent/cgroup.h"
#include "agent/container-extras.h"
#include "agent/container-process-plan.h"
#include "agent/container-seccomp.h"
#include "agent/container-userns.h"
#include "agent/devices.h"
#include "agent/mounts.h"

typedef struct SysctlEntry {
        char *path;             /* below /proc/sys */
        char *value;
} SysctlEntry;

typedef struct ContainerPlan {
        char *id;
        char *root;                     /* absolute guest path */
        bool root_readonly;
        uint64_t root_propagation;      /* MS_*, 0: private */
        uint64_t namespaces;            /* CLONE_NEW* for clone3(2); always CLONE_NEWNS */
        bool cgroup_namespace;          /* by unshare(2), once inside the cgroup */
        IdMap uid_map, gid_map;         /* with CLONE_NEWUSER only */
        uint64_t joined;                /* CLONE_NEWPID, NEWIPC, NEWUTS: those of the sandbox */
        char *hostname;                 /* NULL: not set */

        MountEntry *mounts;
        size_t n_mounts;
        size_t first_mount;             /* of the configuration: before it is what we have added */
        bool make_devices;              /* /dev is ours, not a bind mount */
        DeviceNode *devices;            /* defaults and the configuration's */
        size_t n_devices;
        Strv masked_paths, readonly_paths;
        SysctlEntry *sysctls;
        size_t n_sysctls;

        char *cgroup_name;
        CgroupSettings cgroup;
        DeviceRule *device_rules;       /* defaults last */
        size_t n_device_rules;

        ProcessPlan process;
        ContainerExtras extras;
        SeccompPlan *seccomp;           /* NULL: none */
} ContainerPlan;

int container_plan_new(ContainerPlan **ret, const char *id, const Grpc__Spec *spec,
                       char **reterr_message);
/*
 * What the messages of the Kata protocol can not say, NULL for nothing, and what can be checked only then; on failure
 * plan is to be freed.
 */
int container_plan_extend(ContainerPlan *plan, const Kata__Systemd__V1__SpecExtension *extension,
                          char **reterr_message);
ContainerPlan *container_plan_free(ContainerPlan *plan);
DEFINE_CLEANUP_FUNC(ContainerPlan *, container_plan_free)

/* Some mount is id-mapped: see idmap-mounts.h. */
bool container_plan_has_idmaps(const ContainerPlan *plan);

/*
 * Puts namespaces of the sandbox (offered: CLONE_NEW*) in place of own ones. The pid namespace always; ipc and
 * uts where the configuration asks for one and needs nothing of its own in it, and no user namespace owns
 * the container's. hostname: of the sandbox, or NULL.
 */
void container_plan_share(ContainerPlan *plan, uint64_t offered, const char *hostname);

/*
 * "net.ipv4.ip_forward" → "net/ipv4/ip_forward" if containers may set it: attributes of namespaces
 * that the container has for itself (flags: CLONE_NEW*), and net.*, because the network is the VM's
 * own.
 */
int sysctl_check(const char *name, uint64_t namespaces, char **ret_path, char **reterr_message);

/* Rules of the configuration, which may be missing, with the defaults behind them. */
int device_rules_parse(DeviceRule **ret, size_t *ret_n, const Grpc__LinuxResources *resources,
                       char **reterr_message);
