/* SPDX-License-Identifier: Apache-2.0 */
/* Typed property lists: see props.h. Values come from our own configuration, the peer is PID 1. */

#include "runtime/unit/props.h"

#include <fcntl.h>

#include "basic/strv.h"

typedef enum PropType {
        PROP_STRING,
        PROP_STRINGS,
        PROP_BOOL,
        PROP_U64,
        PROP_BYTES,
        PROP_DEVICES,
        PROP_PIDFDS,
        PROP_PIDS,
} PropType;

struct UnitProp {
        UnitPropId id;
        bool b;
        uint64_t u64;
        char *string;
        void *bytes;
        size_t n_bytes;
        Strv strings;           /* for devices: path, access, path, access ... */
        int *fds;
        uint32_t *pids;
        size_t n_processes;
};

typedef struct PropSpec {
        const char *name;
        PropType type;
        unsigned needs;         /* features without which it is left out */
        unsigned unless;        /* features with which it is left out */
} PropSpec;

static const PropSpec specs[_UNIT_PROP_MAX] = {
        [UNIT_PROP_DESCRIPTION] = { "Description", PROP_STRING },
        [UNIT_PROP_SLICE] = { "Slice", PROP_STRING },
        [UNIT_PROP_PART_OF] = { "PartOf", PROP_STRINGS },
        [UNIT_PROP_BEFORE] = { "Before", PROP_STRINGS },
        [UNIT_PROP_COLLECT_MODE] = { "CollectMode", PROP_STRING },
        [UNIT_PROP_ADD_REF] = { "AddRef", PROP_BOOL },
        [UNIT_PROP_DELEGATE] = { "Delegate", PROP_BOOL },
        [UNIT_PROP_SEND_SIGHUP] = { "SendSIGHUP", PROP_BOOL },
        [UNIT_PROP_TASKS_MAX] = { "TasksMax", PROP_U64 },
        [UNIT_PROP_OOM_POLICY] = { "OOMPolicy", PROP_STRING, .needs = UNIT_FEATURE_OOM_POLICY },
        [UNIT_PROP_MEMORY_MAX] = { "MemoryMax", PROP_U64 },
        [UNIT_PROP_MEMORY_LOW] = { "MemoryLow", PROP_U64 },
        [UNIT_PROP_CPU_WEIGHT] = { "CPUWeight", PROP_U64 },
        [UNIT_PROP_CPU_QUOTA] = { "CPUQuotaPerSecUSec", PROP_U64 },
        [UNIT_PROP_CPU_QUOTA_PERIOD] = { "CPUQuotaPeriodUSec", PROP_U64 },
        [UNIT_PROP_ALLOWED_CPUS] = { "AllowedCPUs", PROP_BYTES },
        [UNIT_PROP_ALLOWED_MEMORY_NODES] = { "AllowedMemoryNodes", PROP_BYTES },
        [UNIT_PROP_IO_WEIGHT] = { "IOWeight", PROP_U64 },
        [UNIT_PROP_TIMEOUT_STOP] = { "TimeoutStopUSec", PROP_U64 },
        [UNIT_PROP_DEVICE_ALLOW] = { "DeviceAllow", PROP_DEVICES },
        [UNIT_PROP_DEVICE_POLICY] = { "DevicePolicy", PROP_STRING },
        [UNIT_PROP_PIDFDS] = { "PIDFDs", PROP_PIDFDS, .needs = UNIT_FEATURE_PIDFDS },
        [UNIT_PROP_PIDS] = { "PIDs", PROP_PIDS, .unless = UNIT_FEATURE_PIDFDS },
};

const char *unit_prop_name(UnitPropId id)
{
        return specs[id].name;
}

static void prop_done(UnitProp *prop)
{
        free(prop->string);
        free(prop->bytes);
        strv_done(&prop->strings);
        for (size_t i = 0; prop->fds && i < prop->n_processes; i++)
                safe_close(prop->fds[i]);
        free(prop->fds);
        free(prop->pids);
        *prop = (UnitProp) {};
}

void unit_props_done(UnitProps *props)
{
        for (size_t i = 0; i < props->n; i++)
                prop_done(props->v + i);
        free(props->v);
        *props = (UnitProps) {};
}

/* Takes the contents of *prop on success only. */
static int props_push(UnitProps *props, UnitProp *prop, PropType type)
{
        UnitProp *v;

        if (specs[prop->id].type != type)
                return -EINVAL;
        if (props->n >= UNIT_PROPS_MAX)
                return -E2BIG;

        v = reallocarray(props->v, props->n + 1, sizeof(*v));
        if (!v)
                return -ENOMEM;

        props->v = v;
        props->v[props->n++] = *prop;
        return 0;
}

static int props_push_or_drop(UnitProps *props, UnitProp *prop, PropType type)
{
        int r = props_push(props, prop, type);

        if (r < 0)
                prop_done(prop);
        return r;
}

int unit_props_add_string(UnitProps *props, UnitPropId id, const char *value)
{
        UnitProp prop = { .id = id, .string = strdup(value) };

        return prop.string ? props_push_or_drop(props, &prop, PROP_STRING) : -ENOMEM;
}

int unit_props_add_strings(UnitProps *props, UnitPropId id, const char *const *values, size_t n)
{
        UnitProp prop = { .id = id };
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++)
                r = strv_add(&prop.strings, values[i]);
        if (r < 0) {
                prop_done(&prop);
                return r;
        }

        return props_push_or_drop(props, &prop, PROP_STRINGS);
}

int unit_props_add_bool(UnitProps *props, UnitPropId id, bool value)
{
        UnitProp prop = { .id = id, .b = value };

        return props_push(props, &prop, PROP_BOOL);
}

int unit_props_add_u64(UnitProps *props, UnitPropId id, uint64_t value)
{
        UnitProp prop = { .id = id, .u64 = value };

        return props_push(props, &prop, PROP_U64);
}

int unit_props_add_bytes(UnitProps *props, UnitPropId id, const void *data, size_t n)
{
        UnitProp prop = { .id = id, .n_bytes = n };

        if (n > UNIT_PROP_BYTES_MAX)
                return -E2BIG;
        if (n > 0) {
                prop.bytes = malloc(n);
                if (!prop.bytes)
                        return -ENOMEM;
                memcpy(prop.bytes, data, n);
        }
        return props_push_or_drop(props, &prop, PROP_BYTES);
}

int unit_props_add_devices(UnitProps *props, UnitPropId id, const UnitDevice *devices, size_t n)
{
        UnitProp prop = { .id = id };
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                r = strv_add(&prop.strings, devices[i].path);
                if (r >= 0)
                        r = strv_add(&prop.strings, devices[i].access);
        }
        if (r < 0) {
                prop_done(&prop);
                return r;
        }

        return props_push_or_drop(props, &prop, PROP_DEVICES);
}

int unit_props_add_processes(UnitProps *props, const PidRef *pids, size_t n)
{
        UnitProp by_fd = { .id = UNIT_PROP_PIDFDS }, by_pid = { .id = UNIT_PROP_PIDS };
        int r;

        if (n == 0 || n > UNIT_PROCESSES_MAX)
                return n == 0 ? -EINVAL : -E2BIG;

        by_fd.fds = new(int, n);
        by_pid.pids = new(uint32_t, n);
        if (!by_fd.fds || !by_pid.pids) {
                r = -ENOMEM;
                goto fail;
        }

        for (size_t i = 0; i < n; i++) {
                if (!pidref_is_set(pids + i)) {
                        r = -ESRCH;
                        goto fail;
                }

                by_fd.fds[i] = fcntl(pids[i].fd, F_DUPFD_CLOEXEC, 3);
                if (by_fd.fds[i] < 0) {
                        r = negative_errno();
                        goto fail;
                }
                by_fd.n_processes++;
                by_pid.pids[by_pid.n_processes++] = (uint32_t) pids[i].pid;
        }

        r = props_push(props, &by_fd, PROP_PIDFDS);
        if (r < 0)
                goto fail;
        r = props_push(props, &by_pid, PROP_PIDS);
        if (r < 0) {
                props->n--;
                goto fail;
        }
        return 0;

fail:
        prop_done(&by_fd);
        prop_done(&by_pid);
        return r;
}

static int write_string(const UnitProp *prop, sd_bus_message *m)
{
        return sd_bus_message_append_basic(m, 's', prop->string);
}

static int write_strings(const UnitProp *prop, sd_bus_message *m)
{
        return sd_bus_message_append_strv(m, prop->strings.v);
}

static int write_bool(const UnitProp *prop, sd_bus_message *m)
{
        int b = prop->b;

        return sd_bus_message_append_basic(m, 'b', &b);
}

static int write_u64(const UnitProp *prop, sd_bus_message *m)
{
        return sd_bus_message_append_basic(m, 't', &prop->u64);
}

static int write_bytes(const UnitProp *prop, sd_bus_message *m)
{
        return sd_bus_message_append_array(m, 'y', prop->bytes, prop->n_bytes);
}

static int write_devices(const UnitProp *prop, sd_bus_message *m)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "(ss)");
        for (size_t i = 0; i + 1 < prop->strings.n && r >= 0; i += 2)
                r = sd_bus_message_append(m, "(ss)", prop->strings.v[i], prop->strings.v[i + 1]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int write_pidfds(const UnitProp *prop, sd_bus_message *m)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "h");
        for (size_t i = 0; i < prop->n_processes && r >= 0; i++)
                r = sd_bus_message_append_basic(m, 'h', prop->fds + i);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int write_pids(const UnitProp *prop, sd_bus_message *m)
{
        return sd_bus_message_append_array(m, 'u', prop->pids,
                                           prop->n_processes * sizeof(uint32_t));
}

static const struct {
        const char *signature;
        int (*write)(const UnitProp *prop, sd_bus_message *m);
} types[] = {
        [PROP_STRING] = { "s", write_string },
        [PROP_STRINGS] = { "as", write_strings },
        [PROP_BOOL] = { "b", write_bool },
        [PROP_U64] = { "t", write_u64 },
        [PROP_BYTES] = { "ay", write_bytes },
        [PROP_DEVICES] = { "a(ss)", write_devices },
        [PROP_PIDFDS] = { "ah", write_pidfds },
        [PROP_PIDS] = { "au", write_pids },
};

static bool prop_is_used(const UnitProp *prop, unsigned features)
{
        const PropSpec *spec = specs + prop->id;

        return (spec->needs & ~features) == 0 && (spec->unless & features) == 0;
}

static int prop_append(const UnitProp *prop, sd_bus_message *m)
{
        const PropSpec *spec = specs + prop->id;
        int r;

        r = sd_bus_message_open_container(m, 'r', "sv");
        if (r < 0)
                return r;
        r = sd_bus_message_append_basic(m, 's', spec->name);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'v', types[spec->type].signature);
        if (r < 0)
                return r;
        r = types[spec->type].write(prop, m);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int unit_props_append(const UnitProps *props, sd_bus_message *m, unsigned features)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "(sv)");
        for (size_t i = 0; i < props->n && r >= 0; i++)
                if (prop_is_used(props->v + i, features))
                        r = prop_append(props->v + i, m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

unsigned unit_props_refused_feature(const UnitProps *props, unsigned features, const char *text)
{
        unsigned any = 0;

        for (size_t i = 0; i < props->n; i++) {
                const PropSpec *spec = specs + props->v[i].id;

                if (spec->needs == 0 || !prop_is_used(props->v + i, features))
                        continue;
                if (text && strstr(text, spec->name))
                        return spec->needs;
                any |= spec->needs;
        }

        /* The text names no property of ours: drop all that may be unknown, once. It is only a loss
         * where the text is; systemd 252 to 257 name the property. */
        return text && *text && strstr(text, "property") ? 0 : any;
}
