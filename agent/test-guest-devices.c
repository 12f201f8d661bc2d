/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of CreateContainer: what is refused, how a PCI path is followed, whose numbers change. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/guest-devices.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"

#define S(text) ((char *) (uintptr_t) (text))

static char root[64];

static void make(const char *path, bool directory)
{
        char full[512], *slash;

        snprintf(full, sizeof(full), "%s%s", root, path);
        if (directory) {
                ASSERT_OK(mkdir_p(full, 0755));
                return;
        }
        slash = strrchr(full, '/');
        *slash = '\0';
        ASSERT_OK(mkdir_p(full, 0755));
        *slash = '/';
        safe_close(open(full, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void set_up(void)
{
        strcpy(root, "/tmp/test-devices-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(root));
}

static void tear_down(void)
{
        ASSERT_OK(rm_rf(root));
}

static int plan(const char *id, const char *type, const char *vm_path, const char *container_path,
                GuestDevices *ret, char **message)
{
        Grpc__Device d = GRPC__DEVICE__INIT, *list[] = { &d };

        d.id = S(id);
        d.type = S(type);
        d.vm_path = S(vm_path);
        d.container_path = S(container_path);
        return guest_devices_plan(list, 1, ret, message);
}

TEST(refused)
{
        static const struct {
                const char *id, *type, *vm_path, *container_path;
                int error;
                const char *part;
        } cases[] = {
                { "x", "vfio-pci", "/dev/vfio/1", "", -EOPNOTSUPP, "type 'vfio-pci' is not built" },
                { "x", "blk-ccw", "", "", -EOPNOTSUPP, "'blk-ccw'" },
                { "x", "", "/dev/vda", "", -EOPNOTSUPP, "type ''" },
                { "x", "mmioblk", "", "", -EINVAL, "needs vm_path" },
                { "x", "mmioblk", "/dev/../etc/passwd", "", -EINVAL, "not a node" },
                { "x", "mmioblk", "/etc/passwd", "", -EINVAL, "not a node" },
                { "x", "mmioblk", "/dev/", "", -EINVAL, "not a node" },
                { "x", "blk", "", "", -EINVAL, "neither vm_path nor a PCI path" },
                { "02/03", "scsi", "", "", -EINVAL, "neither vm_path nor a SCSI address" },
                { "x", "mmioblk", "vdb", "", -EINVAL, "not a node" },
                { "x", "blk", "/dev/vda", "dev/x", -EINVAL, "not absolute" },
        };
        Grpc__Device d = GRPC__DEVICE__INIT, **many;
        char *option = S("a=b");
        GuestDevices none = {};
        char *message = NULL;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ASSERT_EQ(plan(cases[i].id, cases[i].type, cases[i].vm_path, cases[i].container_path, &none, &message),
                          cases[i].error);
                ASSERT_CONTAINS(message, cases[i].part);
                message = mfree(message);
        }

        d.type = S("mmioblk");
        d.vm_path = S("/dev/vda");
        d.options = &option;
        d.n_options = 1;
        many = new0(Grpc__Device *, SPEC_DEVICES_MAX + 1);
        ASSERT_NOT_NULL(many);
        many[0] = &d;
        ASSERT_EQ(guest_devices_plan(many, 1, &none, &message), -EOPNOTSUPP);
        ASSERT_CONTAINS(message, "option 'a=b'");
        ASSERT_EQ(guest_devices_plan(many, SPEC_DEVICES_MAX + 1, &none, NULL), -E2BIG);
        free(many);
        free(message);
}

TEST(nodes_are_waited_for)
{
        GuestDevices devices = {};
        char *message = NULL;

        set_up();
        ASSERT_OK(plan("x", "mmioblk", "/dev/vdb", "", &devices, NULL));
        ASSERT_EQ(guest_devices_wait(&devices, root, 20000, &message), -ENODEV);
        ASSERT_CONTAINS(message, "/dev/vdb: no such device");
        message = mfree(message);
        make("/dev/vdb", false);
        ASSERT_EQ(guest_devices_wait(&devices, root, 0, &message), -ENOTBLK);
        ASSERT_CONTAINS(message, "not a disk");
        devices.items[0].kind = S_IFREG;
        ASSERT_OK(guest_devices_wait(&devices, root, 0, NULL));
        guest_devices_done(&devices);
        free(message);
        tear_down();
}

TEST(pci_devices_are_found)
{
        GuestDevices devices = {};
        char *message = NULL;

        set_up();
        ASSERT_OK(plan("02/1e.1", "blk", "", "", &devices, NULL));
        devices.items[0].kind = S_IFREG;
        make("/dev/vdc", false);
        make("/sys/devices/pci0000:00/0000:00:02.0/pci_bus", true);
        ASSERT_EQ(guest_devices_wait(&devices, root, 0, &message), -ENODEV);
        ASSERT_CONTAINS(message, "PCI path 02/1e.1: no such device");
        make("/sys/devices/pci0000:00/0000:00:02.0/pci_bus/0000:01", true);
        ASSERT_EQ(guest_devices_wait(&devices, root, 0, NULL), -ENODEV);
        make("/sys/devices/pci0000:00/0000:00:02.0/0000:01:1e.1/virtio4/power", true);
        ASSERT_EQ(guest_devices_wait(&devices, root, 0, NULL), -ENODEV);
        make("/sys/devices/pci0000:00/0000:00:02.0/0000:01:1e.1/virtio4/block/vdc/queue", true);
        ASSERT_OK(guest_devices_wait(&devices, root, 0, NULL));
        guest_devices_done(&devices);
        free(message);
        tear_down();
}

TEST(scsi_devices_are_found)
{
        GuestDevices devices = {};
        char *message = NULL;

        set_up();
        ASSERT_OK(plan("1:2", "scsi", "", "", &devices, NULL));
        devices.items[0].kind = S_IFREG;
        make("/dev/sdb", false);
        ASSERT_EQ(guest_devices_wait(&devices, root, 0, &message), -ENODEV);
        ASSERT_CONTAINS(message, "SCSI address 1:2: no such device");
        make("/sys/class/scsi_device/0:0:1:2/device/block/sdb/queue", true);
        ASSERT_OK(guest_devices_wait(&devices, root, 0, NULL));
        guest_devices_done(&devices);
        free(message);
        tear_down();
}

TEST(numbers)
{
        Grpc__Device first = GRPC__DEVICE__INIT, second = GRPC__DEVICE__INIT, *list[] = { &first, &second };
        Grpc__LinuxDevice a = GRPC__LINUX_DEVICE__INIT, b = GRPC__LINUX_DEVICE__INIT, *nodes[] = { &a, &b };
        Grpc__LinuxDeviceCgroup rules[3] = { GRPC__LINUX_DEVICE_CGROUP__INIT, GRPC__LINUX_DEVICE_CGROUP__INIT,
                                             GRPC__LINUX_DEVICE_CGROUP__INIT };
        Grpc__LinuxDeviceCgroup *rule_list[] = { &rules[0], &rules[1], &rules[2] };
        Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
        Grpc__Linux l = GRPC__LINUX__INIT;
        Grpc__Spec spec = GRPC__SPEC__INIT;
        GuestDevices devices = {};
        char *message = NULL;

        set_up();
        make("/dev/vdb", false);
        make("/dev/vdc", false);
        first.type = second.type = S("mmioblk");
        first.vm_path = S("/dev/vdb");
        first.container_path = S("/dev/data");
        second.vm_path = S("/dev/vdc");
        ASSERT_OK(guest_devices_plan(list, 2, &devices, NULL));
        devices.items[0].kind = devices.items[1].kind = S_IFREG;

        /* The second one has no place in the container: it is only waited for. */
        ASSERT_EQ(guest_devices_apply(&devices, root, &spec, &message), -ENOENT);
        ASSERT_CONTAINS(message, "/dev/data of the request is not in");
        a.path = S("/dev/data");
        a.type = b.type = S("b");
        a.major = 8;
        a.minor = 16;
        b.path = S("/dev/other");
        b.major = 8;
        b.minor = 32;
        l.devices = nodes;
        l.n_devices = 2;
        l.resources = &resources;
        spec.linux = &l;
        for (size_t i = 0; i < ELEMENTSOF(rules); i++) {
                rules[i].type = S(i == 2 ? "c" : "b");
                rules[i].major = 8;
                rules[i].minor = i == 1 ? 32 : 16;
        }
        resources.devices = rule_list;
        resources.n_devices = 3;

        ASSERT_OK(guest_devices_apply(&devices, root, &spec, NULL));
        /* A regular file stands for the disk: its device number is 0:0. */
        ASSERT_EQ(a.major, 0);
        ASSERT_EQ(a.minor, 0);
        ASSERT_EQ(b.major, 8);
        ASSERT_EQ(b.minor, 32);
        ASSERT_EQ(rules[1].minor, 32);
        ASSERT_EQ(rules[2].minor, 16);
        guest_devices_done(&devices);
        free(message);
        tear_down();
}

DEFINE_TEST_MAIN
