/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of an OCI configuration that callers hand over: a process for Exec, limits for Update. What is accepted
 * has the parts that its users rely on, and can be packed.
 */

#include "runtime/oci/spec-guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        for (unsigned i = 0; i < 2; i++) {
                _cleanup_free_ char *message = NULL;
                _cleanup_oci_spec_ OciSpec *oci = NULL;
                int r;

                r = i == 0 ? oci_process_parse("exec", (const char *) data, size, &oci, &message) :
                             oci_resources_parse("update", (const char *) data, size, &oci, &message);
                if (r < 0)
                        continue;

                assert(oci->spec->process && oci->spec->root && oci->spec->linux);
                assert(i == 1 || oci->spec->process->n_args > 0);
                r = i == 0 ? oci_process_to_guest(oci, &message) : oci_resources_to_guest(oci, &message);
                if (r >= 0) {
                        assert(protobuf_c_message_check(&oci->spec->base));
                        (void) protobuf_c_message_get_packed_size(&oci->spec->base);
                        assert(!oci->extension || protobuf_c_message_check(&oci->extension->base));
                }
        }

        return 0;
}
