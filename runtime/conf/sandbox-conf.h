/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Definition of one sandbox: sizes and containers. Read from the first of these that exists:
 *
 *     /etc/kata/sandboxes/ID.conf     declared by the operator
 *     /run/kata/sandboxes/ID.conf     the same until the next boot
 *     /run/kata/ID/sandbox.conf       of a caller; gone when the sandbox stops
 *
 * Values that are not set come from the node
 * configuration, so that a SandboxConf needs no look at NodeConf for the fields it has.
 *
 * Runs on the host with the supervisor's rights; the file belongs to root, but its content is
 * checked like any other input. Errors read "FILE:LINE: [SECTION] KEY: what is wrong".
 */

#include <sys/types.h>

#include "basic/cleanup.h"
#include "basic/parse.h"
#include "basic/strv.h"
#include "runtime/conf/node-conf.h"

/*
 * One [Container NAME]. Exactly one of bundle and root_directory is set; both are existing
 * directories.
 */
typedef struct ContainerConf {
        char *name;    /* valid container id (basic/parse.h), unique in the sandbox */
        unsigned line; /* of the section header, for later errors */

        char *bundle; /* Bundle=: absolute, OCI bundle; the keys below come from its config.json */
        char *root_directory; /* RootDirectory=: absolute */

        /* With root_directory only */
        Strv command;            /* Command=: at least one word */
        Strv environment; /* Environment=: NAME=VALUE each, names unique (the last one won) */
        char *working_directory; /* WorkingDirectory=: absolute path in the container; NULL: "/" */
        uint32_t uid, gid;       /* User=: gid = uid when only the uid was given; default 0, 0 */
        bool read_only;          /* ReadOnly=: root file system */
        uint64_t memory;         /* Memory=: bytes, limit of the container in the guest; 0: none */

        /* With both */
        int stop_signal; /* StopSignal=: 1..64; default SIGTERM */
} ContainerConf;

/* In the place of a path: the supervisor makes one, which the machine is in. by_caller only. */
#define CONF_NETWORK_NEW "new"

typedef struct SandboxConf {
        char *id;
        char *path; /* the file that was read */

        /* Effective values: the sandbox's own or the node's; ranges as in NodeConf */
        uint64_t memory;
        uint32_t vcpus;
        ConfAccelerator accelerator;
        ConfTransport transport;
        char *kernel_parameters; /* the node's, then the sandbox's; "" if none */
        char *kernel_modules;    /* of both, see kernel_modules_split(); "" if none */
        usec_t stop_timeout;
        char *hostname; /* Hostname=; default: the id cut to 64 characters */
        char *guest_directory; /* GuestDirectory=; NULL: what the node says */
        char *slice;    /* Slice=; NULL: kata.slice */
        char *scope;    /* Scope=; NULL: unit_name_scope() */
        /* Limits of that scope; 0, NULL: none */
        uint32_t cpu_weight;        /* CPUWeight=: 1..10000 */
        uint64_t cpu_quota;         /* CPUQuota=: microseconds of processor time a second */
        usec_t cpu_quota_period;    /* CPUQuotaPeriodSec=: in which that is measured */
        char *allowed_cpus;         /* AllowedCPUs=, AllowedMemoryNodes=: lists for cpu_list_parse() */
        char *allowed_memory_nodes;
        uint32_t io_weight;         /* IOWeight=: 1..10000 */
        uint64_t memory_max;        /* MemoryMax=: bytes, or SANDBOX_MEMORY_MAX_MACHINE */
        uint32_t tasks_max;         /* TasksMax= */
        char *network_namespace; /* NetworkNamespace=: a file of nsfs, or CONF_NETWORK_NEW; NULL: no network */
        char *policy;   /* Policy=: a file, see basic/policy.h; NULL: none */
        bool debug;     /* Debug=; the node has no say: default no */

        ContainerConf *containers; /* in the order of the file */
        size_t n_containers;       /* 1..CONTAINERS_MAX; 0 in a caller's definition: see by_caller */

        /*
         * The file is RUNDIR/ID/sandbox.conf and has no [Container NAME]: a caller makes the
         * containers, through the Task service of the supervisor.
         */
        bool by_caller;
} SandboxConf;

/* "machine": what the guest has and its VMM may need. */
#define SANDBOX_MEMORY_MAX_MACHINE UINT64_MAX

/*
 * Finds, reads and checks the definition of id. root as in node_conf_load(). Returns 0; -EINVAL:
 * bad id or bad content; -ENOENT: not defined, or a named directory is missing; else the errno of
 * reading.
 */
int sandbox_conf_load(
                const char *root,
                const char *id,
                const NodeConf *node,
                SandboxConf **ret,
                char **reterr_message);

/* The same for a given file; directories in it are looked up below root. */
int sandbox_conf_load_file(
                const char *root,
                const char *path,
                const char *id,
                const NodeConf *node,
                SandboxConf **ret,
                char **reterr_message);

/* The same for a text; path is for error texts. */
int sandbox_conf_parse(
                const char *root,
                const char *path,
                const char *text,
                size_t size,
                const char *id,
                const NodeConf *node,
                SandboxConf **ret,
                char **reterr_message);

SandboxConf *sandbox_conf_free(SandboxConf *conf);
DEFINE_CLEANUP_FUNC(SandboxConf *, sandbox_conf_free)
#define _cleanup_sandbox_conf_ _cleanup_(sandbox_conf_freep)

/* NULL if there is none of that name. */
const ContainerConf *sandbox_conf_find_container(const SandboxConf *conf, const char *name);
