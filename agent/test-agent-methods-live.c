/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Methods about files and volumes where they take effect: on a /run of our own in a mount namespace. The
 * requests are bytes (fake-host.h); what came of them is looked up in the file system.
 */

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/fake-host.h"
#include "basic/fd.h"

#define VOLUME "/run/kata-containers/sandbox/v"
#define SHARE "/run/kata-containers/shared/containers"

/* Storage { driver 1, source 3, fstype 4, options 5, mount_point 6 } as field of a request. */
static size_t put_storage(uint8_t *p, unsigned field, const char *mount_point, const char *const *options)
{
        uint8_t storage[256];
        size_t n = 0;

        n += put_field(storage + n, 1, "ephemeral", 9);
        n += put_field(storage + n, 3, "shm", 3);
        n += put_field(storage + n, 4, "tmpfs", 5);
        for (; *options; options++)
                n += put_field(storage + n, 5, *options, strlen(*options));
        n += put_field(storage + n, 6, mount_point, strlen(mount_point));
        return put_field(p, field, storage, n);
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
