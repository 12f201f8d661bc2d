/* SPDX-License-Identifier: Apache-2.0 */
/* Checked container configuration: see container-plan.h. Input comes from the host. */

#include "agent/container-plan.h"

#include <limits.h>
#include <sched.h>
#include <sys/mount.h>

#include "basic/root-path.h"
#include "basic/error.h"
#include "basic/limits.h"
#include "basic/parse.h"

#define HOSTNAME_LENGTH_MAX 64U

ContainerPlan *container_plan_free(ContainerPlan *plan)
{
        if (!plan)
                return NULL;

        free(plan->id);
        free(plan->root);
        id_map_done(&plan->uid_map);
        id_map_done(&plan->gid_map);
        free(plan->hostname);
        for (size_t i = 0; i < plan->n_mounts; i++)
                mount_entry_done(&plan->mounts[i]);
        free(plan->mounts);
        for (size_t i = 0; i < plan->n_devices; i++)
                device_node_done(&plan->devices[i]);
        free(plan->devices);
        strv_done(&plan->masked_paths);
        strv_done(&plan->readonly_paths);
        for (size_t i = 0; i < plan->n_sysctls; i++) {
                free(plan->sysctls[i].path);
                free(plan->sysctls[i].value);
        }
        free(plan->sysctls);
        free(plan->cgroup_name);
        cgroup_settings_done(&plan->cgroup);
        free(plan->device_rules);
        process_plan_done(&plan->process);
        container_extras_done(&plan->extras);
        seccomp_plan_free(plan->seccomp);
        free(plan);
        return NULL;
}

static int unsupported(char **reterr_message, const char *what)
{
        return error_setf(reterr_message, -EOPNOTSUPP, "%s is not supported", what);
}

static int refuse_unsupported(const Grpc__Spec *spec, char **reterr_message)
{
        const Grpc__Linux *l = spec->linux;

        if (spec->solaris || spec->windows)
                return unsupported(reterr_message, "a configuration for another operating system");
        if (!isempty(l->mountlabel))
                return unsupported(reterr_message, "mountLabel");
        if (l->intelrdt && !isempty(l->intelrdt->l3cacheschema))
                return unsupported(reterr_message, "intelRdt");

        return 0;
}

static int parse_root(ContainerPlan *plan, const Grpc__Spec *spec, char **reterr_message)
{
        int r;

        if (!spec->root)
                return error_setf(reterr_message, -EINVAL, "configuration has no root");

        r = path_normalize(spec->root->path, &plan->root);
        if (r < 0)
                return error_setf(reterr_message, r,
                                "root path '%.200s' is not a valid absolute path",
                                strempty(spec->root->path));
        if (streq(plan->root, "/"))
                return error_setf(reterr_message, -EINVAL, "root path is the guest's own root");
        plan->root_readonly = spec->root->readonly;

        r = propagation_parse(spec->linux->rootfspropagation, &plan->root_propagation);
        if (r < 0)
                return error_setf(reterr_message, r, "unknown rootfsPropagation '%.50s'",
                                  spec->linux->rootfspropagation);

        return 0;
}

static const struct {
        const char *type;
        uint64_t flag;
} namespace_types[] = {
        { "pid", CLONE_NEWPID },
        { "mount", CLONE_NEWNS },
        { "ipc", CLONE_NEWIPC },
        { "uts", CLONE_NEWUTS },
        { "network", CLONE_NEWNET },
        { "cgroup", CLONE_NEWCGROUP },
        { "user", CLONE_NEWUSER },
        /* Without offsets, for which the message has no field. */
        { "time", CLONE_NEWTIME },
};

static int parse_namespaces(ContainerPlan *plan, const Grpc__Linux *l, char **reterr_message)
{
        uint64_t flags = 0;

        for (size_t i = 0; i < l->n_namespaces; i++) {
                const Grpc__LinuxNamespace *ns = l->namespaces[i];
                size_t k = 0;

                while (k < ELEMENTSOF(namespace_types) && !streq(namespace_types[k].type, ns->type))
                        k++;
                if (k == ELEMENTSOF(namespace_types))
                        return error_setf(reterr_message, -EINVAL, "unknown namespace '%.50s'",
                                        ns->type);
                if (!isempty(ns->path)) {
                        /* A network namespace of the host became the network of this VM. */
                        if (namespace_types[k].flag == CLONE_NEWNET)
                                continue;
                        return error_setf(reterr_message, -EOPNOTSUPP,
                                        "joining a namespace of type '%s' is not supported",
                                        ns->type);
                }
                if (flags & namespace_types[k].flag)
                        return error_setf(reterr_message, -EINVAL, "namespace '%s' is given twice",
                                          ns->type);
                flags |= namespace_types[k].flag;
        }

        if (!(flags & CLONE_NEWNS))
                return unsupported(reterr_message, "a container without a mount namespace");

        plan->cgroup_namespace = flags & CLONE_NEWCGROUP;
        plan->namespaces = flags & ~(uint64_t) CLONE_NEWCGROUP;
        return 0;
}

static int parse_hostname(ContainerPlan *plan, const Grpc__Spec *spec, char **reterr_message)
{
        if (isempty(spec->hostname))
                return 0;
        if (!(plan->namespaces & CLONE_NEWUTS))
                return error_setf(reterr_message, -EINVAL, "hostname without a uts namespace");
        if (strlen(spec->hostname) > HOSTNAME_LENGTH_MAX)
                return error_setf(reterr_message, -ENAMETOOLONG, "hostname is longer than %u bytes",
                                  HOSTNAME_LENGTH_MAX);

        plan->hostname = strdup(spec->hostname);
        return plan->hostname ? 0 : -ENOMEM;
}

static int parse_mounts(ContainerPlan *plan, const Grpc__Spec *spec, char **reterr_message)
{
        static const char *const dev_options[] = {
                        "nosuid", "strictatime", "mode=755", "size=65536k"};
        const MountEntry *dev = NULL;
        int r;

        if (spec->n_mounts > MOUNTS_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u mounts", MOUNTS_MAX);

        plan->mounts = new0(MountEntry, spec->n_mounts + 1);
        if (!plan->mounts)
                return -ENOMEM;

        /* Slot 0 is for a /dev of our own, in case the configuration has none. */
        plan->n_mounts = plan->first_mount = 1;
        for (size_t i = 0; i < spec->n_mounts; i++) {
                const Grpc__Mount *m = spec->mounts[i];
                MountEntry *entry = &plan->mounts[plan->n_mounts];

                r = mount_entry_parse(entry, strempty(m->destination), m->source, m->type,
                                m->options, m->n_options, reterr_message);
                if (r < 0)
                        return r;
                plan->n_mounts++;
                if (streq(entry->destination, "/dev") && entry->kind != MOUNT_KIND_REMOUNT)
                        dev = entry;
        }

        plan->make_devices = !dev || dev->kind != MOUNT_KIND_BIND;
        if (dev) {
                plan->n_mounts--;
                plan->first_mount = 0;
                memmove(plan->mounts, plan->mounts + 1, plan->n_mounts * sizeof(*plan->mounts));
                return 0;
        }

        /* Device nodes are never made in the image itself: it is the tenant's. */
        return mount_entry_parse(&plan->mounts[0], "/dev", "tmpfs", "tmpfs",
                        (char *const *) dev_options, ELEMENTSOF(dev_options), reterr_message);
}

static int parse_devices(ContainerPlan *plan, const Grpc__Linux *l, char **reterr_message)
{
        int r;

        if (l->n_devices > SPEC_DEVICES_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u devices", SPEC_DEVICES_MAX);

        plan->devices = new0(DeviceNode, device_default_nodes_n + l->n_devices);
        if (!plan->devices)
                return -ENOMEM;

        for (size_t i = 0; i < device_default_nodes_n; i++) {
                DeviceNode *node = &plan->devices[plan->n_devices];

                *node = device_default_nodes[i];
                node->path = strdup(node->path);
                if (!node->path)
                        return -ENOMEM;
                plan->n_devices++;
        }

        for (size_t i = 0; i < l->n_devices; i++) {
                const Grpc__LinuxDevice *d = l->devices[i];
                DeviceNode node = {};
                size_t k = 0;

                r = device_node_parse(&node, strempty(d->path), strempty(d->type), d->major,
                                d->minor, d->filemode, d->uid, d->gid, reterr_message);
                if (r < 0)
                        return r;

                /* The configuration may give a default device another mode or owner. */
                while (k < plan->n_devices && !streq(plan->devices[k].path, node.path))
                        k++;
                if (k < plan->n_devices)
                        device_node_done(&plan->devices[k]);
                else
                        plan->n_devices++;
                plan->devices[k] = node;
        }

        if (l->n_devices > 0 && !plan->make_devices)
                return unsupported(reterr_message, "a device together with a bind mount on /dev");

        return 0;
}

int device_rules_parse(DeviceRule **ret, size_t *ret_n, const Grpc__LinuxResources *resources,
                       char **reterr_message)
{
        size_t n = resources ? resources->n_devices : 0;
        _cleanup_free_ DeviceRule *rules = NULL;

        if (n > SPEC_DEVICE_RULES_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u device rules",
                                  SPEC_DEVICE_RULES_MAX);

        rules = new0(DeviceRule, n + device_default_rules_n);
        if (!rules)
                return -ENOMEM;

        for (size_t i = 0; i < n; i++) {
                const Grpc__LinuxDeviceCgroup *d = resources->devices[i];
                int r = device_rule_parse(&rules[i], d->allow, strempty(d->type), d->major, d->minor,
                                strempty(d->access), reterr_message);

                if (r < 0)
                        return r;
        }

        memcpy(rules + n, device_default_rules, device_default_rules_n * sizeof(*rules));
        *ret = TAKE_PTR(rules);
        *ret_n = n + device_default_rules_n;
        return 0;
}

static int parse_paths(Strv *strv, char *const *paths, size_t n, const char *what,
                       char **reterr_message)
{
        if (n > SPEC_PATHS_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u %s", SPEC_PATHS_MAX, what);

        for (size_t i = 0; i < n; i++) {
                char *normal;
                int r = path_normalize(paths[i], &normal);

                if (r < 0)
                        return error_setf(reterr_message, r,
                                        "%s: '%.200s' is not a valid absolute path", what,
                                        paths[i]);
                r = strv_consume(strv, normal);
                if (r < 0)
                        return r;
        }

        return 0;
}

static const char *const ipc_sysctls[] = {
        "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall",
        "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced",
};

static int sysctl_namespace(const char *path, uint64_t *ret)
{
        for (size_t i = 0; i < ELEMENTSOF(ipc_sysctls); i++)
                if (streq(path, ipc_sysctls[i])) {
                        *ret = CLONE_NEWIPC;
                        return 0;
                }

        if (startswith(path, "fs/mqueue/"))
                *ret = CLONE_NEWIPC;
        else if (streq(path, "kernel/domainname"))
                *ret = CLONE_NEWUTS;
        else if (startswith(path, "net/"))
                *ret = 0;
        else
                return -EPERM;

        return 0;
}

int sysctl_check(const char *name, uint64_t namespaces, char **ret_path, char **reterr_message)
{
        _cleanup_free_ char *path = NULL;
        size_t first = strcspn(name, "./");
        uint64_t needed;

        if (strlen(name) > NAME_MAX)
                return error_setf(reterr_message, -ENAMETOOLONG, "sysctl name is too long");

        path = strdup(name);
        if (!path)
                return -ENOMEM;

        /* sysctl(8): whichever of '.' and '/' comes first separates. */
        if (name[first] == '.')
                for (char *p = path; *p; p++)
                        *p = *p == '.' ? '/' : *p == '/' ? '.' : *p;

        for (const char *p = path; *p; p++) {
                size_t n = strcspn(p, "/");

                if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.') ||
                    (p[n] == '/' && p[n + 1] == '\0'))
                        return error_setf(reterr_message, -EINVAL, "malformed sysctl name '%s'",
                                        name);
                p += n;
                if (*p == '\0')
                        break;
        }

        if (sysctl_namespace(path, &needed) < 0)
                return error_setf(reterr_message, -EPERM,
                                "sysctl '%s' is not one that containers may set", name);
        if ((namespaces & needed) != needed)
                return error_setf(reterr_message, -EPERM,
                                  "sysctl '%s' needs a namespace of the container's own", name);

        *ret_path = TAKE_PTR(path);
        return 0;
}

static bool has_sysctl(const ContainerPlan *plan, uint64_t namespace)
{
        for (size_t i = 0; i < plan->n_sysctls; i++) {
                uint64_t needed;

                if (sysctl_namespace(plan->sysctls[i].path, &needed) >= 0 && needed == namespace)
                        return true;
        }

        return false;
}

void container_plan_share(ContainerPlan *plan, uint64_t offered, const char *hostname)
{
        plan->joined = offered & CLONE_NEWPID;
        if (!(plan->namespaces & CLONE_NEWUSER)) {
                if (!has_sysctl(plan, CLONE_NEWIPC))
                        plan->joined |= offered & plan->namespaces & CLONE_NEWIPC;
                if (!has_sysctl(plan, CLONE_NEWUTS) && !plan->extras.domainname &&
                    (!plan->hostname || streq(plan->hostname, strempty(hostname))))
                        plan->joined |= offered & plan->namespaces & CLONE_NEWUTS;
        }

        plan->namespaces &= ~plan->joined;
        if (plan->joined & CLONE_NEWUTS)
                plan->hostname = mfree(plan->hostname);
}

static int parse_sysctls(ContainerPlan *plan, const Grpc__Linux *l, char **reterr_message)
{
        if (l->n_sysctl > SPEC_SYSCTLS_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u sysctls", SPEC_SYSCTLS_MAX);

        plan->sysctls = new0(SysctlEntry, l->n_sysctl);
        if (!plan->sysctls)
                return -ENOMEM;

        for (size_t i = 0; i < l->n_sysctl; i++) {
                SysctlEntry *entry = &plan->sysctls[plan->n_sysctls];
                const char *value = strempty(l->sysctl[i]->value);
                int r;

                if (strlen(value) >= KIB(4))
                        return error_setf(reterr_message, -E2BIG, "sysctl '%.200s': value too long",
                                          strempty(l->sysctl[i]->key));
                r = sysctl_check(strempty(l->sysctl[i]->key), plan->namespaces, &entry->path,
                                 reterr_message);
                if (r < 0)
                        return r;
                plan->n_sysctls++;
                entry->value = strdup(value);
                if (!entry->value)
                        return -ENOMEM;
        }

        return 0;
}

static int parse_id_maps(ContainerPlan *plan, const Grpc__Linux *l, char **reterr_message)
{
        int r;

        r = id_map_parse(&plan->uid_map, l->uidmappings, l->n_uidmappings, "uidMappings", reterr_message);
        if (r >= 0)
                r = id_map_parse(&plan->gid_map, l->gidmappings, l->n_gidmappings, "gidMappings",
                                 reterr_message);
        return r < 0 ? r : userns_check(plan, reterr_message);
}

static int parse_linux(ContainerPlan *plan, const Grpc__Spec *spec, char **reterr_message)
{
        const Grpc__Linux *l = spec->linux;
        int r;

        r = parse_namespaces(plan, l, reterr_message);
        if (r >= 0)
                r = parse_hostname(plan, spec, reterr_message);
        if (r >= 0)
                r = parse_mounts(plan, spec, reterr_message);
        if (r >= 0)
                r = parse_devices(plan, l, reterr_message);
        if (r >= 0)
                r = device_rules_parse(&plan->device_rules, &plan->n_device_rules, l->resources,
                                       reterr_message);
        if (r >= 0)
                r = parse_paths(&plan->masked_paths, l->maskedpaths, l->n_maskedpaths,
                                "masked paths", reterr_message);
        if (r >= 0)
                r = parse_paths(&plan->readonly_paths, l->readonlypaths, l->n_readonlypaths,
                                "read-only paths", reterr_message);
        if (r >= 0)
                r = parse_sysctls(plan, l, reterr_message);
        if (r >= 0)
                r = parse_id_maps(plan, l, reterr_message);
        if (r >= 0)
                r = cgroup_name_from_path(l->cgroupspath, plan->id, &plan->cgroup_name);
        if (r >= 0)
                r = cgroup_settings_from_spec(&plan->cgroup, l->resources, reterr_message);
        if (r >= 0 && l->seccomp)
                r = seccomp_plan_parse(&plan->seccomp, l->seccomp, reterr_message);

        return r;
}

/* One of them would be lost. */
static int check_domainname(const ContainerPlan *plan, char **reterr_message)
{
        for (size_t i = 0; plan->extras.domainname && i < plan->n_sysctls; i++)
                if (streq(plan->sysctls[i].path, "kernel/domainname") &&
                    !streq(plan->sysctls[i].value, plan->extras.domainname))
                        return error_setf(reterr_message, -EINVAL, "domainname is '%s', and sysctl kernel.domainname "
                                          "is '%s'", plan->extras.domainname, plan->sysctls[i].value);

        return 0;
}

static int add_id_maps(ContainerPlan *plan, const Kata__Systemd__V1__SpecExtension *extension,
                       char **reterr_message)
{
        for (size_t i = 0; i < extension->n_mount_mappings; i++) {
                const Kata__Systemd__V1__MountMappings *m = extension->mount_mappings[i];
                int r;

                if (m->mount >= plan->n_mounts - plan->first_mount)
                        return error_setf(reterr_message, -EINVAL, "id mappings of mount %u, and there are %zu mounts",
                                          m->mount, plan->n_mounts - plan->first_mount);
                r = mount_entry_set_maps(&plan->mounts[plan->first_mount + m->mount], m->uid_mappings,
                                         m->n_uid_mappings, m->gid_mappings, m->n_gid_mappings, reterr_message);
                if (r < 0)
                        return r;
        }

        return 0;
}

/* Without mappings of its own such a mount has those of the container's user namespace (config.md, idmap). */
static int complete_id_maps(ContainerPlan *plan, char **reterr_message)
{
        for (size_t i = 0; i < plan->n_mounts; i++) {
                MountEntry *entry = &plan->mounts[i];
                int r;

                if (!entry->idmap || entry->uid_map.n > 0)
                        continue;
                if (!(plan->namespaces & CLONE_NEWUSER))
                        return error_setf(reterr_message, -EINVAL, "mount '%s': no id mappings, neither of the mount "
                                          "nor of a user namespace", entry->destination);
                r = id_map_copy(&entry->uid_map, &plan->uid_map);
                if (r >= 0)
                        r = id_map_copy(&entry->gid_map, &plan->gid_map);
                if (r < 0)
                        return r;
        }

        return 0;
}

bool container_plan_has_idmaps(const ContainerPlan *plan)
{
        for (size_t i = 0; i < plan->n_mounts; i++)
                if (plan->mounts[i].idmap)
                        return true;

        return false;
}

int container_plan_extend(ContainerPlan *plan, const Kata__Systemd__V1__SpecExtension *extension,
                          char **reterr_message)
{
        int r;

        if (!extension)
                return complete_id_maps(plan, reterr_message);
        r = container_extras_parse(&plan->extras, extension, plan->namespaces, reterr_message);
        if (r >= 0)
                r = check_domainname(plan, reterr_message);
        if (r >= 0)
                r = add_id_maps(plan, extension, reterr_message);
        if (r >= 0)
                r = complete_id_maps(plan, reterr_message);
        if (r < 0)
                return r;
        /* Made by the child: see extras_enter_time(). */
        if (plan->extras.time_offsets)
                plan->namespaces &= ~(uint64_t) CLONE_NEWTIME;
        return cgroup_settings_add_unified(&plan->cgroup, extension->unified, extension->n_unified,
                                           reterr_message);
}

int container_plan_new(ContainerPlan **ret, const char *id, const Grpc__Spec *spec,
                       char **reterr_message)
{
        _cleanup_(container_plan_freep) ContainerPlan *plan = new0(ContainerPlan, 1);
        int r;

        if (!plan)
                return -ENOMEM;
        if (!id_is_valid(id, CONTAINER_ID_MAX))
                return error_setf(reterr_message, -EINVAL, "'%.200s' is not a valid container id",
                                id);
        if (!isempty(spec->version) && !startswith(spec->version, "1."))
                return error_setf(reterr_message, -EOPNOTSUPP,
                                "ociVersion '%.50s' is not supported", spec->version);
        if (!spec->linux)
                return error_setf(reterr_message, -EINVAL, "configuration has no linux part");

        plan->id = strdup(id);
        if (!plan->id)
                return -ENOMEM;

        r = refuse_unsupported(spec, reterr_message);
        if (r >= 0)
                r = parse_root(plan, spec, reterr_message);
        if (r >= 0)
                r = process_plan_parse(&plan->process, spec->process, reterr_message);
        if (r >= 0)
                r = parse_linux(plan, spec, reterr_message);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(plan);
        return 0;
}
