/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Property lists for StartTransientUnit and SetUnitProperties. One table (props.c) knows each property's
 * name and D-Bus type; this is the only place where D-Bus type strings of unit properties appear.
 * A list owns copies of everything in it, so that a call can be repeated with fewer properties.
 *
 * Some properties are newer than the oldest systemd we run on. They carry a feature bit and are left out
 * when the manager has refused them once: features are found by trying, never by version number, because
 * distributions backport (Scope.OOMPolicy is new in 253, and in Debian's 252).
 */

#include <systemd/sd-bus.h>

#include "basic/pidref.h"
#include "basic/limits.h"

typedef enum UnitFeature {
        UNIT_FEATURE_PIDFDS = 1 << 0,           /* PIDFDs (255), else PIDs */
        UNIT_FEATURE_OOM_POLICY = 1 << 1,       /* OOMPolicy on scopes (253) */
        UNIT_FEATURES_ALL = UNIT_FEATURE_PIDFDS | UNIT_FEATURE_OOM_POLICY,
} UnitFeature;

typedef enum UnitPropId {
        UNIT_PROP_DESCRIPTION,          /* string */
        UNIT_PROP_SLICE,                /* string */
        UNIT_PROP_PART_OF,              /* strings */
        UNIT_PROP_BEFORE,               /* strings */
        UNIT_PROP_COLLECT_MODE,         /* string */
        UNIT_PROP_ADD_REF,              /* bool; only on a message bus */
        UNIT_PROP_DELEGATE,             /* bool */
        UNIT_PROP_SEND_SIGHUP,          /* bool */
        UNIT_PROP_TASKS_MAX,            /* uint64 */
        UNIT_PROP_OOM_POLICY,           /* string */
        UNIT_PROP_MEMORY_MAX,           /* uint64, bytes */
        UNIT_PROP_MEMORY_LOW,           /* uint64, bytes */
        UNIT_PROP_CPU_WEIGHT,           /* uint64 */
        UNIT_PROP_CPU_QUOTA,            /* uint64, usec of CPU a second */
        UNIT_PROP_CPU_QUOTA_PERIOD,     /* uint64, usec */
        UNIT_PROP_ALLOWED_CPUS,         /* bytes: bit N is processor N */
        UNIT_PROP_ALLOWED_MEMORY_NODES, /* bytes */
        UNIT_PROP_IO_WEIGHT,            /* uint64 */
        UNIT_PROP_TIMEOUT_STOP,         /* uint64, usec */
        UNIT_PROP_DEVICE_ALLOW,         /* devices; goes before DevicePolicy */
        UNIT_PROP_DEVICE_POLICY,        /* string */
        UNIT_PROP_PIDFDS,               /* processes */
        UNIT_PROP_PIDS,                 /* processes */
        _UNIT_PROP_MAX,
} UnitPropId;

typedef struct UnitDevice {
        const char *path;               /* "/dev/kvm", "char-pts" */
        const char *access;             /* "rw", "rwm" */
} UnitDevice;

typedef struct UnitProp UnitProp;

typedef struct UnitProps {
        UnitProp *v;
        size_t n;
} UnitProps;

void unit_props_done(UnitProps *props);

/*
 * Appending: -EINVAL if the property has another type (a mistake of the programmer, but cheap to
 * report), -E2BIG over UNIT_PROPS_MAX or UNIT_PROCESSES_MAX. On failure the list is unchanged.
 */
int unit_props_add_string(UnitProps *props, UnitPropId id, const char *value);
int unit_props_add_strings(UnitProps *props, UnitPropId id, const char *const *values, size_t n);
int unit_props_add_bool(UnitProps *props, UnitPropId id, bool value);
int unit_props_add_u64(UnitProps *props, UnitPropId id, uint64_t value);
/* At most UNIT_PROP_BYTES_MAX. */
int unit_props_add_bytes(UnitProps *props, UnitPropId id, const void *data, size_t n);
int unit_props_add_devices(UnitProps *props, UnitPropId id, const UnitDevice *devices, size_t n);

/* Adds both PIDFDs (descriptors are duplicated) and PIDs; appending picks one by feature. */
int unit_props_add_processes(UnitProps *props, const PidRef *pids, size_t n);

/* Writes the list as a(sv). */
int unit_props_append(const UnitProps *props, sd_bus_message *m, unsigned features);

/* The name as in unit files; for error texts and tests. */
const char *unit_prop_name(UnitPropId id);

/*
 * The manager refused a property (UnknownProperty, PropertyReadOnly) with this text: which of the
 * features still in use is to be dropped? 0 = none of ours, the error is real.
 */
unsigned unit_props_refused_feature(const UnitProps *props, unsigned features, const char *text);
