/* SPDX-License-Identifier: Apache-2.0 */
/* GUIDs: see guid.h. Pure. */

#include "guest-image/guid.h"

#include "guest-image/digest.h"

void guid_text(const Guid *guid, char ret[GUID_TEXT_SIZE])
{
        static const char digits[] = "0123456789abcdef";
        char *p = ret;

        for (unsigned i = 0; i < 16; i++) {
                if (i == 4 || i == 6 || i == 8 || i == 10)
                        *p++ = '-';
                *p++ = digits[guid->bytes[i] >> 4];
                *p++ = digits[guid->bytes[i] & 15];
        }
        *p = '\0';
}

int guid_derive(const char *label, const void *data, size_t n, Guid *ret)
{
        _cleanup_(digest_freep) Digest *d = NULL;
        uint8_t sum[DIGEST_SIZE];
        int r;

        r = digest_new(&d);
        if (r >= 0)
                r = digest_update(d, label, strlen(label) + 1);
        if (r >= 0)
                r = digest_update(d, data, n);
        if (r >= 0)
                r = digest_final(d, sum);
        if (r < 0)
                return r;

        memcpy(ret->bytes, sum, sizeof(ret->bytes));
        ret->bytes[6] = (ret->bytes[6] & 0x0f) | 0x80;
        ret->bytes[8] = (ret->bytes[8] & 0x3f) | 0x80;
        return 0;
}
