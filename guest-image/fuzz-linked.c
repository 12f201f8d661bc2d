/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzer of the note about packages that are linked into a program. */

#include "guest-image/linked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(dpkg_packages_done) DpkgPackages packages = {};
        _cleanup_free_ char *message = NULL;

        (void) linked_packages_parse((const char *) data, size, &packages, &message);
        return 0;
}
