/* SPDX-License-Identifier: Apache-2.0 */
/* Host's view of a container → guest's view: see the header. Pure functions on hostile content. */

#include "runtime/oci/spec-guest.h"

#include <inttypes.h>
#include <limits.h>

#include "basic/error.h"
#include "basic/limits.h"

/* Of a mount source's last component in the name of its share. */
#define SHARE_BASENAME_MAX 64U

/* File systems that the guest mounts by itself. */
static const char *const guest_filesystems[] = {
        "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2",
};

typedef struct Translation {
        OciSpec *oci;
        Grpc__Spec *spec;
        const char *cid;
        OciShares shares;
        char **reterr_message;
} Translation;

void oci_shares_done(OciShares *shares)
{
        if (!shares)
                return;

        for (size_t i = 0; i < shares->n; i++) {
                free(shares->v[i].source);
                free(shares->v[i].name);
        }
        free(shares->v);
        *shares = (OciShares) {};
}

static int add_share(Translation *t, const char *source, const char *name, bool read_only,
                     bool recursive)
{
        ShareEntry *v = &t->shares.v[t->shares.n];

        *v = (ShareEntry) {
                .source = strdup(source),
                .name = strdup(name),
                .read_only = read_only,
                .recursive = recursive,
        };
        t->shares.n++;
        return v->source && v->name ? 0 : -ENOMEM;
}

/* Relative paths of a bundle belong to the bundle (config.md, root and mounts). New string. */
static int host_path(const Translation *t, const char *path, const char *what, char **ret)
{
        char *full = NULL;

        if (path[0] == '/')
                full = strdup(path);
        else if (!t->oci->bundle)
                return error_setf(t->reterr_message, -EINVAL, "%s: '%s' is not an absolute path",
                                  what, path);
        else if (asprintf(&full, "%s/%s", t->oci->bundle, path) < 0)
                full = NULL;
        if (!full)
                return -ENOMEM;

        if (strlen(full) >= PATH_MAX) {
                free(full);
                return error_setf(t->reterr_message, -ENAMETOOLONG, "%s: path is too long", what);
        }

        *ret = full;
        return 0;
}

static int translate_root(Translation *t)
{
        _cleanup_free_ char *source = NULL, *name = NULL;
        int r;

        r = host_path(t, t->spec->root->path, "root.path", &source);
        if (r < 0)
                return r;
        if (asprintf(&name, "%s/rootfs", t->cid) < 0) {
                name = NULL;
                return -ENOMEM;
        }

        t->spec->root->path = oci_spec_printf(t->oci, "%s/%s", OCI_GUEST_SHARE, name);
        if (!t->spec->root->path)
                return -ENOMEM;

        /* What the host mounts below a root file system is none of the container's. */
        return add_share(t, source, name, t->spec->root->readonly, false);
}

/* What the guest's own kernel answers: the host's would be another machine's. */
static bool is_kernel_path(const char *path)
{
        static const char *const trees[] = { "/proc", "/sys", "/dev" };

        for (size_t i = 0; i < ELEMENTSOF(trees); i++) {
                const char *rest = startswith(path, trees[i]);

                if (rest && (*rest == '\0' || *rest == '/'))
                        return true;
        }

        return false;
}

static bool has_option(const Grpc__Mount *m, const char *option)
{
        for (size_t i = 0; i < m->n_options; i++)
                if (streq(m->options[i], option))
                        return true;

        return false;
}

/* Of contradictory options the last one counts. */
static bool is_read_only(const Grpc__Mount *m)
{
        bool read_only = false;

        for (size_t i = 0; i < m->n_options; i++) {
                if (streq(m->options[i], "ro") || streq(m->options[i], "rro"))
                        read_only = true;
                else if (streq(m->options[i], "rw") || streq(m->options[i], "rrw"))
                        read_only = false;
        }

        return read_only;
}

/*
 * "CID-N-BASENAME", where N is the mount's index; the basename is for people and loses odd
 * characters.
 */
static char *share_name(const Translation *t, size_t index, const char *source)
{
        char base[SHARE_BASENAME_MAX + 1], *name;
        const char *end = source + strlen(source), *start;
        size_t n = 0;

        while (end > source && end[-1] == '/')
                end--;
        for (start = end; start > source && start[-1] != '/'; start--)
                ;
        for (const char *p = start; p < end && n < SHARE_BASENAME_MAX; p++) {
                bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                             (*p >= '0' && *p <= '9') || strchr("._-", *p);

                base[n++] = plain ? *p : '_';
        }
        base[n] = '\0';

        return asprintf(&name, "%s-%zu-%s", t->cid, index, n > 0 ? base : "root") < 0 ? NULL : name;
}

/*
 * One of each option, the last place counts; without those that only engines understand. Options
 * that change who owns or sees files can not be left out silently; idmap and ridmap are the agent's affair.
 */
static int normalise_options(Translation *t, Grpc__Mount *m, size_t index)
{
        size_t n = 0;

        for (size_t i = 0; i < m->n_options; i++) {
                char *option = m->options[i];
                bool again = false, dropped;

                /* crun has mappings there; the specification has them in fields. */
                if (startswith(option, "idmap=") || startswith(option, "ridmap="))
                        return error_setf(t->reterr_message, -EOPNOTSUPP,
                                          "mounts[%zu].options: '%.*s' with a value is not supported, uidMappings and "
                                          "gidMappings are", index, (int) strcspn(option, "="), option);

                for (size_t j = i + 1; j < m->n_options && !again; j++)
                        again = streq(m->options[j], option);

                /* The guest has no SELinux. */
                dropped = startswith(option, "context=") || startswith(option, "fscontext=") ||
                        startswith(option, "defcontext=") || startswith(option, "rootcontext=");
                if (*option && !again && !dropped)
                        m->options[n++] = option;
        }

        m->n_options = n;
        return 0;
}

static int replace_options(Translation *t, Grpc__Mount *m, const char *const *options, size_t n)
{
        m->options = oci_spec_strings(t->oci, (char *const *) options, n);
        if (!m->options)
                return -ENOMEM;
        m->n_options = n;
        return 0;
}

static bool has_mappings(const Kata__Systemd__V1__SpecExtension *e, size_t index)
{
        for (size_t i = 0; e && i < e->n_mount_mappings; i++)
                if (e->mount_mappings[i]->mount == index)
                        return true;

        return false;
}

/*
 * Without mappings of its own a mount has those of the container's user namespace (config.md, idmap). They are written
 * down, so that an agent that does not know the option is not asked for the container.
 */
static int complete_mappings(Translation *t, size_t index)
{
        const Grpc__Mount *m = t->spec->mounts[index];
        const Grpc__Linux *l = t->spec->linux;
        Kata__Systemd__V1__MountMappings *added, **list;
        Kata__Systemd__V1__SpecExtension *e;

        if ((!has_option(m, "idmap") && !has_option(m, "ridmap")) || has_mappings(t->oci->extension, index))
                return 0;
        if (l->n_uidmappings == 0 || l->n_gidmappings == 0)
                return error_setf(t->reterr_message, -EINVAL, "mounts[%zu].options: '%s' without mappings, of the "
                                  "mount or of a user namespace", index, has_option(m, "idmap") ? "idmap" : "ridmap");

        if (!t->oci->extension)
                t->oci->extension = oci_spec_message(t->oci, &kata__systemd__v1__spec_extension__descriptor);
        e = t->oci->extension;
        added = oci_spec_message(t->oci, &kata__systemd__v1__mount_mappings__descriptor);
        list = e ? pb_arena_alloc(&t->oci->arena, (e->n_mount_mappings + 1) * sizeof(*list)) : NULL;
        if (!added || !list)
                return -ENOMEM;
        added->mount = (uint32_t) index;
        added->uid_mappings = l->uidmappings;
        added->n_uid_mappings = l->n_uidmappings;
        added->gid_mappings = l->gidmappings;
        added->n_gid_mappings = l->n_gidmappings;
        if (e->n_mount_mappings > 0)
                memcpy(list, e->mount_mappings, e->n_mount_mappings * sizeof(*list));
        list[e->n_mount_mappings++] = added;
        e->mount_mappings = list;
        return 0;
}

static void drop_mappings(Kata__Systemd__V1__SpecExtension *e, size_t index)
{
        size_t n = 0;

        for (size_t i = 0; e && i < e->n_mount_mappings; i++)
                if (e->mount_mappings[i]->mount != index)
                        e->mount_mappings[n++] = e->mount_mappings[i];
        if (e)
                e->n_mount_mappings = n;
}

/*
 * Engines make /dev/shm on the host; memory that processes of one guest share stays in the guest.
 */
static int translate_shm(Translation *t, Grpc__Mount *m, size_t index)
{
        const uint64_t size = t->oci->shm_size > 0 ? t->oci->shm_size : MIB(64);
        const char *options[] = { "nosuid", "noexec", "nodev", "mode=1777", NULL };
        int r;

        options[ELEMENTSOF(options) - 1] = oci_spec_printf(t->oci, "size=%" PRIu64 "k", (size + 1023) / 1024);
        if (!options[ELEMENTSOF(options) - 1])
                return -ENOMEM;

        r = oci_spec_note(t->oci, "mount /dev/shm: a tmpfs of the guest in place of the host's %s",
                          m->source);
        if (r < 0)
                return r;

        m->type = oci_spec_strdup(t->oci, "tmpfs");
        m->source = oci_spec_strdup(t->oci, "shm");
        if (!m->type || !m->source)
                return -ENOMEM;

        /* It is made by whoever is root in the container: there is nothing to be mapped. */
        drop_mappings(t->oci->extension, index);
        return replace_options(t, m, options, ELEMENTSOF(options));
}

static int translate_bind(Translation *t, Grpc__Mount *m, size_t index)
{
        _cleanup_free_ char *source = NULL, *name = NULL, *what = NULL;
        int r;

        if (asprintf(&what, "mounts[%zu].source", index) < 0) {
                what = NULL;
                return -ENOMEM;
        }
        if (isempty(m->source))
                return error_setf(t->reterr_message, -EINVAL, "%s: missing", what);
        r = host_path(t, m->source, what, &source);
        if (r < 0)
                return r;

        m->type = oci_spec_strdup(t->oci, "bind");
        if (!m->type)
                return -ENOMEM;

        /* The type alone is not enough for the agent, nor for runc. */
        if (!has_option(m, "bind") && !has_option(m, "rbind")) {
                char **options =
                                pb_arena_alloc(&t->oci->arena, (m->n_options + 1) * sizeof(char *));

                if (!options)
                        return -ENOMEM;
                if (m->n_options > 0)
                        memcpy(options + 1, m->options, m->n_options * sizeof(char *));
                options[0] = oci_spec_strdup(t->oci, "rbind");
                if (!options[0])
                        return -ENOMEM;
                m->options = options;
                m->n_options++;
        }

        if (streq(m->destination, "/dev/shm"))
                return translate_shm(t, m, index);
        if (is_kernel_path(source))
                return oci_spec_note(t->oci, "mount %s: %s is the guest's, not the host's",
                                     m->destination, source);

        name = share_name(t, index, source);
        if (!name)
                return -ENOMEM;
        m->source = oci_spec_printf(t->oci, "%s/%s", OCI_GUEST_SHARE, name);
        if (!m->source)
                return -ENOMEM;

        return add_share(t, source, name, is_read_only(m), has_option(m, "rbind"));
}

static int translate_mount(Translation *t, size_t index)
{
        Grpc__Mount *m = t->spec->mounts[index];
        int r;

        r = normalise_options(t, m, index);
        if (r >= 0)
                r = complete_mappings(t, index);
        if (r < 0)
                return r;

        /* With one of the options the type means nothing (mount(2)). */
        if (streq(m->type, "bind") || has_option(m, "bind") || has_option(m, "rbind"))
                return translate_bind(t, m, index);

        for (size_t i = 0; i < ELEMENTSOF(guest_filesystems); i++)
                if (streq(m->type, guest_filesystems[i])) {
                        if (isempty(m->source))
                                m->source = m->type;
                        return 0;
                }

        return error_setf(
                        t->reterr_message, -EOPNOTSUPP,
                        "mounts[%zu].type: '%s' is not supported (known are bind, proc, sysfs, "
                        "tmpfs, devpts, mqueue, cgroup)",
                        index, m->type);
}

/*
 * createContainer and startContainer hooks run in the guest, where the container is. The others belong to the host: the
 * agent would run them as well.
 */
static int translate_hooks(const Translation *t)
{
        Grpc__Hooks *h = t->spec->hooks;
        _cleanup_free_ char *names = NULL;
        Strv found = {};
        int r = 0;

        if (!h)
                return 0;

        const struct {
                const char *name;
                size_t n;
        } kinds[] = {
                { "prestart", h->n_prestart },
                { "createRuntime", h->n_createruntime },
                { "poststart", h->n_poststart },
                { "poststop", h->n_poststop },
        };

        for (size_t i = 0; i < ELEMENTSOF(kinds) && r >= 0 && !t->oci->host_hooks; i++)
                if (kinds[i].n > 0)
                        r = strv_add(&found, kinds[i].name);
        if (r >= 0 && found.n > 0) {
                names = strv_join(&found, ", ");
                r = error_setf(t->reterr_message, -EOPNOTSUPP, "hooks of the host can not be run here: %s",
                               strempty(names));
        }

        h->n_prestart = h->n_createruntime = h->n_poststart = h->n_poststop = 0;
        strv_done(&found);
        return r;
}

static bool contains(char *const *v, size_t n, const char *s)
{
        for (size_t i = 0; i < n; i++)
                if (streq(v[i], s))
                        return true;

        return false;
}

/*
 * The kernel raises only what is both permitted and inheritable (capabilities(7)). `runc spec`
 * (1.1) writes ambient ones without inheritable ones, and runc passes over the refusal; the agent
 * does not.
 */
static int drop_impossible_ambient(Translation *t, Grpc__LinuxCapabilities *caps)
{
        size_t n = 0, before = caps->n_ambient;

        for (size_t i = 0; i < before; i++)
                if (contains(caps->inheritable, caps->n_inheritable, caps->ambient[i]) &&
                    contains(caps->permitted, caps->n_permitted, caps->ambient[i]))
                        caps->ambient[n++] = caps->ambient[i];

        caps->n_ambient = n;
        return n == before ? 0
                           : oci_spec_note(t->oci,
                                           "process.capabilities.ambient: left out what is not "
                                               "permitted and inheritable");
}

static int translate_process(Translation *t)
{
        Grpc__Process *p = t->spec->process;
        int r = 0;

        if (p->capabilities)
                r = drop_impossible_ambient(t, p->capabilities);

        /* The guest kernel has neither security module. */
        if (r >= 0 && !isempty(p->apparmorprofile))
                r = oci_spec_note(t->oci, "AppArmor profile '%s' is not used inside the guest",
                                  p->apparmorprofile);
        if (r >= 0 && !isempty(p->selinuxlabel))
                r = oci_spec_note(t->oci, "SELinux label '%s' is not used inside the guest",
                                  p->selinuxlabel);

        p->apparmorprofile = p->selinuxlabel = t->spec->linux->mountlabel =
                        (char *) protobuf_c_empty_string;
        return r;
}

static int translate_namespaces(Translation *t)
{
        Grpc__Linux *l = t->spec->linux;
        size_t n = 0;
        int r;

        for (size_t i = 0; i < l->n_namespaces; i++) {
                Grpc__LinuxNamespace *ns = l->namespaces[i];

                /* The virtual machine is the network namespace. */
                if (streq(ns->type, "network"))
                        continue;
                if (!isempty(ns->path)) {
                        bool shared = streq(ns->type, "ipc") || streq(ns->type, "uts");

                        r = oci_spec_note(t->oci, "%s namespace: the host's %s can not be joined, the %s",
                                          ns->type, ns->path,
                                          shared ? "containers of a sandbox share one" : "container gets a new one");
                        if (r < 0)
                                return r;
                        ns->path = (char *) protobuf_c_empty_string;
                }
                l->namespaces[n++] = ns;
        }

        l->n_namespaces = n;
        return 0;
}

/* The same for files of cgroup v2 that are named directly. */
static int translate_unified(Translation *t)
{
        static const char *const of_host[] = { "cpuset.", "io.", "hugetlb." };
        Kata__Systemd__V1__SpecExtension *e = t->oci->extension;
        size_t n = 0;

        for (size_t i = 0; e && i < e->n_unified; i++) {
                bool dropped = false;
                int r;

                for (size_t k = 0; k < ELEMENTSOF(of_host) && !dropped; k++)
                        dropped = startswith(e->unified[i]->key, of_host[k]);
                if (!dropped) {
                        e->unified[n++] = e->unified[i];
                        continue;
                }
                r = oci_spec_note(t->oci, "linux.resources.unified: %s is about the host's CPUs, devices or pages, "
                                  "ignored", e->unified[i]->key);
                if (r < 0)
                        return r;
        }
        if (e)
                e->n_unified = n;
        return 0;
}

/*
 * Limits stay; what names devices, CPUs or the network of the host can not mean anything in the
 * guest.
 */
static int translate_resources(Translation *t)
{
        Grpc__LinuxResources *res = t->spec->linux->resources;
        Grpc__LinuxCPU *cpu = res ? res->cpu : NULL;
        int r = translate_unified(t);

        if (r < 0 || !res)
                return r;

        if (cpu && (!isempty(cpu->cpus) || !isempty(cpu->mems))) {
                r = oci_spec_note(
                                t->oci,
                                "linux.resources.cpu: CPU and memory node numbers are the host's, not for the "
                                "guest");
                cpu->cpus = cpu->mems = (char *) protobuf_c_empty_string;
        }
        if (r >= 0 && cpu && (cpu->realtimeruntime != 0 || cpu->realtimeperiod != 0)) {
                r = oci_spec_note(
                                t->oci,
                                "linux.resources.cpu: realtime limits do not exist in cgroup v2, ignored");
                cpu->realtimeruntime = 0;
                cpu->realtimeperiod = 0;
        }
        if (r >= 0 && res->blockio) {
                const Grpc__LinuxBlockIO *b = res->blockio;

                if (b->weight != 0 || b->n_weightdevice > 0 || b->n_throttlereadbpsdevice > 0 ||
                    b->n_throttlewritebpsdevice > 0 || b->n_throttlereadiopsdevice > 0 ||
                    b->n_throttlewriteiopsdevice > 0)
                        r = oci_spec_note(
                                        t->oci,
                                        "linux.resources.blockIO: the devices are the host's, not for the guest");
                res->blockio = NULL;
        }
        if (r >= 0 && res->network) {
                if (res->network->classid != 0 || res->network->n_priorities > 0)
                        r = oci_spec_note(
                                        t->oci,
                                        "linux.resources.network: does not exist in cgroup v2, ignored");
                res->network = NULL;
        }
        if (r >= 0 && res->n_hugepagelimits > 0) {
                r = oci_spec_note(
                                t->oci,
                                "linux.resources.hugepageLimits: the guest has no huge pages, ignored");
                res->n_hugepagelimits = 0;
                res->hugepagelimits = NULL;
        }

        return r;
}

static int translate_linux(Translation *t)
{
        Grpc__Linux *l = t->spec->linux;
        int r;

        for (size_t i = 0; i < l->n_devices; i++)
                if (streq(l->devices[i]->type, "b"))
                        return error_setf(
                                        t->reterr_message, -EOPNOTSUPP,
                                        "linux.devices[%zu]: block devices of the host are not supported yet",
                                        i);

        r = translate_namespaces(t);
        if (r < 0)
                return r;
        r = translate_resources(t);
        if (r < 0)
                return r;

        if (l->intelrdt) {
                if (!isempty(l->intelrdt->l3cacheschema))
                        r = oci_spec_note(t->oci, "linux.intelRdt: belongs to the host, ignored");
                l->intelrdt = NULL;
        }

        /* The host's path is for the scope of the virtual machine. */
        l->cgroupspath = oci_spec_printf(t->oci, "/%s", t->cid);
        return r < 0 ? r : l->cgroupspath ? 0 : -ENOMEM;
}

static int translate(Translation *t)
{
        int r;

        r = translate_hooks(t);
        if (r < 0)
                return r;

        r = translate_process(t);
        if (r < 0)
                return r;
        r = translate_root(t);
        if (r < 0)
                return r;

        for (size_t i = 0; i < t->spec->n_mounts; i++) {
                r = translate_mount(t, i);
                if (r < 0)
                        return r;
        }

        return translate_linux(t);
}

int oci_spec_to_guest(OciSpec *spec, const char *cid, OciShares *ret, char **reterr_message)
{
        _cleanup_free_ char *message = NULL;
        Translation t = { .oci = spec, .spec = spec->spec, .cid = cid, .reterr_message = &message };
        int r;

        t.shares.v = new0(ShareEntry, 1 + spec->spec->n_mounts);
        if (!t.shares.v)
                return -ENOMEM;

        r = translate(&t);
        if (r < 0) {
                oci_shares_done(&t.shares);
                if (spec->bundle)
                        return error_setf(reterr_message, r, "%s/config.json: %s", spec->bundle,
                                          error_text(message, r));
                return error_setf(reterr_message, r, "%s", error_text(message, r));
        }

        *ret = t.shares;
        return 0;
}

int oci_process_to_guest(OciSpec *spec, char **reterr_message)
{
        Translation t = { .oci = spec, .spec = spec->spec, .reterr_message = reterr_message };

        return translate_process(&t);
}

int oci_resources_to_guest(OciSpec *spec, char **reterr_message)
{
        Translation t = { .oci = spec, .spec = spec->spec, .reterr_message = reterr_message };

        return translate_resources(&t);
}
