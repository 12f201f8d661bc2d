/* SPDX-License-Identifier: Apache-2.0 */
/* Probes of the host: see host-caps.h. Reads only files and devices of the host. */

#include "runtime/vmm/host-caps.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"

/* The only version there has been since Linux 2.6.22. */
#define KVM_API_VERSION_WANTED 12

static int real_kvm_api_version(int fd)
{
        int r = ioctl(fd, KVM_GET_API_VERSION, 0);

        return r < 0 ? negative_errno() : r;
}

static int real_vsock_socket(void)
{
        int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return fd < 0 ? negative_errno() : fd;
}

const HostPaths host_paths_default = {
                .kvm = "/dev/kvm",
                .vhost_vsock = "/dev/vhost-vsock",
                .cpuinfo = "/proc/cpuinfo",
                .qemu = (const char *const[]){"/usr/bin/qemu-system-x86_64", NULL},
                /* Rust (Debian 13), C of QEMU 7.2 (Debian 12). */
                .virtiofsd = (const char *const[]){"/usr/libexec/virtiofsd",
                                "/usr/lib/qemu/virtiofsd", NULL},
                .kvm_api_version = real_kvm_api_version,
                .vsock_socket = real_vsock_socket,
};

void host_caps_done(HostCaps *caps)
{
        free(caps->kvm_reason);
        free(caps->vhost_vsock_reason);
        free(caps->qemu_path);
        free(caps->qemu_reason);
        free(caps->virtiofsd_path);
        free(caps->virtiofsd_reason);
        *caps = (HostCaps) {};
}

/*
 * "vmx" or "svm" as a word of a "flags" line. A KVM without either is done in software (PVM in a
 * guest of a cloud provider): it creates machines but does not run kernels that were not built for
 * it.
 */
static int cpu_has_virtualization(const char *path)
{
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        _cleanup_free_ char *line = NULL;
        size_t allocated = 0;

        if (!f)
                return negative_errno();

        while (getline(&line, &allocated, f) > 0) {
                char *save = NULL;

                if (!startswith(line, "flags"))
                        continue;
                for (char *w = strtok_r(line, " \t\n:", &save); w;
                                w = strtok_r(NULL, " \t\n:", &save))
                        if (streq(w, "vmx") || streq(w, "svm"))
                                return true;
                return false;   /* the same on every CPU */
        }

        return false;
}

/*
 * Like every probe: a "no" sets the reason and returns its errno; the caller tells lack of memory
 * apart.
 */
static int probe_kvm(const HostPaths *p, HostCaps *caps)
{
        char **reason = &caps->kvm_reason;
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        fd = open(p->kvm, O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return error_setf(
                                reason, errno, "%s can not be opened: %s", p->kvm, strerror(errno));

        r = p->kvm_api_version(fd);
        if (r < 0)
                return error_setf(reason, r, "%s does not answer: %s", p->kvm, strerror(-r));
        if (r != KVM_API_VERSION_WANTED)
                return error_setf(reason, EOPNOTSUPP, "%s has API version %i, not %i", p->kvm, r,
                                  KVM_API_VERSION_WANTED);

        r = cpu_has_virtualization(p->cpuinfo);
        if (r < 0)
                return error_setf(reason, r, "%s can not be read: %s", p->cpuinfo, strerror(-r));
        if (r == 0)
                return error_setf(reason, EOPNOTSUPP,
                                "%s is there, but the CPU offers neither vmx nor svm: such a KVM "
                                "does not run unmodified kernels",
                                p->kvm);

        /* The VMM opens it again, as its own user. */
        if (fstat(fd, &st) < 0)
                return error_setf(reason, errno, "%s: %s", p->kvm, strerror(errno));
        if ((st.st_mode & 06) == 06)
                return 0;
        if ((st.st_mode & 060) != 060 || st.st_gid == 0)
                return error_setf(reason, EACCES,
                                  "%s can be opened by root only: no group has access to it", p->kvm);

        caps->kvm_gid = st.st_gid;
        return 0;
}

static int probe_vhost_vsock(const HostPaths *p, HostCaps *caps)
{
        char **reason = &caps->vhost_vsock_reason;
        _cleanup_close_ int fd = -EBADF, sock = -EBADF;

        fd = open(p->vhost_vsock, O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return error_setf(reason, errno, "%s can not be opened: %s", p->vhost_vsock,
                                  strerror(errno));

        sock = p->vsock_socket();
        return sock < 0 ? error_setf(reason, sock, "no AF_VSOCK sockets on this host: %s",
                                          strerror(-sock))
                        : 0;
}

static int probe_program(const char *const *candidates, const char *package, char **ret_path,
                         char **ret_reason)
{
        for (const char *const *c = candidates; *c; c++)
                if (access(*c, X_OK) >= 0) {
                        *ret_path = strdup(*c);
                        return *ret_path ? 0 : -ENOMEM;
                }

        return error_setf(ret_reason, ENOENT, "%s is not installed: apt-get install %s",
                        candidates[0], package);
}

int host_caps_probe(const HostPaths *paths, HostCaps *ret)
{
        HostCaps caps = {};

        if ((probe_kvm(paths, &caps) < 0 && !caps.kvm_reason) ||
                        (probe_vhost_vsock(paths, &caps) < 0 && !caps.vhost_vsock_reason) ||
                        (probe_program(paths->qemu, "qemu-system-x86", &caps.qemu_path,
                                         &caps.qemu_reason) < 0 &&
                                        !caps.qemu_reason) ||
                        /* Debian 12 has it in qemu-system-common, which comes with QEMU. */
                        (probe_program(paths->virtiofsd,
                                         "virtiofsd (Debian 12: qemu-system-common)",
                                         &caps.virtiofsd_path, &caps.virtiofsd_reason) < 0 &&
                                        !caps.virtiofsd_reason)) {
                host_caps_done(&caps);
                return -ENOMEM;
        }

        *ret = caps;
        return 0;
}
