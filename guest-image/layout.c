/* SPDX-License-Identifier: Apache-2.0 */
/* Composing an image and checking its table: see layout.h. */

#include "guest-image/layout.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"

#define ALIGN_BLOCK(n) (((n) + VERITY_BLOCK_SIZE - 1) / VERITY_BLOCK_SIZE * VERITY_BLOCK_SIZE)
#define ROOT_OFFSET ALIGN_BLOCK((uint64_t) GPT_HEAD_SIZE)

static int copy_range(const char *from_path, int to, uint64_t offset, uint64_t size)
{
        _cleanup_close_ int from = open(from_path, O_RDONLY | O_CLOEXEC);
        _cleanup_free_ uint8_t *buf = malloc(KIB(256));

        if (from < 0)
                return negative_errno();
        if (!buf)
                return -ENOMEM;

        for (uint64_t at = 0; at < size;) {
                size_t n = (size_t) MIN(size - at, (uint64_t) KIB(256));
                ssize_t k = pread(from, buf, n, (off_t) at);

                if (k < 0)
                        return negative_errno();
                if (k == 0)
                        return -ENODATA;
                if (pwrite(to, buf, (size_t) k, (off_t) (offset + at)) != k)
                        return errno > 0 ? negative_errno() : -ENOSPC;
                at += (uint64_t) k;
        }

        return 0;
}

static GptPartition partition(Guid type, const char *name, uint64_t offset, uint64_t size)
{
        GptPartition p = {
                .type = type, .offset = offset, .size = size, .flags = GPT_FLAG_READ_ONLY,
        };

        snprintf(p.name, sizeof(p.name), "%s", name);
        return p;
}

static int plan(const GuestParams *range, const char *signature_json, Gpt *gpt)
{
        const uint64_t root_size = range->hash_offset - VERITY_BLOCK_SIZE,
                       verity_size = range->image_size - root_size;
        uint64_t end = ROOT_OFFSET + root_size + verity_size;
        int r;

        *gpt = (Gpt) { .n_partitions = 2 };
        gpt->partitions[0] = partition(gpt_type_root, "root-x86-64", ROOT_OFFSET, root_size);
        gpt->partitions[1] = partition(gpt_type_root_verity, "root-x86-64-verity",
                                       ROOT_OFFSET + root_size, verity_size);
        memcpy(gpt->partitions[0].uuid.bytes, range->root_hash, 16);
        memcpy(gpt->partitions[1].uuid.bytes, range->root_hash + 16, 16);

        if (signature_json) {
                gpt->partitions[2] = partition(gpt_type_root_verity_sig, "root-x86-64-verity-sig", end,
                                               SIGNATURE_PARTITION_SIZE);
                r = guid_derive("kata guest image signature 1", signature_json, strlen(signature_json),
                                &gpt->partitions[2].uuid);
                if (r < 0)
                        return r;
                gpt->n_partitions++;
                end += SIGNATURE_PARTITION_SIZE;
        }

        gpt->size = ALIGN_BLOCK(end + GPT_TAIL_SIZE);
        return guid_derive("kata guest image disk 1", range->root_hash, sizeof(range->root_hash),
                           &gpt->disk);
}

int layout_write(const char *range_path, const GuestParams *range, const char *signature_json,
                 const char *output, GuestParams *ret, char **reterr_message)
{
        uint8_t head[GPT_HEAD_SIZE], tail[GPT_TAIL_SIZE];
        _cleanup_free_ Gpt *gpt = new0(Gpt, 1);
        _cleanup_close_ int fd = -EBADF;
        GuestParams p = *range;
        int r;

        if (!gpt)
                return -ENOMEM;
        if (signature_json && strlen(signature_json) > SIGNATURE_PARTITION_SIZE)
                return error_setf(reterr_message, EFBIG,
                                  "the signature has %zu bytes, %zu fit in its partition",
                                  strlen(signature_json), (size_t) SIGNATURE_PARTITION_SIZE);

        fd = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
                return error_setf(reterr_message, errno, "'%s' can not be made: %s", output,
                                  strerror(errno));

        r = plan(range, signature_json, gpt);
        if (r >= 0)
                r = gpt_format(gpt, head, tail);
        if (r >= 0 && ftruncate(fd, (off_t) gpt->size) < 0)
                r = negative_errno();
        if (r >= 0)
                r = write_full(fd, head, sizeof(head));
        if (r >= 0)
                r = copy_range(range_path, fd, ROOT_OFFSET, range->image_size);
        if (r >= 0 && signature_json &&
            pwrite(fd, signature_json, strlen(signature_json),
                   (off_t) gpt->partitions[2].offset) != (ssize_t) strlen(signature_json))
                r = -EIO;
        if (r >= 0 && pwrite(fd, tail, sizeof(tail), (off_t) (gpt->size - sizeof(tail))) !=
                                      (ssize_t) sizeof(tail))
                r = -EIO;
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be written: %s", output,
                                  strerror(-r));

        p.root_offset = ROOT_OFFSET;
        p.image_size = gpt->size;
        *ret = p;
        return 0;
}

static int find(const Gpt *gpt, const Guid *type, const char *what, const GptPartition **ret,
                char **reterr_message)
{
        *ret = gpt_find(gpt, type);
        return *ret ? 0 : error_setf(reterr_message, EBADMSG,
                                     "there is not exactly one %s partition for x86-64", what);
}

int layout_check(const Gpt *gpt, const GuestParams *params, char **reterr_message)
{
        const uint64_t tree = verity_hash_blocks(params->data_blocks) * VERITY_BLOCK_SIZE;
        const GptPartition *root, *verity;
        int r;

        r = find(gpt, &gpt_type_root, "root", &root, reterr_message);
        if (r >= 0)
                r = find(gpt, &gpt_type_root_verity, "root-verity", &verity, reterr_message);
        if (r < 0)
                return r;

        if (root->offset != params->root_offset ||
            root->size < params->data_blocks * VERITY_BLOCK_SIZE)
                return error_setf(reterr_message, EBADMSG,
                                  "root partition is at %" PRIu64 " (%" PRIu64
                                  " bytes), the parameters say %" PRIu64 " (%" PRIu64 " bytes)",
                                  root->offset, root->size, params->root_offset,
                                  params->data_blocks * VERITY_BLOCK_SIZE);
        if (verity->offset != params->root_offset + params->hash_offset - VERITY_BLOCK_SIZE ||
            verity->size < VERITY_BLOCK_SIZE + tree)
                return error_setf(reterr_message, EBADMSG,
                                  "root-verity partition is at %" PRIu64 " (%" PRIu64
                                  " bytes), the parameters say %" PRIu64 " (%" PRIu64 " bytes)",
                                  verity->offset, verity->size,
                                  params->root_offset + params->hash_offset - VERITY_BLOCK_SIZE,
                                  VERITY_BLOCK_SIZE + tree);
        if (memcmp(root->uuid.bytes, params->root_hash, 16) != 0)
                return error_setf(reterr_message, EBADMSG,
                                  "UUID of the root partition is not the first half of the root hash");
        if (memcmp(verity->uuid.bytes, params->root_hash + 16, 16) != 0)
                return error_setf(reterr_message, EBADMSG,
                                  "UUID of the root-verity partition is not the second half of the "
                                  "root hash");
        return 0;
}
