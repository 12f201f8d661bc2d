/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of processors: see cpu-list.h. The text is of a caller. */

#include "basic/cpu-list.h"

#include "basic/limits.h"

void cpu_list_done(CpuList *list)
{
        free(list->bits);
        *list = (CpuList) {};
}

int cpu_list_set(CpuList *list, const void *bits, size_t n)
{
        uint8_t *copy = NULL;

        if (n > CPUS_MAX / 8)
                return -E2BIG;
        if (n > 0) {
                copy = malloc(n);
                if (!copy)
                        return -ENOMEM;
                memcpy(copy, bits, n);
        }
        free(list->bits);
        *list = (CpuList) { .bits = copy, .n = n };
        return 0;
}

/* Digits at *p, which is moved behind them. */
static int take_number(const char **p, unsigned *ret)
{
        unsigned n = 0;

        if (**p < '0' || **p > '9')
                return -EINVAL;
        for (; **p >= '0' && **p <= '9'; (*p)++) {
                n = n * 10 + (unsigned) (**p - '0');
                if (n >= CPUS_MAX)
                        return -EINVAL;
        }
        *ret = n;
        return 0;
}

int cpu_list_parse(const char *text, CpuList *ret)
{
        uint8_t bits[CPUS_MAX / 8] = {};
        unsigned first, last, highest = 0;

        for (const char *p = text;; p++) {
                if (take_number(&p, &first) < 0)
                        return -EINVAL;
                last = first;
                if (*p == '-') {
                        p++;
                        if (take_number(&p, &last) < 0 || last < first)
                                return -EINVAL;
                }
                for (unsigned i = first; i <= last; i++)
                        bits[i / 8] |= (uint8_t) (1U << i % 8);
                highest = MAX(highest, last);
                if (*p == '\0')
                        break;
                if (*p != ',')
                        return -EINVAL;
        }
        return cpu_list_set(ret, bits, highest / 8 + 1);
}

static bool has(const CpuList *list, unsigned i)
{
        return i / 8 < list->n && (list->bits[i / 8] & 1U << i % 8);
}

char *cpu_list_to_text(const CpuList *list)
{
        const char *comma = "";
        char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);

        if (!f)
                return NULL;
        for (unsigned i = 0; i < list->n * 8; i++) {
                unsigned first = i;

                if (!has(list, i))
                        continue;
                while (has(list, i + 1))
                        i++;
                if (i > first)
                        fprintf(f, "%s%u-%u", comma, first, i);
                else
                        fprintf(f, "%s%u", comma, i);
                comma = ",";
        }
        if (fclose(f) != 0)
                text = mfree(text);
        return text;
}
