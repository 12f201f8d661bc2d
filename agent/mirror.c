/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of small directories: see mirror.h. */

#include "agent/mirror.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"

/* No file of a volume has this name. */
#define TEMPORARY ".kata-mirror"

typedef struct Tally {
        unsigned files, entries;
        uint64_t bytes;
} Tally;

static void closedirp(DIR **dir)
{
        if (*dir)
                closedir(*dir);
}

static int open_directory(int fd, const char *name)
{
        int r = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return r < 0 ? negative_errno() : r;
}

/* A stream of its own, so that fd can be walked again. */
static int open_stream(int fd, DIR **ret)
{
        int copy = open_directory(fd, ".");

        if (copy < 0)
                return copy;
        *ret = fdopendir(copy);
        if (!*ret) {
                int r = negative_errno();

                safe_close(copy);
                return r;
        }
        return 0;
}

/* The next entry that is not the directory itself. */
static struct dirent *next_entry(DIR *dir)
{
        struct dirent *e;

        while ((e = readdir(dir)) && (streq(e->d_name, ".") || streq(e->d_name, "..")))
                ;
        return e;
}

/* What the host has now, and not what the guest remembers of it. */
static int stat_now(int fd, const char *name, struct stat *ret)
{
        struct statx stx;

        if (statx(fd, name, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx) < 0)
                return negative_errno();
        *ret = (struct stat) {
                .st_mode = stx.stx_mode, .st_uid = stx.stx_uid, .st_gid = stx.stx_gid, .st_size = (off_t) stx.stx_size,
                .st_mtim = { stx.stx_mtime.tv_sec, stx.stx_mtime.tv_nsec },
        };
        return 0;
}

static int count(int fd, unsigned depth, Tally *tally)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *e;
        int r = open_stream(fd, &dir);

        if (r < 0)
                return r;
        if (depth >= MIRROR_DEPTH_MAX)
                return -E2BIG;
        while ((e = next_entry(dir))) {
                struct stat st;

                r = stat_now(dirfd(dir), e->d_name, &st);
                if (r == -ENOENT)
                        continue;
                if (r < 0)
                        return r;
                tally->entries++;
                if (S_ISREG(st.st_mode)) {
                        tally->files++;
                        tally->bytes += (uint64_t) st.st_size;
                }
                if (tally->entries > MIRROR_ENTRIES_MAX || tally->files > MIRROR_FILES_MAX ||
                    tally->bytes > MIRROR_BYTES_MAX)
                        return -E2BIG;
                if (S_ISDIR(st.st_mode)) {
                        _cleanup_close_ int sub = open_directory(dirfd(dir), e->d_name);

                        r = sub < 0 ? sub : count(sub, depth + 1, tally);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static int remove_at(int fd, const char *name)
{
        char path[NAME_MAX + 32];

        if (unlinkat(fd, name, 0) >= 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR)
                return negative_errno();
        if (snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", fd, name) >= (int) sizeof(path))
                return -ENAMETOOLONG;
        return rm_rf(path);
}

/* Puts what has the temporary name in the place of name. */
static int put_in_place(int fd, const char *name)
{
        if (renameat(fd, TEMPORARY, fd, name) >= 0)
                return 0;
        /* A directory was there. */
        if (errno == EISDIR && remove_at(fd, name) >= 0 && renameat(fd, TEMPORARY, fd, name) >= 0)
                return 0;
        return negative_errno();
}

static int copy_bytes(int in, int out)
{
        uint8_t buf[16384];
        uint64_t sum = 0;

        for (;;) {
                ssize_t n = read(in, buf, sizeof(buf));
                int r;

                if (n <= 0)
                        return n < 0 ? negative_errno() : 0;
                sum += (uint64_t) n;
                /* It has grown since it was counted. */
                if (sum > MIRROR_BYTES_MAX)
                        return -E2BIG;
                r = write_full(out, buf, (size_t) n);
                if (r < 0)
                        return r;
        }
}

static int copy_file(int from, int to, const char *name, const struct stat *st)
{
        const struct timespec times[2] = { st->st_mtim, st->st_mtim };
        _cleanup_close_ int in = -EBADF, out = -EBADF;
        struct stat old;
        int r;

        if (fstatat(to, name, &old, AT_SYMLINK_NOFOLLOW) >= 0 && S_ISREG(old.st_mode) && old.st_size == st->st_size &&
            old.st_mtim.tv_sec == st->st_mtim.tv_sec && old.st_mtim.tv_nsec == st->st_mtim.tv_nsec &&
            old.st_mode == st->st_mode && old.st_uid == st->st_uid && old.st_gid == st->st_gid)
                return 0;

        in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (in < 0)
                return negative_errno();
        r = remove_at(to, TEMPORARY);
        if (r < 0)
                return r;
        out = openat(to, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (out < 0)
                return negative_errno();
        r = copy_bytes(in, out);
        if (r >= 0 && (fchown(out, st->st_uid, st->st_gid) < 0 || fchmod(out, st->st_mode & 07777) < 0 ||
                       futimens(out, times) < 0))
                r = negative_errno();
        return r < 0 ? r : put_in_place(to, name);
}

static int copy_link(int from, int to, const char *name)
{
        char target[PATH_MAX], old[PATH_MAX];
        ssize_t n = readlinkat(from, name, target, sizeof(target)), k;
        int r;

        if (n < 0)
                return negative_errno();
        if ((size_t) n >= sizeof(target))
                return -ENAMETOOLONG;
        k = readlinkat(to, name, old, sizeof(old));
        if (k == n && memcmp(old, target, (size_t) n) == 0)
                return 0;

        target[n] = '\0';
        r = remove_at(to, TEMPORARY);
        if (r < 0)
                return r;
        return symlinkat(target, to, TEMPORARY) < 0 ? negative_errno() : put_in_place(to, name);
}

static int copy_all(int from, int to, unsigned depth);

static int copy_subdirectory(int from, int to, const char *name, const struct stat *st, unsigned depth)
{
        _cleanup_close_ int in = open_directory(from, name), out = -EBADF;
        int r;

        if (in < 0)
                return in;
        if (mkdirat(to, name, 0700) < 0 && errno != EEXIST)
                return negative_errno();
        out = open_directory(to, name);
        if (out == -ENOTDIR || out == -ELOOP) {
                r = remove_at(to, name);
                if (r >= 0 && mkdirat(to, name, 0700) < 0)
                        r = negative_errno();
                out = r < 0 ? r : open_directory(to, name);
        }
        if (out < 0)
                return out;
        r = copy_all(in, out, depth);
        if (r >= 0 && (fchown(out, st->st_uid, st->st_gid) < 0 || fchmod(out, st->st_mode & 07777) < 0))
                r = negative_errno();
        return r;
}

/* links: those alone, else everything but those. Other kinds of files are left out. */
static int copy_entries(int from, int to, bool links, unsigned depth)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *e;
        int r = open_stream(from, &dir);

        while (r >= 0 && (e = next_entry(dir))) {
                struct stat st;

                r = stat_now(from, e->d_name, &st);
                if (r >= 0 && links && S_ISLNK(st.st_mode))
                        r = copy_link(from, to, e->d_name);
                else if (r >= 0 && !links && S_ISREG(st.st_mode))
                        r = copy_file(from, to, e->d_name, &st);
                else if (r >= 0 && !links && S_ISDIR(st.st_mode))
                        r = copy_subdirectory(from, to, e->d_name, &st, depth + 1);
                /* It has gone meanwhile; the next time will tell. */
                if (r == -ENOENT)
                        r = 0;
        }
        return r;
}

static int remove_gone(int from, int to)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *e;
        int r = open_stream(to, &dir);

        while (r >= 0 && (e = next_entry(dir))) {
                struct stat st;

                r = stat_now(from, e->d_name, &st);
                if (r == -ENOENT)
                        r = remove_at(to, e->d_name);
        }
        return r;
}

static int copy_all(int from, int to, unsigned depth)
{
        int r = depth < MIRROR_DEPTH_MAX ? copy_entries(from, to, false, depth) : -E2BIG;

        if (r >= 0)
                r = copy_entries(from, to, true, depth);
        return r < 0 ? r : remove_gone(from, to);
}

int mirror_directory(int from, int to)
{
        _cleanup_close_ int in = open_directory(from, "."), out = -EBADF;
        Tally tally = {};
        int r;

        if (in < 0)
                return in;
        out = open_directory(to, ".");
        if (out < 0)
                return out;
        r = count(in, 0, &tally);
        return r < 0 ? r : copy_all(in, out, 0);
}
