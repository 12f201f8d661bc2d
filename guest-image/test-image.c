/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of verity trees and their superblock; no root, no device mapper. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "guest-image/verity.h"

static void make_data(char *path, unsigned blocks)
{
        uint8_t block[VERITY_BLOCK_SIZE];
        int fd = mkstemp(path);

        ASSERT_TRUE(fd >= 0);
        for (unsigned i = 0; i < blocks; i++) {
                memset(block, (int) (i * 7 + 1), sizeof(block));
                memcpy(block, &i, sizeof(i));
                ASSERT_OK(write_full(fd, block, sizeof(block)));
        }
        close(fd);
}

static void flip(const char *path, uint64_t offset)
{
        int fd = open(path, O_RDWR | O_CLOEXEC);
        uint8_t b;

        ASSERT_EQ(pread(fd, &b, 1, (off_t) offset), 1);
        b ^= 0x10;
        ASSERT_EQ(pwrite(fd, &b, 1, (off_t) offset), 1);
        close(fd);
}

static void check_one_flip(const char *path, const GuestParams *p, uint64_t offset, VerityPlace place,
                           uint64_t block)
{
        VerityResult result;

        flip(path, offset);
        ASSERT_OK(verity_check(path, p, &result, NULL));
        ASSERT_EQ(result.place, place);
        if (place != VERITY_BAD_ROOT)
                ASSERT_EQ(result.block, block);
        flip(path, offset);
}

TEST(every_kind_of_block)
{
        char path[] = "/tmp/test-image-XXXXXX";
        /* 300 data blocks: 3 blocks in level 0, 1 in level 1. */
        const uint64_t hash_area = 301 * VERITY_BLOCK_SIZE;
        VerityResult result;
        GuestParams p = {};

        make_data(path, 300);
        ASSERT_EQ(verity_hash_blocks(300), 4);
        ASSERT_OK(verity_append(path, &p, NULL));
        ASSERT_EQ(p.image_size, 305 * VERITY_BLOCK_SIZE);
        ASSERT_EQ(p.hash_offset, hash_area);
        ASSERT_OK(verity_check(path, &p, &result, NULL));
        ASSERT_EQ(result.place, VERITY_OK);

        check_one_flip(path, &p, 0, VERITY_BAD_DATA_BLOCK, 0);
        check_one_flip(path, &p, 299 * VERITY_BLOCK_SIZE + 4095, VERITY_BAD_DATA_BLOCK, 299);
        check_one_flip(path, &p, hash_area + 5, VERITY_BAD_ROOT, 0);
        check_one_flip(path, &p, hash_area + VERITY_BLOCK_SIZE + 9, VERITY_BAD_HASH_BLOCK, 1);
        check_one_flip(path, &p, hash_area + 3 * VERITY_BLOCK_SIZE + 4000, VERITY_BAD_HASH_BLOCK, 3);

        p.root_hash[3] ^= 1;
        ASSERT_OK(verity_check(path, &p, &result, NULL));
        ASSERT_EQ(result.place, VERITY_BAD_ROOT);
        unlink(path);
}

TEST(wrong_size)
{
        char path[] = "/tmp/test-image-XXXXXX";
        _cleanup_free_ char *m = NULL;
        VerityResult result;
        GuestParams p = {};

        make_data(path, 5);
        ASSERT_OK(verity_append(path, &p, NULL));
        ASSERT_OK(truncate(path, (off_t) p.image_size - 1));
        ASSERT_ERROR(verity_check(path, &p, &result, &m), EINVAL);
        ASSERT_CONTAINS(m, "its parameters say");
        unlink(path);
}

TEST(same_bytes_twice)
{
        char a[] = "/tmp/test-image-XXXXXX", b[] = "/tmp/test-image-XXXXXX";
        _cleanup_free_ char *ta = NULL, *tb = NULL;
        GuestParams p = {}, q = {};
        size_t na, nb;

        make_data(a, 130);
        make_data(b, 130);
        ASSERT_OK(verity_append(a, &p, NULL));
        ASSERT_OK(verity_append(b, &q, NULL));
        ASSERT_TRUE(memcmp(&p, &q, sizeof(p)) == 0);
        ASSERT_OK(read_file_at(AT_FDCWD, a, 1U << 22, &ta, &na));
        ASSERT_OK(read_file_at(AT_FDCWD, b, 1U << 22, &tb, &nb));
        ASSERT_EQ(na, nb);
        ASSERT_TRUE(memcmp(ta, tb, na) == 0);
        unlink(a);
        unlink(b);
}

TEST(superblock)
{
        static const struct {
                unsigned offset;
                const char *wrong;
        } bytes[] = {
                { 0, "signature" }, { 8, "version" }, { 12, "version" }, { 33, "hash algorithm" },
                { 64, "block size" }, { 69, "block size" }, { 72, "number of data blocks" },
                { 80, "salt" }, { 88, "salt" }, { 119, "salt" }, { 120, "salt" }, { 343, "salt" },
                { 83, "padding" }, { 350, "padding" }, { 4095, "padding" },
        };
        char path[] = "/tmp/test-image-XXXXXX", uuid[GUID_TEXT_SIZE];
        const uint64_t superblock = 5 * VERITY_BLOCK_SIZE;
        GuestParams p = {};
        int fd;

        make_data(path, 5);
        ASSERT_OK(verity_append(path, &p, NULL));
        fd = ASSERT_OK(open(path, O_RDONLY | O_CLOEXEC));
        ASSERT_OK(verity_check_superblock(fd, &p, uuid, NULL));
        ASSERT_EQ(uuid[14], '8');

        for (size_t i = 0; i < ELEMENTSOF(bytes); i++) {
                _cleanup_free_ char *message = NULL;

                flip(path, superblock + bytes[i].offset);
                ASSERT_ERROR(verity_check_superblock(fd, &p, uuid, &message), EBADMSG);
                ASSERT_CONTAINS(message, bytes[i].wrong);
                flip(path, superblock + bytes[i].offset);
        }

        ASSERT_OK(verity_check_superblock(fd, &p, uuid, NULL));
        close(fd);
        unlink(path);
}

TEST(too_small)
{
        char path[] = "/tmp/test-image-XXXXXX";
        GuestParams p;

        make_data(path, 1);
        ASSERT_ERROR(verity_append(path, &p, NULL), EINVAL);
        unlink(path);
}

DEFINE_TEST_MAIN
