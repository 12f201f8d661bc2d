/* SPDX-License-Identifier: Apache-2.0 */
/* guest.params from arbitrary bytes: whatever is accepted must be consistent. */

#include "runtime/vmm/guest-params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *message = NULL;
        GuestParams p = {};

        if (guest_params_parse((const char *) data, size, &p, &message) < 0)
                return 0;

        if (p.hash_offset <= p.data_blocks * VERITY_BLOCK_SIZE ||
            p.image_size < p.root_offset + guest_params_range_size(&p) ||
            strlen(p.root_hash_hex) != 64 || strlen(p.salt_hex) != 64 || message)
                abort();

        guest_params_done(&p);
        return 0;
}
