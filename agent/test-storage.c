/* SPDX-License-Identifier: Apache-2.0 */
/* Storage requests: what is planned and what is refused; groups of volumes, huge pages and SCSI addresses. No root. */

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/hugepages.h"
#include "agent/mirror.h"
#include "agent/storage.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"

#define S(text) ((char *) (uintptr_t) (text))
#define R STORAGE_ROOT

static char root[64];

/* --- plans --- */

typedef struct Case {
        const char *driver, *source, *fstype, *options[4], *driver_option;
} Case;

static int plan_case(const Case *c, StoragePlan *ret, char **reterr_message)
{
        Grpc__Storage s = GRPC__STORAGE__INIT;
        char *driver_options[] = { S(c->driver_option) };

        s.driver = S(c->driver);
        s.source = S(c->source);
        s.fstype = S(c->fstype);
        s.mount_point = S(R "/x/y/");
        s.options = (char **) (uintptr_t) c->options;
        while (s.n_options < ELEMENTSOF(c->options) && c->options[s.n_options])
                s.n_options++;
        s.driver_options = driver_options;
        s.n_driver_options = c->driver_option != NULL;
        return storage_plan(&s, ret, reterr_message);
}

static StoragePlan plan(Case c)
{
        _cleanup_free_ char *message = NULL;
        StoragePlan ret = {};

        if (plan_case(&c, &ret, &message) < 0)
                TEST_FAIL("%s", message);
        ASSERT_STREQ(ret.target, R "/x/y");
        return ret;
}

TEST(mounts)
{
        StoragePlan p;

        p = plan((Case) { "virtio-fs", "kataShared", "virtiofs", { "nodev", "dax" } });
        ASSERT_EQ(p.kind, STORAGE_MOUNT);
        ASSERT_STREQ(p.source, "kataShared");
        ASSERT_EQ(p.flags, MS_NODEV);
        ASSERT_STREQ(p.data, "dax");
        storage_plan_done(&p);

        p = plan((Case) { "virtio-fs", R "/shared/a/", "bind", { "rbind", "ro" } });
        ASSERT_EQ(p.kind, STORAGE_BIND);
        ASSERT_STREQ(p.source, R "/shared/a");
        ASSERT_EQ(p.flags, MS_REC | MS_RDONLY);
        storage_plan_done(&p);

        p = plan((Case) { "ephemeral", "shm", "tmpfs", { "noexec", "mode=1777", "size=65536", "fsgid=12" } });
        ASSERT_EQ(p.flags, MS_NOEXEC);
        ASSERT_STREQ(p.data, "mode=1777,size=65536");
        ASSERT_TRUE(p.has_fsgid);
        ASSERT_EQ(p.fsgid, 12);
        storage_plan_done(&p);

        p = plan((Case) { "local", "local", "local", { "mode=0777", "fsgid=0" } });
        ASSERT_EQ(p.kind, STORAGE_DIRECTORY);
        ASSERT_EQ(p.mode, 0777);
        ASSERT_TRUE(p.has_fsgid);
        storage_plan_done(&p);
}

TEST(huge_pages_of_storages)
{
        StoragePlan p;

        /* Both in one option, as hosts write it, with a suffix of Kubernetes. */
        p = plan((Case) { "ephemeral", "nodev", "hugetlbfs", { "pagesize=2Mi,size=16777216" } });
        ASSERT_EQ(p.page_size, 2097152);
        ASSERT_EQ(p.n_pages, 8);
        ASSERT_STREQ(p.data, "pagesize=2097152,size=16777216");
        storage_plan_done(&p);
        p = plan((Case) { "ephemeral", "", "hugetlbfs", { "size=3G", "pagesize=1073741824", "mode=0700" } });
        ASSERT_EQ(p.n_pages, 3);
        ASSERT_STREQ(p.source, "hugetlbfs");
        ASSERT_STREQ(p.data, "mode=0700,pagesize=1073741824,size=3221225472");
        storage_plan_done(&p);
}

TEST(devices)
{
        StoragePlan p;

        p = plan((Case) { "blk", "02/03", "ext4", { "ro" } });
        ASSERT_NULL(p.source);
        ASSERT_EQ(p.device.place, GUEST_DEVICE_PCI);
        ASSERT_EQ(p.device.pci.n, 2);
        storage_plan_done(&p);
        p = plan((Case) { "blk", "/dev/vdb", "ext4" });
        ASSERT_EQ(p.device.place, GUEST_DEVICE_NODE);
        ASSERT_STREQ(p.device.node, "/dev/vdb");
        storage_plan_done(&p);
        p = plan((Case) { "scsi", "3:16383", "xfs" });
        ASSERT_EQ(p.device.place, GUEST_DEVICE_SCSI);
        ASSERT_EQ(p.device.scsi.id, 3);
        ASSERT_EQ(p.device.scsi.lun, 16383);
        storage_plan_done(&p);
        p = plan((Case) { "nvdimm", "/dev/pmem0", "ext4", { "dax" } });
        ASSERT_STREQ(p.data, "dax");
        storage_plan_done(&p);
}

TEST(overlays)
{
        StoragePlan p;

        p = plan((Case) { "overlayfs", "none", "overlay",
                          { "lowerdir=" R "/l1:/opt/l2", "upperdir=" R "/u/", "workdir=" R "/w", "index=on" },
                          "io.katacontainers.volume.overlayfs.create_directory=" R "/u" });
        ASSERT_EQ(p.kind, STORAGE_OVERLAY);
        ASSERT_EQ(p.lower.n, 2);
        ASSERT_STREQ(p.lower.v[1], "/opt/l2");
        ASSERT_STREQ(p.upper, R "/u");
        ASSERT_STREQ(p.work, R "/w");
        ASSERT_STREQ(p.data, "index=on");
        ASSERT_EQ(p.directories.n, 1);
        ASSERT_STREQ(p.directories.v[0], R "/u");
        ASSERT_FALSE(p.wants_scratch);
        storage_plan_done(&p);

        p = plan((Case) { "overlayfs", "none", "", { "lowerdir=/a", "io.katacontainers.fs-opt.overlay-rw" } });
        ASSERT_TRUE(p.wants_scratch);
        ASSERT_NULL(p.upper);
        storage_plan_done(&p);
}

TEST(refused)
{
        static const struct {
                Case c;
                int error;
                const char *part;
        } cases[] = {
                { { "9p", "kataShared", "9p" }, -EOPNOTSUPP, "driver '9p'" },
                { { "image_guest_pull", "docker.io/x", "overlay" }, -EOPNOTSUPP, "driver 'image_guest_pull'" },
                { { "erofs.multi-layer", "x", "erofs" }, -EOPNOTSUPP, "driver 'erofs.multi-layer'" },
                { { "virtio-fs", "kataShared", "ext4" }, -EINVAL, "virtiofs or bind" },
                { { "virtio-fs", "", "virtiofs" }, -EINVAL, "invalid virtio-fs tag" },
                { { "virtio-fs", "/etc", "bind" }, -EINVAL, "'/etc' of a bind mount" },
                { { "virtio-fs", R "/a/../b", "bind" }, -EINVAL, "of a bind mount" },
                { { "virtio-fs", R "/a", "bind", { "size=1" } }, -EOPNOTSUPP, "option 'size'" },
                { { "virtio-fs", "tag", "virtiofs", { "bind" } }, -EOPNOTSUPP, "option 'bind'" },
                { { "virtio-fs", "tag", "virtiofs", { "fsgid=1" } }, -EOPNOTSUPP, "option 'fsgid'" },
                { { "watchable-bind", "/etc", "bind" }, -EINVAL, "'/etc' of a bind mount" },
                { { "watchable-bind", R "/a", "ext4" }, -EINVAL, "not 'ext4'" },
                { { "ephemeral", "x", "tmpfs", { "remount" } }, -EOPNOTSUPP, "option 'remount'" },
                { { "ephemeral", "x", "tmpfs", { "size=1,uid=0" } }, -EINVAL, "invalid option" },
                { { "ephemeral", "x", "tmpfs", { "X-kata.a=b" } }, -EOPNOTSUPP, "option 'X-kata.a'" },
                { { "ephemeral", "x", "tmpfs", { "fsgid=-1" } }, -EINVAL, "invalid option 'fsgid=-1'" },
                { { "ephemeral", "x", "tmpfs", { "fsgid=4294967295" } }, -EINVAL, "invalid option" },
                { { "ephemeral", "x", "ext4" }, -EOPNOTSUPP, "'ext4'" },
                { { "ephemeral", "x", "tmpfs", {}, "mode=0777" }, -EOPNOTSUPP, "driver option 'mode'" },
                { { "ephemeral", "x", "hugetlbfs" }, -EINVAL, "hugetlbfs needs pagesize=" },
                { { "ephemeral", "x", "hugetlbfs", { "pagesize=2M", "size=1M" } }, -EINVAL, "at least one page" },
                { { "ephemeral", "x", "hugetlbfs", { "pagesize=3M", "size=6M" } }, -EINVAL, "power of two" },
                { { "ephemeral", "x", "hugetlbfs", { "pagesize=2M,uid=0" } }, -EINVAL, "invalid option" },
                { { "ephemeral", "x", "hugetlbfs", { "pagesize=2M", "size=2T" } }, -EINVAL, "invalid option" },
                { { "blk", "x", "ext4" }, -EINVAL, "neither a device node" },
                { { "blk", "1:2", "ext4" }, -EINVAL, "neither a device node" },
                { { "blk", "20/01/02", "ext4" }, -EOPNOTSUPP, "neither a device node" },
                { { "blk", "02/03", "" }, -EINVAL, "no file system type" },
                { { "blk", "/dev/vdb", "ext4", {}, "encryption_key=secret" }, -EOPNOTSUPP,
                  "driver option 'encryption_key' is" },
                { { "blk", "/dev/vdb", "ext4", {}, "create_filesystem" }, -EOPNOTSUPP, "'create_filesystem'" },
                { { "mmioblk", "/dev/../x", "ext4" }, -EINVAL, "neither a device node" },
                { { "mmioblk", "02/03", "ext4" }, -EINVAL, "neither a device node" },
                { { "scsi", "1", "ext4" }, -EINVAL, "neither a device node" },
                { { "scsi", "256:0", "ext4" }, -EINVAL, "neither a device node" },
                { { "scsi", "1:16384", "ext4" }, -EINVAL, "neither a device node" },
                { { "scsi", "1:0:0", "ext4" }, -EINVAL, "neither a device node" },
                { { "local", "local", "local", { "ro" } }, -EOPNOTSUPP, "mounts nothing" },
                { { "local", "local", "local", { "size=1" } }, -EOPNOTSUPP, "option 'size'" },
                { { "local", "local", "local", { "mode=8" } }, -EINVAL, "invalid option 'mode=8'" },
                { { "overlayfs", "none", "overlay" }, -EINVAL, "needs lowerdir=" },
                { { "overlayfs", "none", "ext4", { "lowerdir=/a" } }, -EINVAL, "not 'ext4'" },
                { { "overlayfs", "none", "overlay", { "lowerdir=/a:" } }, -EINVAL, "'' is not the path" },
                { { "overlayfs", "none", "overlay", { "lowerdir=a" } }, -EINVAL, "'a' is not the path" },
                { { "overlayfs", "none", "overlay", { "lowerdir=/a\\:b" } }, -EINVAL, "is not the path" },
                { { "overlayfs", "none", "overlay", { "lowerdir=/a,upperdir=/b" } }, -EINVAL, "is not the path" },
                { { "overlayfs", "none", "overlay", { "lowerdir=/a", "upperdir=" R "/b" } }, -EINVAL, "or neither" },
                { { "overlayfs", "none", "overlay", { "lowerdir=/a", "upperdir=/b", "workdir=/c" } }, -EINVAL,
                  "below " R },
                { { "overlayfs", "none", "overlay", { "lowerdir=/a" },
                    "io.katacontainers.volume.overlayfs.create_directory=/etc/x" }, -EINVAL, "below " R },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *message = NULL;
                StoragePlan none;
                int r = plan_case(&cases[i].c, &none, &message);

                if (r != cases[i].error)
                        TEST_FAIL("%zu: %d, %s", i, r, strempty(message));
                ASSERT_CONTAINS(message, cases[i].part);
                ASSERT_NULL(strstr(message, "secret"));
        }
}

TEST(mount_points)
{
        static const char *const bad[] = {
                "", "/", R, R "/", R "/../x", R "/a//b", R "/./b", "/etc",
        };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *message = NULL;
                Grpc__Storage s = GRPC__STORAGE__INIT;
                StoragePlan none;

                s.driver = S("ephemeral");
                s.fstype = S("tmpfs");
                s.mount_point = S(bad[i]);
                ASSERT_EQ(storage_plan(&s, &none, &message), -EINVAL);
                ASSERT_CONTAINS(message, "not a path below");
        }
}

TEST(groups_of_requests)
{
        Grpc__FSGroup group = GRPC__FSGROUP__INIT;
        Grpc__Storage s = GRPC__STORAGE__INIT;
        char *options[] = { S("ro") };
        StoragePlan p;

        s.driver = S("ephemeral");
        s.fstype = S("tmpfs");
        s.mount_point = S(R "/x");
        s.fs_group = &group;
        group.group_id = 1000;
        group.group_change_policy = TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch;
        ASSERT_OK(storage_plan(&s, &p, NULL));
        ASSERT_TRUE(p.has_group && p.group.on_mismatch);
        ASSERT_EQ(p.group.gid, 1000);
        storage_plan_done(&p);
        s.options = options;
        s.n_options = 1;
        ASSERT_OK(storage_plan(&s, &p, NULL));
        ASSERT_FALSE(p.has_group);
        storage_plan_done(&p);
        group.group_id = UINT32_MAX;
        ASSERT_EQ(storage_plan(&s, &p, NULL), -EINVAL);
        group.group_id = 0;
        group.group_change_policy = 2;
        ASSERT_EQ(storage_plan(&s, &p, NULL), -EINVAL);
}

/* --- what they need --- */

static void make_root(void)
{
        strcpy(root, "/tmp/test-storage-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(root));
}

static char *below(const char *path)
{
        static char full[512];

        snprintf(full, sizeof(full), "%s%s", root, path);
        return full;
}

static mode_t mode_of(const char *path)
{
        struct stat st;

        ASSERT_OK(lstat(below(path), &st));
        return st.st_mode & 07777;
}

TEST(group_of_a_volume)
{
        FsGroup group = { .gid = getgid() };
        _cleanup_close_ int fd = -EBADF;
        usec_t end = now_usec() + 10 * USEC_PER_SEC;
        char deep[FS_GROUP_DEPTH_MAX * 2 + 8] = "/v";

        make_root();
        ASSERT_OK(mkdir(below("/v"), 0700));
        ASSERT_OK(mkdir(below("/v/d"), 0500));
        ASSERT_OK(chmod(below("/v/d"), 0700));
        ASSERT_OK(write_file_atomic(below("/v/d/f"), "x", 1, 0400));
        ASSERT_OK(write_file_atomic(below("/outside"), "x", 1, 0600));
        ASSERT_OK(symlink("../../outside", below("/v/d/link")));
        fd = ASSERT_OK(open(below("/v"), O_PATH | O_DIRECTORY | O_CLOEXEC));

        ASSERT_OK(fs_group_apply(fd, &group, end));
        ASSERT_EQ(mode_of("/v"), 02770);
        ASSERT_EQ(mode_of("/v/d"), 02770);
        ASSERT_EQ(mode_of("/v/d/f"), 0660);
        ASSERT_EQ(mode_of("/outside"), 0600);

        /* The root is as it should be: nothing else is looked at. */
        ASSERT_OK(chmod(below("/v/d/f"), 0400));
        group.on_mismatch = true;
        ASSERT_OK(fs_group_apply(fd, &group, end));
        ASSERT_EQ(mode_of("/v/d/f"), 0400);
        ASSERT_OK(chmod(below("/v"), 0770));
        ASSERT_OK(fs_group_apply(fd, &group, end));
        ASSERT_EQ(mode_of("/v/d/f"), 0660);

        ASSERT_OK(chmod(below("/v"), 0700));
        ASSERT_EQ(fs_group_apply(fd, &group, 0), -ETIMEDOUT);
        /* It does not look as if all had been done. */
        ASSERT_EQ(mode_of("/v"), 0700);
        for (unsigned i = 0; i < FS_GROUP_DEPTH_MAX; i++) {
                strcat(deep, "/a");
                ASSERT_OK(mkdir(below(deep), 0700));
        }
        ASSERT_EQ(fs_group_apply(fd, &group, end), -ELOOP);
        ASSERT_OK(fs_group_set_directory(fd, getgid()));
        ASSERT_EQ(mode_of("/v"), 02700);
        ASSERT_OK(rm_rf(root));
}

static void put(const char *path, const char *text)
{
        char parent[512], *slash;

        snprintf(parent, sizeof(parent), "%s", below(path));
        slash = strrchr(parent, '/');
        *slash = '\0';
        ASSERT_OK(mkdir_p(parent, 0755));
        ASSERT_OK(write_file_atomic(below(path), text, strlen(text), 0644));
}

static void check_text(const char *path, const char *wanted)
{
        _cleanup_free_ char *text = NULL;

        ASSERT_OK(read_file_at(AT_FDCWD, below(path), 4096, &text, NULL));
        ASSERT_STREQ(text, wanted);
}

static int mirror(void)
{
        _cleanup_close_ int from = ASSERT_OK(open(below("/from"), O_PATH | O_DIRECTORY | O_CLOEXEC)),
                            to = ASSERT_OK(open(below("/to"), O_PATH | O_DIRECTORY | O_CLOEXEC));

        return mirror_directory(from, to);
}

/* A volume as kubelet exchanges it: a new directory, a symlink that is moved, the old directory removed. */
TEST(mirrors)
{
        char target[64] = {};
        struct stat st;

        make_root();
        ASSERT_OK(mkdir(below("/to"), 0755));
        put("/from/..1/key", "old");
        ASSERT_OK(symlink("..1", below("/from/..data")));
        ASSERT_OK(symlink("..data/key", below("/from/key")));
        ASSERT_OK(mirror());
        check_text("/to/key", "old");
        ASSERT_OK(stat(below("/to/..1/key"), &st));
        ASSERT_OK(mirror());

        put("/from/..2/key", "new");
        ASSERT_OK(chmod(below("/from/..2/key"), 0400));
        ASSERT_OK(unlink(below("/from/..data")));
        ASSERT_OK(symlink("..2", below("/from/..data")));
        ASSERT_OK(rm_rf(below("/from/..1")));
        ASSERT_OK(mirror());
        check_text("/to/key", "new");
        ASSERT_EQ(readlink(below("/to/..data"), target, sizeof(target) - 1), 3);
        ASSERT_EQ(access(below("/to/..1"), F_OK), -1);
        ASSERT_EQ(mode_of("/to/..2/key"), 0400);

        /* What a tenant has done to the copy is undone, and leads nowhere. */
        put("/outside", "x");
        ASSERT_OK(rm_rf(below("/to/..2")));
        strcpy(target, below("/"));
        ASSERT_OK(symlink(target, below("/to/..2")));
        ASSERT_OK(mkdir(below("/to/.kata-mirror"), 0700));
        put("/to/more/and/more", "x");
        ASSERT_OK(mirror());
        check_text("/to/key", "new");
        check_text("/outside", "x");
        ASSERT_EQ(access(below("/key"), F_OK), -1);
        ASSERT_EQ(access(below("/to/more"), F_OK), -1);
        ASSERT_EQ(access(below("/to/.kata-mirror"), F_OK), -1);
        ASSERT_OK(rm_rf(root));
}

TEST(mirrors_are_small)
{
        char path[64];

        make_root();
        ASSERT_OK(mkdir(below("/to"), 0755));
        for (unsigned i = 0; i < MIRROR_FILES_MAX; i++) {
                snprintf(path, sizeof(path), "/from/%u", i);
                put(path, "x");
        }
        ASSERT_OK(mirror());
        put("/from/more", "x");
        ASSERT_EQ(mirror(), -E2BIG);
        ASSERT_EQ(access(below("/to/more"), F_OK), -1);
        ASSERT_OK(unlink(below("/from/more")));
        ASSERT_OK(truncate(below("/from/0"), MIRROR_BYTES_MAX));
        ASSERT_EQ(mirror(), -E2BIG);
        ASSERT_OK(rm_rf(below("/from")));
        put("/from/1/2/3/4/5", "x");
        ASSERT_EQ(mirror(), -E2BIG);
        ASSERT_OK(rm_rf(root));
}

TEST(huge_pages)
{
        static const char pool[] = "/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
        _cleanup_free_ char *message = NULL, *text = NULL, *after = NULL;

        make_root();
        ASSERT_EQ(hugepages_reserve(root, 2 << 20, 1, &message), -EOPNOTSUPP);
        ASSERT_CONTAINS(message, "huge pages of 2048 KiB: the guest kernel has no such size");
        put(pool, "10\n");
        ASSERT_OK(hugepages_reserve(root, 2 << 20, 5, NULL));
        ASSERT_OK(read_file_at(AT_FDCWD, below(pool), 64, &text, NULL));
        ASSERT_STREQ(text, "15\n");
        hugepages_release(root, 2 << 20, 4);
        ASSERT_OK(read_file_at(AT_FDCWD, below(pool), 64, &after, NULL));
        ASSERT_STREQ(after, "11\n");
        ASSERT_EQ(hugepages_reserve(root, 2 << 20, UINT64_MAX, &message), -EINVAL);
        /* A kernel that takes no more. */
        ASSERT_OK(unlink(below(pool)));
        ASSERT_OK(symlink("/dev/full", below(pool)));
        ASSERT_TRUE(hugepages_reserve(root, 2 << 20, 1, &message) < 0);
        ASSERT_OK(rm_rf(root));
}

TEST(scsi)
{
        const ScsiAddress address = { 1, 2 };
        _cleanup_free_ char *name = NULL, *text = NULL;

        make_root();
        ASSERT_EQ(scsi_scan(root, &address), -ENODEV);
        ASSERT_EQ(scsi_find(root, &address, &name), -ENOENT);
        put("/class/scsi_host/host3/scan", "");
        ASSERT_OK(scsi_scan(root, &address));
        ASSERT_OK(read_file_at(AT_FDCWD, below("/class/scsi_host/host3/scan"), 64, &text, NULL));
        ASSERT_STREQ(text, "0 1 2");
        put("/class/scsi_device/3:0:1:22/device/block/sdx/size", "");
        put("/class/scsi_device/3:1:1:2/device/block/sdy/size", "");
        put("/class/scsi_device/3:0:1:2/device/type", "");
        ASSERT_EQ(scsi_find(root, &address, &name), -ENOENT);
        put("/class/scsi_device/3:0:1:2/device/block/sdb/size", "");
        ASSERT_OK(scsi_find(root, &address, &name));
        ASSERT_STREQ(name, "sdb");
        ASSERT_OK(rm_rf(root));
}

DEFINE_TEST_MAIN
