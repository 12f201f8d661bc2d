/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * All log records of the guest on their way to the host: the agent's own and the kernel's, as JSON lines
 * in one resumable ring of LOG_RING_SIZE. A record that does not fit is dropped and counted; as soon as
 * there is room a record with "dropped":N says so. Every record, dropped ones included, takes one number of
 * "seq", so a receiver can tell a replayed record and a gap.
 */

#include "basic/log.h"
#include "basic/parse.h"
#include "basic/ring.h"

typedef struct LogRecord {
        const char *msg;        /* any bytes */
        size_t msg_len;
        int priority;           /* LOG_EMERG … LOG_DEBUG */
        bool kernel;
        const char *subsystem;  /* NULL: "agent" or "kernel" */
        const char *container;  /* NULL: none */
        usec_t usec;            /* CLOCK_MONOTONIC; 0: now */
} LogRecord;

typedef struct LogRing {
        Ring ring;
        uint64_t seq;
        uint64_t dropped;       /* not yet reported */
        void (*on_data)(void *userdata);        /* records were added */
        void *userdata;
        bool telling, again;    /* on_data may add records itself */
} LogRing;

int log_ring_init(LogRing *log, size_t size);
void log_ring_done(LogRing *log);

/* Never fails: a record that can not be kept is counted. */
void log_ring_add(LogRing *log, const LogRecord *record);

/* n records were lost before they came here. */
void log_ring_count_dropped(LogRing *log, uint64_t n);

/* To be called when the receiver took something: reports what was dropped meanwhile. */
void log_ring_room(LogRing *log);

/* Kernel records are taken out of the kernel's own buffer only while this holds: they wait there. */
bool log_ring_has_room_for_kernel(const LogRing *log);

/* From here on the program log (basic/log.h) goes into this ring; NULL restores standard error. */
void log_ring_install(LogRing *log);

/* "INFO" and so on, as slog and the Kata agent name them. */
const char *log_ring_level_name(int priority);
