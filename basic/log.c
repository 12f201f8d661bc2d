/* SPDX-License-Identifier: Apache-2.0 */
/* Program log: see log.h. Process-wide state by design: level and target. */

#include "basic/log.h"

#include <stdarg.h>
#include <unistd.h>

static LogTarget log_target;
static int log_max_level = LOG_INFO;

void log_set_target(const LogTarget *target)
{
        log_target = target ? *target : (LogTarget) {};
}

void log_set_max_level(int priority)
{
        log_max_level = priority;
}

int log_get_max_level(void)
{
        return log_max_level;
}

static void log_to_stderr(int priority, const char *text)
{
        static int plain = -1;

        if (plain < 0)
                plain = isatty(STDERR_FILENO) > 0;

        if (plain)
                dprintf(STDERR_FILENO, "%s\n", text);
        else
                dprintf(STDERR_FILENO, "<%d>%s\n", priority, text);
}

int log_internal(int priority, int error, const char *format, ...)
{
        _cleanup_free_ char *text = NULL, *full = NULL;
        int saved = errno;
        va_list ap;

        error = abs(error);

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);

        if (text && error > 0 && asprintf(&full, "%s: %s", text, strerror(error)) < 0)
                full = NULL;

        if (log_target.write)
                log_target.write(log_target.userdata, priority, error,
                                 full ? full : text ? text : "Out of memory while logging");
        else
                log_to_stderr(priority, full ? full : text ? text : "Out of memory while logging");

        errno = saved;
        return -error;
}
