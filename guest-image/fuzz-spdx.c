/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests from arbitrary bytes: what is accepted can be written, and reads back as the same. */

#include "guest-image/spdx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(spdx_document_done) SpdxDocument d = {}, again = {};
        _cleanup_free_ char *copy = malloc(size + 1), *message = NULL, *text = NULL;

        if (!copy)
                return 0;
        memcpy(copy, data, size);
        copy[size] = '\0';
        if (spdx_parse(copy, size, &d, &message) < 0)
                return 0;

        for (size_t i = 0; i < d.n_files; i++)
                if (d.files[i].path[0] != '/' || d.files[i].package >= d.n_packages)
                        abort();
        if (message || spdx_format(&d, &text) < 0 ||
            spdx_parse(text, strlen(text), &again, NULL) < 0 || again.n_files != d.n_files ||
            again.n_packages != d.n_packages)
                abort();
        return 0;
}
