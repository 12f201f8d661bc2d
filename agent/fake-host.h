/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A host for tests of methods: frames put together byte by byte from the published field numbers, answers
 * taken apart the same way, so that no encoder of ours is on both sides.
 */

#include "agent/services.h"
#include "basic/test.h"

extern Loop *loop;
extern int host_fd;             /* the host's end of the connection */
extern uint32_t next_id;

/* Of the last answer: its payload, and the text of its status. */
extern uint8_t reply[65536];
extern size_t reply_size;
extern char reply_text[1024];

/* An agent with all methods and a connection to it. */
void start(void);
void stop(void);

/* Field number and wire type 2, length, bytes; the size of it. */
size_t put_field(uint8_t *p, unsigned field, const void *data, size_t n);
uint32_t send_call(const char *method, const uint8_t *payload, size_t n);
/* Waits for it: 0 or the status code. */
int take_answer(uint32_t id);
int call_empty(const char *method);
bool reply_contains(const void *data, size_t n);

#define CALL(method, ...)                                                                          \
        take_answer(send_call(method, (const uint8_t[]) { __VA_ARGS__ },                           \
                              sizeof((const uint8_t[]) { __VA_ARGS__ })))
