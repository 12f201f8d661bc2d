/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU command line: see qemu-cmdline.h. Host side; values are validated before they come here. */

#include "runtime/vmm/qemu-cmdline.h"

#include <inttypes.h>
#include <stdarg.h>

#include "basic/error.h"
#include "runtime/vmm/cmdline.h"

/* What differs between the machines. */
typedef struct QemuMachine {
        const char *name;               /* with the options that are always the same */
        const char *tcg, *kvm;          /* options for one of the accelerators */
        const char *const *arguments;   /* beside -machine, NULL-terminated */
        const char *bus;                /* virtio-blk-BUS and so on */
        const char *virtio;             /* options of each virtio device of QEMU's own */
        const char *net;                /* options of each network interface */
        bool serial_console;            /* on a serial port, not on a virtio port */
        size_t max_devices;             /* virtio devices; 0: as many as there may be */
} QemuMachine;

static const char *const microvm_arguments[] = {
        /* vhost-user devices refuse legacy virtio, and nothing here wants it. */
        "-global", "virtio-mmio.force-legacy=false", NULL,
};

/* In QEMU's own data directory, from the package that has the program. */
static const char *const q35_arguments[] = { "-bios", "qboot.rom", NULL };

static const QemuMachine machines[_VM_MACHINE_MAX] = {
        [VM_MACHINE_MICROVM] = {
                .name = "microvm,acpi=off,pcie=off",
                .tcg = "pit=on,pic=on,rtc=on,isa-serial=off",
                .kvm = "pit=off,pic=off,rtc=off,isa-serial=off",
                .arguments = microvm_arguments,
                .bus = "device",
                .virtio = "",
                .net = "",
                .max_devices = 8,
        },
        [VM_MACHINE_Q35] = {
                .name = "q35,usb=off,sata=off,smbus=off,smm=off,vmport=off,i8042=off,graphics=off",
                .tcg = "hpet=off",
                .kvm = "hpet=off",
                .arguments = q35_arguments,
                .bus = "pci",
                /* No I/O ports: no driver of these kernels needs the legacy form. */
                .virtio = ",disable-legacy=on",
                /* Nobody boots from it. */
                .net = ",romfile=",
                .serial_console = true,
        },
};

static int add_machine(const VmConfig *c, Strv *argv)
{
        const QemuMachine *m = &machines[c->machine];

        /*
         * mem-merge: pages shared between guests are a timing channel. dump-guest-core: see
         * spawn.c.
         */
        return strv_addf(argv, "%s,%s,mem-merge=off,dump-guest-core=off%s", m->name,
                         c->accel == VM_ACCEL_TCG ? m->tcg : m->kvm,
                         c->share_tag ? ",memory-backend=ram" : "");
}

/* "virtio-blk,options" becomes "-device virtio-blk-pci,options" with more of the machine's. */
static _printf_(4, 0) int add_bus_device(const VmConfig *c, Strv *argv, const char *more,
                                         const char *format, va_list ap)
{
        _cleanup_free_ char *text = NULL;
        const char *options;
        int r;

        if (vasprintf(&text, format, ap) < 0) {
                text = NULL;
                return -ENOMEM;
        }

        options = text + strcspn(text, ",");
        r = strv_add(argv, "-device");
        return r < 0 ? r : strv_addf(argv, "%.*s-%s%s%s", (int) (options - text), text,
                                     machines[c->machine].bus, options, more);
}

/* A virtio device that QEMU itself is. */
static _printf_(3, 4) int add_virtio(const VmConfig *c, Strv *argv, const char *format, ...)
{
        va_list ap;
        int r;

        va_start(ap, format);
        r = add_bus_device(c, argv, machines[c->machine].virtio, format, ap);
        va_end(ap);
        return r;
}

/* One that the kernel or another process is; these have no legacy form. */
static _printf_(3, 4) int add_vhost(const VmConfig *c, Strv *argv, const char *format, ...)
{
        va_list ap;
        int r;

        va_start(ap, format);
        r = add_bus_device(c, argv, "", format, ap);
        va_end(ap);
        return r;
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
                                "resourcecontrol=deny", NULL);
        for (const char *const *a = machines[c->machine].arguments; r >= 0 && *a; a++)
                r = strv_add(argv, *a);
        if (r >= 0)
                r = strv_add(argv, "-kernel");
        if (r >= 0)
                r = strv_addf(argv, "/proc/self/fd/%d", fds->kernel);
        if (r >= 0 && fds->initrd >= 0) {
                r = strv_add(argv, "-initrd");
                if (r >= 0)
                        r = strv_addf(argv, "/proc/self/fd/%d", fds->initrd);
        }
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
static int add_disk(const VmConfig *c, const char *name, const char *opaque, unsigned set, int fd,
                    const GuestParams *params, Strv *argv)
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
        return r < 0 ? r : add_virtio(c, argv, "virtio-blk,drive=%s,id=%s-disk", name, name);
}

static int add_disks(const VmConfig *c, const QemuFds *fds, Strv *argv)
{
        int r = add_disk(c, "root", "guest-image", 1, fds->image, &c->params, argv);

        /* Behind the root disk on the command line, so that it is /dev/vdb. */
        return r < 0 ? r : add_disk(c, "debug", "debug-image", 2, fds->debug_image, &c->debug_params, argv);
}

static int add_serial(const VmConfig *c, const QemuFds *fds, Strv *argv)
{
        const bool isa = machines[c->machine].serial_console;
        int r = 0;

        if (isa && fds->console >= 0) {
                r = add_socket_chardev("console", fds->console, true, argv);
                if (r >= 0)
                        r = add_device(argv, "isa-serial,index=0,chardev=console");
        }
        if (r < 0 || ((isa || fds->console < 0) && fds->agent < 0))
                return r;

        r = add_virtio(c, argv, "virtio-serial,id=serial,max_ports=4");
        if (r >= 0 && !isa && fds->console >= 0) {
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
        if (fds->vhost < 0)
                return 0;

        return add_vhost(c, argv, "vhost-vsock,guest-cid=%" PRIu32 ",vhostfd=%d", c->cid,
                         fds->vhost);
}

static int add_share(const VmConfig *c, const QemuFds *fds, Strv *argv)
{
        int r;

        if (fds->share < 0)
                return 0;

        r = add_socket_chardev("share", fds->share, false, argv);
        return r < 0 ? r : add_vhost(c, argv, "vhost-user-fs,chardev=share,tag=%s,queue-size=1024",
                                     c->share_tag);
}

/* Behind all others: which name a device has in the guest goes by the order. */
static int add_nics(const VmConfig *c, const QemuFds *fds, Strv *argv)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < c->n_nics; i++) {
                const uint8_t *mac = c->nics[i].mac;
                char mtu[32] = "";

                if (c->nics[i].mtu > 0)
                        snprintf(mtu, sizeof(mtu), ",host_mtu=%" PRIu32, c->nics[i].mtu);
                r = strv_add(argv, "-netdev");
                if (r >= 0 && fds->nics[i].vhost >= 0)
                        r = strv_addf(argv, "tap,id=net%zu,fd=%d,vhost=on,vhostfd=%d", i, fds->nics[i].tap,
                                      fds->nics[i].vhost);
                else if (r >= 0)
                        r = strv_addf(argv, "tap,id=net%zu,fd=%d,vhost=off", i, fds->nics[i].tap);
                if (r >= 0)
                        r = add_virtio(c, argv, "virtio-net,netdev=net%zu,mac=%02x:%02x:%02x:%02x:%02x:%02x%s%s",
                                       i, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], mtu,
                                       machines[c->machine].net);
        }
        return r;
}

int qemu_check_devices(const VmConfig *c, char **reterr_message)
{
        const QemuMachine *m = &machines[c->machine];
        /* Root disk, entropy and balloon. */
        size_t others = 3;

        others += c->debug_image_path != NULL;
        others += c->transport == VM_TRANSPORT_SERIAL || (c->console && !m->serial_console);
        others += c->transport == VM_TRANSPORT_VSOCK;
        others += c->share_tag != NULL;
        if (m->max_devices == 0 || others + c->n_nics <= m->max_devices)
                return 0;

        return error_setf(reterr_message, E2BIG, "machine microvm has room for %zu network interfaces beside the other "
                          "devices of this sandbox, not for %zu; with Kernel=distribution in kata.conf there is more",
                          m->max_devices - others, c->n_nics);
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
                r = strv_add_many(&argv, "-object", "rng-builtin,id=rng", NULL);
        if (r >= 0)
                r = add_virtio(c, &argv, "virtio-rng,rng=rng");
        if (r >= 0)
                r = add_virtio(c, &argv, "virtio-balloon,free-page-reporting=on");
        if (r >= 0)
                r = add_nics(c, fds, &argv);
        if (r < 0)
                return r;

        *ret = argv;
        argv = (Strv) {};
        return 0;
}
