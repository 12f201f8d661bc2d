/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a container takes in its guest, as the Task service tells it: metrics of cgroup v1 or v2, after the mode of
 * this host, in one form. The counts are the guest's, and bounded here once more.
 */

#include "basic/parse.h"
#include "proto/any.pb-c.h"
#include "proto/pb-arena.h"
#include "runtime/cli/task-client.h"

/* Bytes. A limit that is not there is 2^64-1, or what the guest has instead. */
typedef struct MemoryNumbers {
        uint64_t limit, usage, max, failures;
} MemoryNumbers;

typedef struct DiskNumber {
        uint64_t major, minor, value;
        const char *operation;          /* "Read", "Write" and what else the guest has */
} DiskNumber;

typedef struct PageNumbers {
        const char *size;               /* "2MB" */
        uint64_t usage, max, failures;
} PageNumbers;

typedef struct NetworkNumbers {
        const char *name;
        uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors, tx_dropped;
} NetworkNumbers;

/* Strings and lists belong to the arena. */
typedef struct TaskNumbers {
        uint64_t pids, pids_limit;
        /* Nanoseconds. */
        uint64_t cpu_total, cpu_user, cpu_kernel, throttled_time;
        uint64_t periods, throttled_periods;
        const uint64_t *per_cpu;        /* cgroup v1 */
        size_t n_per_cpu;
        uint64_t cache;
        MemoryNumbers memory, swap, kernel;
        const ProtobufCMessage *memory_stat;    /* its uint64 fields have the names of memory.stat; NULL: none */
        bool has_oom_kills;             /* cgroup v2 */
        uint64_t oom_kills;
        DiskNumber *disk_bytes, *disk_requests;
        size_t n_disk_bytes, n_disk_requests;
        PageNumbers *pages;
        size_t n_pages;
        NetworkNumbers *network;
        size_t n_network;
} TaskNumbers;

/* -EBADMSG for bytes that are not of that type, -EOPNOTSUPP for another type. */
int task_numbers_parse(const Google__Protobuf__Any *stats, PbArena *arena, TaskNumbers *ret);

/* Asks for them; errors as task_client_call(). */
int task_numbers_get(TaskClient *client, const char *id, usec_t timeout, PbArena *arena, TaskNumbers *ret,
                     char **reterr_message);
