/* SPDX-License-Identifier: Apache-2.0 */
/* Signature partitions from arbitrary bytes. */

#include "guest-image/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(signature_json_done) SignatureJson s = {}, again = {};
        _cleanup_free_ char *copy = malloc(size + 1), *message = NULL, *text = NULL;

        if (!copy)
                return 0;
        /* No NUL behind the partition. */
        memcpy(copy, data, size);
        if (signature_json_parse(copy, size, &s, &message) < 0)
                return 0;

        if (message || strlen(s.root_hash) != 64)
                abort();
        if (s.fingerprint &&
            (signature_json_format(s.root_hash, s.fingerprint, s.signature, s.signature_size, &text) < 0 ||
             signature_json_parse(text, strlen(text), &again, NULL) < 0 ||
             again.signature_size != s.signature_size ||
             memcmp(again.signature, s.signature, s.signature_size) != 0))
                abort();
        return 0;
}
