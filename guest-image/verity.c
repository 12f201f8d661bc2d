/* SPDX-License-Identifier: Apache-2.0 */
/* dm-verity trees: see verity.h. verity_check() reads a possibly hostile image. */

#include "guest-image/verity.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libcryptsetup.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/parse.h"
#include "guest-image/guid.h"

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
static int derive_salt(int fd, uint8_t ret[VERITY_DIGEST_SIZE])
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

int verity_append(const char *path, GuestParams *ret, char **reterr_message)
{
        _cleanup_(crypt_freep) struct crypt_device *cd = NULL;
        _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
        _cleanup_free_ char *complaint = NULL;
        size_t root_size = VERITY_DIGEST_SIZE;
        char uuid[GUID_TEXT_SIZE];
        GuestParams p = {};
        struct stat st;
        Guid guid;
        int r;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_setf(reterr_message, errno, "'%s': %s", path, strerror(errno));
        if (st.st_size < 2 * VERITY_BLOCK_SIZE || st.st_size % VERITY_BLOCK_SIZE != 0)
                return error_setf(reterr_message, EINVAL,
                                  "'%s' is not made of two or more %u byte blocks", path,
                                  VERITY_BLOCK_SIZE);

        p.data_blocks = (uint64_t) st.st_size / VERITY_BLOCK_SIZE;
        p.hash_offset = (uint64_t) st.st_size + VERITY_BLOCK_SIZE;
        p.image_size = guest_params_range_size(&p);
        r = derive_salt(fd, p.salt);
        if (r >= 0)
                r = guid_derive("kata guest image superblock 1", p.salt, sizeof(p.salt), &guid);
        if (r < 0)
                return r;
        guid_text(&guid, uuid);
        if (ftruncate(fd, (off_t) p.image_size) < 0)
                return negative_errno();

        struct crypt_params_verity params = {
                .hash_name = "sha256",
                .data_device = path,
                .salt = (const char *) p.salt,
                .salt_size = VERITY_DIGEST_SIZE,
                .hash_type = 1,
                .data_block_size = VERITY_BLOCK_SIZE,
                .hash_block_size = VERITY_BLOCK_SIZE,
                .data_size = p.data_blocks,
                .hash_area_offset = (uint64_t) st.st_size,
                .flags = CRYPT_VERITY_CREATE_HASH,
        };

        r = crypt_init(&cd, path);
        if (r >= 0) {
                crypt_set_log_callback(cd, keep_error, &complaint);
                r = crypt_format(cd, CRYPT_VERITY, NULL, NULL, uuid, NULL, 0, &params);
        }
        if (r >= 0)
                r = crypt_volume_key_get(cd, CRYPT_ANY_SLOT, (char *) p.root_hash, &root_size, NULL, 0);
        if (r < 0)
                return error_setf(reterr_message, r, "hash tree of '%s' can not be made: %s", path,
                                  error_text(complaint, r));
        if (root_size != VERITY_DIGEST_SIZE)
                return -EIO;

        *ret = p;
        return 0;
}

/* On disk, little-endian; see verity.rst and the format description of cryptsetup. */
typedef struct Superblock {
        uint8_t signature[8];
        uint32_t version;
        uint32_t hash_type;
        uint8_t uuid[16];
        char algorithm[32];
        uint32_t data_block_size;
        uint32_t hash_block_size;
        uint64_t data_blocks;
        uint16_t salt_size;
        uint8_t padding1[6];
        uint8_t salt[256];
        uint8_t padding2[168];
} Superblock;

_Static_assert(sizeof(Superblock) == 512, "superblock of dm-verity");

int verity_check_superblock(int fd, const GuestParams *p, char uuid[GUID_TEXT_SIZE],
                            char **reterr_message)
{
        uint8_t block[VERITY_BLOCK_SIZE], rest[VERITY_BLOCK_SIZE - sizeof(Superblock)] = {};
        Superblock s, wanted = {
                .signature = "verity\0",
                .version = htole32(1),
                .hash_type = htole32(1),
                .algorithm = "sha256",
                .data_block_size = htole32(VERITY_BLOCK_SIZE),
                .hash_block_size = htole32(VERITY_BLOCK_SIZE),
                .data_blocks = htole64(p->data_blocks),
                .salt_size = htole16(VERITY_DIGEST_SIZE),
        };
        const char *wrong = NULL;
        ssize_t k;

        memcpy(wanted.salt, p->salt, VERITY_DIGEST_SIZE);
        k = pread(fd, block, sizeof(block),
                  (off_t) (p->root_offset + p->hash_offset - VERITY_BLOCK_SIZE));
        if (k != sizeof(block))
                return error_setf(reterr_message, k < 0 ? errno : ENODATA,
                                  "dm-verity superblock can not be read: %s",
                                  k < 0 ? strerror(errno) : "premature end");
        memcpy(&s, block, sizeof(s));
        /* Any UUID will do: other builders have other rules. */
        memcpy(wanted.uuid, s.uuid, sizeof(s.uuid));

        if (memcmp(s.signature, wanted.signature, sizeof(s.signature)) != 0)
                wrong = "signature";
        else if (s.version != wanted.version || s.hash_type != wanted.hash_type)
                wrong = "version";
        else if (memcmp(s.algorithm, wanted.algorithm, sizeof(s.algorithm)) != 0)
                wrong = "hash algorithm";
        else if (s.data_block_size != wanted.data_block_size ||
                 s.hash_block_size != wanted.hash_block_size)
                wrong = "block size";
        else if (s.data_blocks != wanted.data_blocks)
                wrong = "number of data blocks";
        else if (s.salt_size != wanted.salt_size || memcmp(s.salt, wanted.salt, sizeof(s.salt)) != 0)
                wrong = "salt";
        else if (memcmp(&s, &wanted, sizeof(s)) != 0 ||
                 memcmp(block + sizeof(s), rest, sizeof(rest)) != 0)
                wrong = "padding";
        if (wrong)
                return error_setf(reterr_message, EBADMSG,
                                  "dm-verity superblock does not agree with the parameters: %s", wrong);

        guid_text((const Guid *) (const void *) s.uuid, uuid);
        return 0;
}

int verity_read_superblock(int fd, GuestParams *p, char **reterr_message)
{
        char uuid[GUID_TEXT_SIZE];
        Superblock s;
        ssize_t k;

        k = pread(fd, &s, sizeof(s), (off_t) (p->root_offset + p->hash_offset - VERITY_BLOCK_SIZE));
        if (k != sizeof(s))
                return error_setf(reterr_message, k < 0 ? errno : ENODATA,
                                  "dm-verity superblock can not be read: %s",
                                  k < 0 ? strerror(errno) : "premature end");

        p->data_blocks = le64toh(s.data_blocks);
        memcpy(p->salt, s.salt, sizeof(p->salt));
        return verity_check_superblock(fd, p, uuid, reterr_message);
}

typedef struct Checker {
        int fd;
        const GuestParams *p;
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
                r = digest_update(c->digest, c->p->salt, VERITY_DIGEST_SIZE);
        if (r >= 0)
                r = digest_update(c->digest, buf, VERITY_BLOCK_SIZE);
        if (r >= 0)
                r = digest_final(c->digest, got);

        return r < 0 ? r : memcmp(got, wanted, DIGEST_SIZE) == 0;
}

static uint64_t hash_offset(const Checker *c, unsigned level, uint64_t block)
{
        return c->p->root_offset + c->p->hash_offset +
               (c->level_block[level] + block) * VERITY_BLOCK_SIZE;
}

/* Everything below one hash block of a level whose own digest has been checked. */
static int check_children(Checker *c, unsigned level, uint64_t block, const uint8_t *digests,
                          VerityResult *ret)
{
        uint64_t below = level > 0 ? c->level_blocks[level - 1] : c->p->data_blocks;
        uint64_t first = block * DIGESTS_PER_BLOCK;

        for (uint64_t i = first; i < MIN(below, first + DIGESTS_PER_BLOCK); i++) {
                const uint8_t *wanted = digests + (i - first) * DIGEST_SIZE;
                uint64_t offset = level > 0 ? hash_offset(c, level - 1, i) :
                                              c->p->root_offset + i * VERITY_BLOCK_SIZE;
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

int verity_check(const char *path, const GuestParams *p, VerityResult *ret, char **reterr_message)
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
