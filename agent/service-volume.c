/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Methods about file systems, swap and memory of the guest: see services.h. The work_* functions run in
 * workers, since a file system of the host answers when its daemon does.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/calls.h"
#include "agent/confined-path.h"
#include "agent/mountinfo.h"
#include "agent/pci-path.h"
#include "agent/services.h"
#include "agent/storage-remount.h"
#include "agent/swap.h"
#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"

#define STATS_USEC (10 * USEC_PER_SEC)
#define MOUNT_USEC (30 * USEC_PER_SEC)
#define DEVICE_WAIT_USEC (3 * USEC_PER_SEC)
#define MEMORY_PROBE "/sys/devices/system/memory/probe"
/* Below it everything is the host's. */
#define SHARE STORAGE_ROOT "/shared/containers"

static int work_get_volume_stats(const void *input, CallAnswer *answer, char **reterr_message)
{
        const Grpc__VolumeStatsRequest *q = input;
        Grpc__VolumeStatsResponse response = GRPC__VOLUME_STATS_RESPONSE__INIT;
        Grpc__VolumeUsage bytes = GRPC__VOLUME_USAGE__INIT, inodes = GRPC__VOLUME_USAGE__INIT;
        Grpc__VolumeUsage *usage[] = { &bytes, &inodes };
        Grpc__VolumeCondition condition = GRPC__VOLUME_CONDITION__INIT;
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        char ok[] = "OK";
        struct statvfs st;
        int r;

        r = confined_normalize(q->volume_guest_path, NULL, &path);
        if (r == -EINVAL)
                return error_setf(reterr_message, r, "volume '%s': not an absolute path",
                                  q->volume_guest_path);
        if (r < 0)
                return r;
        fd = confined_open(path, O_PATH);
        if (fd < 0)
                return error_setf(reterr_message, fd, "volume %s: %s", path, strerror(-fd));
        if (fstatvfs(fd, &st) < 0)
                return error_setf(reterr_message, errno, "volume %s: %s", path, strerror(errno));

        /* As kubelet counts: what is reserved for root is neither used nor available. */
        bytes.unit = GRPC__VOLUME_USAGE__UNIT__BYTES;
        bytes.total = st.f_blocks * st.f_frsize;
        bytes.available = st.f_bavail * st.f_frsize;
        bytes.used = (st.f_blocks - MIN(st.f_bfree, st.f_blocks)) * st.f_frsize;
        inodes.unit = GRPC__VOLUME_USAGE__UNIT__INODES;
        inodes.total = st.f_files;
        inodes.available = st.f_ffree;
        inodes.used = st.f_files - MIN(st.f_ffree, st.f_files);
        condition.message = ok;
        response.usage = usage;
        response.n_usage = ELEMENTSOF(usage);
        response.volume_condition = &condition;
        return call_answer(answer, &response.base);
}

void service_get_volume_stats(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = {
                work_get_volume_stats, &grpc__volume_stats_response__descriptor, STATS_USEC, false,
        };

        calls_run(sandbox_calls(userdata), request, &method, input);
}

void service_resize_volume(void *userdata, Request *request, const void *input)
{
        const Grpc__ResizeVolumeRequest *q = input;

        request_fail(request, TTRPC_UNIMPLEMENTED, "volume %s: the guest can not resize volumes, no more "
                     "than Kata's own agent can; resize it on the host and restart the container",
                     q->volume_guest_path);
}

static int work_remount(const void *input, CallAnswer *answer, char **reterr_message)
{
        return remount_apply(input, reterr_message);
}

void service_update_ephemeral_mounts(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = { work_remount, NULL, MOUNT_USEC, false };
        const Grpc__UpdateEphemeralMountsRequest *q = input;
        _cleanup_(remount_plan_done) RemountPlan plan = {};
        _cleanup_free_ char *message = NULL;
        int r;

        r = remount_plan(sandbox_storages(userdata), q->storages, q->n_storages, &plan, &message);
        if (r < 0)
                return request_fail_errno(request, r, message);

        calls_run(sandbox_calls(userdata), request, &method, &plan);
}

/*
 * The daemon keeps a descriptor for each inode that the guest has looked up, and so keeps mounts of the host
 * busy that are long gone there. Asking for the attributes makes it notice.
 */
static int work_remove_stale(const void *input, CallAnswer *answer, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        const char *p;
        int r;

        r = read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL);
        if (r < 0)
                return error_setf(reterr_message, r, "reading the list of mounts: %s", strerror(-r));

        for (p = text;;) {
                _cleanup_free_ char *path = NULL;
                struct statx stx;

                r = mountinfo_next(&p, &path);
                if (r <= 0)
                        return r;
                /* Whatever it says is the daemon's affair. */
                if (startswith(path, SHARE))
                        (void) !statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT, STATX_BASIC_STATS,
                                      &stx);
        }
}

void service_remove_stale_virtiofs_share_mounts(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = { work_remove_stale, NULL, STATS_USEC, false };

        calls_run(sandbox_calls(userdata), request, &method, input);
}

static int work_add_swap(const void *input, CallAnswer *answer, char **reterr_message)
{
        const Grpc__AddSwapRequest *q = input;
        _cleanup_free_ char *name = NULL;
        char path[64];
        PciPath pci;
        int r;

        r = pci_path_from_slots(q->pcipath, q->n_pcipath, &pci);
        if (r < 0)
                return error_setf(reterr_message, r, "swap: not a PCI path of this machine (%zu hops)",
                                  q->n_pcipath);
        r = pci_path_wait("/sys", &pci, "block", DEVICE_WAIT_USEC, &name, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "swap");
        if (snprintf(path, sizeof(path), "/dev/%s", name) >= (int) sizeof(path))
                return -ENAMETOOLONG;
        return swap_add(path, reterr_message);
}

void service_add_swap(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = { work_add_swap, NULL, MOUNT_USEC, false };

        calls_run(sandbox_calls(userdata), request, &method, input);
}

static int work_add_swap_path(const void *input, CallAnswer *answer, char **reterr_message)
{
        const Grpc__AddSwapPathRequest *q = input;

        return swap_add(q->path, reterr_message);
}

void service_add_swap_path(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = { work_add_swap_path, NULL, MOUNT_USEC, false };

        calls_run(sandbox_calls(userdata), request, &method, input);
}

static int work_mem_hotplug(const void *input, CallAnswer *answer, char **reterr_message)
{
        const Grpc__MemHotplugByProbeRequest *q = input;

        for (size_t i = 0; i < q->n_memhotplugprobeaddr; i++) {
                char text[32];
                int r;

                snprintf(text, sizeof(text), "0x%llx", (unsigned long long) q->memhotplugprobeaddr[i]);
                r = write_string_file_at(AT_FDCWD, MEMORY_PROBE, text);
                if (r == -ENOENT)
                        return error_setf(reterr_message, EBUSY, "memory at %s: this guest kernel has no "
                                          MEMORY_PROBE, text);
                if (r < 0)
                        return error_setf(reterr_message, r, "memory at %s: %s", text, strerror(-r));
        }

        return 0;
}

void service_mem_hotplug_by_probe(void *userdata, Request *request, const void *input)
{
        static const CallMethod method = { work_mem_hotplug, NULL, MOUNT_USEC, false };
        const Grpc__MemHotplugByProbeRequest *q = input;

        if (q->n_memhotplugprobeaddr > MEMORY_PROBES_MAX)
                return request_fail(request, TTRPC_INVALID_ARGUMENT, "more than %u addresses of memory",
                                    MEMORY_PROBES_MAX);
        calls_run(sandbox_calls(userdata), request, &method, input);
}
