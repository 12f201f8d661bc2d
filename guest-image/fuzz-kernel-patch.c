/* SPDX-License-Identifier: Apache-2.0 */
/* Names of files in a patch, and what apt says, with any bytes in them. */

#include "guest-image/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = strndup((const char *) data, size), *message = NULL, *version = NULL;
        _cleanup_(strv_done) Strv files = {};
        char *file;

        if (!text)
                return 0;
        if (patch_files("fuzz", text, &files, &message) >= 0)
                STRV_FOREACH(file, &files)
                        assert(*file && *file != '/' && !strstr(file, "/../") && !startswith(file, "../") &&
                               !streq(file, ".."));
        (void) policy_candidate(text, &version);
        return 0;
}
