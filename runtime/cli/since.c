/* SPDX-License-Identifier: Apache-2.0 */
/* Times of --since and --until: see since.h. */

#include "runtime/cli/since.h"

#include <time.h>

static int to_usec(struct tm *tm, usec_t *ret)
{
        time_t t;

        tm->tm_isdst = -1;
        t = mktime(tm);
        if (t < 0)
                return -EINVAL;
        *ret = (usec_t) t * USEC_PER_SEC;
        return 0;
}

static int midnight(usec_t now, int days, struct tm *ret)
{
        time_t t = (time_t) (now / USEC_PER_SEC);

        if (!localtime_r(&t, ret))
                return -EINVAL;
        ret->tm_mday += days;
        ret->tm_hour = ret->tm_min = ret->tm_sec = 0;
        return 0;
}

static int parse_calendar(const char *text, usec_t now, usec_t *ret)
{
        static const char *const formats[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M",
                                               "%Y-%m-%d", "%H:%M:%S", "%H:%M" };

        for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
                struct tm tm;
                const char *end;

                if (midnight(now, 0, &tm) < 0)
                        return -EINVAL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                end = strptime(text, formats[i], &tm);
#pragma GCC diagnostic pop
                if (end && *end == '\0')
                        return to_usec(&tm, ret);
        }
        return -EINVAL;
}

static int parse_span(const char *text, usec_t now, usec_t *ret)
{
        _cleanup_free_ char *span = strdup(text);
        char *ago;
        usec_t back;

        if (!span)
                return -ENOMEM;
        ago = (char *) endswith(span, " ago");
        if (ago)
                *ago = '\0';
        if (parse_usec(span, &back) < 0 || back > now)
                return -EINVAL;
        *ret = now - back;
        return 0;
}

int time_parse(const char *text, usec_t now, usec_t *ret)
{
        struct tm tm;
        uint64_t seconds;

        if (streq(text, "now")) {
                *ret = now;
                return 0;
        }
        if (streq(text, "today") || streq(text, "yesterday"))
                return midnight(now, text[0] == 't' ? 0 : -1, &tm) < 0 ? -EINVAL : to_usec(&tm, ret);
        if (text[0] == '@') {
                if (parse_u64(text + 1, &seconds) < 0 || seconds > UINT64_MAX / USEC_PER_SEC)
                        return -EINVAL;
                *ret = seconds * USEC_PER_SEC;
                return 0;
        }
        return parse_calendar(text, now, ret) >= 0 ? 0 : parse_span(text, now, ret);
}
