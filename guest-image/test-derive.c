/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters from a disk: found again as they were written, and every damage refused. No root. */

#include <fcntl.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "guest-image/derive.h"
#include "guest-image/layout.h"
#include "guest-image/verity.h"

#define BLOCKS 200U

static char dir[64], disk[96];
static GuestParams made;

static void make_disk(void)
{
        uint8_t block[VERITY_BLOCK_SIZE];
        GuestParams range;
        char data[96];
        int fd;

        strcpy(dir, "/tmp/test-derive-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(dir));
        snprintf(data, sizeof(data), "%s/data", dir);
        snprintf(disk, sizeof(disk), "%s/disk.raw", dir);
        fd = open(data, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ASSERT_TRUE(fd >= 0);
        for (unsigned i = 0; i < BLOCKS; i++) {
                memset(block, (int) (i * 5 + 1), sizeof(block));
                ASSERT_OK(write_full(fd, block, sizeof(block)));
        }
        close(fd);
        ASSERT_OK(verity_append(data, &range, NULL));
        ASSERT_OK(layout_write(data, &range, NULL, disk, &made, NULL));
}

static void flip(uint64_t offset)
{
        int fd = open(disk, O_RDWR | O_CLOEXEC);
        uint8_t b;

        ASSERT_EQ(pread(fd, &b, 1, (off_t) offset), 1);
        b ^= 1;
        ASSERT_EQ(pwrite(fd, &b, 1, (off_t) offset), 1);
        close(fd);
}

static void check_refused(const char *root_hash, const char *part)
{
        _cleanup_free_ char *message = NULL;
        GuestParams p;

        ASSERT_TRUE(image_derive(disk, root_hash, &p, &message) < 0);
        ASSERT_CONTAINS(message, part);
}

TEST(what_was_written)
{
        _cleanup_(guest_params_done) GuestParams p = {}, q = {};
        _cleanup_free_ char *text = NULL, *wanted = NULL;
        char path[128];

        make_disk();
        ASSERT_OK(image_derive(disk, NULL, &p, NULL));
        ASSERT_EQ(p.root_offset, made.root_offset);
        ASSERT_EQ(p.hash_offset, made.hash_offset);
        ASSERT_EQ(p.image_size, made.image_size);
        ASSERT_EQ(p.data_blocks, BLOCKS);
        ASSERT_TRUE(memcmp(p.root_hash, made.root_hash, sizeof(p.root_hash)) == 0);
        ASSERT_TRUE(memcmp(p.salt, made.salt, sizeof(p.salt)) == 0);
        ASSERT_FALSE(p.has_manifest);
        ASSERT_OK(image_derive(disk, p.root_hash_hex, &q, NULL));

        ASSERT_OK(image_derive_params(disk, NULL, NULL, NULL));
        snprintf(path, sizeof(path), "%s/disk.params", dir);
        ASSERT_OK(read_file_at(AT_FDCWD, path, 65536, &text, NULL));
        ASSERT_OK(guest_params_format(&made, &wanted));
        ASSERT_STREQ(text, wanted);
        ASSERT_OK(rm_rf(dir));
}

TEST(damage)
{
        static const char other[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        uint64_t superblock, tree;

        make_disk();
        superblock = made.root_offset + made.hash_offset - VERITY_BLOCK_SIZE;
        tree = made.root_offset + made.hash_offset;

        check_refused(other, "UUID of the root partition");
        check_refused("0011", "hexadecimal");

        flip(superblock);
        check_refused(NULL, "superblock");
        flip(superblock);
        /* Number of data blocks, lowest and highest byte. */
        flip(superblock + 72);
        check_refused(NULL, "not behind the data");
        flip(superblock + 72);
        flip(superblock + 79);
        check_refused(NULL, "data_blocks=");
        flip(superblock + 79);
        /* Salt. */
        flip(superblock + 88);
        check_refused(NULL, "does not have this root hash");
        flip(superblock + 88);
        flip(tree);
        check_refused(NULL, "does not have this root hash");
        flip(tree);
        flip(made.root_offset + 7 * VERITY_BLOCK_SIZE);
        check_refused(NULL, "does not match the hash tree");
        flip(made.root_offset + 7 * VERITY_BLOCK_SIZE);

        /* UUID of the first partition, in the table. */
        flip(2 * 512 + 16);
        check_refused(NULL, disk);
        ASSERT_OK(truncate(disk, 4096));
        check_refused(NULL, disk);
        ASSERT_OK(unlink(disk));
        check_refused(NULL, "No such file");
        ASSERT_OK(rm_rf(dir));
}

DEFINE_TEST_MAIN
