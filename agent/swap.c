/* SPDX-License-Identifier: Apache-2.0 */
/* Swap devices: see swap.h. */

#include "agent/swap.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <time.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/parse.h"

#define MAGIC "SWAPSPACE2"
#define MAGIC_SIZE 10U
/* Behind the kilobyte that is left for boot blocks: version, last page, bad pages, UUID. */
#define VERSION_OFFSET 1024U
#define LAST_PAGE_OFFSET 1028U
#define UUID_OFFSET 1036U
#define PAGES_MIN 10U
#define DEVICE_WAIT_USEC (3 * USEC_PER_SEC)

bool swap_header_is_valid(const uint8_t *page, size_t page_size)
{
        uint32_t version;

        memcpy(&version, page + VERSION_OFFSET, sizeof(version));
        return version == 1 && memcmp(page + page_size - MAGIC_SIZE, MAGIC, MAGIC_SIZE) == 0;
}

int swap_header_build(uint8_t *page, size_t page_size, uint64_t size, const uint8_t uuid[static 16])
{
        uint64_t pages = size / page_size;
        uint32_t version = 1, last;

        if (pages < PAGES_MIN)
                return -ENOSPC;
        last = (uint32_t) MIN(pages - 1, (uint64_t) UINT32_MAX);

        memset(page, 0, page_size);
        memcpy(page + VERSION_OFFSET, &version, sizeof(version));
        memcpy(page + LAST_PAGE_OFFSET, &last, sizeof(last));
        memcpy(page + UUID_OFFSET, uuid, 16);
        memcpy(page + page_size - MAGIC_SIZE, MAGIC, MAGIC_SIZE);
        return 0;
}

static int open_device(const char *path)
{
        usec_t end = now_usec() + DEVICE_WAIT_USEC;

        for (;;) {
                struct timespec ts = { .tv_nsec = 10000000 };
                _cleanup_close_ int fd = -EBADF;
                struct stat st;

                /* Exclusive: not what is mounted or swapped to. */
                fd = open(path, O_RDWR | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
                if (fd >= 0) {
                        if (fstat(fd, &st) < 0)
                                return negative_errno();
                        return S_ISBLK(st.st_mode) ? TAKE_FD(fd) : -ENOTBLK;
                }
                if (errno != ENOENT || now_usec() > end)
                        return negative_errno();
                (void) nanosleep(&ts, NULL);
        }
}

static int prepare(int fd)
{
        size_t page_size = (size_t) sysconf(_SC_PAGESIZE);
        _cleanup_free_ uint8_t *page = NULL;
        uint8_t uuid[16];
        uint64_t size;
        int r;

        if (page_size > SWAP_PAGE_MAX)
                return -EOPNOTSUPP;
        page = malloc(page_size);
        if (!page)
                return -ENOMEM;
        r = read_full(fd, page, page_size);
        if (r < 0)
                return r;
        if (swap_header_is_valid(page, page_size))
                return 0;

        if (ioctl(fd, BLKGETSIZE64, &size) < 0)
                return negative_errno();
        if (getrandom(uuid, sizeof(uuid), GRND_NONBLOCK) != sizeof(uuid))
                memset(uuid, 0, sizeof(uuid));
        r = swap_header_build(page, page_size, size, uuid);
        if (r < 0)
                return r;
        if (pwrite(fd, page, page_size, 0) != (ssize_t) page_size || fsync(fd) < 0)
                return negative_errno();
        return 0;
}

int swap_add(const char *path, char **reterr_message)
{
        const char *name = startswith(path, "/dev/");
        int fd, r;

        if (isempty(name) || strchr(name, '/') || *name == '.')
                return error_setf(reterr_message, EINVAL, "swap: '%s' is not a device node /dev/NAME", path);
        if (access("/proc/swaps", F_OK) < 0)
                return error_setf(reterr_message, EBUSY, "swap: this guest kernel is built without it "
                                  "(CONFIG_SWAP)");

        fd = open_device(path);
        if (fd < 0)
                return error_setf(reterr_message, fd, "swap: %s: %s", path, strerror(-fd));
        r = prepare(fd);
        safe_close(fd);
        if (r < 0)
                return error_setf(reterr_message, r, "swap: %s: %s", path, strerror(-r));
        if (swapon(path, 0) < 0)
                return error_setf(reterr_message, errno, "swap: %s: swapon: %s", path, strerror(errno));
        return 0;
}
