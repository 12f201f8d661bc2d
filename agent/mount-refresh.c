/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the host, looked at anew: see mount-refresh.h. */

#include "agent/mount-refresh.h"

#include <fcntl.h>
#include <sys/stat.h>

#define REFRESH_USEC (2 * USEC_PER_SEC)

void mount_refresh_free(MountRefresh *refresh)
{
        refresh->worker = worker_cancel(refresh->worker);
        strv_done(&refresh->paths);
}

/* In the worker. One that is not there any more is the container's to find out. */
static int refresh_all(void *userdata, char **reterr_message)
{
        const MountRefresh *refresh = userdata;
        const char *path;

        STRV_FOREACH(path, &refresh->paths) {
                struct statx st;

                (void) statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT, STATX_SIZE | STATX_MTIME, &st);
        }
        return 0;
}

static void on_done(int error, const char *message, void *userdata)
{
        MountRefresh *refresh = userdata;

        refresh->worker = NULL;
        refresh->done(refresh);
}

int mount_refresh_start(MountRefresh *refresh, Loop *loop, void (*done)(MountRefresh *refresh))
{
        int r;

        assert(!refresh->worker);
        if (refresh->paths.n == 0)
                return 0;
        refresh->done = done;
        r = worker_start(&refresh->worker, loop, refresh_all, refresh, REFRESH_USEC, on_done, refresh);
        return r < 0 ? r : 1;
}
