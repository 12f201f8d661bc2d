/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the kernel: see stats-text.h. */

#include "agent/stats-text.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/parse.h"

bool stats_next_line(const char **text, StatsLine *ret)
{
        const char *p = *text;

        while (*p == '\n')
                p++;
        if (!*p)
                return false;

        *ret = (StatsLine) { .p = p, .n = strcspn(p, "\n") };
        *text = p + ret->n;
        return true;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

static void advance(StatsLine *line, size_t n)
{
        line->p += n;
        line->n -= n;
}

static void skip_blanks(StatsLine *line)
{
        while (line->n > 0 && is_blank(*line->p))
                advance(line, 1);
}

bool stats_next_word(StatsLine *line, const char **ret, size_t *ret_n)
{
        size_t n = 0;

        skip_blanks(line);
        while (n < line->n && !is_blank(line->p[n]))
                n++;
        if (n == 0)
                return false;

        *ret = line->p;
        *ret_n = n;
        advance(line, n);
        return true;
}

bool stats_next_u64(StatsLine *line, uint64_t *ret)
{
        uint64_t value = 0;
        size_t n = 0;

        skip_blanks(line);
        for (; n < line->n && line->p[n] >= '0' && line->p[n] <= '9'; n++)
                if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
                    __builtin_add_overflow(value, (uint64_t) (line->p[n] - '0'), &value))
                        return false;
        if (n == 0)
                return false;

        advance(line, n);
        *ret = value;
        return true;
}

bool stats_next_char(StatsLine *line, char c)
{
        skip_blanks(line);
        if (line->n == 0 || *line->p != c)
                return false;

        advance(line, 1);
        return true;
}

bool stats_next_assignment(StatsLine *line, const char **ret, size_t *ret_n)
{
        const char *word, *eq;
        size_t n;

        while (stats_next_word(line, &word, &n)) {
                eq = memchr(word, '=', n);
                if (!eq)
                        continue;

                /* Back to behind the '='. */
                line->n += (size_t) (word + n - (eq + 1));
                line->p = eq + 1;
                *ret = word;
                *ret_n = (size_t) (eq - word);
                return true;
        }

        return false;
}

bool stats_next_hundredths(StatsLine *line, uint64_t *ret)
{
        uint64_t whole;
        unsigned part = 0, digits = 0;

        if (!stats_next_u64(line, &whole))
                return false;
        if (line->n > 0 && *line->p == '.') {
                advance(line, 1);
                for (; line->n > 0 && *line->p >= '0' && *line->p <= '9'; advance(line, 1), digits++)
                        if (digits < 2)
                                part = part * 10 + (unsigned) (*line->p - '0');
        }
        if (digits == 1)
                part *= 10;

        return !__builtin_mul_overflow(whole, UINT64_C(100), ret) &&
               !__builtin_add_overflow(*ret, (uint64_t) part, ret);
}

bool stats_word_is(const char *word, size_t n, const char *s)
{
        return strlen(s) == n && memcmp(word, s, n) == 0;
}

bool stats_name_is_plain(const char *name, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= '0' && name[i] <= '9') &&
                    name[i] != '_')
                        return false;

        return true;
}

bool stats_parse_net_dev(StatsLine *line, const char **ret_name, size_t *ret_n, uint64_t ret[NET_DEV_COLUMNS])
{
        const char *colon;

        skip_blanks(line);
        /* A name has no colon in it (net/core/dev.c, dev_valid_name()). */
        colon = memchr(line->p, ':', line->n);
        if (!colon || colon == line->p)
                return false;

        *ret_name = line->p;
        *ret_n = (size_t) (colon - line->p);
        advance(line, *ret_n + 1);
        for (size_t i = 0; i < NET_DEV_COLUMNS; i++)
                if (!stats_next_u64(line, &ret[i]))
                        return false;

        return true;
}

int stats_read_start(int dir_fd, const char *path, size_t max, char **ret)
{
        _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        _cleanup_free_ char *buf = NULL;
        size_t n = 0;

        if (fd < 0)
                return negative_errno();
        buf = malloc(max + 1);
        if (!buf)
                return -ENOMEM;

        while (n < max) {
                ssize_t k = read(fd, buf + n, max - n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return negative_errno();
                if (k == 0)
                        break;
                n += (size_t) k;
        }

        if (n == max)
                while (n > 0 && buf[n - 1] != '\n')
                        n--;
        buf[n] = '\0';
        *ret = TAKE_PTR(buf);
        return 0;
}

size_t stats_hugepage_sizes(const char *dir, char ret[STATS_HUGEPAGES_MAX][STATS_NAME_MAX])
{
        DIR *d = opendir(dir);
        size_t n = 0;
        struct dirent *de;

        if (!d)
                return 0;

        while (n < STATS_HUGEPAGES_MAX && (de = readdir(d))) {
                const char *p = startswith(de->d_name, "hugepages-");
                StatsLine line = { .p = p, .n = p ? strlen(p) : 0 };
                uint64_t kib;

                if (!p || !stats_next_u64(&line, &kib) || line.n != 2 || memcmp(line.p, "kB", 2) != 0)
                        continue;
                /* mm/hugetlb_cgroup.c, mem_fmt() */
                if (kib >= KIB(1) * KIB(1))
                        snprintf(ret[n++], STATS_NAME_MAX, "%lluGB",
                                 (unsigned long long) (kib / (KIB(1) * KIB(1))));
                else if (kib >= KIB(1))
                        snprintf(ret[n++], STATS_NAME_MAX, "%lluMB", (unsigned long long) (kib / KIB(1)));
                else
                        snprintf(ret[n++], STATS_NAME_MAX, "%lluKB", (unsigned long long) kib);
        }

        closedir(d);
        return n;
}
