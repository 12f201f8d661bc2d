/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * OCI runtime configuration: config.json → the message that the agent takes (proto/oci.proto). No
 * side effects. The bundle belongs to a caller with the supervisor's rights, but its content is
 * often written from an image's or a pod's description: everything is bounded and typed, errors
 * name the property.
 *
 * Facts: opencontainers/runtime-spec 1.2, config.md and config-linux.md.
 */

#include "basic/cleanup.h"
#include "basic/strv.h"
#include "proto/extension.pb-c.h"
#include "proto/oci.pb-c.h"
#include "proto/pb-arena.h"

typedef struct OciSpec {
        PbArena arena;    /* owns the message and everything in it */
        Grpc__Spec *spec; /* process, root and linux are never NULL */
        Kata__Systemd__V1__SpecExtension *extension; /* what spec has no fields for; NULL: nothing */
        bool host_hooks;  /* somebody runs the hooks of the host: oci_spec_to_guest() takes them out */
        uint64_t shm_size; /* bytes of the tmpfs that an engine has made for /dev/shm; 0: not known */
        char *bundle;     /* absolute directory; NULL for a spec that was not read from one */
        Strv notes;       /* one line each, for the journal: what was asked for and is not done */
} OciSpec;

/*
 * Reads BUNDLE/config.json. Properties that the agent protocol can not carry are errors
 * (-EOPNOTSUPP) where leaving them out would weaken isolation or a limit, and notes elsewhere.
 * Other errors: -EINVAL, -EFBIG, -E2BIG, -ENOBUFS, or the errno of reading.
 */
int oci_spec_load(const char *bundle, OciSpec **ret, char **reterr_message);

/* The same for a text; name begins the errors. */
int oci_spec_parse(const char *name, const char *text, size_t size, OciSpec **ret,
                   char **reterr_message);

/*
 * One part of a configuration, as callers hand it over for a further process or for new limits: the JSON of
 * process, or of linux.resources. The rest of the spec is empty.
 */
int oci_process_parse(const char *name, const char *text, size_t size, OciSpec **ret, char **reterr_message);
int oci_resources_parse(const char *name, const char *text, size_t size, OciSpec **ret,
                        char **reterr_message);

/* Without a message yet. */
int oci_spec_new(OciSpec **ret);
OciSpec *oci_spec_free(OciSpec *spec);
DEFINE_CLEANUP_FUNC(OciSpec *, oci_spec_free)
#define _cleanup_oci_spec_ _cleanup_(oci_spec_freep)

/* Memory of the spec: NULL when there is none. Messages have their defaults. */
char *oci_spec_strdup(OciSpec *spec, const char *s);
char *oci_spec_printf(OciSpec *spec, const char *format, ...) _printf_(2, 3);
void *oci_spec_message(OciSpec *spec, const ProtobufCMessageDescriptor *desc);
/* A copy of n strings. */
char **oci_spec_strings(OciSpec *spec, char *const *v, size_t n);
/* One more note; -ENOMEM. Beyond OCI_NOTES_MAX they are dropped. */
int oci_spec_note(OciSpec *spec, const char *format, ...) _printf_(2, 3);
