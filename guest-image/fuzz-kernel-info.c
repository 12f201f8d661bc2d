/* SPDX-License-Identifier: Apache-2.0 */
/* vmlinux.info with any bytes in it; then as an ELF file. */

#include "guest-image/elf-note.h"
#include "guest-image/kernel-info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(kernel_info_done) KernelInfo info = {};
        _cleanup_free_ char *message = NULL;

        if (kernel_info_parse("fuzz", (const char *) data, size, &info, &message) >= 0)
                assert(info.release && !info.package == !info.version);
        else
                assert(!info.release && message);
        (void) elf_has_pvh_note(data, size);
        return 0;
}
