/* SPDX-License-Identifier: Apache-2.0 */
/* Words about modules of the kernel: see kernel-module.h. */

#include "basic/kernel-module.h"

#include "basic/limits.h"

#define BLANKS " \t"

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

bool kernel_module_name_is_valid(const char *s)
{
        return *s && strlen(s) <= MODULE_NAME_MAX && s[strspn(s, name_characters)] == '\0';
}

bool kernel_module_same_name(const char *a, const char *b)
{
        for (; *a && *b; a++, b++)
                if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b))
                        return false;

        return *a == *b;
}

bool kernel_module_parameter_is_valid(const char *s)
{
        size_t n = strspn(s, name_characters);

        /* Parameters of a part of a module have a dot in their names. */
        while (n > 0 && s[n] == '.')
                n += 1 + strspn(s + n + 1, name_characters);
        if (n == 0 || (s[n] != '=' && s[n] != '\0') || strlen(s) > MODULE_PARAMETER_MAX)
                return false;

        for (const char *p = s + n; *p; p++)
                if (*p <= ' ' || *p >= 0x7f || *p == '"')
                        return false;
        return true;
}

/* Cuts item. */
static int split_one(char *item, Strv *lines)
{
        _cleanup_(strv_done) Strv words = {};
        char *save = NULL;
        int r;

        for (char *word = strtok_r(item, BLANKS, &save); word; word = strtok_r(NULL, BLANKS, &save)) {
                if (words.n > MODULE_PARAMETERS_MAX)
                        return -E2BIG;
                if (!(words.n == 0 ? kernel_module_name_is_valid(word) : kernel_module_parameter_is_valid(word)))
                        return -EINVAL;
                r = strv_add(&words, word);
                if (r < 0)
                        return r;
        }
        if (words.n == 0)
                return 0;
        return lines->n >= KERNEL_MODULES_MAX ? -E2BIG : strv_consume(lines, strv_join(&words, " "));
}

int kernel_modules_split(const char *text, Strv *ret)
{
        _cleanup_free_ char *copy = strdup(text);
        _cleanup_(strv_done) Strv lines = {};
        char *rest = copy, *item;
        int r;

        if (!copy)
                return -ENOMEM;
        while ((item = strsep(&rest, ";"))) {
                r = split_one(item, &lines);
                if (r < 0)
                        return r;
        }

        *ret = lines;
        lines = (Strv) {};
        return 0;
}
