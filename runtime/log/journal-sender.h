/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Entries on their way to journald, without ever blocking: what its socket does not take waits in a
 * bounded queue and goes on when there is room, also over a restart of journald. Readers ask
 * journal_sender_is_full() and stop reading their sources; that is how a slow journal slows down the
 * container that writes, and nobody else.
 */

#include <systemd/sd-event.h>

#include "runtime/log/journal-entry.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

typedef struct JournalSender JournalSender;

/* From the loop, whenever entries left the queue. */
typedef void (*JournalProgressHandler)(JournalSender *sender, void *userdata);

/* path: NULL for JOURNAL_SOCKET. A journal that is not there yet is no error. */
int journal_sender_new(JournalSender **ret, sd_event *event, const char *path,
                       JournalProgressHandler on_progress, void *userdata);
JournalSender *journal_sender_free(JournalSender *sender);
DEFINE_CLEANUP_FUNC(JournalSender *, journal_sender_free)

/*
 * Sends or queues; takes the content of entry in any case. -ENOBUFS when the queue has no room (the entry
 * is lost: the caller counts), -ENOMEM.
 */
int journal_sender_send(JournalSender *sender, JournalEntry *entry);

/* Over half of the queue is in use: stop reading what can wait. */
bool journal_sender_is_full(const JournalSender *sender);

/* Entries handed over so far, and how many of them the journal has. */
uint64_t journal_sender_accepted(const JournalSender *sender);
uint64_t journal_sender_delivered(const JournalSender *sender);

static inline bool journal_sender_is_idle(const JournalSender *sender)
{
        return journal_sender_accepted(sender) == journal_sender_delivered(sender);
}
