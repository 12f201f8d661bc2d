/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses on the guest's kernel command line. */

#include "proto/agent-addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *s = strndup((const char *) data, size);
        AgentNotify n;
        AgentAddr a;

        if (!s)
                return 0;
        if (agent_addr_parse(s, &a, NULL) >= 0) {
                assert(a.type != AGENT_ADDR_VSOCK || a.port > 0);
                assert(strlen(a.name) < sizeof(a.name));
        }
        if (agent_notify_parse(s, &n, NULL) >= 0)
                assert(n.port > 0);
        return 0;
}
