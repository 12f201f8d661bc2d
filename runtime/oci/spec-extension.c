/* SPDX-License-Identifier: Apache-2.0 */
/* config.json → SpecExtension: see the header. */

#include "runtime/oci/spec-extension.h"

#include "basic/error.h"

/* What podman writes always, and what a process has without it. */
#define UMASK_DEFAULT 022

typedef Kata__Systemd__V1__SpecExtension Extension;

static int wrong(const JsonPb *ctx, const char *path, const char *what)
{
        return error_setf(ctx->reterr_message, -EINVAL, "%s: %s: expected %s", ctx->file, path, what);
}

/* Down a path of NULL-terminated names. NULL if there is nothing, or not an object on the way. */
static json_object *dig(json_object *o, const char *const *path)
{
        for (; o && *path; path++)
                if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, *path, &o))
                        return NULL;

        return o;
}

#define DIG(o, ...) dig(o, (const char *const[]) { __VA_ARGS__, NULL })

static Extension *extension(OciSpec *spec)
{
        if (!spec->extension)
                spec->extension = oci_spec_message(spec, &kata__systemd__v1__spec_extension__descriptor);
        return spec->extension;
}

static int parse_domainname(OciSpec *spec, const JsonPb *ctx, json_object *config)
{
        json_object *o = DIG(config, "domainname");
        const char *text;

        if (!o)
                return 0;
        if (!json_object_is_type(o, json_type_string))
                return wrong(ctx, "domainname", "a string");
        text = json_object_get_string(o);
        if (strlen(text) != (size_t) json_object_get_string_len(o) || strlen(text) > HOSTNAME_LEN_MAX)
                return wrong(ctx, "domainname", "at most 64 characters");
        if (isempty(text))
                return 0;

        if (!extension(spec))
                return -ENOMEM;
        spec->extension->domainname = oci_spec_strdup(spec, text);
        return spec->extension->domainname ? 0 : -ENOMEM;
}

/* 1: it is set. */
static int read_number(const JsonPb *ctx, json_object *o, const char *path, int64_t min, int64_t max, int64_t *ret)
{
        if (!o)
                return 0;
        if (!json_object_is_type(o, json_type_int))
                return wrong(ctx, path, "a number");
        *ret = json_object_get_int64(o);
        if (*ret < min || *ret > max)
                return wrong(ctx, path, "a smaller number");
        return 1;
}

static int parse_umask(OciSpec *spec, const JsonPb *ctx, json_object *config)
{
        int64_t mask = 0;
        int r = read_number(ctx, DIG(config, "process", "user", "umask"), "process.user.umask", 0, 0777, &mask);

        if (r <= 0 || mask == UMASK_DEFAULT)
                return MIN(r, 0);
        if (!extension(spec))
                return -ENOMEM;
        spec->extension->has_umask = true;
        spec->extension->umask = (uint32_t) mask;
        return 0;
}

/* An object whose properties have the names of the message's fields. */
static int parse_object(OciSpec *spec, const JsonPb *ctx, json_object *o, const char *path, const JsonRule *rules,
                        const ProtobufCMessageDescriptor *descriptor, void *ret)
{
        JsonPb sub = {
                .arena = ctx->arena, .rules = rules, .file = ctx->file, .notes = ctx->notes,
                .reterr_message = ctx->reterr_message,
        };
        int r;

        if (!o || json_object_is_type(o, json_type_null))
                return 0;
        if (!extension(spec))
                return -ENOMEM;
        r = json_pb_object(&sub, o, descriptor, ret);
        return r < 0 ? error_prefixf(ctx->reterr_message, r, "%s", path) : 0;
}

static int parse_time_offset(OciSpec *spec, const JsonPb *ctx, json_object *offsets, const char *clock)
{
        json_object *o = DIG(offsets, clock);
        Kata__Systemd__V1__TimeOffset *entry;
        int64_t secs = 0, nanosecs = 0;
        int r;

        if (!o)
                return 0;
        r = read_number(ctx, DIG(o, "secs"), "linux.timeOffsets: secs", INT64_MIN, INT64_MAX, &secs);
        if (r >= 0)
                r = read_number(ctx, DIG(o, "nanosecs"), "linux.timeOffsets: nanosecs", 0, 999999999, &nanosecs);
        if (r < 0)
                return r;

        entry = oci_spec_message(spec, &kata__systemd__v1__time_offset__descriptor);
        if (!entry || !extension(spec))
                return -ENOMEM;
        entry->clock = oci_spec_strdup(spec, clock);
        entry->secs = secs;
        entry->nanosecs = (uint32_t) nanosecs;
        if (!entry->clock)
                return -ENOMEM;
        spec->extension->time_offsets[spec->extension->n_time_offsets++] = entry;
        return 0;
}

static int parse_time_offsets(OciSpec *spec, const JsonPb *ctx, json_object *config)
{
        static const char *const clocks[] = { "monotonic", "boottime" };
        json_object *offsets = DIG(config, "linux", "timeOffsets");
        int r = 0;

        if (!offsets)
                return 0;
        if (!json_object_is_type(offsets, json_type_object))
                return wrong(ctx, "linux.timeOffsets", "an object");
        json_object_object_foreach(offsets, name, unused) {
                (void) unused;
                if (!streq(name, clocks[0]) && !streq(name, clocks[1]))
                        return wrong(ctx, "linux.timeOffsets", "monotonic and boottime only");
        }
        if (json_object_object_length(offsets) == 0)
                return 0;

        if (!extension(spec))
                return -ENOMEM;
        spec->extension->time_offsets = pb_arena_alloc(&spec->arena, ELEMENTSOF(clocks) * sizeof(void *));
        if (!spec->extension->time_offsets)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(clocks); i++)
                r = parse_time_offset(spec, ctx, offsets, clocks[i]);
        return r;
}

static int parse_unified(OciSpec *spec, const JsonPb *ctx, json_object *config)
{
        json_object *o = DIG(config, "linux", "resources", "unified");
        Extension *e;
        size_t n;

        if (!o || json_object_is_type(o, json_type_null))
                return 0;
        if (!json_object_is_type(o, json_type_object))
                return wrong(ctx, "linux.resources.unified", "an object");
        n = (size_t) json_object_object_length(o);
        if (n == 0)
                return 0;
        if (n > SPEC_UNIFIED_MAX)
                return wrong(ctx, "linux.resources.unified", "fewer entries");

        e = extension(spec);
        if (!e)
                return -ENOMEM;
        e->unified = pb_arena_alloc(&spec->arena, n * sizeof(void *));
        if (!e->unified)
                return -ENOMEM;
        json_object_object_foreach(o, name, value) {
                Grpc__StringEntry *entry = oci_spec_message(spec, &grpc__string_entry__descriptor);

                if (!json_object_is_type(value, json_type_string))
                        return wrong(ctx, "linux.resources.unified", "strings");
                if (!entry)
                        return -ENOMEM;
                entry->key = oci_spec_strdup(spec, name);
                entry->value = oci_spec_strdup(spec, json_object_get_string(value));
                if (!entry->key || !entry->value)
                        return -ENOMEM;
                e->unified[e->n_unified++] = entry;
        }

        return 0;
}

static int parse_mappings(OciSpec *spec, const JsonPb *ctx, json_object *list, const char *path,
                          Grpc__LinuxIDMapping ***ret, size_t *ret_n)
{
        static const JsonRule no_rules[] = { {} };
        size_t n;

        if (!list || json_object_is_type(list, json_type_null))
                return 0;
        if (!json_object_is_type(list, json_type_array))
                return wrong(ctx, path, "a list");
        n = json_object_array_length(list);
        if (n > SPEC_ID_MAPPINGS_MAX)
                return wrong(ctx, path, "at most 340 mappings");
        if (n == 0)
                return 0;

        *ret = pb_arena_alloc(&spec->arena, n * sizeof(void *));
        if (!*ret)
                return -ENOMEM;
        for (; *ret_n < n; (*ret_n)++) {
                void *mapping = NULL;
                int r = parse_object(spec, ctx, json_object_array_get_idx(list, *ret_n), path, no_rules,
                                     &grpc__linux_idmapping__descriptor, &mapping);

                if (r < 0)
                        return r;
                if (!mapping)
                        return wrong(ctx, path, "objects");
                (*ret)[*ret_n] = mapping;
        }
        return 0;
}

static int parse_mount_mappings(OciSpec *spec, const JsonPb *ctx, json_object *config)
{
        json_object *mounts = DIG(config, "mounts");
        /* What is more is refused with the mounts themselves. */
        size_t n = json_object_is_type(mounts, json_type_array) ? MIN(json_object_array_length(mounts), MOUNTS_MAX) : 0;

        for (size_t i = 0; i < n; i++) {
                json_object *mount = json_object_array_get_idx(mounts, i);
                Kata__Systemd__V1__MountMappings *m;
                char path[64];
                int r;

                if (!DIG(mount, "uidMappings") && !DIG(mount, "gidMappings"))
                        continue;
                m = oci_spec_message(spec, &kata__systemd__v1__mount_mappings__descriptor);
                if (!m)
                        return -ENOMEM;
                snprintf(path, sizeof(path), "mounts[%zu].uidMappings", i);
                r = parse_mappings(spec, ctx, DIG(mount, "uidMappings"), path, &m->uid_mappings, &m->n_uid_mappings);
                if (r < 0)
                        return r;
                snprintf(path, sizeof(path), "mounts[%zu].gidMappings", i);
                r = parse_mappings(spec, ctx, DIG(mount, "gidMappings"), path, &m->gid_mappings, &m->n_gid_mappings);
                if (r < 0)
                        return r;
                if (m->n_uid_mappings == 0 && m->n_gid_mappings == 0)
                        continue;
                if (m->n_uid_mappings == 0 || m->n_gid_mappings == 0)
                        return wrong(ctx, path, "uidMappings and gidMappings together");

                if (!extension(spec))
                        return -ENOMEM;
                if (!spec->extension->mount_mappings)
                        spec->extension->mount_mappings = pb_arena_alloc(&spec->arena, n * sizeof(void *));
                if (!spec->extension->mount_mappings)
                        return -ENOMEM;
                m->mount = (uint32_t) i;
                spec->extension->mount_mappings[spec->extension->n_mount_mappings++] = m;
        }

        return 0;
}

int spec_extension_parse(OciSpec *spec, const JsonPb *ctx, json_object *config)
{
        static const JsonRule no_rules[] = { {} };
        static const JsonRule io_rules[] = {
                { "class", JSON_RULE_ALIAS, .field = "io_class" },
                {},
        };
        void *io = NULL, *scheduler = NULL, *personality = NULL, *affinity = NULL;
        int r;

        r = parse_domainname(spec, ctx, config);
        if (r >= 0)
                r = parse_umask(spec, ctx, config);
        if (r >= 0)
                r = parse_object(spec, ctx, DIG(config, "process", "ioPriority"), "process.ioPriority", io_rules,
                                 &kata__systemd__v1__iopriority__descriptor, &io);
        if (r >= 0)
                r = parse_object(spec, ctx, DIG(config, "process", "scheduler"), "process.scheduler", no_rules,
                                 &kata__systemd__v1__scheduler__descriptor, &scheduler);
        if (r >= 0)
                r = parse_object(spec, ctx, DIG(config, "process", "execCPUAffinity"), "process.execCPUAffinity",
                                 no_rules, &kata__systemd__v1__exec_cpuaffinity__descriptor, &affinity);
        if (r >= 0)
                r = parse_object(spec, ctx, DIG(config, "linux", "personality"), "linux.personality", no_rules,
                                 &kata__systemd__v1__personality__descriptor, &personality);
        if (r >= 0)
                r = parse_time_offsets(spec, ctx, config);
        if (r >= 0)
                r = parse_unified(spec, ctx, config);
        if (r >= 0)
                r = parse_mount_mappings(spec, ctx, config);
        if (r < 0 || !spec->extension)
                return r;

        spec->extension->io_priority = io;
        spec->extension->scheduler = scheduler;
        spec->extension->personality = personality;
        spec->extension->exec_cpu_affinity = affinity;
        return 0;
}

const char *spec_extension_first(const OciSpec *spec)
{
        const Extension *e = spec ? spec->extension : NULL;

        return !e                       ? NULL
               : !isempty(e->domainname) ? "domainname"
               : e->has_umask            ? "process.user.umask"
               : e->personality          ? "linux.personality"
               : e->n_time_offsets > 0   ? "linux.timeOffsets"
               : e->n_unified > 0        ? "linux.resources.unified"
               : e->n_mount_mappings > 0 ? "mounts[].uidMappings"
               : e->scheduler            ? "process.scheduler"
               : e->io_priority          ? "process.ioPriority"
               : e->exec_cpu_affinity    ? "process.execCPUAffinity"
                                         : NULL;
}
