/* SPDX-License-Identifier: Apache-2.0 */
/* String vectors: see strv.h. */

#include "basic/strv.h"

#include <stdarg.h>

void strv_done(Strv *strv)
{
        if (!strv)
                return;

        for (size_t i = 0; i < strv->n; i++)
                free(strv->v[i]);
        free(strv->v);
        *strv = (Strv) {};
}

int strv_consume(Strv *strv, char *s)
{
        char **grown;

        if (!s)
                return -ENOMEM;

        grown = reallocarray(strv->v, strv->n + 2, sizeof(char *));
        if (!grown) {
                free(s);
                return -ENOMEM;
        }

        strv->v = grown;
        strv->v[strv->n++] = s;
        strv->v[strv->n] = NULL;
        return 0;
}

int strv_add(Strv *strv, const char *s)
{
        return strv_consume(strv, strdup(s));
}

int strv_addf(Strv *strv, const char *format, ...)
{
        va_list ap;
        char *s;
        int r;

        va_start(ap, format);
        r = vasprintf(&s, format, ap);
        va_end(ap);

        return r < 0 ? -ENOMEM : strv_consume(strv, s);
}

int strv_add_many(Strv *strv, ...)
{
        const char *s;
        va_list ap;
        int r = 0;

        va_start(ap, strv);
        while (r >= 0 && (s = va_arg(ap, const char *)))
                r = strv_add(strv, s);
        va_end(ap);

        return r;
}

bool strv_contains(const Strv *strv, const char *s)
{
        for (size_t i = 0; i < strv->n; i++)
                if (streq(strv->v[i], s))
                        return true;

        return false;
}

char *strv_join(const Strv *strv, const char *sep)
{
        size_t size = 1, k = strlen(sep);
        char *out, *p;

        for (size_t i = 0; i < strv->n; i++)
                size += strlen(strv->v[i]) + k;

        out = p = malloc(size);
        if (!out)
                return NULL;

        for (size_t i = 0; i < strv->n; i++)
                p = stpcpy(i > 0 ? stpcpy(p, sep) : p, strv->v[i]);
        *p = '\0';
        return out;
}

int strv_split_quoted(Strv *strv, const char *s, size_t max)
{
        _cleanup_free_ char *word = malloc(strlen(s) + 1);

        if (!word)
                return -ENOMEM;

        for (;;) {
                size_t n = 0;
                char quote = '\0';
                int r;

                s += strspn(s, " \t\n");
                if (!*s)
                        return 0;

                for (; *s && (quote || !strchr(" \t\n", *s)); s++) {
                        if (*s == '\\' && quote != '\'') {
                                if (!s[1])
                                        return -EINVAL;
                                word[n++] = *++s;
                        } else if (quote ? *s == quote : *s == '\'' || *s == '"')
                                quote = quote ? '\0' : *s;
                        else
                                word[n++] = *s;
                }
                if (quote)
                        return -EINVAL;
                if (strv->n >= max)
                        return -E2BIG;

                word[n] = '\0';
                r = strv_add(strv, word);
                if (r < 0)
                        return r;
        }
}
