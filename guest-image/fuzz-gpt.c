/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partition tables from arbitrary bytes: disk size in sectors (4), flags (1), MBR and header (1024), eight
 * entries (1024) that both tables have, backup header (512). Flag 1 puts the right checksums in, or
 * nothing but those would ever be looked at. What is accepted must be written back as it was, but for
 * the boot code.
 */

#include <endian.h>

#include "guest-image/gpt.h"

#define ENTRIES (1024U)
#define COPY (33U * GPT_SECTOR - GPT_SECTOR)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fix_checksums(uint8_t *header, const uint8_t *entries)
{
        uint32_t crc = htole32(gpt_crc32(entries, GPT_ENTRIES * 128U));

        memcpy(header + 88, &crc, sizeof(crc));
        memset(header + 16, 0, sizeof(crc));
        crc = htole32(gpt_crc32(header, 92));
        memcpy(header + 16, &crc, sizeof(crc));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static uint8_t head[GPT_HEAD_SIZE], tail[GPT_TAIL_SIZE], head2[GPT_HEAD_SIZE],
                       tail2[GPT_TAIL_SIZE];
        uint8_t input[5 + 1024 + ENTRIES + GPT_SECTOR] = {};
        _cleanup_free_ char *message = NULL;
        static Gpt gpt, again;
        uint32_t sectors;

        memcpy(input, data, MIN(size, sizeof(input)));
        memcpy(&sectors, input, sizeof(sectors));
        memcpy(head, input + 5, 1024 + ENTRIES);
        memcpy(tail, input + 5 + 1024, ENTRIES);
        memcpy(tail + COPY, input + 5 + 1024 + ENTRIES, GPT_SECTOR);
        if (input[4] & 1) {
                fix_checksums(head + GPT_SECTOR, tail);
                fix_checksums(tail + COPY, tail);
        }

        if (gpt_parse(head, tail, (uint64_t) le32toh(sectors) * GPT_SECTOR, &gpt, &message) < 0) {
                if (!message)
                        abort();
                return 0;
        }

        if (message || gpt_format(&gpt, head2, tail2) < 0 ||
            gpt_parse(head2, tail2, gpt.size, &again, NULL) < 0 || memcmp(&gpt, &again, sizeof(gpt)) != 0)
                abort();
        return 0;
}
