/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a bundle: see bundle-check.h. The content may come from an image. */

#include "runtime/cli/bundle-check.h"

#include <sys/stat.h>

#include "basic/error.h"
#include "runtime/oci/spec-load.h"

int bundle_check(const OciBundle *bundle, char **reterr_message)
{
        _cleanup_oci_spec_ OciSpec *spec = NULL;
        struct stat st;
        int r = oci_spec_load(bundle->path, &spec, reterr_message);

        if (r >= 0 && stat(bundle->rootfs, &st) < 0)
                r = error_setf(reterr_message, errno, "root file system %s: %s", bundle->rootfs, strerror(errno));
        if (r >= 0 && !S_ISDIR(st.st_mode))
                r = error_setf(reterr_message, -ENOTDIR, "root file system %s: %s", bundle->rootfs,
                               strerror(ENOTDIR));
        return r < 0 ? r : 0;
}
