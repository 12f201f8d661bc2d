/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables: see gpt.h. The disk may be hostile; sizes are compared before they are used. */

#include "guest-image/gpt.h"

#include <endian.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"

#define ENTRIES_SIZE (GPT_ENTRIES * sizeof(Entry))
#define ENTRIES_SECTORS (ENTRIES_SIZE / GPT_SECTOR)
#define HEADER_SIZE 92U

const Guid gpt_type_root = { { 0x4f, 0x68, 0xbc, 0xe3, 0xe8, 0xcd, 0x4d, 0xb1, 0x96, 0xe7, 0xfb, 0xca,
                               0xf9, 0x84, 0xb7, 0x09 } };
const Guid gpt_type_root_verity = { { 0x2c, 0x73, 0x57, 0xed, 0xeb, 0xd2, 0x46, 0xd9, 0xae, 0xc1, 0x23,
                                      0xd4, 0x37, 0xec, 0x2b, 0xf5 } };
const Guid gpt_type_root_verity_sig = { { 0x41, 0x09, 0x2b, 0x05, 0x9f, 0xc8, 0x45, 0x23, 0x99, 0x4f,
                                          0x2d, 0xef, 0x04, 0x08, 0xb1, 0x76 } };

typedef struct Header {
        char signature[8];
        uint32_t revision;
        uint32_t header_size;
        uint32_t header_crc;
        uint32_t reserved;
        uint64_t my_lba;
        uint64_t alternate_lba;
        uint64_t first_usable;
        uint64_t last_usable;
        uint8_t disk[16];
        uint64_t entries_lba;
        uint32_t n_entries;
        uint32_t entry_size;
        uint32_t entries_crc;
        uint8_t zero[GPT_SECTOR - HEADER_SIZE];
} __attribute__((packed)) Header;

typedef struct Entry {
        uint8_t type[16];
        uint8_t uuid[16];
        uint64_t first;
        uint64_t last;
        uint64_t flags;
        uint16_t name[GPT_NAME_MAX];
} __attribute__((packed)) Entry;

_Static_assert(sizeof(Header) == GPT_SECTOR, "header of a GPT");
_Static_assert(sizeof(Entry) == 128, "entry of a GPT");
_Static_assert(GPT_HEAD_SIZE == 2 * GPT_SECTOR + ENTRIES_SIZE, "head");
_Static_assert(GPT_TAIL_SIZE == GPT_SECTOR + ENTRIES_SIZE, "tail");

uint32_t gpt_crc32(const void *data, size_t n)
{
        /* Four bits a step. */
        static const uint32_t table[16] = {
                0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
        };
        uint32_t crc = UINT32_MAX;

        for (const uint8_t *p = data; n > 0; n--) {
                crc ^= *p++;
                crc = (crc >> 4) ^ table[crc & 15];
                crc = (crc >> 4) ^ table[crc & 15];
        }

        return ~crc;
}

/* The first three fields are little-endian on disk. Its own inverse. */
static void guid_swap(const uint8_t from[16], uint8_t to[16])
{
        static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

        for (unsigned i = 0; i < 16; i++)
                to[i] = from[order[i]];
}

static void make_mbr(uint8_t *mbr, uint64_t sectors)
{
        /* One entry of type EE from sector 1; what does not fit in 32 bits is "all of it". */
        const uint32_t length = htole32((uint32_t) MIN(sectors - 1, (uint64_t) UINT32_MAX));
        static const uint8_t start[] = { 0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0 };

        memset(mbr, 0, GPT_SECTOR);
        memcpy(mbr + 446, start, sizeof(start));
        memcpy(mbr + 458, &length, sizeof(length));
        mbr[510] = 0x55;
        mbr[511] = 0xaa;
}

/* The header from its parts, with its checksum. */
static void make_header(Header *h, const uint8_t disk[16], uint64_t sectors, bool copy,
                        uint64_t first_usable, uint64_t last_usable, uint32_t entries_crc)
{
        *h = (Header) {
                .signature = { 'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T' },
                .revision = htole32(0x10000),
                .header_size = htole32(HEADER_SIZE),
                .my_lba = htole64(copy ? sectors - 1 : 1),
                .alternate_lba = htole64(copy ? 1 : sectors - 1),
                .first_usable = htole64(first_usable),
                .last_usable = htole64(last_usable),
                .entries_lba = htole64(copy ? sectors - 1 - ENTRIES_SECTORS : 2),
                .n_entries = htole32(GPT_ENTRIES),
                .entry_size = htole32(sizeof(Entry)),
                .entries_crc = htole32(entries_crc),
        };
        memcpy(h->disk, disk, 16);
        h->header_crc = htole32(gpt_crc32(h, HEADER_SIZE));
}

static int check_partition(const Gpt *gpt, size_t i, uint64_t first_usable, uint64_t last_usable,
                           char **reterr_message)
{
        const GptPartition *p = &gpt->partitions[i];
        static const Guid none = {};

        if (guid_equal(&p->type, &none) || guid_equal(&p->uuid, &none))
                return error_setf(reterr_message, EBADMSG, "partition %zu has no type or UUID", i + 1);
        if (p->offset % GPT_SECTOR != 0 || p->size % GPT_SECTOR != 0 || p->size == 0 ||
            p->offset / GPT_SECTOR < first_usable || p->offset / GPT_SECTOR > last_usable ||
            p->size / GPT_SECTOR > last_usable + 1 - p->offset / GPT_SECTOR)
                return error_setf(reterr_message, EBADMSG, "partition %zu is not on the disk", i + 1);

        for (size_t j = 0; j < i; j++) {
                const GptPartition *q = &gpt->partitions[j];

                if (p->offset < q->offset + q->size && q->offset < p->offset + p->size)
                        return error_setf(reterr_message, EBADMSG, "partitions %zu and %zu overlap",
                                          j + 1, i + 1);
                if (guid_equal(&p->uuid, &q->uuid))
                        return error_setf(reterr_message, EBADMSG,
                                          "partitions %zu and %zu have the same UUID", j + 1, i + 1);
        }

        return 0;
}

int gpt_format(const Gpt *gpt, uint8_t head[GPT_HEAD_SIZE], uint8_t tail[GPT_TAIL_SIZE])
{
        const uint64_t sectors = gpt->size / GPT_SECTOR, first = GPT_HEAD_SIZE / GPT_SECTOR,
                       last = sectors - GPT_TAIL_SIZE / GPT_SECTOR - 1;
        Entry *entries = (Entry *) (void *) (head + 2 * GPT_SECTOR);
        uint8_t disk[16];
        Header h;

        if (gpt->size % GPT_SECTOR != 0 || gpt->size < GPT_HEAD_SIZE + GPT_TAIL_SIZE + GPT_SECTOR ||
            gpt->n_partitions > GPT_PARTITIONS_MAX)
                return -EINVAL;

        memset(head, 0, GPT_HEAD_SIZE);
        make_mbr(head, sectors);
        for (size_t i = 0; i < gpt->n_partitions; i++) {
                const GptPartition *p = &gpt->partitions[i];
                Entry e = {
                        .first = htole64(p->offset / GPT_SECTOR),
                        .last = htole64((p->offset + p->size) / GPT_SECTOR - 1),
                        .flags = htole64(p->flags),
                };

                if (check_partition(gpt, i, first, last, NULL) < 0)
                        return -EINVAL;
                guid_swap(p->type.bytes, e.type);
                guid_swap(p->uuid.bytes, e.uuid);
                for (size_t k = 0; p->name[k]; k++)
                        e.name[k] = htole16((uint16_t) (unsigned char) p->name[k]);
                memcpy(&entries[i], &e, sizeof(e));
        }

        guid_swap(gpt->disk.bytes, disk);
        make_header(&h, disk, sectors, false, first, last, gpt_crc32(entries, ENTRIES_SIZE));
        memcpy(head + GPT_SECTOR, &h, sizeof(h));
        make_header(&h, disk, sectors, true, first, last, gpt_crc32(entries, ENTRIES_SIZE));
        memcpy(tail, entries, ENTRIES_SIZE);
        memcpy(tail + ENTRIES_SIZE, &h, sizeof(h));
        return 0;
}

static int parse_name(const Entry *e, size_t i, char *ret, char **reterr_message)
{
        for (size_t k = 0; k < GPT_NAME_MAX; k++) {
                uint16_t c;

                memcpy(&c, (const uint8_t *) e + offsetof(Entry, name) + 2 * k, sizeof(c));
                c = le16toh(c);
                if (c == 0)
                        break;
                if (c < 0x20 || c > 0x7e)
                        return error_setf(reterr_message, EBADMSG,
                                          "name of partition %zu is not printable ASCII", i + 1);
                ret[k] = (char) c;
        }

        return 0;
}

static int parse_entries(const uint8_t *entries, Gpt *gpt, uint64_t first_usable,
                         uint64_t last_usable, char **reterr_message)
{
        static const Entry empty = {};

        for (size_t i = 0; i < GPT_ENTRIES; i++) {
                GptPartition *p = &gpt->partitions[gpt->n_partitions];
                uint64_t first, last;
                Entry e;
                int r;

                memcpy(&e, entries + i * sizeof(e), sizeof(e));
                if (memcmp(&e, &empty, sizeof(e)) == 0)
                        continue;
                /* No gaps: partitions are named by their place here. */
                if (i != gpt->n_partitions)
                        return error_setf(reterr_message, EBADMSG, "entry %zu is behind an empty one",
                                          i + 1);

                first = le64toh(e.first);
                last = le64toh(e.last);
                if (first > last || last > last_usable)
                        return error_setf(reterr_message, EBADMSG, "partition %zu is not on the disk",
                                          i + 1);
                *p = (GptPartition) {
                        .offset = first * GPT_SECTOR,
                        .size = (last - first + 1) * GPT_SECTOR,
                        .flags = le64toh(e.flags),
                };
                guid_swap(e.type, p->type.bytes);
                guid_swap(e.uuid, p->uuid.bytes);
                r = parse_name(&e, i, p->name, reterr_message);
                if (r >= 0)
                        r = check_partition(gpt, i, first_usable, last_usable, reterr_message);
                if (r < 0)
                        return r;
                gpt->n_partitions++;
        }

        return 0;
}

/* Against the one header that may be there, after what is free to differ was taken from it. */
static int check_header(const uint8_t *sector, const char *which, const uint8_t *entries,
                        uint64_t sectors, bool copy, Header *ret, char **reterr_message)
{
        const uint64_t usable_min = GPT_HEAD_SIZE / GPT_SECTOR,
                       usable_max = sectors - GPT_TAIL_SIZE / GPT_SECTOR - 1;
        uint64_t first, last;
        Header h, wanted;

        memcpy(&h, sector, sizeof(h));
        if (memcmp(h.signature, "EFI PART", 8) != 0)
                return error_setf(reterr_message, EBADMSG, "%s header is not there", which);

        wanted = h;
        wanted.header_crc = 0;
        if (le32toh(h.header_crc) != gpt_crc32(&wanted, HEADER_SIZE))
                return error_setf(reterr_message, EBADMSG, "checksum of the %s header does not match",
                                  which);
        if (le32toh(h.entries_crc) != gpt_crc32(entries, ENTRIES_SIZE))
                return error_setf(reterr_message, EBADMSG, "checksum of the %s entries does not match",
                                  which);

        first = le64toh(h.first_usable);
        last = le64toh(h.last_usable);
        make_header(&wanted, h.disk, sectors, copy, first, last, le32toh(h.entries_crc));
        if (memcmp(&h, &wanted, sizeof(h)) != 0)
                return error_setf(reterr_message, EBADMSG, "%s header is not that of this disk", which);
        if (first < usable_min || last > usable_max || first > last)
                return error_setf(reterr_message, EBADMSG, "usable range of the %s header is wrong",
                                  which);

        *ret = h;
        return 0;
}

int gpt_parse(const uint8_t head[GPT_HEAD_SIZE], const uint8_t tail[GPT_TAIL_SIZE], uint64_t size,
              Gpt *ret, char **reterr_message)
{
        const uint64_t sectors = size / GPT_SECTOR;
        _cleanup_free_ Gpt *gpt = NULL;
        uint8_t mbr[GPT_SECTOR];
        Header h, copy;
        int r;

        if (size % GPT_SECTOR != 0 || size < GPT_HEAD_SIZE + GPT_TAIL_SIZE + GPT_SECTOR)
                return error_setf(reterr_message, EBADMSG, "%" PRIu64 " bytes are no disk", size);

        r = check_header(head + GPT_SECTOR, "primary", head + 2 * GPT_SECTOR, sectors, false, &h,
                         reterr_message);
        if (r >= 0)
                r = check_header(tail + ENTRIES_SIZE, "backup", tail, sectors, true, &copy,
                                 reterr_message);
        if (r < 0)
                return r;
        if (memcmp(head + 2 * GPT_SECTOR, tail, ENTRIES_SIZE) != 0 ||
            memcmp(h.disk, copy.disk, 16) != 0 || h.first_usable != copy.first_usable ||
            h.last_usable != copy.last_usable)
                return error_setf(reterr_message, EBADMSG, "primary and backup table differ");

        /* Boot code and disk signature are nobody's business here, the rest is fixed. */
        make_mbr(mbr, sectors);
        if (memcmp(head + 446 + 4, mbr + 446 + 4, 1) != 0 || memcmp(head + 454, mbr + 454, 58) != 0)
                return error_setf(reterr_message, EBADMSG, "protective MBR is damaged");

        gpt = new0(Gpt, 1);
        if (!gpt)
                return -ENOMEM;
        gpt->size = size;
        guid_swap(h.disk, gpt->disk.bytes);
        r = parse_entries(tail, gpt, le64toh(h.first_usable), le64toh(h.last_usable), reterr_message);
        if (r < 0)
                return r;

        *ret = *gpt;
        return 0;
}

static int pread_full(int fd, uint8_t *buf, size_t n, uint64_t offset)
{
        ssize_t k;

        do
                k = pread(fd, buf, n, (off_t) offset);
        while (k < 0 && errno == EINTR);
        return k < 0 ? negative_errno() : (size_t) k != n ? -ENODATA : 0;
}

int gpt_read(int fd, Gpt *ret, char **reterr_message)
{
        uint8_t head[GPT_HEAD_SIZE], tail[GPT_TAIL_SIZE];
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return negative_errno();
        if ((uint64_t) st.st_size < sizeof(head) + sizeof(tail))
                return error_setf(reterr_message, EBADMSG, "%" PRIi64 " bytes are no disk",
                                  (int64_t) st.st_size);

        r = pread_full(fd, head, sizeof(head), 0);
        if (r >= 0)
                r = pread_full(fd, tail, sizeof(tail), (uint64_t) st.st_size - sizeof(tail));
        if (r < 0)
                return error_setf(reterr_message, r, "can not be read: %s", strerror(-r));

        return gpt_parse(head, tail, (uint64_t) st.st_size, ret, reterr_message);
}

const GptPartition *gpt_find(const Gpt *gpt, const Guid *type)
{
        const GptPartition *found = NULL;

        for (size_t i = 0; i < gpt->n_partitions; i++)
                if (guid_equal(&gpt->partitions[i].type, type)) {
                        if (found)
                                return NULL;
                        found = &gpt->partitions[i];
                }

        return found;
}
