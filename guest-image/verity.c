/* SPDX-License-Identifier: Apache-2.0 */
/* dm-verity trees: see verity.h. verity_check() reads a possibly hostile image. */

#include "guest-image/verity.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libcryptsetup.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"

#define DIGESTS_PER_BLOCK (VERITY_BLOCK_SIZE / DIGEST_SIZE)
#define LEVELS_MAX 16U

static void crypt_freep(struct crypt_device **cd)
{
        if (*cd)
                crypt_free(*cd);
}

static void keep_error(int level, const char *msg, void *userdata)
{
        char **text = userdata;

        if (level == CRYPT_LOG_ERROR) {
                free(*text);
                *text = strndup(msg, strcspn(msg, "\n"));
        }
}

/* Salt from the content: the same input gives the same image, another input another salt. */
static int derive_salt(int fd, uint8_t ret[VERITY_SALT_SIZE])
{
        static const char label[] = "kata guest image salt 1";
        _cleanup_(digest_freep) Digest *d = NULL;
        uint8_t buf[VERITY_BLOCK_SIZE];
        int r;

        r = digest_new(&d);
        if (r >= 0)
                r = digest_update(d, label, sizeof(label));

        for (off_t at = 0; r >= 0; at += (off_t) sizeof(buf)) {
                ssize_t k = pread(fd, buf, sizeof(buf), at);

                if (k < 0)
                        return negative_errno();
                if (k == 0)
                        break;
                r = digest_update(d, buf, (size_t) k);
        }

        return r < 0 ? r : digest_final(d, ret);
}

uint64_t verity_hash_blocks(uint64_t data_blocks, unsigned *ret_levels)
{
        uint64_t n = data_blocks, sum = 0;
        unsigned levels = 0;

        do {
                n = (n + DIGESTS_PER_BLOCK - 1) / DIGESTS_PER_BLOCK;
                sum += n;
                levels++;
        } while (n > 1);

        if (ret_levels)
                *ret_levels = levels;
        return sum;
}

int verity_append(const char *path, ImageParams *p, char **reterr_message)
{
        _cleanup_(crypt_freep) struct crypt_device *cd = NULL;
        _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
        _cleanup_free_ char *complaint = NULL;
        size_t root_size = DIGEST_SIZE;
        struct stat st;
        int r;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_setf(reterr_message, errno, "'%s': %s", path, strerror(errno));
        if (st.st_size == 0 || st.st_size % VERITY_BLOCK_SIZE != 0)
                return error_setf(reterr_message, EINVAL, "'%s' is not made of %u byte blocks", path,
                                  VERITY_BLOCK_SIZE);

        p->data_blocks = (uint64_t) st.st_size / VERITY_BLOCK_SIZE;
        p->image_size = (uint64_t) st.st_size +
                        verity_hash_blocks(p->data_blocks, NULL) * VERITY_BLOCK_SIZE;
        r = derive_salt(fd, p->salt);
        if (r < 0)
                return r;
        if (ftruncate(fd, (off_t) p->image_size) < 0)
                return negative_errno();

        struct crypt_params_verity params = {
                .hash_name = "sha256",
                .data_device = path,
                .salt = (const char *) p->salt,
                .salt_size = VERITY_SALT_SIZE,
                .hash_type = 1,
                .data_block_size = VERITY_BLOCK_SIZE,
                .hash_block_size = VERITY_BLOCK_SIZE,
                .data_size = p->data_blocks,
                .hash_area_offset = (uint64_t) st.st_size,
                .flags = CRYPT_VERITY_NO_HEADER | CRYPT_VERITY_CREATE_HASH,
        };

        r = crypt_init(&cd, path);
        if (r >= 0) {
                crypt_set_log_callback(cd, keep_error, &complaint);
                r = crypt_format(cd, CRYPT_VERITY, NULL, NULL, NULL, NULL, 0, &params);
        }
        if (r >= 0)
                r = crypt_volume_key_get(cd, CRYPT_ANY_SLOT, (char *) p->root_hash, &root_size, NULL, 0);
        if (r < 0)
                return error_setf(reterr_message, r, "hash tree of '%s' can not be made: %s", path,
                                  error_text(complaint, r));
        if (root_size != DIGEST_SIZE)
                return -EIO;

        return 0;
}

typedef struct Checker {
        int fd;
        const ImageParams *p;
        Digest *digest;
        uint64_t level_block[LEVELS_MAX];       /* first block of a level in the hash area */
        uint64_t level_blocks[LEVELS_MAX];
        unsigned levels;
} Checker;

static int read_block(const Checker *c, uint64_t offset, uint8_t *buf)
{
        ssize_t k = pread(c->fd, buf, VERITY_BLOCK_SIZE, (off_t) offset);

        return k < 0 ? negative_errno() : k != VERITY_BLOCK_SIZE ? -ENODATA : 0;
}

/* Reads the block at offset and compares its digest. 1: equal, 0: different. */
static int check_block(Checker *c, uint64_t offset, const uint8_t *wanted, uint8_t *buf)
{
        uint8_t got[DIGEST_SIZE];
        int r;

        r = read_block(c, offset, buf);
        if (r >= 0)
                r = digest_update(c->digest, c->p->salt, VERITY_SALT_SIZE);
        if (r >= 0)
                r = digest_update(c->digest, buf, VERITY_BLOCK_SIZE);
        if (r >= 0)
                r = digest_final(c->digest, got);

        return r < 0 ? r : memcmp(got, wanted, DIGEST_SIZE) == 0;
}

static uint64_t hash_offset(const Checker *c, unsigned level, uint64_t block)
{
        return (c->p->data_blocks + c->level_block[level] + block) * VERITY_BLOCK_SIZE;
}

/* Everything below one hash block of a level whose own digest has been checked. */
static int check_children(Checker *c, unsigned level, uint64_t block, const uint8_t *digests,
                          VerityResult *ret)
{
        uint64_t below = level > 0 ? c->level_blocks[level - 1] : c->p->data_blocks;
        uint64_t first = block * DIGESTS_PER_BLOCK;

        for (uint64_t i = first; i < MIN(below, first + DIGESTS_PER_BLOCK); i++) {
                const uint8_t *wanted = digests + (i - first) * DIGEST_SIZE;
                uint64_t offset = level > 0 ? hash_offset(c, level - 1, i) : i * VERITY_BLOCK_SIZE;
                uint8_t buf[VERITY_BLOCK_SIZE];
                int r;

                r = check_block(c, offset, wanted, buf);
                if (r < 0)
                        return r;
                if (r == 0) {
                        *ret = (VerityResult) {
                                .place = level > 0 ? VERITY_BAD_HASH_BLOCK : VERITY_BAD_DATA_BLOCK,
                                .block = level > 0 ? c->level_block[level - 1] + i : i,
                                .level = level > 0 ? level - 1 : 0,
                                .offset = offset,
                        };
                        return 0;
                }

                /* At most LEVELS_MAX deep: 128 to the power of 16 blocks do not exist. */
                if (level > 0) {
                        r = check_children(c, level - 1, i, buf, ret);
                        if (r < 0 || ret->place != VERITY_OK)
                                return r;
                }
        }

        return 0;
}

int verity_check(const char *path, const ImageParams *p, VerityResult *ret, char **reterr_message)
{
        _cleanup_(digest_freep) Digest *digest = NULL;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        Checker c = { .fd = fd, .p = p };
        uint8_t top[VERITY_BLOCK_SIZE];
        VerityResult result = {};
        uint64_t n = p->data_blocks, position = 0;
        struct stat st;
        int r;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_setf(reterr_message, errno, "'%s': %s", path, strerror(errno));

        if (n == 0 || p->image_size % VERITY_BLOCK_SIZE != 0 ||
            n > p->image_size / VERITY_BLOCK_SIZE ||
            p->image_size / VERITY_BLOCK_SIZE - n != verity_hash_blocks(n, NULL))
                return error_setf(reterr_message, EINVAL,
                                  "parameters: %" PRIu64 " data blocks do not make %" PRIu64 " bytes",
                                  n, p->image_size);
        if ((uint64_t) st.st_size != p->image_size)
                return error_setf(reterr_message, EINVAL,
                                  "'%s' has %" PRIu64 " bytes, its parameters say %" PRIu64, path,
                                  (uint64_t) st.st_size, p->image_size);

        r = digest_new(&digest);
        if (r < 0)
                return r;
        c.digest = digest;

        do {
                n = (n + DIGESTS_PER_BLOCK - 1) / DIGESTS_PER_BLOCK;
                c.level_blocks[c.levels++] = n;
        } while (n > 1 && c.levels < LEVELS_MAX);
        for (unsigned i = c.levels; i-- > 0;) {
                c.level_block[i] = position;
                position += c.level_blocks[i];
        }

        r = check_block(&c, hash_offset(&c, c.levels - 1, 0), p->root_hash, top);
        if (r == 0)
                result = (VerityResult) {
                        .place = VERITY_BAD_ROOT,
                        .level = c.levels - 1,
                        .offset = hash_offset(&c, c.levels - 1, 0),
                };
        else if (r > 0)
                r = check_children(&c, c.levels - 1, 0, top, &result);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be read: %s", path, strerror(-r));

        *ret = result;
        return 0;
}
