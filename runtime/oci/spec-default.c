/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of containers without config.json: see the header. Tables and their copying. */

#include "runtime/oci/spec-default.h"

#include "basic/limits.h"

/*
 * podman's default set (containers-common 0.50): docker's without MKNOD, NET_RAW and AUDIT_WRITE.
 */
static const char *const capabilities[] = {
        "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",     "CAP_FSETID",
        "CAP_KILL",    "CAP_NET_BIND_SERVICE", "CAP_SETFCAP",    "CAP_SETGID",
        "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT",
};

/* The network namespace is the virtual machine's. */
static const char *const namespaces[] = { "pid", "ipc", "uts", "mount", "cgroup" };

static const char *const masked_paths[] = {
        "/proc/acpi",
        "/proc/asound",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/sys/firmware",
        "/sys/devices/virtual/powercap",
};

static const char *const readonly_paths[] = {
        "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static const struct {
        const char *destination, *type, *source;
        const char *options[8];
} mounts[] = {
        { "/proc", "proc", "proc", { "nosuid", "noexec", "nodev" } },
        { "/dev",
          "tmpfs",
          "tmpfs",
          { "nosuid", "noexec", "strictatime", "mode=755", "size=65536k" } },
        { "/dev/pts",
          "devpts",
          "devpts",
          { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" } },
        { "/dev/shm", "tmpfs", "shm", { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" } },
        { "/dev/mqueue", "mqueue", "mqueue", { "nosuid", "noexec", "nodev" } },
        { "/sys", "sysfs", "sysfs", { "nosuid", "noexec", "nodev", "ro" } },
        { "/sys/fs/cgroup", "cgroup", "cgroup", { "nosuid", "noexec", "nodev", "relatime", "ro" } },
};

/* Set unless the definition sets them. */
static const char *const environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "container=kata",
};

/* systemd's limits for services. */
#define NOFILE_SOFT 1024U
#define NOFILE_HARD 524288U

static char **copy_strings(OciSpec *oci, const char *const *v, size_t n)
{
        return oci_spec_strings(oci, (char *const *) v, n);
}

static int fill_environment(OciSpec *oci, Grpc__Process *p, const Strv *own)
{
        Strv all = {};
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(environment) && r >= 0; i++) {
                size_t n = (size_t) (strchr(environment[i], '=') - environment[i]) + 1;
                bool set = false;

                for (size_t j = 0; own && j < own->n; j++)
                        set = set || strncmp(own->v[j], environment[i], n) == 0;
                if (!set)
                        r = strv_add(&all, environment[i]);
        }
        for (size_t j = 0; own && j < own->n && r >= 0; j++)
                r = strv_add(&all, own->v[j]);

        if (r >= 0) {
                p->env = oci_spec_strings(oci, all.v, all.n);
                p->n_env = all.n;
                r = p->env ? 0 : -ENOMEM;
        }

        strv_done(&all);
        return r;
}

static int fill_process(OciSpec *oci, const OciDefaults *defaults)
{
        Grpc__Process *p = oci->spec->process = oci_spec_message(oci, &grpc__process__descriptor);
        Grpc__LinuxCapabilities *caps;

        if (!p)
                return -ENOMEM;

        p->user = oci_spec_message(oci, &grpc__user__descriptor);
        p->capabilities = caps = oci_spec_message(oci, &grpc__linux_capabilities__descriptor);
        p->args = oci_spec_strings(oci, defaults->command->v, defaults->command->n);
        p->cwd = oci_spec_strdup(oci, defaults->working_directory ?: "/");
        p->rlimits = pb_arena_alloc(&oci->arena, sizeof(*p->rlimits));
        if (!p->user || !caps || !p->args || !p->cwd || !p->rlimits)
                return -ENOMEM;

        p->n_args = defaults->command->n;
        p->nonewprivileges = true;
        p->user->uid = defaults->uid;
        p->user->gid = defaults->gid;

        /*
         * Inheritable ones would pass to files with such a bit (CVE-2022-24769); others than root
         * get none.
         */
        caps->bounding = copy_strings(oci, capabilities, ELEMENTSOF(capabilities));
        caps->n_bounding = ELEMENTSOF(capabilities);
        if (!caps->bounding)
                return -ENOMEM;
        if (defaults->uid == 0) {
                caps->effective = caps->permitted = caps->bounding;
                caps->n_effective = caps->n_permitted = caps->n_bounding;
        }

        p->rlimits[0] = oci_spec_message(oci, &grpc__posixrlimit__descriptor);
        if (!p->rlimits[0])
                return -ENOMEM;
        p->n_rlimits = 1;
        p->rlimits[0]->type = oci_spec_strdup(oci, "RLIMIT_NOFILE");
        p->rlimits[0]->soft = NOFILE_SOFT;
        p->rlimits[0]->hard = NOFILE_HARD;
        if (!p->rlimits[0]->type)
                return -ENOMEM;

        return fill_environment(oci, p, defaults->environment);
}

static int fill_mounts(OciSpec *oci)
{
        Grpc__Spec *spec = oci->spec;

        spec->mounts = pb_arena_alloc(&oci->arena, ELEMENTSOF(mounts) * sizeof(*spec->mounts));
        if (!spec->mounts)
                return -ENOMEM;

        for (size_t i = 0; i < ELEMENTSOF(mounts); i++) {
                Grpc__Mount *m = oci_spec_message(oci, &grpc__mount__descriptor);
                size_t n;

                if (!m)
                        return -ENOMEM;
                for (n = 0; n < ELEMENTSOF(mounts[i].options) && mounts[i].options[n]; n++)
                        ;
                m->destination = oci_spec_strdup(oci, mounts[i].destination);
                m->type = oci_spec_strdup(oci, mounts[i].type);
                m->source = oci_spec_strdup(oci, mounts[i].source);
                m->options = copy_strings(oci, mounts[i].options, n);
                m->n_options = n;
                if (!m->destination || !m->type || !m->source || !m->options)
                        return -ENOMEM;
                spec->mounts[spec->n_mounts++] = m;
        }

        return 0;
}

/* Devices: none but those that the agent makes for every container. */
static int fill_resources(OciSpec *oci, Grpc__Linux *l, uint64_t memory)
{
        Grpc__LinuxResources *res = l->resources =
                        oci_spec_message(oci, &grpc__linux_resources__descriptor);
        Grpc__LinuxDeviceCgroup *d;

        if (!res)
                return -ENOMEM;

        res->devices = pb_arena_alloc(&oci->arena, sizeof(*res->devices));
        d = oci_spec_message(oci, &grpc__linux_device_cgroup__descriptor);
        if (!res->devices || !d)
                return -ENOMEM;
        d->type = oci_spec_strdup(oci, "a");
        d->access = oci_spec_strdup(oci, "rwm");
        d->major = d->minor = -1;
        if (!d->type || !d->access)
                return -ENOMEM;
        res->devices[0] = d;
        res->n_devices = 1;

        if (memory > 0) {
                res->memory = oci_spec_message(oci, &grpc__linux_memory__descriptor);
                if (!res->memory)
                        return -ENOMEM;
                res->memory->limit = (int64_t) MIN(memory, (uint64_t) INT64_MAX);
        }

        return 0;
}

static int fill_linux(OciSpec *oci, const OciDefaults *defaults)
{
        Grpc__Linux *l = oci->spec->linux = oci_spec_message(oci, &grpc__linux__descriptor);

        if (!l)
                return -ENOMEM;

        l->namespaces = pb_arena_alloc(&oci->arena,
                                       ELEMENTSOF(namespaces) * sizeof(*l->namespaces));
        if (!l->namespaces)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(namespaces); i++) {
                Grpc__LinuxNamespace *ns =
                                oci_spec_message(oci, &grpc__linux_namespace__descriptor);

                if (!ns)
                        return -ENOMEM;
                ns->type = oci_spec_strdup(oci, namespaces[i]);
                if (!ns->type)
                        return -ENOMEM;
                l->namespaces[l->n_namespaces++] = ns;
        }

        l->maskedpaths = copy_strings(oci, masked_paths, ELEMENTSOF(masked_paths));
        l->n_maskedpaths = ELEMENTSOF(masked_paths);
        l->readonlypaths = copy_strings(oci, readonly_paths, ELEMENTSOF(readonly_paths));
        l->n_readonlypaths = ELEMENTSOF(readonly_paths);
        if (!l->maskedpaths || !l->readonlypaths)
                return -ENOMEM;

        return fill_resources(oci, l, defaults->memory);
}

int oci_spec_new_default(const OciDefaults *defaults, OciSpec **ret)
{
        _cleanup_oci_spec_ OciSpec *oci = NULL;
        Grpc__Spec *spec;
        int r;

        assert(defaults->command->n > 0);

        r = oci_spec_new(&oci);
        if (r < 0)
                return r;
        oci->spec = spec = oci_spec_message(oci, &grpc__spec__descriptor);
        if (!spec)
                return -ENOMEM;

        spec->version = oci_spec_strdup(oci, "1.0.2");
        spec->hostname = oci_spec_strdup(oci, defaults->hostname);
        spec->root = oci_spec_message(oci, &grpc__root__descriptor);
        if (!spec->version || !spec->hostname || !spec->root)
                return -ENOMEM;
        spec->root->path = oci_spec_strdup(oci, defaults->root_directory);
        spec->root->readonly = defaults->read_only;
        if (!spec->root->path)
                return -ENOMEM;

        r = fill_process(oci, defaults);
        if (r < 0)
                return r;
        r = fill_mounts(oci);
        if (r < 0)
                return r;
        r = fill_linux(oci, defaults);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(oci);
        return 0;
}
