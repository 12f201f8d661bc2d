/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU command line: see qemu-cmdline.h. Host side; values are validated before they come here. */

#include "runtime/vmm/qemu-cmdline.h"

#include <inttypes.h>

#include "runtime/vmm/cmdline.h"

static int add_machine(const VmConfig *c, Strv *argv)
{
        const bool tcg = c->accel == VM_ACCEL_TCG;
        const char *legacy = tcg ? "on" : "off";

        /*
         * mem-merge: pages shared between guests are a timing channel. dump-guest-core: see
         * spawn.c.
         */
        return strv_addf(argv,
                         "microvm,acpi=off,pcie=off,pit=%s,pic=%s,rtc=%s,isa-serial=off,"
                         "mem-merge=off,dump-guest-core=off%s",
                         legacy, legacy, legacy, c->share_tag ? ",memory-backend=ram" : "");
}

static int add_memory(const VmConfig *c, Strv *argv)
{
        int r;

        r = strv_add(argv, "-m");
        if (r >= 0)
                r = strv_addf(argv, "size=%" PRIu64 "M", c->memory >> 20);
        if (r < 0 || !c->share_tag)
                return r;

        /* virtiofsd maps the memory of the guest, so it has to be shareable. */
        r = strv_add(argv, "-object");
        return r < 0 ? r : strv_addf(argv, "memory-backend-memfd,id=ram,size=%" PRIu64 "M,share=on",
                                     c->memory >> 20);
}

static int add_base(const VmConfig *c, const QemuFds *fds, const char *kernel_cmdline, Strv *argv)
{
        int r;

        r = strv_add(argv, c->vmm_path);
        if (r >= 0)
                r = strv_add(argv, "-name");
        if (r >= 0)
                r = strv_addf(argv, "guest=kata-%s,debug-threads=on", c->id);
        if (r >= 0)
                r = strv_add(argv, "-machine");
        if (r >= 0)
                r = add_machine(c, argv);
        if (r >= 0)
                r = strv_add(argv, "-accel");
        if (r >= 0)
                r = strv_add(argv, vm_accel_to_string(c->accel));
        if (r >= 0)
                r = strv_add_many(argv, "-cpu", c->accel == VM_ACCEL_KVM ? "host" : "max", "-smp",
                                NULL);
        if (r >= 0)
                r = strv_addf(argv, "cpus=%u,maxcpus=%u", c->vcpus, c->vcpus);
        if (r >= 0)
                r = add_memory(c, argv);
        if (r >= 0)
                r = strv_add_many(argv, "-nodefaults", "-no-user-config", "-display", "none",
                                "-no-reboot", "-S", "-sandbox",
                                "on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
                                "resourcecontrol=deny",
                                /*
                                 * vhost-user devices refuse legacy virtio, and nothing here
                                 * wants it.
                                 */
                                "-global", "virtio-mmio.force-legacy=false", "-kernel", NULL);
        if (r >= 0)
                r = strv_addf(argv, "/proc/self/fd/%d", fds->kernel);
        if (r >= 0)
                r = strv_add_many(argv, "-append", kernel_cmdline, NULL);

        return r;
}

static int add_socket_chardev(const char *id, int fd, bool listening, Strv *argv)
{
        int r;

        r = strv_add(argv, "-chardev");
        return r < 0 ? r : strv_addf(argv, "socket,id=%s,fd=%d%s", id, fd,
                                     listening ? ",server=on,wait=off" : "");
}

static int add_device(Strv *argv, const char *device)
{
        return strv_add_many(argv, "-device", device, NULL);
}

static int add_control(const QemuFds *fds, Strv *argv)
{
        int r;

        r = add_socket_chardev("qmp", fds->qmp, true, argv);
        return r < 0 ? r : strv_add_many(argv, "-mon", "chardev=qmp,mode=control", NULL);
}

/*
 * Read-only three times: the descriptor, the block node and the device. Of the image the guest sees
 * the root partition and its hash tree alone, so that no kernel has to read a partition table.
 */
static int add_disk(const char *name, const char *opaque, unsigned set, int fd, const GuestParams *params,
                    Strv *argv)
{
        int r;

        if (fd < 0)
                return 0;

        r = strv_add(argv, "-add-fd");
        if (r >= 0)
                r = strv_addf(argv, "fd=%d,set=%u,opaque=%s", fd, set, opaque);
        if (r >= 0)
                r = strv_add(argv, "-blockdev");
        if (r >= 0)
                r = strv_addf(argv,
                              "driver=raw,node-name=%s,read-only=on,offset=%" PRIu64 ",size=%" PRIu64
                              ",file.driver=file,file.filename=/dev/fdset/%u,file.read-only=on,"
                              "file.auto-read-only=off",
                              name, params->root_offset, guest_params_range_size(params), set);
        if (r >= 0)
                r = strv_add(argv, "-device");
        return r < 0 ? r : strv_addf(argv, "virtio-blk-device,drive=%s,id=%s-disk", name, name);
}

static int add_disks(const VmConfig *c, const QemuFds *fds, Strv *argv)
{
        int r = add_disk("root", "guest-image", 1, fds->image, &c->params, argv);

        /* Behind the root disk on the command line, so that it is /dev/vdb. */
        return r < 0 ? r : add_disk("debug", "debug-image", 2, fds->debug_image, &c->debug_params, argv);
}

static int add_serial(const VmConfig *c, const QemuFds *fds, Strv *argv)
{
        int r;

        if (fds->console < 0 && fds->agent < 0)
                return 0;

        r = add_device(argv, "virtio-serial-device,id=serial,max_ports=4");
        if (r >= 0 && fds->console >= 0) {
                r = add_socket_chardev("console", fds->console, true, argv);
                if (r >= 0)
                        r = add_device(argv, "virtconsole,bus=serial.0,nr=0,chardev=console,name="
                                             "console");
        }
        if (r >= 0 && fds->agent >= 0) {
                r = add_socket_chardev("agent", fds->agent, true, argv);
                if (r >= 0)
                        r = add_device(argv, "virtserialport,bus=serial.0,nr=1,chardev=agent,name="
                                       AGENT_CHANNEL_NAME);
        }

        return r;
}

static int add_vsock(const VmConfig *c, const QemuFds *fds, Strv *argv)
{
        int r;

        if (fds->vhost < 0)
                return 0;

        r = strv_add(argv, "-device");
        return r < 0 ? r
                     : strv_addf(argv, "vhost-vsock-device,guest-cid=%" PRIu32 ",vhostfd=%d",
                                       c->cid, fds->vhost);
}

static int add_share(const VmConfig *c, const QemuFds *fds, Strv *argv)
{
        int r;

        if (fds->share < 0)
                return 0;

        r = add_socket_chardev("share", fds->share, false, argv);
        if (r >= 0)
                r = strv_add(argv, "-device");
        return r < 0 ? r
                     : strv_addf(argv, "vhost-user-fs-device,chardev=share,tag=%s,queue-size=1024",
                                       c->share_tag);
}

int qemu_build_argv(const VmConfig *c, const QemuFds *fds, const char *kernel_cmdline, Strv *ret)
{
        _cleanup_(strv_done) Strv argv = {};
        int r;

        r = add_base(c, fds, kernel_cmdline, &argv);
        if (r >= 0)
                r = add_control(fds, &argv);
        if (r >= 0)
                r = add_disks(c, fds, &argv);
        if (r >= 0)
                r = add_serial(c, fds, &argv);
        if (r >= 0)
                r = add_vsock(c, fds, &argv);
        if (r >= 0)
                r = add_share(c, fds, &argv);
        /* Entropy from getrandom(2) of the host; pages that the guest frees go back to the host. */
        if (r >= 0)
                r = strv_add_many(&argv, "-object", "rng-builtin,id=rng",
                                  "-device", "virtio-rng-device,rng=rng",
                                  "-device", "virtio-balloon-device,free-page-reporting=on", NULL);
        if (r < 0)
                return r;

        *ret = argv;
        argv = (Strv) {};
        return 0;
}
