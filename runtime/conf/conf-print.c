/* SPDX-License-Identifier: Apache-2.0 */
/* Values as text: see conf-print.h. */

#include "runtime/conf/conf-print.h"

#include <inttypes.h>

#include "basic/limits.h"
#include "basic/parse.h"

typedef int (*conf_format_t)(const ConfKey *key, const void *field, char **ret);

static int copy(const char *text, char **ret)
{
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static int format_word(const ConfKey *key, const void *field, char **ret)
{
        return copy(key->words[*(const unsigned *) field], ret);
}

static int format_bool(const ConfKey *key, const void *field, char **ret)
{
        return copy(*(const bool *) field ? "yes" : "no", ret);
}

static int format_string(const ConfKey *key, const void *field, char **ret)
{
        return copy(strempty(*(char *const *) field), ret);
}

static int format_number(uint64_t n, const char *unit, char **ret)
{
        if (asprintf(ret, "%" PRIu64 "%s", n, unit) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int format_u32(const ConfKey *key, const void *field, char **ret)
{
        return format_number(*(const uint32_t *) field, "", ret);
}

static int format_memory(const ConfKey *key, const void *field, char **ret)
{
        return format_number(*(const uint64_t *) field / MIB(1), "M", ret);
}

static int format_usec(const ConfKey *key, const void *field, char **ret)
{
        usec_t span = *(const usec_t *) field;

        if (span == USEC_INFINITY)
                return copy("infinity", ret);
        if (span % USEC_PER_SEC == 0)
                return format_number(span / USEC_PER_SEC, "s", ret);
        if (span % USEC_PER_MSEC == 0)
                return format_number(span / USEC_PER_MSEC, "ms", ret);
        return format_number(span, "us", ret);
}

static const struct {
        conf_parse_t parse;
        conf_format_t format;
} kinds[] = {
        { conf_parse_word, format_word },
        { conf_parse_bool, format_bool },
        { conf_parse_u32, format_u32 },
        { conf_parse_usec, format_usec },
        { conf_parse_memory, format_memory },
        { conf_parse_path, format_string },
        { conf_parse_string, format_string },
        { conf_parse_user_name, format_string },
        { conf_parse_hostname, format_string },
        { conf_parse_path_or_word, format_string },
        { conf_parse_kernel_release, format_string },
        { conf_parse_kernel_modules, format_string },
};

int conf_key_format(const ConfKey *key, const void *base, char **ret)
{
        const void *field = (const char *) base + key->offset;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (kinds[i].parse == key->parse)
                        return kinds[i].format(key, field, ret);

        return -EOPNOTSUPP;
}
