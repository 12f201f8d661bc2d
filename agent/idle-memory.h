/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The agent's memory while nothing is asked of it, which is nearly always. A page of the program that was used
 * once, and the fifteen around it that the kernel maps together with it, would count as the agent's for ever; most
 * of them belong to the start and to the creation of containers. Some seconds after the last request they are
 * unmapped. They stay in the page cache as long as there is room, so that whatever is used again costs a
 * page fault and no reading. The stack below its present end, which the start has grown, is given
 * back.
 *
 * Health checks are all that comes while the agent is idle. A second after one its pages go as well: a dozen page
 * faults for the next check, in place of two thirds of a megabyte between all of them (16 pages a fault, mm/memory.c,
 * do_fault_around()).
 */

#include "agent/loop.h"

typedef struct IdleMemory IdleMemory;

#define IDLE_MEMORY_USEC (10 * USEC_PER_SEC)
#define IDLE_MEMORY_CHECK_USEC USEC_PER_SEC

/* As after a request. */
int idle_memory_new(IdleMemory **ret, Loop *loop);
IdleMemory *idle_memory_free(IdleMemory *idle);
DEFINE_CLEANUP_FUNC(IdleMemory *, idle_memory_free)

/* A request came that uses more of the program than answering a health check does. */
void idle_memory_used(IdleMemory *idle);
/* A health check came. */
void idle_memory_checked(IdleMemory *idle);

/* At once: bytes of the program that were given up, mapped or not. */
size_t idle_memory_forget(void);
