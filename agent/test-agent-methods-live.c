/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Methods about files and volumes where they take effect: on a /run of our own in a mount namespace. The
 * requests are bytes (fake-host.h); what came of them is looked up in the file system.
 */

#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/fake-host.h"
#include "basic/fd.h"

#define VOLUME "/run/kata-containers/sandbox/v"
#define SHARE "/run/kata-containers/shared/containers"

typedef struct TestStorage {
        const char *driver, *source, *fstype, *mount_point, *options[4], *driver_option;
        const uint8_t *group;   /* three bytes */
} TestStorage;

/*
 * Storage { driver 1, driver_options 2, source 3, fstype 4, options 5, mount_point 6, fs_group 7 } as field of a
 * request.
 */
static size_t put_any(uint8_t *p, unsigned field, const TestStorage *s)
{
        uint8_t storage[512];
        size_t n = 0;

        n += put_field(storage + n, 1, s->driver, strlen(s->driver));
        if (s->driver_option)
                n += put_field(storage + n, 2, s->driver_option, strlen(s->driver_option));
        n += put_field(storage + n, 3, s->source, strlen(s->source));
        n += put_field(storage + n, 4, s->fstype, strlen(s->fstype));
        for (size_t i = 0; i < ELEMENTSOF(s->options) && s->options[i]; i++)
                n += put_field(storage + n, 5, s->options[i], strlen(s->options[i]));
        n += put_field(storage + n, 6, s->mount_point, strlen(s->mount_point));
        if (s->group)
                n += put_field(storage + n, 7, s->group, 3);
        return put_field(p, field, storage, n);
}

static size_t put_storage(uint8_t *p, unsigned field, const char *mount_point, const char *const *options)
{
        TestStorage s = { .driver = "ephemeral", .source = "shm", .fstype = "tmpfs", .mount_point = mount_point };

        for (size_t i = 0; options[i]; i++)
                s.options[i] = options[i];
        return put_any(p, field, &s);
}

/* CreateSandbox { storages 3 } */
static int create_with(const TestStorage *storages, size_t n)
{
        uint8_t request[4096];
        size_t k = 0;

        for (size_t i = 0; i < n; i++)
                k += put_any(request + k, 3, &storages[i]);
        return take_answer(send_call("CreateSandbox", request, k));
}

static int update_mount(const char *option)
{
        const char *const options[] = { "remount", option, NULL };
        uint8_t request[512];

        return take_answer(send_call("UpdateEphemeralMounts", request, put_storage(request, 1, VOLUME, options)));
}

static void get_stats(void)
{
        uint8_t request[64];

        ASSERT_EQ(take_answer(send_call("GetVolumeStats", request,
                                        put_field(request, 1, VOLUME, strlen(VOLUME)))), 0);
}

TEST(memory_volumes)
{
        static const char *const options[] = { "nosuid", "mode=1777", "size=1048576", NULL };
        static char data[3 << 19];
        struct statvfs st;
        uint8_t request[512];
        struct stat s;

        start();
        ASSERT_EQ(take_answer(send_call("CreateSandbox", request, put_storage(request, 3, VOLUME, options))), 0);
        get_stats();
        /* usage 1 { total 2: 1 MiB } */
        ASSERT_TRUE(reply_contains("\x10\x80\x80\x40", 4));

        ASSERT_EQ(update_mount("size=2097152"), 0);
        ASSERT_EQ(reply_size, 0);
        get_stats();
        ASSERT_TRUE(reply_contains("\x10\x80\x80\x80\x01", 5));
        /* What was not named has stayed. */
        ASSERT_OK(statvfs(VOLUME, &st));
        ASSERT_TRUE(st.f_flag & ST_NOSUID);
        ASSERT_OK(stat(VOLUME, &s));
        ASSERT_EQ(s.st_mode & 07777, 01777);

        ASSERT_OK(write_file_atomic(VOLUME "/data", data, sizeof(data), 0600));
        ASSERT_EQ(update_mount("size=1048576"), TTRPC_INVALID_ARGUMENT);
        ASSERT_CONTAINS(reply_text, "remounting " VOLUME " with 'size=1048576': ");
        ASSERT_EQ(update_mount("nonsense=1"), TTRPC_INVALID_ARGUMENT);
        stop();
        ASSERT_OK(umount(VOLUME));
}

/* CVE-2020-2024, CVE-2020-2026: a tenant's symlinks do not lead mounts elsewhere. */
TEST(storages_do_not_follow_symlinks)
{
        static const char *const options[] = { "nosuid", NULL };
        uint8_t request[512];
        struct statvfs st;

        ASSERT_OK(mkdir_p(SHARE "/c0", 0755));
        ASSERT_OK(mkdir_p("/run/elsewhere/x", 0755));
        ASSERT_OK(symlink("/run/elsewhere", SHARE "/c0/v"));
        start();
        ASSERT_TRUE(take_answer(send_call("CreateSandbox", request,
                                          put_storage(request, 3, SHARE "/c0/v/x", options))) != 0);
        ASSERT_CONTAINS(reply_text, SHARE "/c0/v/x");
        ASSERT_TRUE(take_answer(send_call("CreateSandbox", request,
                                          put_storage(request, 3, SHARE "/c0/v", options))) != 0);
        stop();
        ASSERT_OK(statvfs("/run/elsewhere/x", &st));
        ASSERT_FALSE(st.f_flag & ST_NOSUID);
        ASSERT_OK(statvfs("/run/elsewhere", &st));
        ASSERT_FALSE(st.f_flag & ST_NOSUID);
}

static bool is_mounted(const char *path)
{
        _cleanup_free_ char *text = NULL;
        char wanted[256];

        snprintf(wanted, sizeof(wanted), " %s ", path);
        ASSERT_OK(read_file_at(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &text, NULL));
        return strstr(text, wanted);
}

static void put_text(const char *path, const char *text)
{
        char parent[256];

        snprintf(parent, sizeof(parent), "%s", path);
        *strrchr(parent, '/') = '\0';
        ASSERT_OK(mkdir_p(parent, 0755));
        ASSERT_OK(write_file_atomic(path, text, strlen(text), 0644));
}

#define ROOT "/run/kata-containers"

TEST(layers_and_bind_mounts)
{
        static const TestStorage storages[] = {
                { "overlayfs", "none", "overlay", ROOT "/c/rw",
                  { "lowerdir=" ROOT "/low/a:" ROOT "/low/b", "io.katacontainers.fs-opt.overlay-rw" } },
                { "overlayfs", "none", "overlay", ROOT "/c/up",
                  { "lowerdir=" ROOT "/low/a", "upperdir=" ROOT "/dir/up", "workdir=" ROOT "/dir/work" },
                  "io.katacontainers.volume.overlayfs.create_directory=" ROOT "/dir/up" },
                { "virtio-fs", ROOT "/low/a", "bind", ROOT "/c/bind", { "rbind", "ro" } },
                { "virtio-fs", ROOT "/low/b/two", "bind", ROOT "/c/file", { "bind" } },
        };
        struct stat st;

        put_text(ROOT "/low/a/one", "1");
        put_text(ROOT "/low/b/two", "2");
        ASSERT_OK(mkdir_p(ROOT "/dir/work", 0755));
        start();
        if (create_with(storages, ELEMENTSOF(storages)) != 0)
                TEST_FAIL("%s", reply_text);
        ASSERT_OK(access(ROOT "/c/rw/one", F_OK));
        ASSERT_OK(access(ROOT "/c/rw/two", F_OK));
        put_text(ROOT "/c/rw/three", "3");
        put_text(ROOT "/c/up/four", "4");
        ASSERT_EQ(access(ROOT "/low/a/three", F_OK), -1);
        ASSERT_OK(access(ROOT "/sandbox/overlay-1/upper/three", F_OK));
        ASSERT_OK(access(ROOT "/dir/up/four", F_OK));
        ASSERT_OK(access(ROOT "/c/bind/one", F_OK));
        ASSERT_EQ(open(ROOT "/c/bind/new", O_CREAT | O_WRONLY, 0600), -1);
        ASSERT_EQ(errno, EROFS);
        ASSERT_OK(stat(ROOT "/c/file", &st));
        ASSERT_EQ(st.st_size, 1);

        ASSERT_EQ(call_empty("DestroySandbox"), 0);
        for (size_t i = 0; i < ELEMENTSOF(storages); i++)
                ASSERT_FALSE(is_mounted(storages[i].mount_point));
        ASSERT_EQ(access(ROOT "/sandbox/overlay-1", F_OK), -1);
        /* What the host named is the host's. */
        ASSERT_OK(access(ROOT "/dir/up/four", F_OK));
        stop();
}

/* Neither a layer nor the source of a bind mount is looked for behind a tenant's symlink; and all or nothing. */
TEST(layers_do_not_follow_symlinks)
{
        static const TestStorage layer[] = {
                { "ephemeral", "x", "tmpfs", ROOT "/c/first" },
                { "overlayfs", "none", "overlay", ROOT "/c/bad",
                  { "lowerdir=" ROOT "/low/link", "io.katacontainers.fs-opt.overlay-rw" } },
        };
        static const TestStorage bind = { "virtio-fs", ROOT "/low/link/x", "bind", ROOT "/c/bad", { "bind" } };

        ASSERT_OK(mkdir_p("/run/elsewhere/x", 0755));
        ASSERT_OK(mkdir_p(ROOT "/low", 0755));
        ASSERT_OK(symlink("/run/elsewhere", ROOT "/low/link"));
        start();
        ASSERT_TRUE(create_with(layer, ELEMENTSOF(layer)) != 0);
        ASSERT_CONTAINS(reply_text, "layer " ROOT "/low/link: ");
        ASSERT_FALSE(is_mounted(ROOT "/c/first"));
        ASSERT_EQ(access(ROOT "/sandbox/overlay-1", F_OK), -1);
        ASSERT_TRUE(create_with(&bind, 1) != 0);
        ASSERT_CONTAINS(reply_text, ROOT "/low/link/x for " ROOT "/c/bad: ");
        ASSERT_FALSE(is_mounted(ROOT "/c/bad"));
        stop();
}

/* The agent's loop, for as long as it takes it to look at what it follows. */
static bool followed(const char *path)
{
        for (unsigned i = 0; i < 300 && access(path, F_OK) < 0; i++)
                ASSERT_OK(loop_run_once(loop, 20));
        return access(path, F_OK) >= 0;
}

/* A loop device with a file of an erofs image; -1 where there is no such thing. */
static int make_disk(char node[static 32])
{
        int control = -1, number, file = -1, device = -1;

        put_text("/run/disk/tree/on-disk", "x");
        if (system("mkfs.erofs --quiet /run/disk/image /run/disk/tree >/dev/null 2>&1") != 0)
                return -1;
        control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
        safe_close(control);
        if (number < 0)
                return -1;
        snprintf(node, 32, "/dev/loop%d", number);
        device = open(node, O_RDONLY | O_CLOEXEC);
        file = open("/run/disk/image", O_RDONLY | O_CLOEXEC);
        if (device >= 0 && ioctl(device, LOOP_SET_FD, file) < 0)
                device = safe_close(device);
        safe_close(file);
        return device;
}

TEST(disks)
{
        TestStorage storages[] = {
                { "blk", NULL, "erofs", ROOT "/disk/a", { "ro", "nodev" } },
                { "mmioblk", "/dev/no-such-disk", "erofs", ROOT "/disk/b" },
        };
        char node[32];
        int device = make_disk(node);

        if (device < 0) {
                fprintf(stderr, "no loop device with erofs here, not tested\n");
                return;
        }
        storages[0].source = node;
        start();
        if (create_with(storages, 1) != 0)
                fprintf(stderr, "erofs can not be mounted here: %s\n", reply_text);
        else
                ASSERT_OK(access(ROOT "/disk/a/on-disk", F_OK));
        ASSERT_EQ(call_empty("DestroySandbox"), 0);
        ASSERT_FALSE(is_mounted(ROOT "/disk/a"));
        stop();

        /* The one that does not come takes the other with it, after three seconds. */
        start();
        ASSERT_TRUE(create_with(storages, 2) != 0);
        ASSERT_FALSE(is_mounted(ROOT "/disk/a"));
        stop();
        (void) ioctl(device, LOOP_CLR_FD);
        safe_close(device);
}

TEST(watched_directories)
{
        static const TestStorage storages[] = {
                { "watchable-bind", ROOT "/shared/w/volume", "bind", ROOT "/watch/volume", { "rbind", "ro" } },
                { "watchable-bind", ROOT "/shared/w/file", "bind", ROOT "/watch/file", { "bind" } },
                { "watchable-bind", ROOT "/shared/w/large", "bind", ROOT "/watch/large", { "bind" } },
        };
        struct stat a, b;

        put_text(ROOT "/shared/w/volume/key", "1");
        put_text(ROOT "/shared/w/file", "f");
        put_text(ROOT "/shared/w/large/key", "l");
        ASSERT_OK(truncate(ROOT "/shared/w/large/key", 2 << 20));
        start();
        if (create_with(storages, ELEMENTSOF(storages)) != 0)
                TEST_FAIL("%s", reply_text);
        ASSERT_OK(access(ROOT "/watch/volume/key", F_OK));
        put_text(ROOT "/shared/w/volume/later", "2");
        ASSERT_TRUE(followed(ROOT "/watch/volume/later"));
        /* A file, and what is too large to be copied, are there as they are. */
        ASSERT_OK(stat(ROOT "/shared/w/file", &a));
        ASSERT_OK(stat(ROOT "/watch/file", &b));
        ASSERT_EQ(a.st_ino, b.st_ino);
        ASSERT_OK(stat(ROOT "/shared/w/large/key", &a));
        ASSERT_OK(stat(ROOT "/watch/large/key", &b));
        ASSERT_EQ(a.st_ino, b.st_ino);
        ASSERT_EQ(call_empty("DestroySandbox"), 0);
        for (size_t i = 0; i < ELEMENTSOF(storages); i++)
                ASSERT_FALSE(is_mounted(storages[i].mount_point));
        stop();
}

TEST(groups)
{
        /* FSGroup { group_id 2: 1000 }; with fsgid= it is the mount's root alone. */
        static const uint8_t group[] = { 0x10, 0xe8, 0x07 };
        const TestStorage storages[] = {
                { "virtio-fs", ROOT "/vol", "bind", ROOT "/g/all", { "bind" }, .group = group },
                { "ephemeral", "x", "tmpfs", ROOT "/g/memory", { "size=65536", "mode=0700", "fsgid=1001" } },
                { "local", "local", "local", ROOT "/g/local", { "mode=0700", "fsgid=1002" } },
        };
        struct stat st;

        put_text(ROOT "/vol/d/file", "x");
        start();
        if (create_with(storages, ELEMENTSOF(storages)) != 0)
                TEST_FAIL("%s", reply_text);
        ASSERT_OK(stat(ROOT "/vol/d/file", &st));
        ASSERT_EQ(st.st_gid, 1000);
        ASSERT_EQ(st.st_mode & 07777, 0664);
        ASSERT_OK(stat(ROOT "/vol/d", &st));
        ASSERT_EQ(st.st_gid, 1000);
        ASSERT_EQ(st.st_mode & 07777, 02775);
        ASSERT_OK(stat(ROOT "/g/memory", &st));
        ASSERT_EQ(st.st_gid, 1001);
        ASSERT_EQ(st.st_mode & 07777, 02700);
        ASSERT_OK(stat(ROOT "/g/local", &st));
        ASSERT_EQ(st.st_gid, 1002);
        ASSERT_EQ(st.st_mode & 07777, 02700);
        ASSERT_EQ(call_empty("DestroySandbox"), 0);
        ASSERT_FALSE(is_mounted(ROOT "/g/all"));
        ASSERT_FALSE(is_mounted(ROOT "/g/memory"));
        ASSERT_EQ(access(ROOT "/g/local", F_OK), -1);
        stop();
}

static int copy(const char *path, const uint8_t *rest, size_t n_rest, const void *data, size_t n)
{
        static uint8_t request[16000];
        size_t k = put_field(request, 1, path, strlen(path));

        memcpy(request + k, rest, n_rest);
        k += n_rest;
        k += put_field(request + k, 8, data, n);
        return take_answer(send_call("CopyFile", request, k));
}

TEST(copied_files)
{
        /* file_size 2: 16000, file_mode 3: 0100640, dir_mode 4: 0710, uid 5: 1000, gid 6: 1001, offset 7 */
        static const uint8_t first[] = {
                0x10, 0x80, 0x7d, 0x18, 0xa0, 0x83, 0x02, 0x20, 0xc8, 0x03, 0x28, 0xe8, 0x07, 0x30, 0xe9, 0x07,
        };
        static const uint8_t second[] = {
                0x10, 0x80, 0x7d, 0x18, 0xa0, 0x83, 0x02, 0x20, 0xc8, 0x03, 0x28, 0xe8, 0x07, 0x30, 0xe9, 0x07,
                0x38, 0xc0, 0x3e,
        };
        static const uint8_t link_rest[] = { 0x18, 0xff, 0xc3, 0x02, 0x28, 0xe8, 0x07, 0x30, 0xe9, 0x07 };
        _cleanup_free_ char *text = NULL;
        char a[8000], b[8000], target[16] = {};
        struct stat st;
        size_t n;

        memset(a, 'a', sizeof(a));
        memset(b, 'b', sizeof(b));
        start();
        ASSERT_EQ(copy(SHARE "/c1/etc/hosts", first, sizeof(first), a, sizeof(a)), 0);
        ASSERT_EQ(access(SHARE "/c1/etc/hosts", F_OK), -1);
        ASSERT_EQ(copy(SHARE "/c1/etc/hosts", second, sizeof(second), b, sizeof(b)), 0);
        ASSERT_EQ(reply_size, 0);
        ASSERT_OK(read_file_at(AT_FDCWD, SHARE "/c1/etc/hosts", 20000, &text, &n));
        ASSERT_EQ(n, 16000);
        ASSERT_TRUE(text[7999] == 'a' && text[8000] == 'b' && text[15999] == 'b');
        ASSERT_OK(stat(SHARE "/c1/etc/hosts", &st));
        ASSERT_EQ(st.st_mode, S_IFREG | 0640);
        ASSERT_EQ(st.st_uid, 1000);
        ASSERT_EQ(st.st_gid, 1001);
        ASSERT_OK(stat(SHARE "/c1/etc", &st));
        ASSERT_EQ(st.st_mode, S_IFDIR | 0710);
        ASSERT_EQ(st.st_uid, 1000);
        ASSERT_OK(stat(SHARE "/c1", &st));
        ASSERT_EQ(st.st_uid, 0);

        ASSERT_EQ(copy(SHARE "/c1/..data", link_rest, sizeof(link_rest), "etc", 3), 0);
        ASSERT_EQ(readlink(SHARE "/c1/..data", target, sizeof(target)), 3);
        ASSERT_OK(lstat(SHARE "/c1/..data", &st));
        ASSERT_EQ(st.st_uid, 1000);
        /* Through a symlink it does not go. */
        ASSERT_TRUE(copy(SHARE "/c1/..data/x", first, sizeof(first), a, sizeof(a)) != 0);

        /* Mounts below the share, with a name that is escaped in the list. */
        ASSERT_OK(mkdir(SHARE "/a b", 0755));
        ASSERT_OK(mount("tmpfs", SHARE "/a b", "tmpfs", 0, NULL));
        ASSERT_EQ(call_empty("RemoveStaleVirtiofsShareMounts"), 0);
        ASSERT_EQ(reply_size, 0);
        stop();
}

static void write_program(const char *path, const char *script)
{
        ASSERT_OK(write_file_atomic(path, script, strlen(script), 0755));
}

TEST(packet_filter)
{
        static const uint8_t rules[] = { 0x0a, 16, '*', 'f', 'i', 'l', 't', 'e', 'r', '\n', 'C', 'O', 'M', 'M', 'I',
                                         'T', '6', '\n' };

        /* Programs that show what they are and what they get. */
        ASSERT_OK(mount("tmpfs", "/usr/sbin", "tmpfs", 0, "mode=0755"));
        write_program("/usr/sbin/iptables-save", "#!/bin/sh\nprintf '*filter\\nCOMMIT4\\n'\n");
        write_program("/usr/sbin/ip6tables-save", "#!/bin/sh\nprintf '*filter\\nCOMMIT6\\n'\n");
        write_program("/usr/sbin/iptables-restore", "#!/bin/sh\necho \"4 $*\"; cat\n");
        write_program("/usr/sbin/ip6tables-restore",
                      "#!/bin/sh\necho 'ip6tables-restore: line 1 failed' >&2\nexit 1\n");

        start();
        /* is_ipv6 1; data 1 */
        ASSERT_EQ(call_empty("GetIPTables"), 0);
        ASSERT_TRUE(reply_contains("COMMIT4", 7));
        ASSERT_EQ(CALL("GetIPTables", 0x08, 1), 0);
        ASSERT_EQ(reply_size, sizeof(rules));
        ASSERT_TRUE(memcmp(reply, rules, sizeof(rules)) == 0);
        /* is_ipv6 1, data 2; data 1 */
        ASSERT_EQ(CALL("SetIPTables", 0x12, 7, 'C', 'O', 'M', 'M', 'I', 'T', '\n'), 0);
        ASSERT_TRUE(reply_contains("4 --wait 5\nCOMMIT\n", 18));
        ASSERT_EQ(CALL("SetIPTables", 0x08, 1, 0x12, 1, 'x'), TTRPC_INVALID_ARGUMENT);
        ASSERT_CONTAINS(reply_text, "status 1: ip6tables-restore: line 1 failed");
        stop();
        ASSERT_OK(umount("/usr/sbin"));
}

TestCase *test_cases;

int main(void)
{
        if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") < 0) {
                fprintf(stderr, "skipped: no mount namespace of our own: %s\n", strerror(errno));
                return 77;
        }

        for (TestCase *t = test_cases; t; t = t->next) {
                fprintf(stderr, "/* %s */\n", t->name);
                t->run();
        }
        return 0;
}
