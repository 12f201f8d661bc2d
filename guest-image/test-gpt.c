/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables: bytes against those of sfdisk, and every kind of damage. */

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "guest-image/gpt.h"

#define DISK_SIZE ((uint64_t) 1024 * 1024)

static Gpt example(void)
{
        Gpt gpt = { .size = DISK_SIZE, .n_partitions = 2 };

        memset(gpt.disk.bytes, 0x11, 16);
        gpt.disk.bytes[0] = 0x12;
        gpt.partitions[0] = (GptPartition) {
                .type = gpt_type_root, .offset = 20480, .size = 81920, .flags = GPT_FLAG_READ_ONLY,
                .name = "root-x86-64",
        };
        gpt.partitions[1] = (GptPartition) {
                .type = gpt_type_root_verity, .offset = 102400, .size = 8192,
                .flags = GPT_FLAG_READ_ONLY, .name = "root-x86-64-verity",
        };
        for (uint8_t i = 0; i < 16; i++) {
                gpt.partitions[0].uuid.bytes[i] = (uint8_t) (0xa0 + i);
                gpt.partitions[1].uuid.bytes[i] = (uint8_t) (0xc0 + i);
        }
        return gpt;
}

static uint8_t head[GPT_HEAD_SIZE], tail[GPT_TAIL_SIZE];

static void format_example(void)
{
        Gpt gpt = example();

        ASSERT_OK(gpt_format(&gpt, head, tail));
}

TEST(round_trip)
{
        Gpt gpt = example(), again;

        format_example();
        ASSERT_OK(gpt_parse(head, tail, DISK_SIZE, &again, NULL));
        ASSERT_EQ(memcmp(&gpt, &again, sizeof(gpt)), 0);
        ASSERT_TRUE(gpt_find(&again, &gpt_type_root) == &again.partitions[0]);
        ASSERT_NULL(gpt_find(&again, &gpt_type_root_verity_sig));
        again.partitions[1].type = gpt_type_root;
        ASSERT_NULL(gpt_find(&again, &gpt_type_root));
}

static void check_damage(uint8_t *at, const char *part)
{
        _cleanup_free_ char *message = NULL;
        Gpt gpt;

        format_example();
        *at ^= 1;
        ASSERT_ERROR(gpt_parse(head, tail, DISK_SIZE, &gpt, &message), EBADMSG);
        ASSERT_CONTAINS(message, part);
        *at ^= 1;
}

TEST(damage)
{
        uint8_t *primary = head + 512, *entries = head + 1024, *backup = tail + 16384;
        Gpt gpt;

        check_damage(head + 450, "protective MBR");
        check_damage(head + 454, "protective MBR");
        check_damage(head + 511, "protective MBR");
        check_damage(primary, "primary header is not there");
        check_damage(primary + 16, "checksum of the primary header");
        check_damage(primary + 40, "checksum of the primary header");
        check_damage(primary + 60, "checksum of the primary header");
        check_damage(primary + 511, "primary header is not that");
        check_damage(entries + 20, "checksum of the primary entries");
        check_damage(entries + 16383, "checksum of the primary entries");
        check_damage(backup, "backup header is not there");
        check_damage(backup + 32, "checksum of the backup header");
        check_damage(tail + 5, "checksum of the backup entries");

        /* A table for a disk of another size. */
        format_example();
        ASSERT_ERROR(gpt_parse(head, tail, DISK_SIZE + 512, &gpt, NULL), EBADMSG);
        ASSERT_ERROR(gpt_parse(head, tail, 1000, &gpt, NULL), EBADMSG);
        ASSERT_ERROR(gpt_parse(head, tail, 0, &gpt, NULL), EBADMSG);
        ASSERT_OK(gpt_parse(head, tail, DISK_SIZE, &gpt, NULL));
}

/* Two tables, each good for itself. */
TEST(tables_differ)
{
        static uint8_t head2[GPT_HEAD_SIZE], tail2[GPT_TAIL_SIZE];
        _cleanup_free_ char *message = NULL;
        Gpt gpt = example(), ignored;

        format_example();
        gpt.partitions[1].size -= 512;
        ASSERT_OK(gpt_format(&gpt, head2, tail2));
        ASSERT_ERROR(gpt_parse(head, tail2, DISK_SIZE, &ignored, &message), EBADMSG);
        ASSERT_CONTAINS(message, "differ");
}

TEST(bad_plans)
{
        Gpt gpt = example();

#define REFUSED(member, value)                                                                     \
        ({                                                                                         \
                gpt = example();                                                                   \
                gpt.member = (value);                                                              \
                ASSERT_ERROR(gpt_format(&gpt, head, tail), EINVAL);                                \
        })
        REFUSED(size, 1000);
        REFUSED(size, 512);
        REFUSED(partitions[0].offset, 512);
        REFUSED(partitions[0].offset, 20481);
        REFUSED(partitions[0].size, 0);
        REFUSED(partitions[0].size, UINT64_MAX - 511);
        REFUSED(partitions[0].size, 102400);            /* overlaps */
        REFUSED(partitions[1].size, DISK_SIZE);
        REFUSED(partitions[1].uuid, gpt.partitions[0].uuid);
        REFUSED(partitions[1].type, (Guid) {});
        REFUSED(n_partitions, GPT_PARTITIONS_MAX + 1);
}

/* What the tool of util-linux writes for the same plan has to be the same bytes. */
TEST(same_as_sfdisk)
{
        static const char script[] =
                        "label: gpt\nlabel-id: 12111111-1111-1111-1111-111111111111\nfirst-lba: 34\n"
                        "grain: 4096\n"
                        "start=40, size=160, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, "
                        "uuid=a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf, name=\"root-x86-64\", "
                        "attrs=\"GUID:60\"\n"
                        "start=200, size=16, type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5, "
                        "uuid=c0c1c2c3-c4c5-c6c7-c8c9-cacbcccdcecf, name=\"root-x86-64-verity\", "
                        "attrs=\"GUID:60\"\n";
        static uint8_t disk[DISK_SIZE];
        char path[] = "/tmp/test-gpt-XXXXXX";
        int fd = ASSERT_OK(mkstemp(path)), status, pipes[2];
        pid_t pid;

        ASSERT_OK(ftruncate(fd, DISK_SIZE));
        ASSERT_OK(pipe(pipes));
        pid = ASSERT_OK(fork());
        if (pid == 0) {
                dup2(pipes[0], STDIN_FILENO);
                close(pipes[1]);
                execl("/usr/sbin/sfdisk", "sfdisk", "--quiet", "--no-tell-kernel", path, NULL);
                execl("/sbin/sfdisk", "sfdisk", "--quiet", "--no-tell-kernel", path, NULL);
                _exit(errno == ENOENT ? 77 : 1);
        }
        /* It fits into the pipe, which is open until then: where there is no sfdisk nobody reads it. */
        ASSERT_OK(write_full(pipes[1], script, strlen(script)));
        close(pipes[0]);
        close(pipes[1]);
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                fputs("no sfdisk here, not compared\n", stderr);
        else {
                ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
                ASSERT_EQ(pread(fd, disk, sizeof(disk), 0), sizeof(disk));
                format_example();
                for (size_t i = 0; i < sizeof(head); i++)
                        if (head[i] != disk[i])
                                TEST_FAIL("byte %zu is %02x, sfdisk wrote %02x", i, head[i], disk[i]);
                for (size_t i = 0; i < sizeof(tail); i++)
                        if (tail[i] != disk[DISK_SIZE - sizeof(tail) + i])
                                TEST_FAIL("byte %zu of the tail is %02x, sfdisk wrote %02x", i, tail[i],
                                          disk[DISK_SIZE - sizeof(tail) + i]);
        }
        close(fd);
        unlink(path);
}

DEFINE_TEST_MAIN
