/* SPDX-License-Identifier: Apache-2.0 */
/* Life-cycle events: see events.h. */

#include "runtime/log/events.h"

#include <stdarg.h>
#include <syslog.h>

static const struct {
        const char *message_id;
        int priority;
} events[_EVENT_MAX] = {
        [EVENT_SANDBOX_STARTING] = { "502125315dc943f8a80b39ae88c45bc6", LOG_INFO },
        [EVENT_SANDBOX_STARTED] = { "f475ad8917c7486f889cd4a08bb5bef0", LOG_INFO },
        [EVENT_SANDBOX_STOPPING] = { "e4aae87210d24d4091263fd5fced345e", LOG_INFO },
        [EVENT_SANDBOX_STOPPED] = { "e660f18fc2424f8bbb289da9c8bf6356", LOG_INFO },
        [EVENT_SANDBOX_FAILED] = { "d0245d8d4df947d59c65f2087431ebbc", LOG_ERR },
        [EVENT_SANDBOX_ADOPTED] = { "9997bf213d4d4f919a70ac8e282db6af", LOG_NOTICE },
        [EVENT_VM_STARTED] = { "c865724b6b6b46e0af6a363a3523d8b4", LOG_INFO },
        [EVENT_GUEST_PANIC] = { "0e238f37872149c89aa78f0707a02aff", LOG_CRIT },
        [EVENT_AGENT_LOST] = { "3ddb1f00d05b4b6eb0fc36b410a57903", LOG_ERR },
        [EVENT_CONTAINER_STARTED] = { "844c8baf454d4bcbba97dbbff0bc8ec1", LOG_INFO },
        [EVENT_CONTAINER_EXITED] = { "f90e899aeb6443e6849d5a3bcb579a14", LOG_INFO },
        [EVENT_CONTAINER_OOM] = { "905c10d236f0452d8761f2bf62782b47", LOG_WARNING },
        [EVENT_MESSAGES_DROPPED] = { "818667848e494baeb5557833957150a4", LOG_WARNING },
        [EVENT_DEBUG_MODE] = { "4c12220ac3c14e14b5ebc2d02d1ec54e", LOG_NOTICE },
        [EVENT_DEBUG_SESSION_BEGAN] = { "a0696d8db83948a6b446c66a5c4a35a9", LOG_NOTICE },
        [EVENT_DEBUG_SESSION_ENDED] = { "3321912f25da489e9a6eac06836b797e", LOG_NOTICE },
};

const char *event_message_id(SandboxEvent event)
{
        assert(event >= 0 && event < _EVENT_MAX);

        return events[event].message_id;
}

void sandbox_event(Relay *relay, SandboxEvent event, const char *container, const char *const *fields,
                   const char *format, ...)
{
        _cleanup_(journal_entry_done) JournalEntry e = {};
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);

        relay_begin_event(relay, &e, events[event].priority);
        journal_entry_add_string(&e, "MESSAGE_ID", event_message_id(event));
        journal_entry_add_string(&e, "KATA_CONTAINER_ID", container);
        for (size_t i = 0; fields && fields[i]; i += 2)
                journal_entry_add_string(&e, fields[i], fields[i + 1]);
        journal_entry_add_string(&e, "MESSAGE", text ? text : "Out of memory");
        relay_send_event(relay, &e);
}
