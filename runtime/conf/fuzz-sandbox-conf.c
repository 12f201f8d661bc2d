/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A definition file made of foreign bytes: no crash, no leak; whatever is accepted holds what the
 * header says.
 */

#include "basic/cpu-list.h"
#include "basic/limits.h"
#include "runtime/conf/sandbox-conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(const char *text)
{
        _cleanup_(cpu_list_done) CpuList list = {};

        assert(!text || (cpu_list_parse(text, &list) >= 0 && list.n > 0 && list.n <= CPUS_MAX / 8 &&
                         list.bits[list.n - 1] != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_sandbox_conf_ SandboxConf *conf = NULL;
        _cleanup_node_conf_ NodeConf *node = NULL;
        _cleanup_free_ char *message = NULL;
        int r;

        if (node_conf_new(&node) < 0)
                return 0;

        r = sandbox_conf_parse(NULL, "fuzz.conf", (const char *) data, size, "fuzz", node, &conf,
                               &message);
        if (r < 0) {
                assert(!conf);
                assert(r == -ENOMEM || (message && !strchr(message, '\n')));
                return 0;
        }

        assert(conf->n_containers > 0 && conf->n_containers <= CONTAINERS_MAX);
        assert(conf->memory >= VM_MEMORY_MIN && conf->memory <= VM_MEMORY_MAX);
        assert(conf->vcpus >= 1 && conf->vcpus <= VM_VCPUS_MAX);
        assert(conf->hostname && conf->kernel_parameters);
        assert(conf->cpu_weight <= 10000 && conf->io_weight <= 10000);
        assert(conf->cpu_quota == 0 || conf->cpu_quota >= USEC_PER_SEC / 10);
        check_list(conf->allowed_cpus);
        check_list(conf->allowed_memory_nodes);
        for (size_t i = 0; i < conf->n_containers; i++) {
                const ContainerConf *c = &conf->containers[i];

                assert(id_is_valid(c->name, CONTAINER_ID_MAX));
                assert(!c->bundle != !c->root_directory);
                assert(c->bundle || c->command.n > 0);
                assert(c->stop_signal >= 1 && c->stop_signal <= 64);
                for (size_t j = 0; j < i; j++)
                        assert(!streq(c->name, conf->containers[j].name));
        }

        return 0;
}
