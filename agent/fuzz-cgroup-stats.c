/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the kernel: the first byte says which one. Any text gives a message within its bounds. */

#include "agent/cgroup-stats.h"
#include "basic/limits.h"
#include "basic/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(container_stats_freep) ContainerStats *stats = NULL;
        const Grpc__StatsContainerResponse *m;
        _cleanup_free_ char *text = NULL;

        if (size < 1 || size > STATS_FILE_MAX || container_stats_new(&stats) < 0)
                return 0;
        text = strndup((const char *) data + 1, size - 1);
        if (!text)
                return 0;

        switch (data[0]) {
        case 'c':
                container_stats_add_cpu(stats, text);
                break;
        case 'm':
                container_stats_add_memory(stats, text);
                break;
        case 'e':
                container_stats_add_memory_events(stats, text);
                break;
        case 'i':
                container_stats_add_io(stats, text);
                break;
        case 'p':
                container_stats_add_pressure(stats, "memory", text);
                break;
        default:
                container_stats_add_network(stats, text);
                break;
        }

        m = container_stats_response(stats);
        for (size_t i = 0; i < m->n_network_stats; i++)
                assert(utf8_is_valid(m->network_stats[i]->name, strlen(m->network_stats[i]->name)));
        for (size_t i = 0; i < m->cgroup_stats->memory_stats->n_stats; i++)
                assert(strlen(m->cgroup_stats->memory_stats->stats[i]->key) < STATS_NAME_MAX);
        assert(protobuf_c_message_get_packed_size(container_stats_message(stats)) < KIB(128));
        return 0;
}
