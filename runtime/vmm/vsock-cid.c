/* SPDX-License-Identifier: Apache-2.0 */
/* Choice of guest CIDs: see vsock-cid.h. Host side; needs to open /dev/vhost-vsock. */

#include "runtime/vmm/vsock-cid.h"

#include <fcntl.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"

/* Below: well-known numbers that people give by hand. Above: kept free of sign trouble. */
#define CID_FIRST UINT32_C(65536)
#define CID_LAST UINT32_C(0x7fffffff)

static int real_open(const char *path)
{
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);

        return fd < 0 ? negative_errno() : fd;
}

static int real_set_guest_cid(int fd, uint64_t cid)
{
        return ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &cid) < 0 ? negative_errno() : 0;
}

const VsockOps vsock_ops_default = {
        .open = real_open,
        .set_guest_cid = real_set_guest_cid,
};

uint32_t vsock_cid_first(const char *id)
{
        /* FNV-1a, 64 bit; folded. Spread is all that is wanted: the kernel resolves collisions. */
        uint64_t h = UINT64_C(0xcbf29ce484222325);

        for (; *id; id++)
                h = (h ^ (uint8_t) *id) * UINT64_C(0x100000001b3);
        h ^= h >> 32;

        return CID_FIRST + (uint32_t) (h % (CID_LAST - CID_FIRST + 1));
}

int vsock_cid_claim(const VsockOps *ops, const char *path, const char *id, uint32_t preferred,
                    int *ret_fd, uint32_t *ret_cid, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        uint32_t cid = preferred != 0 ? preferred : vsock_cid_first(id);

        fd = ops->open(path);
        if (fd < 0)
                return error_setf(reterr_message, fd, "%s can not be opened: %s", path,
                                strerror(-fd));

        for (unsigned i = 0; i < VSOCK_CID_TRIES; i++) {
                int r = ops->set_guest_cid(fd, cid);

                if (r >= 0) {
                        *ret_fd = TAKE_FD(fd);
                        *ret_cid = cid;
                        return 0;
                }
                if (r != -EADDRINUSE)
                        return error_setf(reterr_message, r, "%s refuses CID %u: %s", path, cid,
                                          strerror(-r));

                if (i == 0 && preferred != 0)
                        cid = vsock_cid_first(id);
                else
                        cid = cid >= CID_LAST ? CID_FIRST : cid + 1;
        }

        return error_setf(reterr_message, EADDRINUSE, "%u guest CIDs in a row are in use",
                        VSOCK_CID_TRIES);
}
