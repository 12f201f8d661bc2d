/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Value parsers and error texts for configuration tables; see the header.
 */

#include "runtime/conf/conf-value.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>

#include "basic/cpu-list.h"
#include "basic/error.h"
#include "basic/kernel-module.h"
#include "basic/kernel-release.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "basic/strv.h"

/* Foreign text in an error: enough to find it, not more. */
#define VALUE_SHOWN_MAX 80U

const ConfKey *conf_key_find(const ConfKey *table, const char *section, const char *name)
{
        CONF_KEY_FOREACH(k, table)
                if (streq(k->section, section) && streq(k->name, name))
                        return k;

        return NULL;
}

bool conf_section_known(const ConfKey *table, const char *section)
{
        CONF_KEY_FOREACH(k, table)
                if (streq(k->section, section))
                        return true;

        return false;
}

static char *enumerate(const Strv *items)
{
        Strv text = {};
        char *joined;

        for (size_t i = 0; i < items->n; i++)
                if (strv_addf(&text, "%s%s", items->v[i],
                              i + 2 < items->n ? ", " : i + 1 < items->n ? " and " : "") < 0) {
                        strv_done(&text);
                        return NULL;
                }

        joined = strv_join(&text, "");
        strv_done(&text);
        return joined;
}

char *conf_list_keys(const ConfKey *table, const char *section)
{
        Strv items = {};
        char *text = NULL;

        CONF_KEY_FOREACH(k, table)
                if (streq(k->section, section) && strv_addf(&items, "%s=", k->name) < 0)
                        goto finish;

        text = enumerate(&items);
finish:
        strv_done(&items);
        return text;
}

char *conf_list_sections(const ConfKey *table)
{
        const char *last = NULL;
        Strv items = {};
        char *text = NULL;

        CONF_KEY_FOREACH(k, table) {
                if (streq_ptr(last, k->section))
                        continue;
                last = k->section;
                if (strv_addf(&items, "[%s]", k->section) < 0)
                        goto finish;
        }

        text = enumerate(&items);
finish:
        strv_done(&items);
        return text;
}

int conf_key_apply(const ConfKey *key, const char *value, void *base)
{
        void *field = (char *) base + key->offset;

        if (isempty(value))
                value = key->fallback;

        /* Only strings have an empty default; their old value must not survive it. */
        if (isempty(value)) {
                if (key->parse == conf_parse_path || key->parse == conf_parse_string ||
                    key->parse == conf_parse_user_name || key->parse == conf_parse_hostname ||
                    key->parse == conf_parse_path_or_word || key->parse == conf_parse_kernel_release ||
                    key->parse == conf_parse_unit || key->parse == conf_parse_cpu_list)
                        *(char **) field = mfree(*(char **) field);
                return 0;
        }

        return key->parse(key, value, field);
}

int conf_apply_fallbacks(const ConfKey *table, void *base)
{
        CONF_KEY_FOREACH(k, table) {
                int r = conf_key_apply(k, NULL, base);
                if (r < 0)
                        return r;
        }

        return 0;
}

int conf_value_error(
                char **reterr_message,
                int error,
                const char *file,
                uint64_t line,
                const char *section,
                const ConfKey *key,
                const char *value)
{
        _cleanup_free_ char *shown = text_escape(value, strlen(value), VALUE_SHOWN_MAX);

        if (error == -ENOMEM || !shown)
                return error_setf(reterr_message, -ENOMEM, "%s: out of memory", file);

        return error_setf(reterr_message, -EINVAL, "%s:%" PRIu64 ": [%s] %s=%s: expected %s",
                          file, line, section, key->name, shown, key->accepts);
}

static int replace_string(char **field, const char *value)
{
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

int conf_parse_word(const ConfKey *key, const char *value, void *field)
{
        for (unsigned i = 0; key->words[i]; i++)
                if (streq(key->words[i], value)) {
                        *(unsigned *) field = i;
                        return 0;
                }

        return -EINVAL;
}

int conf_parse_path(const ConfKey *key, const char *value, void *field)
{
        size_t n = strlen(value);

        if (value[0] != '/' || n >= PATH_MAX || !utf8_is_valid(value, n))
                return -EINVAL;

        for (const char *p = value; *p; p++)
                if ((unsigned char) *p < 0x20 || *p == 0x7f)
                        return -EINVAL;

        for (const char *p = value; p; p = strchr(p, '/')) {
                p += strspn(p, "/");
                if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
                        return -EINVAL;
        }

        return replace_string(field, value);
}

int conf_parse_path_or_word(const ConfKey *key, const char *value, void *field)
{
        for (size_t i = 0; key->words[i]; i++)
                if (streq(key->words[i], value))
                        return replace_string(field, value);

        return conf_parse_path(key, value, field);
}

int conf_parse_unit(const ConfKey *key, const char *value, void *field)
{
        return unit_name_is_valid(value, key->words[0]) ? replace_string(field, value) : -EINVAL;
}

int conf_parse_cpu_list(const ConfKey *key, const char *value, void *field)
{
        _cleanup_(cpu_list_done) CpuList list = {};
        int r = cpu_list_parse(value, &list);

        return r < 0 ? r : replace_string(field, value);
}

int conf_parse_kernel_release(const ConfKey *key, const char *value, void *field)
{
        return kernel_release_is_valid(value) ? replace_string(field, value) : -EINVAL;
}

int conf_parse_string(const ConfKey *key, const char *value, void *field)
{
        for (const char *p = value; *p; p++)
                if (*p < 0x20 || *p == 0x7f || (unsigned char) *p >= 0x80)
                        return -EINVAL;

        if (key->max > 0 && strlen(value) > key->max)
                return -ERANGE;

        return replace_string(field, value);
}

static bool ascii_alpha(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool ascii_digit(char c)
{
        return c >= '0' && c <= '9';
}

int conf_parse_user_name(const ConfKey *key, const char *value, void *field)
{
        if (!ascii_alpha(value[0]) && value[0] != '_')
                return -EINVAL;

        /* 31: what utmp and useradd allow. */
        if (strlen(value) > 31)
                return -ERANGE;

        for (const char *p = value; *p; p++)
                if (!ascii_alpha(*p) && !ascii_digit(*p) && !strchr("_-", *p))
                        return -EINVAL;

        return replace_string(field, value);
}

int conf_parse_hostname(const ConfKey *key, const char *value, void *field)
{
        char before = '.';

        if (strlen(value) > HOSTNAME_LEN_MAX)
                return -ERANGE;

        /* Labels of letters, digits and inner hyphens, separated by single dots. */
        for (const char *p = value; *p; before = *p++)
                if (!ascii_alpha(*p) && !ascii_digit(*p) &&
                    !(*p == '-' && before != '.' && p[1] && p[1] != '.') &&
                    !(*p == '.' && before != '.' && p[1]))
                        return -EINVAL;

        return replace_string(field, value);
}

int conf_parse_memory(const ConfKey *key, const char *value, void *field)
{
        uint64_t v;
        int r;

        r = parse_size(value, &v);
        if (r < 0)
                return r;
        if (v < key->min || v > key->max || v % MIB(1) != 0)
                return -ERANGE;

        *(uint64_t *) field = v;
        return 0;
}

int conf_parse_memory_or_word(const ConfKey *key, const char *value, void *field)
{
        if (!streq(value, key->words[0]))
                return conf_parse_memory(key, value, field);

        *(uint64_t *) field = UINT64_MAX;
        return 0;
}

int conf_parse_percent(const ConfKey *key, const char *value, void *field)
{
        const char *end = endswith(value, "%");
        _cleanup_free_ char *number = end ? strndup(value, (size_t) (end - value)) : NULL;
        uint32_t v;
        int r;

        if (!end)
                return -EINVAL;
        if (!number)
                return -ENOMEM;
        r = parse_u32(number, &v);
        if (r < 0)
                return r;
        if (v < key->min || v > key->max)
                return -ERANGE;

        *(uint64_t *) field = (uint64_t) v * (USEC_PER_SEC / 100);
        return 0;
}

int conf_parse_u32(const ConfKey *key, const char *value, void *field)
{
        uint32_t v;
        int r;

        r = parse_u32(value, &v);
        if (r < 0)
                return r;
        if (v < key->min || v > key->max)
                return -ERANGE;

        *(uint32_t *) field = v;
        return 0;
}

int conf_parse_usec(const ConfKey *key, const char *value, void *field)
{
        usec_t v;
        int r;

        r = parse_usec(value, &v);
        if (r < 0)
                return r;
        if (v < key->min || v > key->max)
                return -ERANGE;

        *(usec_t *) field = v;
        return 0;
}

int conf_parse_kernel_modules(const ConfKey *key, const char *value, void *field)
{
        _cleanup_(strv_done) Strv modules = {};

        if (strlen(value) > key->max || kernel_modules_split(value, &modules) < 0)
                return -EINVAL;
        return replace_string(field, value);
}

int conf_parse_bool(const ConfKey *key, const char *value, void *field)
{
        return parse_bool(value, field);
}

int conf_parse_signal(const ConfKey *key, const char *value, void *field)
{
        const char *name = startswith(value, "SIG") ?: value, *plus;
        uint32_t n = 0;

        if (ascii_digit(value[0])) {
                if (parse_u32(value, &n) < 0)
                        return -EINVAL;
        } else if ((plus = startswith(name, "RTMIN"))) {
                if (*plus == '+' ? parse_u32(plus + 1, &n) < 0 || n > 30 : *plus != '\0')
                        return -EINVAL;
                /*
                 * The kernel's 32 and 33 belong to the C library; the guest's first free one is 34
                 * as well.
                 */
                n += 34;
        } else {
                for (uint32_t i = 1; i < 32; i++)
                        if (streq_ptr(sigabbrev_np((int) i), name))
                                n = i;
        }

        if (n < 1 || n > 64)
                return -EINVAL;

        *(int *) field = (int) n;
        return 0;
}

int conf_parse_words(const ConfKey *key, const char *value, void *field)
{
        Strv words = {};
        int r;

        r = strv_split_quoted(&words, value, CONTAINER_ARGS_MAX);
        if (r >= 0 && (words.n == 0 || isempty(words.v[0])))
                r = -EINVAL;
        if (r < 0) {
                strv_done(&words);
                return r;
        }

        strv_done(field);
        *(Strv *) field = words;
        return 0;
}

static int environment_set(Strv *env, const char *assignment)
{
        size_t n = (size_t) (strchr(assignment, '=') - assignment) + 1;

        for (size_t i = 0; i < env->n; i++)
                if (strncmp(env->v[i], assignment, n) == 0)
                        return replace_string(&env->v[i], assignment);

        return strv_add(env, assignment);
}

int conf_parse_environment(const ConfKey *key, const char *value, void *field)
{
        Strv words = {}, *env = field;
        int r;

        r = strv_split_quoted(&words, value, CONTAINER_ARGS_MAX);

        /* Check everything before the first change. */
        for (size_t i = 0; r >= 0 && i < words.n; i++)
                if (words.v[i][0] == '=' || !strchr(words.v[i], '='))
                        r = -EINVAL;
        if (r >= 0 && words.n + env->n > CONTAINER_ARGS_MAX)
                r = -ERANGE;

        for (size_t i = 0; r >= 0 && i < words.n; i++)
                r = environment_set(env, words.v[i]);

        strv_done(&words);
        return r < 0 ? r : 0;
}

int conf_parse_user_ids(const ConfKey *key, const char *value, void *field)
{
        const char *colon = strchr(value, ':');
        _cleanup_free_ char *user =
                        colon ? strndup(value, (size_t) (colon - value)) : strdup(value);
        uint32_t uid, gid, *ids = field;

        if (!user)
                return -ENOMEM;

        /* The highest number means "no change" to the kernel. */
        if (parse_u32(user, &uid) < 0 || uid == UINT32_MAX)
                return -EINVAL;
        gid = uid;
        if (colon && (parse_u32(colon + 1, &gid) < 0 || gid == UINT32_MAX))
                return -EINVAL;

        ids[0] = uid;
        ids[1] = gid;
        return 0;
}
