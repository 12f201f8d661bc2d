/* SPDX-License-Identifier: Apache-2.0 */
/* Id mappings: see id-map.h. Input comes from the host. */

#include "agent/id-map.h"

#include "basic/error.h"
#include "basic/limits.h"

/* One write() of at most a page, kernel/user_namespace.c, map_write(). */
#define ID_MAP_TEXT_MAX 4095U

void id_map_done(IdMap *map)
{
        free(map->ranges);
        *map = (IdMap) {};
}

static bool ranges_meet(uint32_t a, uint32_t n_a, uint32_t b, uint32_t n_b)
{
        return a < (uint64_t) b + n_b && b < (uint64_t) a + n_a;
}

int id_map_parse(IdMap *ret, Grpc__LinuxIDMapping *const *mappings, size_t n, const char *what,
                 char **reterr_message)
{
        _cleanup_(id_map_done) IdMap map = {};
        _cleanup_free_ char *text = NULL;
        int r;

        if (n > SPEC_ID_MAPPINGS_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u %s", SPEC_ID_MAPPINGS_MAX, what);

        map.ranges = new0(IdRange, n);
        if (!map.ranges)
                return -ENOMEM;

        for (; map.n < n; map.n++) {
                const Grpc__LinuxIDMapping *m = mappings[map.n];
                IdRange *range = &map.ranges[map.n];

                *range = (IdRange) { .inside = m->containerid, .outside = m->hostid, .n = m->size };
                /* The last number means "no id". */
                if (range->n == 0 || range->inside > UINT32_MAX - range->n ||
                    range->outside > UINT32_MAX - range->n)
                        return error_setf(reterr_message, -EINVAL, "%s: bad range %u %u %u", what,
                                          range->inside, range->outside, range->n);
                for (size_t i = 0; i < map.n; i++)
                        if (ranges_meet(range->inside, range->n, map.ranges[i].inside, map.ranges[i].n) ||
                            ranges_meet(range->outside, range->n, map.ranges[i].outside,
                                        map.ranges[i].n))
                                return error_setf(reterr_message, -EINVAL, "%s: ranges overlap", what);
        }

        r = id_map_format(&map, &text);
        if (r < 0)
                return r;
        if (strlen(text) > ID_MAP_TEXT_MAX)
                return error_setf(reterr_message, -E2BIG, "%s: more ranges than the kernel takes", what);

        *ret = map;
        map = (IdMap) {};
        return 0;
}

int id_map_outside(const IdMap *map, uint32_t inside, uint32_t *ret)
{
        for (size_t i = 0; i < map->n; i++) {
                const IdRange *range = &map->ranges[i];

                if (inside >= range->inside && inside - range->inside < range->n) {
                        *ret = range->outside + (inside - range->inside);
                        return 0;
                }
        }

        return -ENOENT;
}

int id_map_format(const IdMap *map, char **ret)
{
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < map->n; i++)
                fprintf(f, "%u %u %u\n", map->ranges[i].inside, map->ranges[i].outside, map->ranges[i].n);
        if (fclose(f) != 0) {
                free(text);
                return -ENOMEM;
        }

        *ret = text;
        return 0;
}

int id_map_copy(IdMap *ret, const IdMap *map)
{
        IdRange *ranges = new0(IdRange, map->n);

        if (!ranges)
                return -ENOMEM;
        if (map->n > 0)
                memcpy(ranges, map->ranges, map->n * sizeof(IdRange));
        *ret = (IdMap) { .ranges = ranges, .n = map->n };
        return 0;
}
