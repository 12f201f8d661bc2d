/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS#7 signatures from arbitrary bytes. */

#include "basic/root-signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(root_signer_done) RootSigner signer = {};
        _cleanup_free_ char *message = NULL;

        if (root_signature_describe(data, size, &signer, &message) < 0)
                return 0;
        if (message || !signer.subject || signer.fingerprint)
                abort();
        return 0;
}
