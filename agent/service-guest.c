/* SPDX-License-Identifier: Apache-2.0 */
/* Methods about the machine as a whole: see services.h. */

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/guest-devices.h"
#include "agent/services.h"
#include "basic/fd.h"
#include "basic/log.h"

#define MEMORY_BLOCK_SIZE "/sys/devices/system/memory/block_size_bytes"
#define MEMORY_PROBE "/sys/devices/system/memory/probe"
/* Enough for any seed; the kernel's own pool holds 32 bytes. */
#define SEED_MAX 4096U

static int memory_block_size(uint64_t *ret)
{
        _cleanup_free_ char *text = NULL;
        char *end;
        int r;

        r = read_file_at(AT_FDCWD, MEMORY_BLOCK_SIZE, 64, &text, NULL);
        if (r == -ENOENT) {
                /* A kernel without memory hotplug: 0, as Kata's agent says. */
                *ret = 0;
                return 0;
        }
        if (r < 0)
                return r;

        /* Hexadecimal without prefix. */
        errno = 0;
        *ret = strtoull(text, &end, 16);
        return errno != 0 || end == text || (*end && *end != '\n') ? -EBADMSG : 0;
}

void service_get_guest_details(void *userdata, Request *request, const void *input)
{
        const Grpc__GuestDetailsRequest *q = input;
        Grpc__GuestDetailsResponse response = GRPC__GUEST_DETAILS_RESPONSE__INIT;
        Grpc__AgentDetails details = GRPC__AGENT_DETAILS__INIT;
        char version[] = PROJECT_VERSION;
        const char *const *drivers = storage_drivers(), *const *types = guest_device_types();
        int r;

        if (q->mem_block_size) {
                uint64_t size;

                r = memory_block_size(&size);
                if (r < 0)
                        return request_fail_errno(request, r, "reading " MEMORY_BLOCK_SIZE);
                response.mem_block_size_bytes = size;
        }
        if (q->mem_hotplug_probe)
                response.support_mem_hotplug_probe = access(MEMORY_PROBE, W_OK) >= 0;

        details.version = version;
        details.init_daemon = getpid() == 1;
        while (drivers[details.n_storage_handlers])
                details.n_storage_handlers++;
        details.storage_handlers = (char **) (uintptr_t) drivers;
        while (types[details.n_device_handlers])
                details.n_device_handlers++;
        details.device_handlers = (char **) (uintptr_t) types;
        details.supports_seccomp = true;
        response.agent_details = &details;
        request_reply(request, &response.base);
}

void service_set_guest_date_time(void *userdata, Request *request, const void *input)
{
        const Grpc__SetGuestDateTimeRequest *q = input;
        struct timeval tv = { .tv_sec = q->sec, .tv_usec = q->usec };

        if (q->sec < 0 || q->usec < 0 || q->usec >= 1000000)
                return request_fail(request, TTRPC_INVALID_ARGUMENT, "not a time: %lld.%lld",
                                    (long long) q->sec, (long long) q->usec);
        if (settimeofday(&tv, NULL) < 0)
                return request_fail_errno(request, negative_errno(), NULL);

        request_reply(request, NULL);
}

void service_reseed_random_dev(void *userdata, Request *request, const void *input)
{
        const Grpc__ReseedRandomDevRequest *q = input;
        _cleanup_close_ int fd = -EBADF;
        union {
                struct rand_pool_info info;     /* ends in an array without size */
                uint8_t room[sizeof(struct rand_pool_info) + SEED_MAX];
        } pool = {};

        if (q->data.len == 0 || q->data.len > SEED_MAX)
                return request_fail(request, TTRPC_INVALID_ARGUMENT, "a seed has 1 to %u bytes", SEED_MAX);

        fd = open("/dev/random", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return request_fail_errno(request, negative_errno(), NULL);

        pool.info.entropy_count = (int) q->data.len * 8;
        pool.info.buf_size = (int) q->data.len;
        memcpy(pool.room + sizeof(pool.info), q->data.data, q->data.len);
        if (ioctl(fd, RNDADDENTROPY, &pool.info) < 0 || ioctl(fd, RNDRESEEDCRNG, 0) < 0)
                return request_fail_errno(request, negative_errno(), NULL);

        explicit_bzero(&pool, sizeof(pool));
        request_reply(request, NULL);
}
