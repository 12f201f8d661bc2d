/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Host's view of a container → guest's view: paths of the shared directory in place of host paths,
 * no host namespaces, no host device numbers or CPU numbers. Pure: what has to be shared is
 * returned as a list, nothing is mounted or looked at.
 *
 * The virtio-fs device with the tag kataShared appears in the guest at OCI_GUEST_SHARE; the names
 * in a ShareEntry are relative to it, on both sides.
 */

#include "basic/cleanup.h"
#include "runtime/oci/spec-load.h"

#define OCI_GUEST_SHARE "/run/kata-containers/shared/containers"

typedef struct ShareEntry {
        char *source;   /* absolute path on the host: file or directory */
        char *name;     /* in the share: "CID/rootfs" or "CID-N-BASENAME"; no "..", not absolute */
        bool read_only; /* the guest must not be able to write it */
        bool recursive; /* with what is mounted below source */
} ShareEntry;

typedef struct OciShares {
        ShareEntry *v; /* v[0] is the root file system; then in the order of spec->mounts */
        size_t n;      /* at most 1 + MOUNTS_MAX */
} OciShares;

void oci_shares_done(OciShares *shares);
#define _cleanup_oci_shares_ _cleanup_(oci_shares_done)

/*
 * Rewrites spec in place for the container cid (a valid id) and fills ret. Adds notes for what it
 * drops. What is left in spec->extension goes to the agent with it. -EOPNOTSUPP, with the property named: hooks of the
 * host without spec->host_hooks, block devices, file systems and mount options that are not built. -EINVAL for
 * nonsense. On failure spec is half rewritten: free it.
 */
int oci_spec_to_guest(OciSpec *spec, const char *cid, OciShares *ret, char **reterr_message);

/*
 * The same for what oci_process_parse() and oci_resources_parse() gave. A process keeps its terminal: whoever
 * has none to offer refuses it.
 */
int oci_process_to_guest(OciSpec *spec, char **reterr_message);
int oci_resources_to_guest(OciSpec *spec, char **reterr_message);
