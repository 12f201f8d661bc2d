/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partition tables from arbitrary bytes: 4 bytes of disk size in sectors, then the head, then the tail.
 * What is accepted must be written back as it was, but for the boot code.
 */

#include "guest-image/gpt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static uint8_t head[GPT_HEAD_SIZE], tail[GPT_TAIL_SIZE], head2[GPT_HEAD_SIZE],
                       tail2[GPT_TAIL_SIZE];
        _cleanup_free_ char *message = NULL;
        static Gpt gpt, again;
        uint32_t sectors;

        if (size < sizeof(sectors))
                return 0;
        memcpy(&sectors, data, sizeof(sectors));
        data += sizeof(sectors);
        size -= sizeof(sectors);
        memset(head, 0, sizeof(head));
        memset(tail, 0, sizeof(tail));
        memcpy(head, data, MIN(size, sizeof(head)));
        if (size > sizeof(head))
                memcpy(tail, data + sizeof(head), MIN(size - sizeof(head), sizeof(tail)));

        if (gpt_parse(head, tail, (uint64_t) sectors * GPT_SECTOR, &gpt, &message) < 0) {
                if (!message)
                        abort();
                return 0;
        }

        if (message || gpt_format(&gpt, head2, tail2) < 0 ||
            gpt_parse(head2, tail2, gpt.size, &again, NULL) < 0 || memcmp(&gpt, &again, sizeof(gpt)) != 0)
                abort();
        return 0;
}
