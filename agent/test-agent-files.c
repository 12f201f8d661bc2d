/* SPDX-License-Identifier: Apache-2.0 */
/* What the methods about files, devices and programs do, on files of a temporary directory. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/confined-path.h"
#include "agent/copy-file.h"
#include "agent/iptables.h"
#include "agent/mountinfo.h"
#include "agent/pci-path.h"
#include "agent/swap.h"
#include "agent/termination-log.h"
#include "basic/limits.h"
#include "basic/test.h"
#include "proto/pb-arena.h"

static char dir[64];
static char *message;

static const char *in_dir(const char *name)
{
        static char buf[4][256];
        static unsigned i;

        i = (i + 1) % ELEMENTSOF(buf);
        snprintf(buf[i], sizeof(buf[i]), "%s/%s", dir, name);
        return buf[i];
}

static void begin(void)
{
        strcpy(dir, "/tmp/test-agent-files-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(dir));
}

static void end(void)
{
        message = mfree(message);
        ASSERT_OK(rm_rf(dir));
}

static void write_text(const char *name, const char *text, mode_t mode)
{
        ASSERT_OK(write_file_atomic(in_dir(name), text, strlen(text), mode));
}

static const char *read_text(const char *name)
{
        static char *text;

        text = mfree(text);
        return read_file_at(AT_FDCWD, in_dir(name), KIB(64), &text, NULL) < 0 ? "(none)" : text;
}

TEST(paths)
{
        _cleanup_free_ char *s = NULL;
        static const char *const bad[] = {
                "", "/", "a", "/a/../b", "/a/./b", "/a//b", "/b/c", "/a", "/ab/c", "/a/..",
        };

        ASSERT_OK(confined_normalize("/a/b//", "/a", &s));
        ASSERT_STREQ(s, "/a/b");
        s = mfree(s);
        ASSERT_OK(confined_normalize("/a/..b/c..", "/a", &s));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ASSERT_ERROR(confined_normalize(bad[i], "/a", &(char *) { NULL }), EINVAL);
}

typedef struct Piece {
        const char *path, *data;
        int64_t size, offset;
        uint32_t mode;
} Piece;

static int copy(const Piece *piece)
{
        Grpc__CopyFileRequest q = GRPC__COPY_FILE_REQUEST__INIT;
        _cleanup_(copy_plan_done) CopyPlan plan = {};
        char path[512];
        int r;

        snprintf(path, sizeof(path), "%s/%s", dir, piece->path);
        q.path = path;
        q.data.data = (uint8_t *) (uintptr_t) piece->data;
        q.data.len = strlen(piece->data);
        q.file_size = piece->size;
        q.offset = piece->offset;
        q.file_mode = piece->mode;
        /* As Go's runtime sends it. */
        q.dir_mode = 0x80000000U | 0750;
        q.uid = (int32_t) getuid();
        q.gid = -1;
        message = mfree(message);
        r = copy_plan(&q, dir, &plan, &message);
        return r < 0 ? r : copy_apply(&plan, dir, &message);
}

static mode_t mode_of(const char *name)
{
        struct stat st;

        return lstat(in_dir(name), &st) < 0 ? 0 : st.st_mode;
}

TEST(copy_files)
{
        begin();

        /* Three pieces, in directories that are not there yet. */
        ASSERT_OK(copy(&(Piece) { "a/b/file.txt", "one ", 13, 0, S_IFREG | 0640 }));
        ASSERT_EQ(mode_of("a/b/file.txt"), 0);
        ASSERT_EQ(mode_of("a"), S_IFDIR | 0755);
        ASSERT_EQ(mode_of("a/b"), S_IFDIR | 0750);
        /* Another file of the same stem is another file. */
        ASSERT_OK(copy(&(Piece) { "a/b/file.yaml", "x", 1, 0, 0600 }));
        ASSERT_OK(copy(&(Piece) { "a/b/file.txt", "two ", 13, 4, S_IFREG | 0640 }));
        ASSERT_OK(copy(&(Piece) { "a/b/file.txt", "three", 13, 8, S_IFREG | 0640 }));
        ASSERT_STREQ(read_text("a/b/file.txt"), "one two three");
        ASSERT_STREQ(read_text("a/b/file.yaml"), "x");
        ASSERT_EQ(mode_of("a/b/file.txt"), S_IFREG | 0640);
        ASSERT_EQ(mode_of("a/b/.kata-copy-file.txt"), 0);

        /* Begun anew; empty; executable with the set-id bit. */
        ASSERT_OK(copy(&(Piece) { "f", "garbage", 10, 0, S_IFREG | 0600 }));
        ASSERT_OK(copy(&(Piece) { "f", "ok", 2, 0, S_IFREG | 04755 }));
        ASSERT_STREQ(read_text("f"), "ok");
        ASSERT_EQ(mode_of("f"), S_IFREG | 04755);
        ASSERT_OK(copy(&(Piece) { "f", "", 0, 0, S_IFREG | 0600 }));
        ASSERT_STREQ(read_text("f"), "");

        ASSERT_ERROR(copy(&(Piece) { "g", "late", 10, 6, S_IFREG | 0600 }), EINVAL);
        ASSERT_CONTAINS(message, "copying 'g': a piece at 6 before the first one");
        ASSERT_OK(copy(&(Piece) { "g", "ab", 10, 0, S_IFREG | 0600 }));
        ASSERT_ERROR(copy(&(Piece) { "g", "late", 10, 6, S_IFREG | 0600 }), EINVAL);
        ASSERT_CONTAINS(message, "a piece at 6, but only 2 bytes are there");
        ASSERT_ERROR(copy(&(Piece) { "g", "too long", 4, 0, S_IFREG | 0600 }), EINVAL);
        ASSERT_ERROR(copy(&(Piece) { "g", "x", -1, 0, S_IFREG | 0600 }), EINVAL);
        ASSERT_ERROR(copy(&(Piece) { "g", "x", 1, -1, S_IFREG | 0600 }), EINVAL);
        ASSERT_ERROR(copy(&(Piece) { "g", "", 0, 0, S_IFIFO | 0600 }), EOPNOTSUPP);
        ASSERT_CONTAINS(message, "only files, directories and symlinks");
        end();
}

TEST(copy_directories_and_symlinks)
{
        struct stat st;
        char target[64] = {};

        begin();
        ASSERT_OK(copy(&(Piece) { "d", "", 0, 0, S_IFDIR | 0711 }));
        ASSERT_OK(copy(&(Piece) { "d", "", 0, 0, S_IFDIR | 0700 }));
        ASSERT_EQ(mode_of("d"), S_IFDIR | 0700);
        ASSERT_OK(copy(&(Piece) { "d/..data", "../elsewhere", 0, 0, S_IFLNK | 0777 }));
        ASSERT_EQ(readlink(in_dir("d/..data"), target, sizeof(target)), 12);
        ASSERT_STREQ(target, "../elsewhere");
        /* Replaced at once, also by a file and instead of a directory that is not empty. */
        ASSERT_OK(copy(&(Piece) { "d/..data", "new", 0, 0, S_IFLNK | 0777 }));
        ASSERT_EQ(readlink(in_dir("d/..data"), target, sizeof(target)), 3);
        ASSERT_OK(copy(&(Piece) { "d", "file", 4, 0, S_IFREG | 0600 }));
        ASSERT_STREQ(read_text("d"), "file");
        ASSERT_ERROR(copy(&(Piece) { "d", "", 0, 0, S_IFDIR | 0700 }), ENOTDIR);
        ASSERT_ERROR(copy(&(Piece) { "l", "", 0, 0, S_IFLNK | 0777 }), EINVAL);
        ASSERT_EQ(lstat(in_dir("l"), &st), -1);
        end();
}

TEST(copy_does_not_leave_its_root)
{
        char long_name[NAME_MAX + 1], *outside;

        begin();
        ASSERT_ERROR(copy(&(Piece) { "../x", "x", 1, 0, 0600 }), EINVAL);
        ASSERT_CONTAINS(message, "not a path below");

        /* Directories and files that a tenant has put there. */
        ASSERT_OK(mkdir(in_dir("outside"), 0755));
        ASSERT_OK(symlink("outside", in_dir("link")));
        ASSERT_TRUE(copy(&(Piece) { "link/file", "x", 1, 0, 0600 }) < 0);
        ASSERT_TRUE(copy(&(Piece) { "link/sub/file", "x", 1, 0, 0600 }) < 0);
        ASSERT_STREQ(read_text("outside/file"), "(none)");
        write_text("secret", "secret", 0600);
        ASSERT_OK(symlink("secret", in_dir("target")));
        ASSERT_OK(copy(&(Piece) { "target", "x", 1, 0, 0600 }));
        ASSERT_STREQ(read_text("secret"), "secret");
        ASSERT_OK(symlink("secret", in_dir(".kata-copy-t")));
        ASSERT_OK(copy(&(Piece) { "t", "ab", 3, 0, 0600 }));
        ASSERT_OK(unlink(in_dir(".kata-copy-t")));
        ASSERT_OK(link(in_dir("secret"), in_dir(".kata-copy-t")));
        ASSERT_ERROR(copy(&(Piece) { "t", "c", 3, 2, 0600 }), EBUSY);
        ASSERT_OK(unlink(in_dir(".kata-copy-t")));
        ASSERT_OK(mkfifo(in_dir(".kata-copy-t"), 0600));
        ASSERT_TRUE(copy(&(Piece) { "t", "c", 3, 2, 0600 }) < 0);
        ASSERT_STREQ(read_text("secret"), "secret");

        /* A name with no room for more. */
        memset(long_name, 'n', sizeof(long_name) - 1);
        long_name[NAME_MAX] = '\0';
        ASSERT_OK(copy(&(Piece) { long_name, "long", 4, 0, 0600 }));
        ASSERT_OK(asprintf(&outside, "%s/%s", dir, long_name));
        ASSERT_OK(access(outside, F_OK));
        free(outside);
        end();
}

TEST(golden_copy_file)
{
        /* path .../x, file_size 300, file_mode 0100644, dir_mode 0755, uid 0, gid -1, offset 128, data */
        static const uint8_t bytes[] = {
                0x0a, 40, '/', 'r', 'u', 'n', '/', 'k', 'a', 't', 'a', '-', 'c', 'o', 'n', 't', 'a', 'i', 'n', 'e',
                'r', 's', '/', 's', 'h', 'a', 'r', 'e', 'd', '/', 'c', 'o', 'n', 't', 'a', 'i', 'n', 'e', 'r', 's',
                '/', 'x',
                0x10, 0xac, 0x02, 0x18, 0xa4, 0x83, 0x02, 0x20, 0xed, 0x03,
                0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
                0x38, 0x80, 0x01, 0x42, 3, 'a', 'b', 'c',
        };
        _cleanup_(copy_plan_done) CopyPlan plan = {};
        _cleanup_pb_arena_ PbArena arena;
        Grpc__CopyFileRequest *q;

        pb_arena_init(&arena, 0);
        ASSERT_OK(pb_unpack(&grpc__copy_file_request__descriptor, &arena, bytes, sizeof(bytes), &q));
        ASSERT_OK(copy_plan(q, COPY_ROOT, &plan, NULL));
        ASSERT_STREQ(plan.parent, "");
        ASSERT_STREQ(plan.name, "x");
        ASSERT_EQ(plan.type, S_IFREG);
        ASSERT_EQ(plan.mode, 0644);
        ASSERT_EQ(plan.parent_mode, 0755);
        ASSERT_EQ(plan.uid, 0);
        ASSERT_EQ(plan.gid, UINT32_MAX);
        ASSERT_EQ(plan.size, 300);
        ASSERT_EQ(plan.offset, 128);
        ASSERT_EQ(plan.n, 3);
}

TEST(termination_logs)
{
        Grpc__Spec spec = GRPC__SPEC__INIT;
        Grpc__Root root = GRPC__ROOT__INIT;
        Grpc__StringEntry entry = GRPC__STRING_ENTRY__INIT, *entries[] = { &entry };
        Grpc__Mount mounts[2] = { GRPC__MOUNT__INIT, GRPC__MOUNT__INIT }, *list[] = { &mounts[0], &mounts[1] };
        _cleanup_free_ char *text = NULL;
        char big[TERMINATION_LOG_MAX + 100];
        TerminationLog log;

        begin();
        ASSERT_OK(termination_log_plan(&spec, &log));
        ASSERT_NULL(log.path);

        root.path = dir;
        spec.root = &root;
        spec.annotations = entries;
        spec.n_annotations = 1;
        entry.key = (char *) (uintptr_t) "io.kubernetes.container.terminationMessagePath";
        entry.value = (char *) (uintptr_t) "/dev//termination-log";

        /* Inside of the root: an absolute symlink there does not lead out of it. */
        ASSERT_OK(mkdir(in_dir("dev"), 0755));
        write_text("words", "bye\n", 0600);
        ASSERT_OK(symlink("/words", in_dir("dev/termination-log")));
        ASSERT_OK(termination_log_plan(&spec, &log));
        ASSERT_STREQ(log.root, dir);
        ASSERT_STREQ(log.path, "/dev/termination-log");
        ASSERT_OK(termination_log_read(&log, &text, NULL));
        ASSERT_STREQ(text, "bye\n");
        termination_log_done(&log);

        /* The source of the mount; the last 4 KiB. */
        memset(big, 'x', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        big[sizeof(big) - 2] = '\xff';
        write_text("log", big, 0600);
        mounts[0].destination = (char *) (uintptr_t) "/dev";
        mounts[0].source = (char *) (uintptr_t) "tmpfs";
        mounts[1].destination = (char *) (uintptr_t) "/dev/termination-log";
        mounts[1].source = (char *) (uintptr_t) in_dir("log");
        spec.mounts = list;
        spec.n_mounts = 2;
        ASSERT_OK(termination_log_plan(&spec, &log));
        ASSERT_NULL(log.root);
        text = mfree(text);
        ASSERT_OK(termination_log_read(&log, &text, NULL));
        ASSERT_EQ(strlen(text), TERMINATION_LOG_MAX - 1 + 3);
        ASSERT_CONTAINS(text, "xx\xef\xbf\xbd");
        ASSERT_OK(unlink(in_dir("log")));
        ASSERT_ERROR(termination_log_read(&log, &text, NULL), ENOENT);
        /* Whatever would block or do something when it is opened. */
        ASSERT_OK(mkfifo(in_dir("log"), 0600));
        ASSERT_ERROR(termination_log_read(&log, &text, &message), EINVAL);
        ASSERT_CONTAINS(message, "is no regular file");
        termination_log_done(&log);
        end();
}

TEST(termination_texts)
{
        static const struct {
                const char *in;
                size_t n;
                const char *out;
        } cases[] = {
                { "", 0, "" },
                { "a\0b", 3, "a\xef\xbf\xbd" "b" },
                { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
                { "\xc3", 1, "\xef\xbf\xbd" },
                { "\x80z\xe2\x82", 4, "\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = termination_log_text(cases[i].in, cases[i].n);

                ASSERT_STREQ(text, cases[i].out);
        }
}

TEST(mount_points)
{
        const char *p = "22 1 0:20 / /proc rw,nosuid shared:5 - proc proc rw\n"
                        "30 22 0:5 /a\\040b /run/with\\040blank\\134\\1 rw - tmpfs x rw\n"
                        "31 22 0:6 / /last rw - tmpfs x rw";
        char *s;

        ASSERT_EQ(mountinfo_next(&p, &s), 1);
        ASSERT_STREQ(s, "/proc");
        free(s);
        ASSERT_EQ(mountinfo_next(&p, &s), 1);
        ASSERT_STREQ(s, "/run/with blank\\\\1");
        free(s);
        ASSERT_EQ(mountinfo_next(&p, &s), 1);
        ASSERT_STREQ(s, "/last");
        free(s);
        ASSERT_EQ(mountinfo_next(&p, &s), 0);
        p = "22 1 0:20 /\n";
        ASSERT_ERROR(mountinfo_next(&p, &s), EBADMSG);
        p = "22 1 0:20 / relative\n";
        ASSERT_ERROR(mountinfo_next(&p, &s), EBADMSG);
}

TEST(swap_headers)
{
        static const uint8_t uuid[16] = { 1, 2, 3 };
        static uint8_t page[4096];

        ASSERT_FALSE(swap_header_is_valid(page, sizeof(page)));
        ASSERT_OK(swap_header_build(page, sizeof(page), 1 << 20, uuid));
        ASSERT_TRUE(swap_header_is_valid(page, sizeof(page)));
        /* As mkswap(8) writes it: version, number of the last page, bad pages, UUID, magic at the end. */
        ASSERT_EQ(page[1024], 1);
        ASSERT_EQ(page[1028], 255);
        ASSERT_EQ(page[1032], 0);
        ASSERT_TRUE(memcmp(page + 1036, uuid, 16) == 0);
        ASSERT_TRUE(memcmp(page + 4086, "SWAPSPACE2", 10) == 0);
        ASSERT_ERROR(swap_header_build(page, sizeof(page), 9 * 4096, uuid), ENOSPC);
        ASSERT_ERROR(swap_add("/etc/passwd", &message), EINVAL);
        ASSERT_CONTAINS(message, "is not a device node");
        message = mfree(message);
}

TEST(pci_paths)
{
        static const char *const bad[] = {
                "", "/", "2", "02/", "02/3", "20", "02.8", "02.", "0x", "02 ", "01/01/01/01/01/01/01/01/01",
        };
        char text[PCI_PATH_HOPS_MAX * 5 + 1];
        _cleanup_free_ char *name = NULL;
        PciPath path;

        ASSERT_OK(pci_path_parse("02/1f.7", &path));
        ASSERT_STREQ(pci_path_format(&path, text), "02/1f.7");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ASSERT_ERROR(pci_path_parse(bad[i], &path), EINVAL);
        ASSERT_ERROR(pci_path_parse("20/00/00", &path), EOPNOTSUPP);
        ASSERT_OK(pci_path_from_slots((const uint32_t[]) { 2, 3 }, 2, &path));
        ASSERT_STREQ(pci_path_format(&path, text), "02/03");
        ASSERT_ERROR(pci_path_from_slots((const uint32_t[]) { 256 }, 1, &path), EINVAL);
        ASSERT_ERROR(pci_path_from_slots(NULL, 0, &path), EINVAL);

        /* A virtio disk behind a bridge, a network device with a driver of its own. */
        begin();
        ASSERT_ERROR(pci_path_wait(dir, &path, "block", 0, &name, &message), EOPNOTSUPP);
        ASSERT_CONTAINS(message, "PCI path 02/03: this machine has no PCI bus");
        ASSERT_OK(mkdir_p(in_dir("devices/pci0000:00/0000:00:02.0/pci_bus/0000:01"), 0755));
        ASSERT_ERROR(pci_path_find(dir, &path, "block", &name), ENOENT);
        ASSERT_ERROR(pci_path_wait(dir, &path, "block", 0, &name, &message), ENODEV);
        ASSERT_CONTAINS(message, "no block device has come");
        ASSERT_OK(mkdir_p(in_dir("devices/pci0000:00/0000:00:02.0/0000:01:03.0/virtio7/block/vdb"), 0755));
        ASSERT_OK(mkdir_p(in_dir("devices/pci0000:00/0000:00:04.1/net/eth1"), 0755));
        ASSERT_OK(pci_path_wait(dir, &path, "block", 0, &name, NULL));
        ASSERT_STREQ(name, "vdb");
        ASSERT_ERROR(pci_path_find(dir, &path, "net", &name), ENOENT);
        name = mfree(name);
        ASSERT_OK(pci_path_parse("04.1", &path));
        ASSERT_OK(pci_path_find(dir, &path, "net", &name));
        ASSERT_STREQ(name, "eth1");
        end();
}

/* A shell script in the place of the program. */
static int run_script(const char *script, const char *input, uint8_t **ret, size_t *ret_size)
{
        const char *const paths[] = { in_dir("missing"), in_dir("program"), NULL };
        static const char *const args[] = { "--wait", "5", NULL };
        const IptablesCommand command = { paths, args };

        message = mfree(message);
        *ret = NULL;
        *ret_size = 0;
        write_text("program", script, 0700);
        return iptables_run(&command, input, strlen(input), ret, ret_size, &message);
}

TEST(iptables)
{
        static const char *const nowhere[] = { "/nonexistent/iptables-save", NULL };
        _cleanup_free_ uint8_t *out = NULL;
        size_t n;

        /* Each of the four has its own program. */
        for (unsigned i = 0; i < 4; i++) {
                const IptablesCommand *command = iptables_command(i & 1, i & 2);

                ASSERT_CONTAINS(command->paths[0], i & 1 ? "/ip6tables-" : "/iptables-");
                ASSERT_CONTAINS(command->paths[0], i & 2 ? "-restore" : "-save");
                ASSERT_EQ(command->args[0] != NULL, (i & 2) != 0);
        }

        ASSERT_ERROR(iptables_run(&(const IptablesCommand) { nowhere, &nowhere[1] }, NULL, 0, &out, &n,
                                  &message), EBUSY);
        ASSERT_CONTAINS(message, "the guest image has no /nonexistent/iptables-save");

        begin();
        ASSERT_OK(run_script("#!/bin/sh\necho \"$0 $*\"; cat; echo warning >&2\n", "*filter\nCOMMIT\n", &out, &n));
        ASSERT_TRUE(memmem(out, n, "--wait 5\n*filter\nCOMMIT\n", 24));
        free(TAKE_PTR(out));

        /* More input and output than any pipe takes, at the same time. */
        {
                _cleanup_free_ char *big = malloc(MIB(1) + 1);

                memset(big, 'r', MIB(1));
                big[MIB(1)] = '\0';
                ASSERT_OK(run_script("#!/bin/sh\ncat\n", big, &out, &n));
                ASSERT_EQ(n, MIB(1));
                ASSERT_TRUE(memcmp(out, big, n) == 0);
                free(TAKE_PTR(out));
        }

        ASSERT_ERROR(run_script("#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8 9; do printf '%0100d' $i >&2; done\n"
                                "echo 'line 2 failed' >&2; exit 2\n", "", &out, &n), EINVAL);
        ASSERT_CONTAINS(message, "ended with status 2: 0000");
        ASSERT_CONTAINS(message, "line 2 failed");
        ASSERT_TRUE(strlen(message) < 600);
        ASSERT_ERROR(run_script("#!/bin/sh\nexit 3\n", "", &out, &n), EIO);
        ASSERT_ERROR(run_script("#!/bin/sh\nkill -9 $$\n", "", &out, &n), EIO);
        ASSERT_CONTAINS(message, "killed by signal 9");
        ASSERT_ERROR(run_script("#!/nonexistent\n", "", &out, &n), EIO);
        ASSERT_ERROR(run_script("#!/bin/sh\nhead -c 5000000 /dev/zero\n", "", &out, &n), EFBIG);
        ASSERT_CONTAINS(message, "printed more than");
        end();
}

DEFINE_TEST_MAIN
