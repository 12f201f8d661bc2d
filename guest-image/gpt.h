/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * GUID partition table (UEFI specification 2.10, chapter 5): one fixed shape, 512 byte sectors, 128
 * entries behind the header, a copy at the end, a protective MBR at the start. The reader takes
 * foreign bytes and repairs nothing: any difference between what is there and what a writer of this
 * shape makes is an error. Pure but for gpt_read().
 *
 * Own code and not libfdisk: the library falls back to the copy when the table is damaged and corrects
 * it in memory, which a check may not do; and the bytes of an image would depend on its version.
 */

#include "basic/limits.h"
#include "guest-image/guid.h"

#define GPT_SECTOR 512U
#define GPT_ENTRIES 128U
#define GPT_NAME_MAX 36U
#define GPT_TAIL_SIZE (33U * GPT_SECTOR)        /* copy: entries, header */
#define GPT_HEAD_SIZE (34U * GPT_SECTOR)        /* MBR, header, entries */

#define GPT_FLAG_READ_ONLY (UINT64_C(1) << 60)  /* discoverable partitions specification */

typedef struct GptPartition {
        Guid type;
        Guid uuid;
        uint64_t offset;        /* bytes */
        uint64_t size;          /* bytes, not 0 */
        uint64_t flags;
        char name[GPT_NAME_MAX + 1];    /* printable ASCII */
} GptPartition;

typedef struct Gpt {
        Guid disk;
        uint64_t size;          /* of the disk, bytes */
        GptPartition partitions[GPT_PARTITIONS_MAX];    /* in the order of the entries */
        size_t n_partitions;
} Gpt;

/* What every image has to have; the UUIDs are those of the specification for x86-64. */
extern const Guid gpt_type_root, gpt_type_root_verity, gpt_type_root_verity_sig;

/* The first and the last bytes of the disk. The table has to be consistent, -EINVAL if it is not. */
int gpt_format(const Gpt *gpt, uint8_t head[GPT_HEAD_SIZE], uint8_t tail[GPT_TAIL_SIZE]);

/* head and tail as they are on a disk of that many bytes. */
int gpt_parse(const uint8_t head[GPT_HEAD_SIZE], const uint8_t tail[GPT_TAIL_SIZE], uint64_t size,
              Gpt *ret, char **reterr_message);

int gpt_read(int fd, Gpt *ret, char **reterr_message);

/* CRC-32 as in Ethernet and zlib. */
uint32_t gpt_crc32(const void *data, size_t n);

/* The only partition of that type; NULL if there is none or more than one. */
const GptPartition *gpt_find(const Gpt *gpt, const Guid *type);
