/* SPDX-License-Identifier: Apache-2.0 */
/* Device-mapper ioctls: see dm-device.h. Runs in the guest as PID 1. */

#include "agent/dm-device.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "basic/error.h"

#define DM_CONTROL "/dev/mapper/control"

static_assert(DM_TABLE_NAME_MAX < DM_NAME_LEN && DM_TABLE_UUID_MAX < DM_UUID_LEN, "names fit");

/* One request; the kernel answers in the same place. */
typedef struct DmRequest {
        struct dm_ioctl head;
        struct dm_target_spec target;
        char params[DM_PARAMS_MAX + 8];
} DmRequest;

static void request_init(DmRequest *q, const DmTable *table, uint32_t flags)
{
        *q = (DmRequest) {
                .head = {
                        .version = { DM_VERSION_MAJOR, 0, 0 },
                        .data_size = sizeof(*q),
                        .data_start = offsetof(DmRequest, target),
                        .flags = flags,
                },
        };
        memcpy(q->head.name, table->name, strlen(table->name) + 1);
}

static int request_send(int fd, unsigned long command, DmRequest *q, const char *what,
                        char **reterr_message)
{
        if (ioctl(fd, command, q) >= 0)
                return 0;

        return error_setf(reterr_message, errno, "device '%s' can not be %s: %s", q->head.name, what,
                          strerror(errno));
}

int dm_device_create(int control_fd, const DmTable *table, unsigned *ret_minor,
                     char **reterr_message)
{
        _cleanup_free_ DmRequest *q = new0(DmRequest, 1);
        unsigned minor;
        int r;

        if (!q)
                return -ENOMEM;

        request_init(q, table, 0);
        memcpy(q->head.uuid, table->uuid, strlen(table->uuid) + 1);
        if (table->minor >= 0) {
                q->head.flags |= DM_PERSISTENT_DEV_FLAG;
                q->head.dev = (uint64_t) makedev(0, (unsigned) table->minor);
        }
        r = request_send(control_fd, DM_DEV_CREATE, q, "created", reterr_message);
        if (r < 0)
                return r;
        minor = minor(q->head.dev);

        request_init(q, table, DM_READONLY_FLAG);
        q->head.target_count = 1;
        q->target.length = table->sectors;
        memcpy(q->target.target_type, "verity", sizeof("verity"));
        memcpy(q->params, table->params, strlen(table->params) + 1);
        q->target.next = (uint32_t) (sizeof(q->target) + sizeof(q->params));
        r = request_send(control_fd, DM_TABLE_LOAD, q, "given its table", reterr_message);
        if (r < 0)
                return r;

        /* Without DM_SUSPEND_FLAG this is a resume. */
        request_init(q, table, DM_READONLY_FLAG);
        r = request_send(control_fd, DM_DEV_SUSPEND, q, "activated", reterr_message);
        if (r < 0)
                return r;

        *ret_minor = minor;
        return 0;
}

int dm_control_open(char **reterr_message)
{
        int fd = open(DM_CONTROL, O_RDWR | O_CLOEXEC);

        if (fd < 0)
                return error_setf(reterr_message, errno, DM_CONTROL ": %s%s", strerror(errno),
                                  errno == ENOENT ? " (no device-mapper in the kernel)" : "");
        return fd;
}
