/* SPDX-License-Identifier: Apache-2.0 */
/* Golden command lines of QEMU. A change here needs its reason in the commit message. */

#include "basic/test.h"
#include "runtime/vmm/qemu-cmdline.h"
#include "runtime/vmm/test-util.h"

static void check_argv(const Strv *argv, const char *const *golden)
{
        size_t n = 0;

        for (; golden[n]; n++) {
                if (n >= argv->n)
                        TEST_FAIL("argument %zu is missing: '%s'", n, golden[n]);
                ASSERT_STREQ(argv->v[n], golden[n]);
        }
        ASSERT_EQ(argv->n, n);
        ASSERT_NULL(argv->v[n]);
}

TEST(tcg_serial_share)
{
        static const char *const golden[] = {
                        "/usr/bin/qemu-system-x86_64",
                        "-name",
                        "guest=kata-web,debug-threads=on",
                        "-machine",
                        "microvm,acpi=off,pcie=off,pit=on,pic=on,rtc=on,isa-serial=off,"
                        "mem-merge=off,dump-guest-core=off,memory-backend=ram",
                        "-accel",
                        "tcg",
                        "-cpu",
                        "max",
                        "-smp",
                        "cpus=1,maxcpus=1",
                        "-m",
                        "size=256M",
                        "-object",
                        "memory-backend-memfd,id=ram,size=256M,share=on",
                        "-nodefaults",
                        "-no-user-config",
                        "-display",
                        "none",
                        "-no-reboot",
                        "-S",
                        "-sandbox",
                        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
                        "-global",
                        "virtio-mmio.force-legacy=false",
                        "-kernel",
                        "/proc/self/fd/3",
                        "-append",
                        "KERNEL WORDS",
                        "-chardev",
                        "socket,id=qmp,fd=5,server=on,wait=off",
                        "-mon",
                        "chardev=qmp,mode=control",
                        "-add-fd",
                        "fd=4,set=1,opaque=guest-image",
                        "-blockdev",
                        "driver=raw,node-name=root,read-only=on,offset=20480,size=1982464,"
                        "file.driver=file,file.filename=/dev/fdset/1,file.read-only=on,"
                        "file.auto-read-only=off",
                        "-device",
                        "virtio-blk-device,drive=root,id=root-disk",
                        "-device",
                        "virtio-serial-device,id=serial,max_ports=4",
                        "-chardev",
                        "socket,id=console,fd=6,server=on,wait=off",
                        "-device",
                        "virtconsole,bus=serial.0,nr=0,chardev=console,name=console",
                        "-chardev",
                        "socket,id=agent,fd=7,server=on,wait=off",
                        "-device",
                        "virtserialport,bus=serial.0,nr=1,chardev=agent,name=agent.channel.0",
                        "-chardev",
                        "socket,id=share,fd=8",
                        "-device",
                        "vhost-user-fs-device,chardev=share,tag=kataShared,queue-size=1024",
                        "-object",
                        "rng-builtin,id=rng",
                        "-device",
                        "virtio-rng-device,rng=rng",
                        "-device",
                        "virtio-balloon-device,free-page-reporting=on",
                        NULL,
        };
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);
        const QemuFds fds = { 3, 4, 5, 6, 7, -EBADF, 8, -EBADF, -EBADF };
        _cleanup_(strv_done) Strv argv = {};

        ASSERT_OK(qemu_build_argv(&c, &fds, "KERNEL WORDS", &argv));
        check_argv(&argv, golden);
}

TEST(kvm_vsock)
{
        static const char *const golden[] = {
                        "/usr/bin/qemu-system-x86_64",
                        "-name",
                        "guest=kata-web,debug-threads=on",
                        "-machine",
                        "microvm,acpi=off,pcie=off,pit=off,pic=off,rtc=off,isa-serial=off,"
                        "mem-merge=off,dump-guest-core=off",
                        "-accel",
                        "kvm",
                        "-cpu",
                        "host",
                        "-smp",
                        "cpus=2,maxcpus=2",
                        "-m",
                        "size=256M",
                        "-nodefaults",
                        "-no-user-config",
                        "-display",
                        "none",
                        "-no-reboot",
                        "-S",
                        "-sandbox",
                        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
                        "-global",
                        "virtio-mmio.force-legacy=false",
                        "-kernel",
                        "/proc/self/fd/3",
                        "-append",
                        "KERNEL WORDS",
                        "-chardev",
                        "socket,id=qmp,fd=5,server=on,wait=off",
                        "-mon",
                        "chardev=qmp,mode=control",
                        "-add-fd",
                        "fd=4,set=1,opaque=guest-image",
                        "-blockdev",
                        "driver=raw,node-name=root,read-only=on,offset=20480,size=1982464,"
                        "file.driver=file,file.filename=/dev/fdset/1,file.read-only=on,"
                        "file.auto-read-only=off",
                        "-device",
                        "virtio-blk-device,drive=root,id=root-disk",
                        "-device",
                        "vhost-vsock-device,guest-cid=70000,vhostfd=6",
                        "-object",
                        "rng-builtin,id=rng",
                        "-device",
                        "virtio-rng-device,rng=rng",
                        "-device",
                        "virtio-balloon-device,free-page-reporting=on",
                        NULL,
        };
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_KVM, VM_TRANSPORT_VSOCK);
        const QemuFds fds = { 3, 4, 5, -EBADF, -EBADF, 6, -EBADF, -EBADF, -EBADF };
        _cleanup_(strv_done) Strv argv = {};

        c.vcpus = 2;
        c.console = false;
        ASSERT_OK(qemu_build_argv(&c, &fds, "KERNEL WORDS", &argv));
        check_argv(&argv, golden);
}

/* A kernel of the distribution: PCI, an initrd, and the console on a serial port. */
TEST(q35)
{
        static const char *const golden[] = {
                        "/usr/bin/qemu-system-x86_64",
                        "-name",
                        "guest=kata-web,debug-threads=on",
                        "-machine",
                        "q35,usb=off,sata=off,smbus=off,smm=off,vmport=off,i8042=off,graphics=off,"
                        "hpet=off,mem-merge=off,dump-guest-core=off,memory-backend=ram",
                        "-accel",
                        "tcg",
                        "-cpu",
                        "max",
                        "-smp",
                        "cpus=1,maxcpus=1",
                        "-m",
                        "size=256M",
                        "-object",
                        "memory-backend-memfd,id=ram,size=256M,share=on",
                        "-nodefaults",
                        "-no-user-config",
                        "-display",
                        "none",
                        "-no-reboot",
                        "-S",
                        "-sandbox",
                        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
                        "-bios",
                        "qboot.rom",
                        "-kernel",
                        "/proc/self/fd/3",
                        "-initrd",
                        "/proc/self/fd/9",
                        "-append",
                        "KERNEL WORDS",
                        "-chardev",
                        "socket,id=qmp,fd=5,server=on,wait=off",
                        "-mon",
                        "chardev=qmp,mode=control",
                        "-add-fd",
                        "fd=4,set=1,opaque=guest-image",
                        "-blockdev",
                        "driver=raw,node-name=root,read-only=on,offset=20480,size=1982464,"
                        "file.driver=file,file.filename=/dev/fdset/1,file.read-only=on,"
                        "file.auto-read-only=off",
                        "-device",
                        "virtio-blk-pci,drive=root,id=root-disk,disable-legacy=on",
                        "-chardev",
                        "socket,id=console,fd=6,server=on,wait=off",
                        "-device",
                        "isa-serial,index=0,chardev=console",
                        "-device",
                        "virtio-serial-pci,id=serial,max_ports=4,disable-legacy=on",
                        "-chardev",
                        "socket,id=agent,fd=7,server=on,wait=off",
                        "-device",
                        "virtserialport,bus=serial.0,nr=1,chardev=agent,name=agent.channel.0",
                        "-chardev",
                        "socket,id=share,fd=8",
                        "-device",
                        "vhost-user-fs-pci,chardev=share,tag=kataShared,queue-size=1024",
                        "-object",
                        "rng-builtin,id=rng",
                        "-device",
                        "virtio-rng-pci,rng=rng,disable-legacy=on",
                        "-device",
                        "virtio-balloon-pci,free-page-reporting=on,disable-legacy=on",
                        NULL,
        };
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);
        const QemuFds fds = { 3, 4, 5, 6, 7, -EBADF, 8, 9, -EBADF };
        _cleanup_(strv_done) Strv argv = {};

        c.machine = VM_MACHINE_Q35;
        ASSERT_OK(qemu_build_argv(&c, &fds, "KERNEL WORDS", &argv));
        check_argv(&argv, golden);
}

/* Without the agent's port there is no need of a virtio-serial device: the console is elsewhere. */
TEST(q35_kvm_vsock)
{
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_KVM, VM_TRANSPORT_VSOCK);
        const QemuFds fds = { 3, 4, 5, 6, -EBADF, 7, -EBADF, 9, -EBADF };
        _cleanup_(strv_done) Strv argv = {};
        _cleanup_free_ char *line = NULL;

        c.machine = VM_MACHINE_Q35;
        ASSERT_OK(qemu_build_argv(&c, &fds, "KERNEL WORDS", &argv));
        line = strv_join(&argv, " ");
        ASSERT_CONTAINS(line, " isa-serial,index=0,chardev=console -device vhost-vsock-pci,"
                              "guest-cid=70000,vhostfd=7 ");
        ASSERT_NULL(strstr(line, "virtio-serial"));
}

/* Debug=yes adds these six words behind the root disk and nothing else. */
TEST(debug_disk)
{
        static const char *const added[] = {
                        "-add-fd",
                        "fd=9,set=2,opaque=debug-image",
                        "-blockdev",
                        "driver=raw,node-name=debug,read-only=on,offset=20480,size=106496,"
                        "file.driver=file,file.filename=/dev/fdset/2,file.read-only=on,"
                        "file.auto-read-only=off",
                        "-device",
                        "virtio-blk-device,drive=debug,id=debug-disk",
        };
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);
        QemuFds fds = { 3, 4, 5, 6, 7, -EBADF, 8, -EBADF, -EBADF };
        _cleanup_(strv_done) Strv without = {}, with = {};
        size_t at = 0;

        ASSERT_OK(qemu_build_argv(&c, &fds, "KERNEL WORDS", &without));
        fds.debug_image = 9;
        c.debug_params = (GuestParams) { .image_size = 147456, .root_offset = 20480, .data_blocks = 24,
                                         .hash_offset = 102400 };
        ASSERT_OK(qemu_build_argv(&c, &fds, "KERNEL WORDS", &with));
        ASSERT_EQ(with.n, without.n + ELEMENTSOF(added));
        while (at < without.n && streq(without.v[at], with.v[at]))
                at++;
        ASSERT_STREQ(without.v[at - 1], "virtio-blk-device,drive=root,id=root-disk");
        for (size_t i = 0; i < ELEMENTSOF(added); i++)
                ASSERT_STREQ(with.v[at + i], added[i]);
        for (size_t i = at; i < without.n; i++)
                ASSERT_STREQ(with.v[i + ELEMENTSOF(added)], without.v[i]);
}

static void add_nic(VmConfig *c, uint8_t last, uint32_t mtu)
{
        c->nics[c->n_nics++] = (VmNic) {
                .tap_fd = open("/dev/null", O_RDWR | O_CLOEXEC), .vhost_fd = -EBADF,
                .mac = { 2, 0, 0, 0, 0xab, last }, .mtu = mtu,
        };
}

/* Network interfaces are the last words of all. */
TEST(nics)
{
        static const struct {
                VmMachine machine;
                const char *words;
        } golden[] = {
                { VM_MACHINE_MICROVM, " -netdev tap,id=net0,fd=10,vhost=off -device virtio-net-device,netdev=net0,"
                                      "mac=02:00:00:00:ab:01,host_mtu=1500 "
                                      "-netdev tap,id=net1,fd=11,vhost=on,vhostfd=12 "
                                      "-device virtio-net-device,netdev=net1,mac=02:00:00:00:ab:02,host_mtu=9000 "
                                      "-netdev tap,id=net2,fd=13,vhost=off "
                                      "-device virtio-net-device,netdev=net2,mac=02:00:00:00:ab:03" },
                { VM_MACHINE_Q35, " -netdev tap,id=net0,fd=10,vhost=off -device virtio-net-pci,netdev=net0,"
                                  "mac=02:00:00:00:ab:01,host_mtu=1500,romfile=,disable-legacy=on "
                                  "-netdev tap,id=net1,fd=11,vhost=on,vhostfd=12 -device virtio-net-pci,netdev=net1,"
                                  "mac=02:00:00:00:ab:02,host_mtu=9000,romfile=,disable-legacy=on "
                                  "-netdev tap,id=net2,fd=13,vhost=off -device virtio-net-pci,netdev=net2,"
                                  "mac=02:00:00:00:ab:03,romfile=,disable-legacy=on" },
        };
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);
        const QemuFds fds = {
                3, 4, 5, 6, 7, -EBADF, 8, -EBADF, -EBADF, { { 10, -EBADF }, { 11, 12 }, { 13, -EBADF } },
        };

        add_nic(&c, 1, 1500);
        add_nic(&c, 2, 9000);
        /* A spare one: how large its packets are is not known yet. */
        add_nic(&c, 3, 0);
        for (size_t i = 0; i < ELEMENTSOF(golden); i++) {
                _cleanup_(strv_done) Strv argv = {};
                _cleanup_free_ char *line = NULL;

                c.machine = golden[i].machine;
                ASSERT_OK(qemu_build_argv(&c, &fds, "KERNEL WORDS", &argv));
                line = strv_join(&argv, " ");
                ASSERT_NOT_NULL(endswith(line, golden[i].words));
        }
}

/* microvm has eight places: root disk, serial, virtio-fs, entropy and balloon leave three. */
TEST(room_for_nics)
{
        _cleanup_(vm_config_done) VmConfig c = test_config(VM_ACCEL_TCG, VM_TRANSPORT_SERIAL);
        _cleanup_free_ char *message = NULL;
        char path[] = "/debug.img";

        add_nic(&c, 1, 1500);
        add_nic(&c, 2, 1500);
        add_nic(&c, 3, 1500);
        ASSERT_OK(qemu_check_devices(&c, NULL));
        c.debug_image_path = path;
        ASSERT_ERROR(qemu_check_devices(&c, &message), E2BIG);
        ASSERT_CONTAINS(message, "room for 2 network interfaces beside the other devices of this sandbox, not for 3");
        c.machine = VM_MACHINE_Q35;
        ASSERT_OK(qemu_check_devices(&c, NULL));
        c.debug_image_path = NULL;
}

DEFINE_TEST_MAIN
