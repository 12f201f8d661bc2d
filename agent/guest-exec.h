/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A process of ExecProcess behind the agent protocol.
 *
 *      CLAIMING → STARTING → RUNNING → EXITED → (gone)
 *          +----------+--(failure: the request is answered with it, nothing stays)
 *
 * The first answer of WaitProcess ends it, as in Kata's agent: its id is free again. What it wrote and
 * nobody has read by then can be read for LINGER_USEC, or until its id is taken. A container has at most
 * EXECS_MAX of them; one that ended and that nobody waited for makes room for a new one.
 */

#include "agent/guest-container.h"
#include "agent/guest-process.h"

typedef struct GuestExec GuestExec;

/* Answers the request in any case: once the program runs, or with the reason. extension: part of its input, or NULL. */
void guest_exec_create(GuestContainer *gc, Request *request, const Grpc__ExecProcessRequest *input,
                       const Kata__Systemd__V1__SpecExtension *extension);

GuestExec *guest_exec_find(const GuestContainer *gc, const char *exec_id);
/* Waited for: only its output can still be read. */
bool guest_exec_is_gone(const GuestExec *e);
GuestProcess *guest_exec_process(const GuestExec *e);

void guest_exec_wait(GuestExec *e, Request *request);
/* -ESRCH after its end, -EBUSY before its start. */
int guest_exec_signal(const GuestExec *e, int sig);

/* The container is gone: whoever waits learns that the process was killed. Frees all. */
void guest_execs_end(GuestContainer *gc);
/* Without a word, for the end of the sandbox object. */
void guest_execs_free(GuestContainer *gc);
