/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of a foreign disk: see derive.h. */

#include "guest-image/derive.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "guest-image/layout.h"
#include "guest-image/verity.h"

static int set_root_hash(const Gpt *gpt, const char *root_hash, GuestParams *p, char **reterr_message)
{
        if (!root_hash) {
                memcpy(p->root_hash, gpt_find(gpt, &gpt_type_root)->uuid.bytes, 16);
                memcpy(p->root_hash + 16, gpt_find(gpt, &gpt_type_root_verity)->uuid.bytes, 16);
                return 0;
        }

        return hex_decode(root_hash, p->root_hash, VERITY_DIGEST_SIZE) < 0 ?
                       error_setf(reterr_message, EINVAL,
                                  "the root hash is not made of %u lower-case hexadecimal digits",
                                  2 * VERITY_DIGEST_SIZE) : 0;
}

static int locate(const char *image, int fd, const char *root_hash, Gpt *gpt, GuestParams *p,
                  char **reterr_message)
{
        const GptPartition *root, *verity;
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return negative_errno();
        r = gpt_read(fd, gpt, reterr_message);
        if (r < 0)
                return r;

        root = gpt_find(gpt, &gpt_type_root);
        verity = gpt_find(gpt, &gpt_type_root_verity);
        if (!root || !verity)
                return error_setf(reterr_message, EBADMSG,
                                  "there is not exactly one %s partition for x86-64",
                                  root ? "root-verity" : "root");
        if (verity->offset < root->offset + root->size)
                return error_setf(reterr_message, EBADMSG,
                                  "the root-verity partition is not behind the root partition");

        p->image_size = (uint64_t) st.st_size;
        p->root_offset = root->offset;
        p->hash_offset = verity->offset - root->offset + VERITY_BLOCK_SIZE;
        return set_root_hash(gpt, root_hash, p, reterr_message);
}

/* As a reader of the file will see it: one set of rules for what is in range. */
static int normalise(const GuestParams *p, GuestParams *ret, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        int r = guest_params_format(p, &text);

        return r < 0 ? r : guest_params_parse(text, strlen(text), ret, reterr_message);
}

static int check_blocks(const char *image, const GuestParams *p, char **reterr_message)
{
        VerityResult result;
        int r = verity_check(image, p, &result, reterr_message);

        if (r < 0 || result.place == VERITY_OK)
                return r;

        return error_setf(reterr_message, EBADMSG,
                          result.place == VERITY_BAD_ROOT ?
                                  "the hash tree (offset %" PRIu64 ") does not have this root hash" :
                                  "the block at offset %" PRIu64 " does not match the hash tree",
                          result.offset);
}

int image_derive(const char *image, const char *root_hash, GuestParams *ret, char **reterr_message)
{
        _cleanup_close_ int fd = open(image, O_RDONLY | O_CLOEXEC);
        _cleanup_(guest_params_done) GuestParams p = {};
        _cleanup_free_ Gpt *gpt = new0(Gpt, 1);
        GuestParams found = {};
        int r;

        if (fd < 0)
                return error_setf(reterr_message, errno, "'%s': %s", image, strerror(errno));
        if (!gpt)
                return -ENOMEM;

        r = locate(image, fd, root_hash, gpt, &found, reterr_message);
        if (r >= 0)
                r = verity_read_superblock(fd, &found, reterr_message);
        if (r >= 0)
                r = normalise(&found, &p, reterr_message);
        if (r >= 0)
                r = layout_check(gpt, &p, reterr_message);
        if (r >= 0)
                r = check_blocks(image, &p, reterr_message);
        if (r < 0)
                return error_prefixf(reterr_message, r, "'%s'", image);

        *ret = p;
        p = (GuestParams) {};
        return 0;
}

int image_derive_params(const char *image, const char *root_hash, const char *path, char **reterr_message)
{
        _cleanup_(guest_params_done) GuestParams p = {};
        _cleanup_free_ char *text = NULL, *beside = NULL;
        int r;

        r = image_derive(image, root_hash, &p, reterr_message);
        if (r < 0)
                return r;

        if (!path)
                path = beside = image_sibling(image, ".params");
        if (!path)
                return -ENOMEM;
        r = guest_params_format(&p, &text);
        if (r >= 0)
                r = write_file_atomic(path, text, strlen(text), 0644);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be written: %s", path, strerror(-r));

        log_info("Wrote %s: root hash %s", path, p.root_hash_hex);
        return 0;
}
