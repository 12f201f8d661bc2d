/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded JSON object writer: see json-text.h. Input is hostile bytes. */

#include "agent/json-text.h"

#include <inttypes.h>

static const char hex_digits[] = "0123456789abcdef";

static void put(JsonText *json, const char *s, size_t n)
{
        if (json->full || n > json->size - json->used) {
                json->full = true;
                return;
        }

        memcpy(json->data + json->used, s, n);
        json->used += n;
}

void json_begin(JsonText *json, char *data, size_t size)
{
        *json = (JsonText) { .data = data, .size = size };
        put(json, "{", 1);
}

static void put_comma(JsonText *json)
{
        if (json->used > 0 && json->data[json->used - 1] != '{')
                put(json, ",", 1);
}

static void put_key(JsonText *json, const char *key)
{
        put_comma(json);
        put(json, "\"", 1);
        put(json, key, strlen(key));
        put(json, "\":", 2);
}

/* Length of the UTF-8 sequence at p, 0 if there is none. */
static size_t sequence_length(const uint8_t *p, size_t n)
{
        static const uint32_t minimum[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t len = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 :
                     (p[0] & 0xf8) == 0xf0 ? 4 : 0;
        uint32_t c;

        if (len <= 1)
                return len;
        if (len > n)
                return 0;

        c = p[0] & (0x7fU >> len);
        for (size_t i = 1; i < len; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3f);
        }

        return c < minimum[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : len;
}

/* Encodes what stands at p into out (at most 6 bytes); *ret_taken bytes of the input were used. */
static size_t encode(const uint8_t *p, size_t n, char out[static 6], size_t *ret_taken)
{
        static const struct {
                uint8_t byte;
                char letter;
        } shorts[] = {
                { '"', '"' }, { '\\', '\\' }, { '\n', 'n' }, { '\t', 't' }, { '\r', 'r' },
        };
        size_t len = p[0] == 0 ? 0 : sequence_length(p, n);

        *ret_taken = MAX(len, (size_t) 1);

        if (len == 0) {
                /* The backslash is data here, so it is doubled for JSON. */
                memcpy(out, "\\\\x", 3);
                out[3] = hex_digits[p[0] >> 4];
                out[4] = hex_digits[p[0] & 15];
                return 5;
        }

        for (size_t i = 0; len == 1 && i < ELEMENTSOF(shorts); i++)
                if (p[0] == shorts[i].byte) {
                        out[0] = '\\';
                        out[1] = shorts[i].letter;
                        return 2;
                }

        if (p[0] < 0x20 || p[0] == 0x7f) {
                memcpy(out, "\\u00", 4);
                out[4] = hex_digits[p[0] >> 4];
                out[5] = hex_digits[p[0] & 15];
                return 6;
        }

        memcpy(out, p, len);
        return len;
}

/* How many bytes at p stand for themselves: most of a text do. */
static size_t plain_length(const uint8_t *p, size_t n)
{
        size_t i = 0;

        while (i < n && p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\\')
                i++;

        return i;
}

static void put_text(JsonText *json, const char *s, size_t n, size_t max)
{
        const uint8_t *p = (const uint8_t *) s;
        size_t written = 0, room = max > 3 ? max - 3 : 0, total = 0;
        bool fits = true;

        put(json, "\"", 1);

        /* Only a value near the limit needs the pass that measures it. */
        if (n > room / 6)
                for (size_t i = 0, taken; i < n && fits; i += taken) {
                        char out[6];

                        taken = plain_length(p + i, n - i);
                        total += taken > 0 ? taken : encode(p + i, n - i, out, &taken);
                        fits = total <= max;
                }

        for (size_t i = 0, taken; i < n; i += taken) {
                char out[6];
                size_t k;

                taken = plain_length(p + i, fits ? n - i : MIN(n - i, room - written));
                if (taken > 0) {
                        put(json, s + i, taken);
                        written += taken;
                        continue;
                }

                k = encode(p + i, n - i, out, &taken);
                if (!fits && written + k > room) {
                        put(json, "...", MIN((size_t) 3, max));
                        break;
                }
                put(json, out, k);
                written += k;
        }

        put(json, "\"", 1);
}

void json_add_text(JsonText *json, const char *key, const char *s, size_t n, size_t max)
{
        put_key(json, key);
        put_text(json, s, n, max);
}

void json_add_string(JsonText *json, const char *key, const char *s)
{
        json_add_text(json, key, s, strlen(s), SIZE_MAX);
}

void json_add_u64(JsonText *json, const char *key, uint64_t value)
{
        char text[24];
        int n = snprintf(text, sizeof(text), "%" PRIu64, value);

        put_key(json, key);
        put(json, text, (size_t) n);
}

void json_begin_object(JsonText *json, const char *key)
{
        put_key(json, key);
        put(json, "{", 1);
}

void json_add_entry(JsonText *json, const char *key, const char *value)
{
        put_comma(json);
        put_text(json, key, strlen(key), SIZE_MAX);
        put(json, ":", 1);
        put_text(json, value, strlen(value), SIZE_MAX);
}

void json_end_object(JsonText *json)
{
        put(json, "}", 1);
}

int json_end(JsonText *json, size_t *ret_n)
{
        put(json, "}\n", 2);
        if (json->full)
                return -ENOBUFS;

        *ret_n = json->used;
        return 0;
}
