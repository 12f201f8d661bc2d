/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of volumes: see fs-group.h. Works on names that are the tenant's. */

#include "agent/fs-group.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/confined-path.h"
#include "basic/limits.h"

typedef struct Walk {
        const FsGroup *group;
        dev_t device;
        usec_t end;
} Walk;

static void closedirp(DIR **dir)
{
        if (*dir)
                closedir(*dir);
}

/* Bits that are added: the owner has no fewer rights than the group. */
#define FILE_MODE 0660
#define DIRECTORY_MODE (FILE_MODE | 0110 | S_ISGID)

static int change(int fd, const struct stat *st, const FsGroup *group)
{
        mode_t mode = (st->st_mode & 07777) | (S_ISDIR(st->st_mode) ? DIRECTORY_MODE : FILE_MODE);

        if (st->st_gid != group->gid && fchownat(fd, "", (uid_t) -1, group->gid, AT_EMPTY_PATH) < 0)
                return negative_errno();
        /* Also where nothing was missing: another group takes set-user-ID and set-group-ID away from a file. */
        return confined_chmod(fd, mode);
}

static int walk(const Walk *w, int fd, unsigned depth);

static int visit(const Walk *w, int dir_fd, const char *name, unsigned depth)
{
        _cleanup_close_ int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;
        int r;

        /* Somebody may be at work there. */
        if (fd < 0)
                return errno == ENOENT ? 0 : negative_errno();
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (S_ISLNK(st.st_mode) || st.st_dev != w->device)
                return 0;
        r = change(fd, &st, w->group);
        return r < 0 || !S_ISDIR(st.st_mode) ? r : walk(w, fd, depth);
}

/* fd: O_PATH, a directory. */
static int walk(const Walk *w, int fd, unsigned depth)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *e;
        int open_fd, r;

        if (depth >= FS_GROUP_DEPTH_MAX)
                return -ELOOP;
        open_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (open_fd < 0)
                return negative_errno();
        dir = fdopendir(open_fd);
        if (!dir) {
                r = negative_errno();
                safe_close(open_fd);
                return r;
        }

        while ((e = readdir(dir))) {
                if (streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                if (now_usec() > w->end)
                        return -ETIMEDOUT;
                r = visit(w, dirfd(dir), e->d_name, depth + 1);
                if (r < 0)
                        return r;
        }
        return 0;
}

int fs_group_apply(int fd, const FsGroup *group, usec_t end)
{
        Walk w = { .group = group, .end = end };
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (group->on_mismatch && st.st_gid == group->gid && (st.st_mode & DIRECTORY_MODE) == DIRECTORY_MODE)
                return 0;

        w.device = st.st_dev;
        /* The root comes last: if this ends early, it does not look as if all had been done. */
        r = walk(&w, fd, 0);
        return r < 0 ? r : change(fd, &st, group);
}

int fs_group_set_directory(int fd, gid_t gid)
{
        struct stat st;

        if (fchownat(fd, "", (uid_t) -1, gid, AT_EMPTY_PATH) < 0 || fstat(fd, &st) < 0)
                return negative_errno();
        return confined_chmod(fd, (st.st_mode & 07777) | S_ISGID);
}
