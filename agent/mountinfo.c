/* SPDX-License-Identifier: Apache-2.0 */
/* Mount points: see mountinfo.h. */

#include "agent/mountinfo.h"

/* Fields before the mount point: ids of mount and parent, device, root. */
#define SKIP 4U

static bool is_octal(const char *s)
{
        return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' && s[2] <= '7';
}

int mountinfo_next(const char **text, char **ret)
{
        const char *p = *text, *end = strchrnul(p, '\n');
        char *s, *q;

        if (!*p)
                return 0;
        *text = *end ? end + 1 : end;

        for (unsigned i = 0; i < SKIP; i++) {
                p = memchr(p, ' ', (size_t) (end - p));
                if (!p)
                        return -EBADMSG;
                p++;
        }
        if (p == end || *p != '/')
                return -EBADMSG;

        s = q = malloc((size_t) (end - p) + 1);
        if (!s)
                return -ENOMEM;
        while (p < end && *p != ' ') {
                /* Blank, tabulator, line break, backslash and '#' are written as \ooo. */
                if (*p == '\\' && end - p >= 4 && is_octal(p + 1)) {
                        *q++ = (char) ((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
                        p += 4;
                } else
                        *q++ = *p++;
        }
        *q = '\0';
        *ret = s;
        return 1;
}
