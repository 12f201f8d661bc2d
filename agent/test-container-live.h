/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One real container for test-container-live-cases.c: configuration, events, output. The harness in
 * test-container-live.c makes the root file system and clears up behind the cases.
 */

#include "agent/container.h"
#include "basic/test.h"

#define OUTPUT_MAX (256U * 1024U)

extern const char *cgroup_root;
extern char base[];             /* temporary directory: rootfs/, volume/ */

/* One run of one container: configuration, events, output. */
typedef struct Run {
        Loop *loop;
        Container *container;
        const ContainerPlace *place;    /* NULL: alone */
        Grpc__Spec spec;
        Grpc__Process process;
        Grpc__Root root;
        Grpc__Linux linux_part;
        Grpc__User user;
        Grpc__LinuxCapabilities caps;
        char *args[8], *env[8], *names[8], *ambient[4];
        Grpc__LinuxNamespace namespaces[8], *namespace_list[8];
        Grpc__Mount mounts[16], *mount_list[16];
        Grpc__POSIXRlimit rlimit, *rlimit_list[1];
        char rootfs[128];

        int stdin_fd;           /* -EBADF: empty */
        int output_fd;
        LoopSource *output_source;
        char output[OUTPUT_MAX];
        size_t n_output;

        bool created, started, exited, removed, hold;
        int error, status, remove_error;
        char *message;
} Run;

extern const ContainerHandlers handlers;

/* A complete configuration that runs "sh -c script" in namespaces of its own. */
void run_init(Run *run, const char *script);
/* The same in a user namespace, whose ids are those from OUTSIDE on. */
#define OUTSIDE 100000U
void run_init_user(Run *run, const char *script);
void add_namespace(Run *run, const char *type);
void add_mount(Run *run, const char *destination, const char *source, const char *type,
               char **options, size_t n);

/* Creates; the events follow. */
int run_create(Run *run);
void run_until(Run *run, const bool *flag);
/* Runs to the end; the exit status, or a negative errno with run->message. */
int run_all(Run *run);
/* Removes the container, checks that its cgroup is gone, frees. */
void run_done(Run *run);

/* "base/name" */
char *host_path(char *buf, size_t n, const char *name);
