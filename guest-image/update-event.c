/* SPDX-License-Identifier: Apache-2.0 */
/* Journal entries of kata-image: see update-event.h. */

#include "guest-image/update-event.h"

#include <stdarg.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "basic/log.h"

static const struct {
        const char *message_id;
        int priority;
} events[_UPDATE_EVENT_MAX] = {
        [EVENT_GUEST_SWITCHED] = { "d248082803e34e94b7bd06be464b98ed", LOG_NOTICE },
        [EVENT_GUEST_ROLLED_BACK] = { "2b07231f6db2422d971ad4ec3ec548b8", LOG_NOTICE },
        [EVENT_GUEST_TEST_FAILED] = { "f14a9cc17e1142d19e3def5bf23ab43f", LOG_ERR },
};

void update_event(UpdateEvent event, const char *version, const char *other, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        int r, priority = events[event].priority;
        va_list ap;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                (void) log_oom();
                return;
        }

        r = sd_journal_send("MESSAGE_ID=%s", events[event].message_id, "MESSAGE=%s", text,
                            "PRIORITY=%i", priority, "SYSLOG_IDENTIFIER=kata-image",
                            "KATA_GUEST_VERSION=%s", version, "KATA_GUEST_OTHER=%s", other, NULL);
        /* journald sets it for programs whose standard error it reads. */
        if (r < 0 || !getenv("JOURNAL_STREAM"))
                (void) log_internal(priority, 0, "%s", text);
}
