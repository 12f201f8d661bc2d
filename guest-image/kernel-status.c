/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel in use against the source that apt offers: see kernel-status.h. */

#include "guest-image/kernel-status.h"

#include "basic/error.h"
#include "basic/fd.h"
#include "guest-image/kernel-info.h"
#include "guest-image/source.h"

void kernel_status_done(KernelStatus *status)
{
        free(status->available);
        free(status->tarball);
        free(status->text);
        *status = (KernelStatus) {};
}

int kernel_state_to_exit_status(KernelState state)
{
        static const int statuses[_KERNEL_STATE_MAX] = {
                [KERNEL_CURRENT] = 0,
                [KERNEL_UPDATE] = KERNEL_STATUS_UPDATE,
                [KERNEL_CONFLICT] = KERNEL_STATUS_CONFLICT,
        };

        return statuses[state];
}

static void rm_rf_free(char **path)
{
        if (*path)
                (void) rm_rf(*path);
        free(*path);
}

/* Fills state, tarball and text of a status whose available version is newer. */
static int try_update(KernelStatus *s, const KernelInfo *info, const char *patches, const char *cache,
                      char **reterr_message)
{
        _cleanup_free_ char *template = NULL, *patch = NULL, *reason = NULL, *trouble = NULL;
        _cleanup_(rm_rf_free) char *scratch = NULL;
        int r;

        r = source_get(cache, KERNEL_SOURCE_PACKAGE, s->available, &s->tarball, &trouble);
        if (r >= 0) {
                template = strdup("/tmp/kata-image-XXXXXX");
                if (!template)
                        return -ENOMEM;
                if (!mkdtemp(template))
                        return error_setf(reterr_message, errno, "/tmp is not writable: %s",
                                          strerror(errno));
                scratch = TAKE_PTR(template);
                r = patches_try(patches, KERNEL_SOURCE_PACKAGE, s->tarball, scratch, &patch, &reason,
                                &trouble);
        }

        s->state = r == 1 ? KERNEL_CONFLICT : KERNEL_UPDATE;
        if (r == 1)
                r = asprintf(&s->text, "%s available (%s in use), but patch %s does not apply: %s",
                             s->available, info->version, patch, reason);
        else if (r < 0)
                r = asprintf(&s->text, "%s available (%s in use), the patches could not be tried (%s): "
                             "run kata-image update", s->available, info->version,
                             error_text(trouble, r));
        else
                r = asprintf(&s->text, "%s available (%s in use): run kata-image update", s->available,
                             info->version);
        if (r < 0) {
                s->text = NULL;
                return -ENOMEM;
        }
        return 0;
}

int kernel_status_get(const char *guest_dir, const char *patches, const char *cache, KernelStatus *ret,
                      char **reterr_message)
{
        _cleanup_(kernel_status_done) KernelStatus s = {};
        _cleanup_(kernel_info_done) KernelInfo info = {};
        _cleanup_free_ char *candidate = NULL;
        bool newer, older;
        int r;

        r = kernel_info_read(guest_dir, &info, reterr_message);
        if (r < 0)
                return r;
        if (!info.package)
                return error_setf(reterr_message, ENODATA,
                                  "the kernel in %s was built from a source of no package, so it can not be "
                                  "compared: run kata-image update --force to replace it", guest_dir);

        r = apt_candidate(KERNEL_SOURCE_PACKAGE, &candidate, reterr_message);
        if (r >= 0)
                r = version_is_newer(candidate, info.version, &newer, reterr_message);
        if (r >= 0)
                r = version_is_newer(info.version, candidate, &older, reterr_message);
        if (r < 0)
                return r;
        /* A kernel of an earlier series, from before an upgrade of this program. */
        newer = newer || !streq(info.package, KERNEL_SOURCE_PACKAGE);

        if (newer) {
                s.available = TAKE_PTR(candidate);
                r = try_update(&s, &info, patches, cache, reterr_message);
                if (r < 0)
                        return r;
        } else {
                s.state = KERNEL_CURRENT;
                r = older ? asprintf(&s.text, "up to date: %s in use, apt offers the older %s",
                                     info.version, candidate)
                          : asprintf(&s.text, "up to date: %s", info.version);
                if (r < 0) {
                        s.text = NULL;
                        return -ENOMEM;
                }
        }

        *ret = s;
        s = (KernelStatus) {};
        return 0;
}

int kernel_status_force(const char *cache, KernelStatus *ret, char **reterr_message)
{
        _cleanup_(kernel_status_done) KernelStatus s = { .state = KERNEL_UPDATE };
        int r;

        r = apt_candidate(KERNEL_SOURCE_PACKAGE, &s.available, reterr_message);
        if (r >= 0)
                r = source_get(cache, KERNEL_SOURCE_PACKAGE, s.available, &s.tarball, reterr_message);
        if (r < 0)
                return r;
        if (asprintf(&s.text, "building %s as asked for", s.available) < 0) {
                s.text = NULL;
                return -ENOMEM;
        }

        *ret = s;
        s = (KernelStatus) {};
        return 0;
}
