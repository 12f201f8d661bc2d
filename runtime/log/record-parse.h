/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One line of the guest's log port → what may go into the journal. The guest is hostile: known keys only,
 * of the right type and bounded; whatever is no such record becomes the text of an agent message. Guest
 * text ends up in MESSAGE and in fields whose names are ours, never in a name.
 */

#include "basic/parse.h"

typedef enum RecordSource {
        RECORD_AGENT,
        RECORD_KERNEL,
} RecordSource;

typedef struct LogRecordView {
        RecordSource source;
        int priority;           /* syslog, 0..7 */
        char *message;          /* not NULL; at most LOG_RECORD_MAX bytes */
        size_t n_message;
        usec_t guest_usec;      /* USEC_INFINITY: not given */
        char *subsystem;        /* NULL, or a short word */
        char *container;        /* NULL, or a valid id */
        uint64_t dropped;       /* records that the guest could not keep */
} LogRecordView;

/* Fails for lack of memory only. */
int log_record_parse(const void *line, size_t n, LogRecordView *ret);
void log_record_done(LogRecordView *record);
