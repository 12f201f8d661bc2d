/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One process that joins the container of a Run: configuration, events, output. See test-container-live.h. */

#include "agent/container-exec.h"
#include "agent/test-container-live.h"

typedef struct ExecRun {
        Run *run;
        ContainerExec *exec;
        Grpc__Process process;
        Grpc__User user;
        Grpc__LinuxCapabilities caps;
        Grpc__Box size;
        char *args[4], *env[2], *names[4];
        const Kata__Systemd__V1__SpecExtension *extension;

        int output_fd, stdin_fd;
        LoopSource *source;
        char output[8192];
        size_t n_output;
        bool started, exited;
        int error, status;
        char *message;
} ExecRun;

/* A complete configuration that runs "sh -c script" as root. */
void exec_init(ExecRun *x, Run *run, const char *script);
/* Creates; the events follow. */
int exec_create(ExecRun *x);
/* Runs to the end; the exit status, or a negative errno with x->message. */
int exec_all(ExecRun *x);
void exec_done(ExecRun *x);

/* Creates and starts run. */
void start_sleeper(Run *run);
