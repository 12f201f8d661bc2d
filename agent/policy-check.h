/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A policy (basic/policy.h) applied to one request of the agent protocol. Looks at the request only, without
 * side effects: a request that is refused has done nothing. The policy is the operator's, the request comes
 * from whoever speaks to the agent.
 *
 *      every request           Allow=          the method's name; grpc.Health is always allowed
 *      CreateSandbox           Storage=, KernelModule=         each storage, each module with its parameters
 *      CreateContainer         Storage=, Mount= (shared mounts as well), Environment=, Image=
 *      ExecProcess             Environment=
 *      UpdateEphemeralMounts   Storage=
 *
 * The name of an image is what the container engine says in the annotations of the container
 * (io.kubernetes.cri.image-name of containerd, io.kubernetes.cri-o.ImageName of CRI-O), or the source of a
 * storage that makes the guest fetch it (driver image_guest_pull).
 */

#include <protobuf-c/protobuf-c.h>

#include "basic/policy.h"

/*
 * 0: permitted. 1: permitted, but the output of a workload is withheld: a refused ReadStdout or ReadStderr has
 * to go on taking the output, else the workload stops (as upstream's agent does). -EACCES: the text names what
 * is refused; values of the environment are not in it.
 */
int policy_check(const Policy *policy, const char *service, const char *method,
                 const ProtobufCMessageDescriptor *type, const void *input, char **reterr_message);
