/* SPDX-License-Identifier: Apache-2.0 */
/* Error texts: see error.h. Pure functions on the heap; no trust boundary. */

#include "basic/error.h"

#include <stdarg.h>

int error_setf(char **reterr_message, int error, const char *format, ...)
{
        va_list ap;
        char *s;

        error = error > 0 ? -error : error;
        if (!reterr_message)
                return error;

        va_start(ap, format);
        if (vasprintf(&s, format, ap) < 0)
                s = NULL;
        va_end(ap);

        free(*reterr_message);
        *reterr_message = s;
        return error;
}

int error_prefixf(char **reterr_message, int error, const char *format, ...)
{
        _cleanup_free_ char *prefix = NULL;
        va_list ap;
        char *s;

        error = error > 0 ? -error : error;
        if (!reterr_message)
                return error;

        va_start(ap, format);
        if (vasprintf(&prefix, format, ap) < 0)
                prefix = NULL;
        va_end(ap);

        if (!prefix || asprintf(&s, "%s: %s", prefix, error_text(*reterr_message, error)) < 0)
                return error;

        free(*reterr_message);
        *reterr_message = s;
        return error;
}

const char *error_text(const char *message, int error)
{
        return message ? message : strerror(error < 0 ? -error : error);
}
