/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of huge pages: see hugepages.h. Numbers are the host's request and the kernel's answer. */

#include "agent/hugepages.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/file.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/parse.h"

/* Locked, so that the reading and writing of two workers do not mix. */
static int open_pool(const char *sys, uint64_t page_size)
{
        char path[PATH_MAX];
        int fd;

        if (snprintf(path, sizeof(path), "%s/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages", sys,
                     page_size / 1024) >= (int) sizeof(path))
                return -ENAMETOOLONG;
        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -EOPNOTSUPP : negative_errno();
        if (flock(fd, LOCK_EX) < 0) {
                int r = negative_errno();

                safe_close(fd);
                return r;
        }
        return fd;
}

static int read_pool(int fd, uint64_t *ret)
{
        char text[32];
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

        if (n < 0)
                return negative_errno();
        while (n > 0 && text[n - 1] == '\n')
                n--;
        text[n] = '\0';
        return parse_u64(text, ret);
}

static int write_pool(int fd, uint64_t n)
{
        char text[32];
        int k = snprintf(text, sizeof(text), "%" PRIu64 "\n", n);

        return pwrite(fd, text, (size_t) k, 0) != k ? negative_errno() : 0;
}

int hugepages_reserve(const char *sys, uint64_t page_size, uint64_t n, char **reterr_message)
{
        _cleanup_close_ int fd = open_pool(sys, page_size);
        uint64_t before, after;
        int r;

        if (fd < 0)
                return error_setf(reterr_message, fd, "huge pages of %" PRIu64 " KiB: %s", page_size / 1024,
                                  fd == -EOPNOTSUPP ? "the guest kernel has no such size" : strerror(-fd));

        r = read_pool(fd, &before);
        if (r >= 0 && n > UINT64_MAX - before)
                r = -EINVAL;
        if (r >= 0)
                r = write_pool(fd, before + n);
        if (r >= 0)
                r = read_pool(fd, &after);
        if (r < 0)
                return error_setf(reterr_message, r, "huge pages of %" PRIu64 " KiB: %s", page_size / 1024,
                                  strerror(-r));
        if (after < before + n) {
                (void) write_pool(fd, before);
                return error_setf(reterr_message, ENOSPC, "huge pages of %" PRIu64 " KiB: %" PRIu64 " were asked for, "
                                  "and the guest has memory for %" PRIu64 " in one piece", page_size / 1024, n,
                                  after > before ? after - before : 0);
        }
        return 0;
}

void hugepages_release(const char *sys, uint64_t page_size, uint64_t n)
{
        _cleanup_close_ int fd = open_pool(sys, page_size);
        uint64_t now;

        if (fd >= 0 && read_pool(fd, &now) >= 0)
                (void) write_pool(fd, now > n ? now - n : 0);
}
