/* SPDX-License-Identifier: Apache-2.0 */
/* Writer of cpio archives: see cpio.h. Runs as any user; what it is given comes from the operator. */

#include "guest-image/cpio.h"

#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/limits.h"

#define CPIO_HEADER_SIZE 110U

static int append(CpioWriter *w, const void *data, size_t n)
{
        int r;

        if (n == 0)
                return 0;
        r = write_full(w->fd, data, n);
        if (r >= 0)
                w->size += n;
        return r;
}

static int pad(CpioWriter *w, size_t alignment)
{
        static const char zeros[512];
        size_t over = w->size % alignment;

        return over == 0 ? 0 : append(w, zeros, alignment - over);
}

static int add_entry(CpioWriter *w, const char *name, mode_t mode, unsigned links, unsigned major,
                     unsigned minor, const void *data, size_t size)
{
        char header[CPIO_HEADER_SIZE + 1];
        size_t name_size = strlen(name) + 1;
        uint32_t inode = mode != 0 ? ++w->n_entries : 0;
        int r;

        if (name_size > KIB(4) || size > UINT32_MAX)
                return -E2BIG;

        /* ino mode uid gid nlink mtime filesize dev (2) rdev (2) namesize check */
        snprintf(header, sizeof(header),
                 "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", inode,
                 (unsigned) mode, 0U, 0U, links, 0U, (unsigned) size, 0U, 0U, major, minor,
                 (unsigned) name_size, 0U);

        r = append(w, header, CPIO_HEADER_SIZE);
        if (r >= 0)
                r = append(w, name, name_size);
        if (r >= 0)
                r = pad(w, 4);
        if (r >= 0)
                r = append(w, data, size);
        return r < 0 ? r : pad(w, 4);
}

int cpio_add(CpioWriter *w, const char *name, mode_t mode, const void *data, size_t size)
{
        return add_entry(w, name, mode, S_ISDIR(mode) ? 2 : 1, 0, 0, data, size);
}

int cpio_add_device(CpioWriter *w, const char *name, mode_t mode, unsigned major, unsigned minor)
{
        return add_entry(w, name, S_IFCHR | mode, 1, major, minor, NULL, 0);
}

int cpio_finish(CpioWriter *w)
{
        int r;

        r = add_entry(w, "TRAILER!!!", 0, 1, 0, 0, NULL, 0);
        return r < 0 ? r : pad(w, 512);
}
