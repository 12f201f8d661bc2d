/* SPDX-License-Identifier: Apache-2.0 */
/* Changing the limits of a live cgroup: see cgroup.h. Runs in a worker, which may wait for reclaim. */

#include <unistd.h>

#include "agent/cgroup.h"
#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"

/* The line of text that begins with key and a blank, or NULL; *ret_n without the line break. */
static const char *find_line(const char *text, const char *key, size_t n_key, size_t *ret_n)
{
        for (const char *p = text; *p;) {
                size_t n = strcspn(p, "\n");

                if (n > n_key && strncmp(p, key, n_key) == 0 && p[n_key] == ' ') {
                        *ret_n = n;
                        return p;
                }
                p += n + (p[n] == '\n');
        }

        return NULL;
}

int cgroup_undo_value(const char *file, const char *old_text, const char *value, char **ret)
{
        size_t n_key = strcspn(value, " "), n = strcspn(old_text, "\n");
        const char *line = NULL;
        char *undo;

        if (streq(file, "io.max") || streq(file, "io.weight")) {
                const char *unset = streq(file, "io.max") ? "rbps=max wbps=max riops=max wiops=max"
                                                          : "default";
                bool device = memchr(value, ':', n_key);

                line = device ? find_line(old_text, value, n_key, &n)
                              : find_line(old_text, "default", strlen("default"), &n);
                if (!line && device) {
                        if (asprintf(&undo, "%.*s %s", (int) n_key, value, unset) < 0)
                                return -ENOMEM;
                        *ret = undo;
                        return 0;
                }
        }

        if (line)
                undo = strndup(line, n);
        else
                /* An empty list of processors means "as the parent": a write of nothing would be none. */
                undo = n > 0 ? strndup(old_text, n) : strdup("\n");
        if (!undo)
                return -ENOMEM;

        *ret = undo;
        return 0;
}

/* undo has as many items as settings; a value of NULL is for a file that does not exist. */
static int read_old(int dir_fd, const CgroupSettings *settings, CgroupSettings *undo, char **reterr_message)
{
        for (size_t i = 0; i < settings->n; i++) {
                const CgroupSetting *s = &settings->items[i];
                _cleanup_free_ char *text = NULL;
                int r;

                r = read_file_at(dir_fd, s->file, CGROUP_SETTING_MAX, &text, NULL);
                if (r == -ENOENT && s->optional)
                        continue;
                if (r == -ENOENT)
                        return error_setf(reterr_message, -EOPNOTSUPP,
                                          "the guest kernel has no '%s' for this cgroup", s->file);
                if (r >= 0)
                        r = cgroup_undo_value(s->file, text, s->value, &undo->items[i].value);
                if (r < 0)
                        return error_setf(reterr_message, r, "cannot read %s: %s", s->file, strerror(-r));
        }

        return 0;
}

static int write_one(int dir_fd, const char *file, const char *value)
{
        int r = write_string_file_at(dir_fd, file, value);

        /* Removed while this worker ran. */
        return r == -ENODEV ? -ENOENT : r;
}

int cgroup_update(int dir_fd, const CgroupSettings *settings, char **reterr_message)
{
        _cleanup_(cgroup_settings_done) CgroupSettings undo = {};
        int r;

        undo.items = new0(CgroupSetting, settings->n);
        if (!undo.items)
                return -ENOMEM;
        undo.n = settings->n;

        r = read_old(dir_fd, settings, &undo, reterr_message);
        if (r < 0)
                return r;

        for (size_t i = 0; i < settings->n; i++) {
                const CgroupSetting *s = &settings->items[i];
                const char *stuck = NULL;

                if (!undo.items[i].value)
                        continue;
                r = write_one(dir_fd, s->file, s->value);
                if (r >= 0)
                        continue;

                for (size_t k = i; k > 0; k--)
                        if (undo.items[k - 1].value &&
                            write_one(dir_fd, settings->items[k - 1].file, undo.items[k - 1].value) < 0)
                                stuck = settings->items[k - 1].file;
                return error_setf(reterr_message, r, "cannot set %s to '%s': %s%s%s%s", s->file, s->value,
                                  strerror(-r), stuck ? " (and " : "", stuck ? stuck : "",
                                  stuck ? " has its new value and could not be put back)" : "");
        }

        return 0;
}
