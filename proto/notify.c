/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications of the guest, checked: see the header. Host side of the machine boundary. */

#include "proto/notify.h"

#include "basic/error.h"
#include "basic/limits.h"
#include "basic/parse.h"

static int parse_one(const char *value, bool *ret)
{
        if (!streq(value, "1"))
                return -EBADMSG;
        *ret = true;
        return 0;
}

static int parse_ready(GuestNotify *notify, const char *value)
{
        return parse_one(value, &notify->ready);
}

static int parse_stopping(GuestNotify *notify, const char *value)
{
        return parse_one(value, &notify->stopping);
}

static int parse_number(const char *value, uint32_t min, uint32_t max, bool *ret_given, int *ret)
{
        uint32_t v;

        if (parse_u32(value, &v) < 0 || v < min || v > max)
                return -EBADMSG;
        *ret_given = true;
        *ret = (int) v;
        return 0;
}

static int parse_error(GuestNotify *notify, const char *value)
{
        /* The kernel's MAX_ERRNO. */
        return parse_number(value, 1, 4095, &notify->has_errno, &notify->error);
}

static int parse_exit_status(GuestNotify *notify, const char *value)
{
        return parse_number(value, 0, 255, &notify->has_exit_status, &notify->exit_status);
}

static int parse_status(GuestNotify *notify, const char *value)
{
        char *s = text_escape(value, strlen(value), NOTIFY_STATUS_MAX);

        if (!s)
                return -ENOMEM;
        free(notify->status);
        notify->status = s;
        return 0;
}

static int parse_agent_version(GuestNotify *notify, const char *value)
{
        static const char allowed[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-.:~_";
        size_t n = strlen(value);
        char *s;

        if (n == 0 || n > NOTIFY_VERSION_MAX || strspn(value, allowed) != n)
                return -EBADMSG;
        s = strdup(value);
        if (!s)
                return -ENOMEM;
        free(notify->agent_version);
        notify->agent_version = s;
        return 0;
}

static const struct {
        const char *key;
        int (*parse)(GuestNotify *notify, const char *value);
} keys[] = {
        { "READY",                parse_ready         },
        { "STOPPING",             parse_stopping      },
        { "STATUS",               parse_status        },
        { "ERRNO",                parse_error         },
        { "EXIT_STATUS",          parse_exit_status   },
        { "X_KATA_AGENT_VERSION", parse_agent_version },
};

static int parse_line(GuestNotify *notify, char *line, char **reterr_message)
{
        char *equals = strchr(line, '=');
        int r;

        if (!equals)
                return error_setf(reterr_message, EBADMSG, "notification has a line without \"=\"");
        *equals = '\0';

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                if (!streq(line, keys[i].key))
                        continue;
                r = keys[i].parse(notify, equals + 1);
                if (r < 0)
                        return error_setf(reterr_message, r, "notification has a bad value for %s=",
                                          keys[i].key);
                break;
        }

        return 0;
}

int guest_notify_parse(const char *text, size_t n, GuestNotify *ret, char **reterr_message)
{
        _cleanup_(guest_notify_done) GuestNotify notify = {};
        _cleanup_free_ char *copy = NULL;
        int r;

        if (n > NOTIFY_MESSAGE_MAX)
                return error_setf(reterr_message, EMSGSIZE,
                                  "notification of %zu bytes is over the maximum of %zu", n,
                                  NOTIFY_MESSAGE_MAX);
        if (n > 0 && memchr(text, '\0', n))
                return error_setf(reterr_message, EBADMSG, "notification contains a NUL");

        copy = malloc(n + 1);
        if (!copy)
                return -ENOMEM;
        if (n > 0)
                memcpy(copy, text, n);
        copy[n] = '\0';

        for (char *line = copy, *rest; line; line = rest) {
                rest = strchr(line, '\n');
                if (rest)
                        *rest++ = '\0';
                if (!*line)
                        continue;
                r = parse_line(&notify, line, reterr_message);
                if (r < 0)
                        return r;
        }

        *ret = notify;
        notify = (GuestNotify) {};
        return 0;
}

void guest_notify_done(GuestNotify *notify)
{
        free(notify->status);
        free(notify->agent_version);
        *notify = (GuestNotify) {};
}
