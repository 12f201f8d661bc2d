/* SPDX-License-Identifier: Apache-2.0 */
/* Strict parsing of foreign text: see parse.h. Everything here may be fed by an attacker. */

#include "basic/parse.h"

#include <ctype.h>
#include <strings.h>
#include <time.h>

#include "basic/limits.h"

int parse_u64(const char *s, uint64_t *ret)
{
        uint64_t v = 0;

        if (isempty(s))
                return -EINVAL;

        for (; *s; s++) {
                if (*s < '0' || *s > '9')
                        return -EINVAL;
                if (__builtin_mul_overflow(v, 10U, &v) ||
                    __builtin_add_overflow(v, (uint64_t) (*s - '0'), &v))
                        return -ERANGE;
        }

        *ret = v;
        return 0;
}

int parse_u32(const char *s, uint32_t *ret)
{
        uint64_t v;
        int r = parse_u64(s, &v);

        if (r < 0)
                return r;
        if (v > UINT32_MAX)
                return -ERANGE;

        *ret = (uint32_t) v;
        return 0;
}

int parse_i64(const char *s, int64_t *ret)
{
        bool negative;
        uint64_t v;
        int r;

        if (isempty(s))
                return -EINVAL;

        negative = *s == '-';
        r = parse_u64(s + (negative ? 1 : 0), &v);
        if (r < 0)
                return r;
        if (v > (uint64_t) INT64_MAX + (negative ? 1U : 0U))
                return -ERANGE;

        *ret = negative ? (int64_t) -v : (int64_t) v;
        return 0;
}

int parse_bool(const char *s, bool *ret)
{
        static const struct {
                const char *word;
                bool value;
        } words[] = {
                { "yes", true }, { "true", true }, { "on", true }, { "1", true },
                { "no", false }, { "false", false }, { "off", false }, { "0", false },
        };

        if (isempty(s))
                return -EINVAL;

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcasecmp(s, words[i].word) == 0) {
                        *ret = words[i].value;
                        return 0;
                }

        return -EINVAL;
}

/* Splits the decimal digits at the start of *s off; *s is left at the first character behind them. */
static int take_number(const char **s, uint64_t *ret)
{
        char digits[24];
        size_t n = strspn(*s, "0123456789");
        int r;

        if (n == 0)
                return -EINVAL;
        if (n >= sizeof(digits))
                return -ERANGE;

        memcpy(digits, *s, n);
        digits[n] = '\0';
        r = parse_u64(digits, ret);
        if (r < 0)
                return r;

        *s += n;
        return 0;
}

int parse_size(const char *s, uint64_t *ret)
{
        static const char suffixes[] = "BKMGT";
        uint64_t v, factor = 1;
        int r;

        if (isempty(s))
                return -EINVAL;

        r = take_number(&s, &v);
        if (r < 0)
                return r;

        if (*s) {
                const char *p = strchr(suffixes, *s);

                if (!p || s[1])
                        return -EINVAL;
                factor = UINT64_C(1) << (10 * (p - suffixes));
        }

        if (__builtin_mul_overflow(v, factor, &v))
                return -ERANGE;

        *ret = v;
        return 0;
}

int parse_usec(const char *s, usec_t *ret)
{
        static const struct {
                const char *suffix;
                usec_t factor;
        } units[] = {
                { "us", 1 },
                { "ms", USEC_PER_MSEC },
                { "min", 60 * USEC_PER_SEC },
                { "s", USEC_PER_SEC },
                { "h", 3600 * USEC_PER_SEC },
                { "d", 86400 * USEC_PER_SEC },
                { "", USEC_PER_SEC },
        };
        usec_t sum = 0;

        if (isempty(s))
                return -EINVAL;
        if (streq(s, "infinity")) {
                *ret = USEC_INFINITY;
                return 0;
        }

        while (*s) {
                usec_t factor = 0;
                uint64_t v;
                size_t n;
                int r;

                r = take_number(&s, &v);
                if (r < 0)
                        return r;

                n = strcspn(s, "0123456789 ");
                for (size_t i = 0; i < ELEMENTSOF(units); i++)
                        if (strlen(units[i].suffix) == n && strncmp(s, units[i].suffix, n) == 0)
                                factor = units[i].factor;
                if (factor == 0)
                        return -EINVAL;

                if (__builtin_mul_overflow(v, factor, &v) ||
                    __builtin_add_overflow(sum, v, &sum))
                        return -ERANGE;

                s += n;
                s += strspn(s, " ");
        }

        *ret = sum;
        return 0;
}

int parse_assignments(char *text, int (*func)(const char *key, char *value, void *userdata), void *userdata,
                      unsigned *ret_line)
{
        char *line;
        int r = 0;

        *ret_line = 0;
        while (r >= 0 && (line = strsep(&text, "\n"))) {
                char *value = strchr(line, '=');

                ++*ret_line;
                if (!*line)
                        continue;
                if (!value)
                        return -EINVAL;
                *value++ = '\0';
                r = func(line, value, userdata);
        }
        return r < 0 ? r : 0;
}

char *hex_encode(const void *data, size_t n)
{
        static const char digits[] = "0123456789abcdef";
        const uint8_t *p = data;
        char *s = malloc(2 * n + 1);

        if (!s)
                return NULL;

        for (size_t i = 0; i < n; i++) {
                s[2 * i] = digits[p[i] >> 4];
                s[2 * i + 1] = digits[p[i] & 15];
        }
        s[2 * n] = '\0';
        return s;
}

static int unhex(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
               c >= 'A' && c <= 'F' ? c - 'A' + 10 : -EINVAL;
}

int hex_decode(const char *s, void *ret, size_t n)
{
        uint8_t *p = ret;

        if (!s || strlen(s) != 2 * n)
                return -EINVAL;

        for (size_t i = 0; i < 2 * n; i++)
                if (unhex(s[i]) < 0)
                        return -EINVAL;
        for (size_t i = 0; i < n; i++)
                p[i] = (uint8_t) (unhex(s[2 * i]) << 4 | unhex(s[2 * i + 1]));

        return 0;
}

static bool is_alnum_ascii(char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool id_is_valid(const char *s, size_t max)
{
        size_t n = s ? strnlen(s, max + 1) : 0;

        if (n < 2 || n > max || !is_alnum_ascii(s[0]))
                return false;

        for (size_t i = 1; i < n; i++)
                if (!is_alnum_ascii(s[i]) && !strchr("._-", s[i]))
                        return false;

        return true;
}

bool sandbox_name_is_valid(const char *name)
{
        char namespace[SANDBOX_ID_MAX + 1];
        const char *colon;
        size_t n;

        if (!name)
                return false;

        colon = strchr(name, ':');
        if (!colon)
                return id_is_valid(name, SANDBOX_ID_MAX);

        n = (size_t) (colon - name);
        if (n > SANDBOX_ID_MAX)
                return false;

        memcpy(namespace, name, n);
        namespace[n] = '\0';
        return id_is_valid(namespace, SANDBOX_ID_MAX) && id_is_valid(colon + 1, SANDBOX_ID_MAX);
}

/* Length of the UTF-8 sequence at p (n bytes left), or 0 if it is not one. */
static size_t utf8_sequence(const uint8_t *p, size_t n)
{
        static const uint32_t minimum[] = { 0, 0, 0x80, 0x800, 0x10000 };
        uint32_t c;
        size_t len;

        if (p[0] < 0x80)
                return 1;

        len = (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;
        if (len == 0 || len > n)
                return 0;

        c = p[0] & (0x7fU >> len);
        for (size_t i = 1; i < len; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3f);
        }

        if (c < minimum[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return 0;

        return len;
}

bool unit_name_is_valid(const char *unit, const char *suffix)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789:-_.\\@";
        size_t n = unit ? strnlen(unit, UNIT_NAME_MAX + 1) : 0;
        const char *end;

        if (n == 0 || n > UNIT_NAME_MAX)
                return false;

        end = endswith(unit, suffix);
        return end && end > unit && unit[0] != '@' && strspn(unit, allowed) == n;
}

bool utf8_is_valid(const char *s, size_t n)
{
        const uint8_t *p = (const uint8_t *) s;

        for (size_t i = 0; i < n;) {
                size_t k = p[i] == 0 ? 0 : utf8_sequence(p + i, n - i);

                if (k == 0)
                        return false;
                i += k;
        }

        return true;
}

char *text_escape(const char *s, size_t n, size_t max)
{
        static const char digits[] = "0123456789abcdef";
        const uint8_t *p = (const uint8_t *) s;
        char *out = malloc(max + 1);
        size_t used = 0;

        if (!out)
                return NULL;

        for (size_t i = 0; i < n;) {
                size_t k = utf8_sequence(p + i, n - i);
                bool plain = k > 0 && (k > 1 || (p[i] >= 0x20 && p[i] != 0x7f));
                size_t need = plain ? k : 4;

                if (used + need > max) {
                        size_t cut = max < 3 ? 0 : MIN(used, max - 3);

                        /* Do not cut through a sequence. */
                        while (cut > 0 && ((uint8_t) out[cut] & 0xc0) == 0x80 && cut < used)
                                cut--;
                        used = cut;
                        for (size_t j = 0; j < 3 && used < max; j++)
                                out[used++] = '.';
                        break;
                }

                if (plain)
                        memcpy(out + used, p + i, k);
                else {
                        out[used] = '\\';
                        out[used + 1] = 'x';
                        out[used + 2] = digits[p[i] >> 4];
                        out[used + 3] = digits[p[i] & 15];
                }
                used += need;
                i += plain ? k : 1;
        }

        out[used] = '\0';
        return out;
}

static usec_t clock_usec(clockid_t clock)
{
        struct timespec ts;

        if (clock_gettime(clock, &ts) < 0)
                return 0;

        return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / 1000U;
}

usec_t now_usec(void)
{
        return clock_usec(CLOCK_MONOTONIC);
}

usec_t now_realtime_usec(void)
{
        return clock_usec(CLOCK_REALTIME);
}
