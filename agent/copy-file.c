/* SPDX-License-Identifier: Apache-2.0 */
/* Files sent by the host: see copy-file.h. */

#include "agent/copy-file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/confined-path.h"
#include "basic/error.h"

#define TEMPORARY_PREFIX ".kata-copy-"

/* FNV-1a, to tell names apart that are too long to be a part of a name. */
static uint64_t hash(const char *s)
{
        uint64_t h = UINT64_C(0xcbf29ce484222325);

        for (; *s; s++)
                h = (h ^ (uint8_t) *s) * UINT64_C(0x100000001b3);
        return h;
}

static char *temporary_name(const char *name)
{
        char *s;
        int r;

        if (strlen(TEMPORARY_PREFIX) + strlen(name) <= NAME_MAX)
                r = asprintf(&s, TEMPORARY_PREFIX "%s", name);
        else
                r = asprintf(&s, TEMPORARY_PREFIX "%.200s-%016llx", name,
                             (unsigned long long) hash(name));
        return r < 0 ? NULL : s;
}

static int plan_path(const char *path, const char *root, CopyPlan *plan, char **reterr_message)
{
        _cleanup_free_ char *whole = NULL;
        char *slash;
        int r;

        r = confined_normalize(path, root, &whole);
        if (r == -EINVAL)
                return error_setf(reterr_message, r, "copying '%s': not a path below %s", path, root);
        if (r < 0)
                return r;

        slash = strrchr(whole, '/');
        plan->name = strdup(slash + 1);
        *slash = '\0';
        /* The root's own length again: nothing is left of a file directly below it. */
        plan->parent = strdup(strlen(whole) > strlen(root) ? whole + strlen(root) + 1 : "");
        if (!plan->name || !plan->parent)
                return -ENOMEM;
        plan->temporary = temporary_name(plan->name);
        return plan->temporary ? 0 : -ENOMEM;
}

static int plan_content(const Grpc__CopyFileRequest *input, CopyPlan *plan, char **reterr_message)
{
        switch (plan->type) {
        case S_IFDIR:
                return 0;

        case S_IFLNK:
                if (plan->n == 0 || plan->n >= PATH_MAX || memchr(plan->data, '\0', plan->n))
                        return error_setf(reterr_message, EINVAL, "copying '%s': not a target of a symlink",
                                          input->path);
                return 0;

        case S_IFREG:
                if (input->file_size < 0 || input->offset < 0 || input->offset > input->file_size ||
                    plan->n > (uint64_t) (input->file_size - input->offset))
                        return error_setf(reterr_message, EINVAL, "copying '%s': %zu bytes at %lld do not "
                                          "fit into a file of %lld", input->path, plan->n,
                                          (long long) input->offset, (long long) input->file_size);
                plan->offset = (uint64_t) input->offset;
                plan->size = (uint64_t) input->file_size;
                return 0;

        default:
                return error_setf(reterr_message, EOPNOTSUPP, "copying '%s': only files, directories and "
                                  "symlinks are copied, not mode %#o", input->path, input->file_mode);
        }
}

int copy_plan(const Grpc__CopyFileRequest *input, const char *root, CopyPlan *ret, char **reterr_message)
{
        _cleanup_(copy_plan_done) CopyPlan plan = {
                /* Hosts of old send the permissions alone. */
                .type = (input->file_mode & S_IFMT) != 0 ? input->file_mode & S_IFMT : S_IFREG,
                .mode = input->file_mode & 07777,
                /* Go's directory bit stands elsewhere than that of stat(2). */
                .parent_mode = input->dir_mode & 07777,
                .uid = (uint32_t) input->uid, .gid = (uint32_t) input->gid,
                .data = input->data.data, .n = input->data.len,
        };
        int r;

        r = plan_path(input->path, root, &plan, reterr_message);
        if (r >= 0)
                r = plan_content(input, &plan, reterr_message);
        if (r < 0)
                return r;

        *ret = plan;
        plan = (CopyPlan) {};
        return 0;
}

void copy_plan_done(CopyPlan *plan)
{
        free(plan->parent);
        free(plan->name);
        free(plan->temporary);
        *plan = (CopyPlan) {};
}

static int set_owner(int fd, const CopyPlan *plan)
{
        return fchownat(fd, "", plan->uid, plan->gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ?
               negative_errno() : 0;
}

/* Gives the temporary file its place. A directory in the way goes; anything else is replaced at once. */
static int move_in_place(int dir_fd, const CopyPlan *plan)
{
        char path[NAME_MAX + 32];
        int r;

        if (renameat(dir_fd, plan->temporary, dir_fd, plan->name) >= 0)
                return 0;
        if (errno != EISDIR && errno != ENOTEMPTY && errno != EEXIST)
                return negative_errno();

        snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, plan->name);
        r = rm_rf(path);
        if (r < 0)
                return r;
        return renameat(dir_fd, plan->temporary, dir_fd, plan->name) < 0 ? negative_errno() : 0;
}

static int apply_directory(int dir_fd, const CopyPlan *plan)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (mkdirat(dir_fd, plan->name, 0700) < 0 && errno != EEXIST)
                return negative_errno();
        fd = openat(dir_fd, plan->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return negative_errno();
        r = set_owner(fd, plan);
        return r < 0 ? r : confined_chmod(fd, plan->mode);
}

static int apply_symlink(int dir_fd, const CopyPlan *plan)
{
        _cleanup_free_ char *target = strndup(plan->data, plan->n);

        if (!target)
                return -ENOMEM;
        if (unlinkat(dir_fd, plan->temporary, 0) < 0 && errno != ENOENT)
                return negative_errno();
        if (symlinkat(target, dir_fd, plan->temporary) < 0 ||
            fchownat(dir_fd, plan->temporary, plan->uid, plan->gid, AT_SYMLINK_NOFOLLOW) < 0)
                return negative_errno();
        return move_in_place(dir_fd, plan);
}

static int open_temporary(int dir_fd, const CopyPlan *plan)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (plan->offset == 0) {
                if (unlinkat(dir_fd, plan->temporary, 0) < 0 && errno != ENOENT)
                        return negative_errno();
                fd = openat(dir_fd, plan->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                            0600);
                return fd < 0 ? negative_errno() : TAKE_FD(fd);
        }

        /* Not through a fifo or a second name that a tenant made. */
        fd = openat(dir_fd, plan->temporary, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return negative_errno();
        if (fstat(fd, &st) < 0)
                return negative_errno();
        return S_ISREG(st.st_mode) && st.st_nlink == 1 ? TAKE_FD(fd) : -EBUSY;
}

static int write_at(int fd, const uint8_t *data, size_t n, uint64_t offset)
{
        while (n > 0) {
                ssize_t k = pwrite(fd, data, n, (off_t) offset);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return negative_errno();
                data += k;
                n -= (size_t) k;
                offset += (uint64_t) k;
        }
        return 0;
}

static int apply_file(int dir_fd, const CopyPlan *plan, char **reterr_message)
{
        _cleanup_close_ int fd = open_temporary(dir_fd, plan);
        struct stat st;
        int r;

        if (fd == -ENOENT)
                return error_setf(reterr_message, EINVAL, "copying '%s': a piece at %llu before the first "
                                  "one", plan->name, (unsigned long long) plan->offset);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (plan->offset > (uint64_t) st.st_size)
                return error_setf(reterr_message, EINVAL, "copying '%s': a piece at %llu, but only %llu "
                                  "bytes are there", plan->name, (unsigned long long) plan->offset,
                                  (unsigned long long) st.st_size);

        r = write_at(fd, plan->data, plan->n, plan->offset);
        if (r < 0)
                return r;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if ((uint64_t) st.st_size < plan->size)
                return 0;
        if ((uint64_t) st.st_size > plan->size)
                return error_setf(reterr_message, EINVAL, "copying '%s': %llu bytes have come for a file of "
                                  "%llu", plan->name, (unsigned long long) st.st_size,
                                  (unsigned long long) plan->size);

        /* A change of the owner takes set-id bits away, so the mode comes last. */
        if (fchown(fd, plan->uid, plan->gid) < 0 || fchmod(fd, plan->mode) < 0)
                return negative_errno();
        return move_in_place(dir_fd, plan);
}

int copy_apply(const CopyPlan *plan, const char *root, char **reterr_message)
{
        _cleanup_close_ int root_fd = -EBADF, dir_fd = -EBADF;
        bool made = false;
        int r = 0;

        root_fd = confined_make_dirs(AT_FDCWD, root, 0755, NULL);
        if (root_fd < 0)
                return error_setf(reterr_message, root_fd, "copying '%s': %s: %s", plan->name, root,
                                  strerror(-root_fd));
        dir_fd = confined_make_dirs(root_fd, plan->parent, (mode_t) plan->parent_mode, &made);
        if (dir_fd >= 0 && made)
                r = set_owner(dir_fd, plan);
        if (dir_fd < 0 || r < 0)
                return error_setf(reterr_message, dir_fd < 0 ? dir_fd : r, "copying '%s': directory '%s': "
                                  "%s%s", plan->name, plan->parent, strerror(dir_fd < 0 ? -dir_fd : -r),
                                  dir_fd == -ELOOP ? " (symlinks are not followed)" : "");

        if (plan->type == S_IFDIR)
                r = apply_directory(dir_fd, plan);
        else if (plan->type == S_IFLNK)
                r = apply_symlink(dir_fd, plan);
        else {
                r = apply_file(dir_fd, plan, reterr_message);
                if (r == -EINVAL)
                        return r;
        }
        if (r < 0)
                return error_setf(reterr_message, r, "copying '%s' to '%s': %s", plan->name, plan->parent,
                                  strerror(-r));
        return 0;
}
