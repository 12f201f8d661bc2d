/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications of the guest. */

#include "basic/limits.h"
#include "basic/parse.h"
#include "proto/notify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(guest_notify_done) GuestNotify n = {};
        _cleanup_free_ char *text = NULL;

        if (guest_notify_parse((const char *) data, size, &n, &text) < 0) {
                assert(text);
                return 0;
        }

        assert(!n.status || strlen(n.status) <= NOTIFY_STATUS_MAX);
        assert(!n.status || utf8_is_valid(n.status, strlen(n.status)));
        assert(!n.status || !strpbrk(n.status, "\n\r\x1b"));
        assert(!n.agent_version || strlen(n.agent_version) <= NOTIFY_VERSION_MAX);
        assert(!n.has_errno || n.error > 0);
        return 0;
}
