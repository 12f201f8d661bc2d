/* SPDX-License-Identifier: Apache-2.0 */
/* Policies from arbitrary bytes; what is read is asked for every kind. */

#include <stdlib.h>

#include "basic/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const words[POLICY_WORDS_MAX] = { "CreateContainer", "/a*b?c", "A=\\" };
        _cleanup_free_ char *message = NULL;
        _cleanup_(policy_freep) Policy *policy = NULL;

        if (policy_parse((const char *) data, size, &policy, &message) < 0)
                return 0;
        if (message || !policy)
                abort();
        for (unsigned kind = 0; kind < _POLICY_KIND_MAX; kind++)
                (void) policy_permits(policy, kind, words);
        return 0;
}
