/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the agent protocol knows of one process of a container, its init process or one of ExecProcess: the
 * standard streams, the exit status and who waits for it. The process itself belongs to the engine
 * (container.h, container-exec.h).
 *
 *      ports given:    streams that the host opens (pass-fd), claimed before the process is made
 *      no ports:       all three streams, by WriteStdin, ReadStdout, ReadStderr
 *      terminal:       input and output are the master that the engine hands over; no third stream
 */

#include "agent/container.h"
#include "agent/sandbox.h"
#include "agent/server.h"
#include "agent/stdio-stream.h"

typedef struct GuestProcess GuestProcess;

typedef enum GuestStream {
        GUEST_STDIN,
        GUEST_STDOUT,
        GUEST_STDERR,
        _GUEST_STREAM_MAX,
} GuestStream;

/* ports: one a stream, 0 for none. */
int guest_process_new(GuestProcess **ret, Sandbox *sandbox, const uint32_t ports[static _GUEST_STREAM_MAX]);
/* Whoever waits is forgotten: see guest_process_set_exited(). */
GuestProcess *guest_process_free(GuestProcess *p);

/*
 * Waits for the streams that the ports name. 1: ready is called from the loop, once, with 0 or an error;
 * 0: they are all there. guest_process_cancel_claims(): ready is not called any more.
 */
typedef void (*GuestProcessReady)(int error, const char *message, void *userdata);
int guest_process_claim(GuestProcess *p, GuestProcessReady ready, void *userdata);
void guest_process_cancel_claims(GuestProcess *p);

/*
 * The ends for the process, which the caller closes with guest_io_close(), pipes owned by its user. Nothing
 * for a process with a terminal.
 */
int guest_process_open(GuestProcess *p, const Grpc__Process *process, ContainerIo *ret,
                       char **reterr_message);
void guest_io_close(ContainerIo *io);

/* Takes the master; without streams of its own the process is not worth having, so failures are logged. */
void guest_process_set_terminal(GuestProcess *p, int fd);
/* -ENOTTY if it has none, or none any more. What does not fit is cut to the largest. */
int guest_process_resize(GuestProcess *p, uint32_t rows, uint32_t columns);
/* For a terminal whose host is gone for good: hung up when its output has no stream for a while. */
void guest_process_set_hangup(GuestProcess *p);

/* NULL if there is no such stream. */
StdioOut *guest_process_stdout(const GuestProcess *p);
StdioOut *guest_process_stderr(const GuestProcess *p);
StdioIn *guest_process_stdin(const GuestProcess *p);

/* The first time counts. Answers all who wait. */
void guest_process_set_exited(GuestProcess *p, int status);
bool guest_process_exited(const GuestProcess *p, int *ret_status);

/* Long poll: any number of waiters. Answers at once after the exit. */
void guest_process_wait(GuestProcess *p, Request *request);
/* Somebody has been told the exit status. */
bool guest_process_was_answered(const GuestProcess *p);

/* Leaves output that a stream still takes to the sandbox. */
void guest_process_linger(GuestProcess *p);
/* Nothing is left to be read or to be delivered. */
bool guest_process_is_drained(const GuestProcess *p);
