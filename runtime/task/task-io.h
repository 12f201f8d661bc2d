/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Standard streams of one process, as containerd names them: each a path of the host, or empty.
 *
 *      PATH of a FIFO          held open for reading and writing, so that a client that comes and goes
 *                              neither ends nor breaks it; closed when the process has closed its end
 *      PATH of a file, device  written behind what is there
 *      file://PATH             the same; file and directories are made
 *      ""                      input: none, the process reads an end at once. Outputs, if both are empty:
 *                              lines for the journal; one that is empty beside another: none
 *
 * So there is always one stream at least: without any the agent would keep all output for itself. Every other
 * scheme (binary://) is refused with -EOPNOTSUPP. A terminal has one output, stdout, and its input.
 *
 * Paths are of privileged clients and are opened as they are. Guest side: see task-copy.h.
 */

#include "runtime/agent-client/agent.h"
#include "runtime/agent-client/transport.h"
#include "runtime/log/relay.h"

typedef struct TaskIo TaskIo;

typedef struct TaskIoParams {
        sd_event *event;
        Relay *relay;                   /* outlives the object */
        const char *name;               /* of the container, for the journal */
        const char *stdin_path, *stdout_path, *stderr_path;
        bool terminal;
        bool stdin_closed;              /* task_io_close_stdin() was called before it was there */
        /* All outputs have ended and the host has them. May free the object. */
        void (*on_drained)(TaskIo *io, void *userdata);
        void *userdata;
} TaskIoParams;

/* What is wrong with the paths, without opening them. */
int task_io_check(const TaskIoParams *params, char **reterr_message);

/* Opens the ends of the host; strings are copied. */
int task_io_new(TaskIo **ret, const TaskIoParams *params, char **reterr_message);
/* Closes everything. Accepts NULL, returns NULL. transport is the one of task_io_connect(), or NULL if that is gone. */
TaskIo *task_io_free(TaskIo *io, Transport *transport);

/*
 * Opens the streams to the guest. handler is called from the loop, once, with 0 or an error and a text; not
 * after task_io_free(). Copying has begun then, and task_io_ports() is what the agent has to be told.
 */
typedef void (*TaskIoConnected)(TaskIo *io, int error, const char *text, void *userdata);
int task_io_connect(TaskIo *io, Transport *transport, TaskIoConnected handler, void *userdata);
AgentStdio task_io_ports(const TaskIo *io);

/* The client writes no more; the process sees the end behind what is there. At any time, any number of times. */
void task_io_close_stdin(TaskIo *io);

bool task_io_is_drained(const TaskIo *io);
