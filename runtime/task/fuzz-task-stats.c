/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of a guest to StatsContainer, made into metrics of either kind: bounded, whatever is in it. */

#include "runtime/task/task-stats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_pb_arena_ PbArena arena;
        Grpc__StatsContainerResponse *stats;

        pb_arena_init(&arena, 0);
        if (pb_unpack(&grpc__stats_container_response__descriptor, &arena, data, size, &stats) < 0)
                return 0;

        for (unsigned i = 0; i < 2; i++) {
                _cleanup_free_ uint8_t *out = NULL;
                const char *type;
                size_t n;

                if (task_stats_convert(stats, i == 1, &type, &out, &n) >= 0)
                        assert(out && n > 0);
        }

        return 0;
}
