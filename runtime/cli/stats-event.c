/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of events: see stats-event.h. Names of devices and interfaces are the guest's. */

#include "runtime/cli/stats-event.h"

#include <ctype.h>

static void add_number(json_object *o, const char *name, uint64_t n)
{
        json_object_object_add(o, name, json_object_new_uint64(n));
}

static json_object *add_object(json_object *o, const char *name)
{
        json_object *new = json_object_new_object();

        json_object_object_add(o, name, new);
        return new;
}

static json_object *add_list(json_object *o, const char *name)
{
        json_object *new = json_object_new_array();

        json_object_object_add(o, name, new);
        return new;
}

static void add_cpu(json_object *data, const TaskNumbers *n)
{
        json_object *cpu = add_object(data, "cpu"), *usage = add_object(cpu, "usage"), *throttling;

        add_number(usage, "total", n->cpu_total);
        if (n->n_per_cpu > 0) {
                json_object *list = add_list(usage, "percpu");

                for (size_t i = 0; i < n->n_per_cpu; i++)
                        json_object_array_add(list, json_object_new_uint64(n->per_cpu[i]));
        }
        add_number(usage, "kernel", n->cpu_kernel);
        add_number(usage, "user", n->cpu_user);
        throttling = add_object(cpu, "throttling");
        add_number(throttling, "periods", n->periods);
        add_number(throttling, "throttledPeriods", n->throttled_periods);
        add_number(throttling, "throttledTime", n->throttled_time);
}

static void add_entry(json_object *memory, const char *name, const MemoryNumbers *n)
{
        json_object *o = add_object(memory, name);

        add_number(o, "limit", n->limit);
        add_number(o, "usage", n->usage);
        add_number(o, "max", n->max);
        add_number(o, "failcnt", n->failures);
}

/* What is in memory.stat has the same name here; usage and limits beside it have none there. */
static void add_raw(json_object *memory, const ProtobufCMessage *m)
{
        static const char *const others[] = { "usage", "usage_limit", "swap_usage", "swap_limit", "max_usage",
                                              "swap_max_usage" };
        json_object *raw = add_object(memory, "raw");

        for (unsigned i = 0; m && i < m->descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
                bool other = f->type != PROTOBUF_C_TYPE_UINT64;
                uint64_t value;

                for (size_t k = 0; k < ELEMENTSOF(others); k++)
                        other = other || streq(f->name, others[k]);
                if (other)
                        continue;
                memcpy(&value, (const char *) m + f->offset, sizeof(value));
                add_number(raw, f->name, value);
        }
}

static void add_memory(json_object *data, const TaskNumbers *n)
{
        const MemoryNumbers none = {};
        json_object *memory = add_object(data, "memory");

        add_number(memory, "cache", n->cache);
        add_entry(memory, "usage", &n->memory);
        add_entry(memory, "swap", &n->swap);
        add_entry(memory, "kernel", &n->kernel);
        add_entry(memory, "kernelTCP", &none);
        add_raw(memory, n->memory_stat);
}

/* runc writes Read and Write; agents of cgroup v2 say read and write. */
static json_object *operation(const char *name)
{
        char text[32];

        snprintf(text, sizeof(text), "%s", name);
        text[0] = (char) toupper((unsigned char) text[0]);
        return json_object_new_string(text);
}

static void add_disks(json_object *blkio, const char *name, const DiskNumber *v, size_t n)
{
        json_object *list = add_list(blkio, name);

        for (size_t i = 0; i < n; i++) {
                json_object *o = json_object_new_object();

                add_number(o, "major", v[i].major);
                add_number(o, "minor", v[i].minor);
                json_object_object_add(o, "op", operation(v[i].operation));
                add_number(o, "value", v[i].value);
                json_object_array_add(list, o);
        }
}

static void add_pages(json_object *data, const TaskNumbers *n)
{
        json_object *pages = add_object(data, "hugetlb");

        for (size_t i = 0; i < n->n_pages; i++) {
                json_object *o = json_object_new_object();

                add_number(o, "usage", n->pages[i].usage);
                add_number(o, "max", n->pages[i].max);
                add_number(o, "failcnt", n->pages[i].failures);
                json_object_object_add(pages, n->pages[i].size, o);
        }
}

static void add_network(json_object *data, const TaskNumbers *n)
{
        json_object *list = add_list(data, "network_interfaces");

        for (size_t i = 0; i < n->n_network; i++) {
                const NetworkNumbers *e = &n->network[i];
                json_object *o = json_object_new_object();

                json_object_object_add(o, "Name", json_object_new_string(e->name));
                add_number(o, "RxBytes", e->rx_bytes);
                add_number(o, "RxPackets", e->rx_packets);
                add_number(o, "RxErrors", e->rx_errors);
                add_number(o, "RxDropped", e->rx_dropped);
                add_number(o, "TxBytes", e->tx_bytes);
                add_number(o, "TxPackets", e->tx_packets);
                add_number(o, "TxErrors", e->tx_errors);
                add_number(o, "TxDropped", e->tx_dropped);
                json_object_array_add(list, o);
        }
}

static json_object *event_new(const char *type, const char *id)
{
        json_object *o = json_object_new_object();

        json_object_object_add(o, "type", json_object_new_string(type));
        json_object_object_add(o, "id", json_object_new_string(id));
        return o;
}

json_object *oom_event_new(const char *id)
{
        return event_new("oom", id);
}

json_object *stats_event_new(const char *id, const TaskNumbers *n)
{
        json_object *o = event_new("stats", id), *data = add_object(o, "data"), *pids, *blkio;

        add_cpu(data, n);
        add_object(data, "cpuset");
        add_memory(data, n);
        pids = add_object(data, "pids");
        add_number(pids, "current", n->pids);
        add_number(pids, "limit", n->pids_limit);
        blkio = add_object(data, "blkio");
        add_disks(blkio, "ioServiceBytesRecursive", n->disk_bytes, n->n_disk_bytes);
        add_disks(blkio, "ioServicedRecursive", n->disk_requests, n->n_disk_requests);
        add_pages(data, n);
        add_object(data, "intel_rdt");
        add_network(data, n);
        return o;
}
